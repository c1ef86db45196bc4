//! The dialect `voiso-v4`: `GET /api/v4/users`, pages of 100 by offset, `metadata.total`.
//!
//! No page documents a list of teams; only its scope, `users.teams.read`, is known. The paths of the other
//! listings spell their scopes, so `GET /api/v4/users/teams` is asked first and then `GET /api/v4/teams`. An
//! upstream may lack both.
//!
//! Source: the vendor's "Get list of users" page. Documented filters that can be pushed down without
//! losing a row are `name`, `email`, `sip_account`, `extension` and `security_access_group_id`;
//! `caller_id` and `timezone` mean something else on each side and are left to the hub.
//!
//! Nullability is documented nowhere. Read here: a text or object may be null or absent (shown as
//! null), a list must be a list, `users`, `metadata.total` and every `id` must be there.

mod calls;
mod losses;
mod messages;
mod users;

use std::borrow::Cow;

use super::list::{self, Layout, RowReader};
use super::news;
use super::scan::{Fault, Scan};
use super::strict::Read;
use super::{
    CallAnswer, CallRefusal, Context, Credential, Dialect, Facts, PageError, PageRequest, PageTail,
    Place, Refusal, SchemaError, SchemaKind,
};
use crate::asked::plan::{GroupIds, TextOf, UserFilter};
use crate::call::{CallRequest, WantedCall};
use crate::hub::{Id, Named};
use crate::id::{self, PolicyName, Unnumbered};
use crate::legacy::field::FieldId;
use crate::listing::{Item, Listing, Row};
use crate::loss::FieldLoss;
use crate::sweep::{Paging, Window};
use users::Users;

/// Enough for the target of most pages.
const TARGET_BYTES: usize = 96;

/// The dialect; see the module.
#[derive(Debug)]
pub(super) struct Voiso;

const FACTS: Facts = Facts {
    name: "voiso-v4",
    page_rows_max: 100,
    paging: Paging::Offset,
    page_bytes_max: 8 << 20,
    requests_per_minute_max: None,
    credential: Credential::Key,
    scope: "users.read",
    id_policies: &[PolicyName::Fail, PolicyName::Map, PolicyName::Hash],
    unnumbered: Unnumbered::Fail,
    has_mapping: false,
    roles: &[],
};

/// Where teams may be. The paths of single users begin like the first.
const TEAMS: &[Place] = &[
    Place { path: Cow::Borrowed("/api/v4/users/teams"), may_be_id: true },
    Place { path: Cow::Borrowed("/api/v4/teams"), may_be_id: false },
];

impl Dialect for Voiso {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn loss(&self, field: FieldId) -> FieldLoss {
        losses::of(field)
    }

    fn scope(&self, listing: &Listing) -> &'static str {
        match listing {
            Listing::Teams => "users.teams.read",
            Listing::Messages => "messaging.canned_messages.read",
            _ => FACTS.scope,
        }
    }

    fn places(&self, listing: &Listing) -> &'static [Place] {
        match listing {
            Listing::Teams => TEAMS,
            _ => &[],
        }
    }

    fn page_request(
        &self,
        listing: &Listing,
        place: Option<&Place>,
        filter: Option<&UserFilter<GroupIds>>,
        window: Window,
    ) -> PageRequest {
        let path = match place.or_else(|| self.places(listing).first()) {
            Some(place) => &*place.path,
            None if *listing == Listing::Messages => "/api/v4/messaging/canned_messages",
            None => "/api/v4/users",
        };
        let mut target = String::with_capacity(TARGET_BYTES);
        target.extend([path, "?limit=", itoa::Buffer::new().format(window.limit)]);
        target.extend(["&offset=", itoa::Buffer::new().format(window.offset)]);
        let mut query = form_urlencoded::Serializer::for_suffix(target, path.len() + 1);
        let is_filtered = match (listing, filter) {
            (Listing::Users(_), Some(filter)) => push_down(filter, &mut query),
            _ => false,
        };
        // A `+` for a space is only right in forms; `%20` is right everywhere.
        let target = match query.finish() {
            target if target.contains('+') => target.replace('+', "%20"),
            target => target,
        };
        PageRequest { target, accept: "application/json", is_filtered }
    }

    fn is_filtered(&self, listing: &Listing, filter: &UserFilter<GroupIds>) -> bool {
        let has_text = || pushed(filter).iter().any(|(_, value)| value.is_some());
        matches!(listing, Listing::Users(_)) && (has_text() || one_group(filter).is_some())
    }

    fn read_page(
        &self,
        listing: &Listing,
        body: &[u8],
        context: Context<'_>,
        row: &mut dyn FnMut(Row<'_, '_>),
    ) -> Result<PageTail, PageError> {
        match listing {
            Listing::Users(_) => {
                let mut users = Users::new(context.rules, row);
                match context.tells_keys {
                    true => news::read_with_keys(body, layout("users"), &mut users, users::KEYS),
                    false => list::read(body, layout("users"), &mut users),
                }
            }
            Listing::Teams => list::read(body, layout("teams"), &mut Teams { row }),
            Listing::Messages => {
                list::read(body, layout("canned_messages"), &mut messages::Messages { row })
            }
            // Nothing asks for these here; see `follow_up` and `shortcut`.
            _ => Err(PageError::Schema(SchemaError {
                path: ".".to_owned(),
                kind: SchemaKind::BadSchema,
            })),
        }
    }

    fn new_fields(&self, listing: &Listing, body: &[u8]) -> usize {
        match listing {
            Listing::Users(_) => {
                news::new_fields(body, layout("users"), &[users::KEYS, users::UNREAD])
            }
            // No page documents any field of a team.
            _ => 0,
        }
    }

    fn documented_keys(&self) -> &'static [&'static str] {
        users::KEYS
    }

    fn vital_keys(&self) -> &'static [&'static str] {
        &["name", "email"]
    }

    fn call_scope(&self) -> Option<&'static str> {
        Some(calls::SCOPE)
    }

    fn call_request(&self, own_id: &str, wanted: &WantedCall) -> Option<CallRequest> {
        Some(calls::request(own_id, wanted))
    }

    fn call_answer(&self, body: &[u8]) -> CallAnswer {
        calls::answer(body)
    }

    fn call_refusal(&self, body: &[u8]) -> CallRefusal {
        calls::refusal(body)
    }

    fn may_lack(&self, listing: &Listing) -> bool {
        *listing == Listing::Teams
    }
}

fn layout(rows: &'static str) -> Layout {
    Layout { rows, metadata: "metadata", total: "total", refusal }
}

/// `{"error":"Unauthorized"}` under a 200; the words are those of the vendor's error table.
fn refusal(word: &str) -> Option<Refusal> {
    match word {
        "Unauthorized" => Some(Refusal::Unauthorized),
        "Forbidden" => Some(Refusal::Forbidden),
        "Not found" => Some(Refusal::NotFound),
        "Too many requests" => Some(Refusal::RateLimited),
        _ => None,
    }
}

/// Pushes filters down; true if there was one.
/// The texts that the upstream filters by.
fn pushed(filter: &UserFilter<GroupIds>) -> [(&'static str, Option<&str>); 4] {
    [
        ("name", filter.pushdown(TextOf::Name)),
        ("email", filter.pushdown(TextOf::Email)),
        ("sip_account", filter.pushdown(TextOf::SipAccount)),
        ("extension", filter.pushdown(TextOf::Extension)),
    ]
}

/// The upstream filters by one group. Several groups of one name are a union, so the hub picks their users
/// out of the whole list, in the list's order.
fn one_group(filter: &UserFilter<GroupIds>) -> Option<&Id<'static>> {
    match filter.group()?.ids() {
        [id] => Some(id),
        _ => None,
    }
}

fn push_down(
    filter: &UserFilter<GroupIds>,
    query: &mut form_urlencoded::Serializer<'_, String>,
) -> bool {
    let mut is_filtered = false;
    for (name, value) in pushed(filter) {
        if let Some(value) = value {
            query.append_pair(name, value);
            is_filtered = true;
        }
    }
    if let Some(id) = one_group(filter) {
        is_filtered = true;
        match id {
            Id::Number(n) => {
                query.append_pair("security_access_group_id", itoa::Buffer::new().format(*n))
            }
            Id::Text(text) => query.append_pair("security_access_group_id", text),
        };
    }
    is_filtered
}

/// The rows of the list of teams.
struct Teams<'r> {
    row: &'r mut dyn FnMut(Row<'_, '_>),
}

impl RowReader<'_> for Teams<'_> {
    fn row(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        let shown = Named::read(scan)?;
        let id: Cow<'_, str> = match &shown.id {
            Id::Number(number) => Cow::Owned(number.to_string()),
            Id::Text(text) => text.clone(),
        };
        (self.row)(Row::Item(&Item { key: id::key(&id), id, shown, level: None, message: None }));
        Ok(())
    }
}
