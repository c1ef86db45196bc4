//! The dialect `vonage-v4`: the User Admin API of Vonage Contact Center, version 4.
//!
//! Source: the vendor's User Admin pages. Users are listed by page number, up to 5000 a page, and the
//! list has no filter; teams (the vendor's groups), skills and callback numbers are listings of their
//! own, which are turned around: members by team instead of teams by user.
//! [`Mapping`](super::Mapping) decides the source of each field, and fields that the vendor lacks stay
//! empty.
//!
//! The vendor's samples repeat keys, spell numbers as text and leave fields out; the dialect reads all
//! of that. A list that is no object with a count is refused: another version of the API sends it.

mod losses;
#[cfg(test)]
mod tests;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use super::list::{self, Layout, RowReader};
use super::scan::{Fault, Scan};
use super::strict::{Read, unfit};
use super::{
    Context, Credential, Dialect, ExtensionField, Facts, PageError, PageRequest, PageTail, Place,
    QueueSource, Rules, Shortcut, SupervisionSource,
};
use crate::asked::plan::{GroupIds, TextOf, UserFilter};
use crate::id::{self, IdPolicy, PolicyName, Unnumbered};
use crate::legacy::field::FieldId;
use crate::listing::{By, Item, Listing, Owned, Row, Which};
use crate::loss::FieldLoss;
use crate::related::{Needs, Related};
use crate::sweep::{Paging, Window};

/// The dialect; see the module.
#[derive(Debug)]
pub(super) struct Vonage;

const ACCEPT: &str = "application/vnd.newvoicemedia.v4+json";

const FACTS: Facts = Facts {
    name: "vonage-v4",
    page_rows_max: 5000,
    paging: Paging::Numbered,
    page_bytes_max: 32 << 20,
    // The vendor names about 160 a minute for a sibling API.
    requests_per_minute_max: Some(120),
    credential: Credential::Client,
    scope: "users:read",
    id_policies: &[PolicyName::Hash, PolicyName::Fail, PolicyName::Map, PolicyName::AgentDisplayId],
    unnumbered: Unnumbered::Hash,
    has_mapping: true,
    roles: &["Admin", "Supervisor", "Wallboard", "Agent", "NvmAdmin"],
};

impl Dialect for Vonage {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn loss(&self, field: FieldId) -> FieldLoss {
        losses::of(field)
    }

    fn page_request(
        &self,
        listing: &Listing,
        _: Option<&Place>,
        _: Option<&UserFilter<GroupIds>>,
        window: Window,
    ) -> PageRequest {
        let path = path(listing);
        // Pages count from 1 by the page of every endpoint; one overview says 0.
        let page = window.offset / u64::from(window.limit.max(1)) + 1;
        let limit = window.limit;
        let target = match listing {
            Listing::User(_) => format!("/useradmin{path}"),
            Listing::Users(which) => {
                let include = match which {
                    Which::Live => "Active",
                    Which::Deleted => "Archived",
                    Which::All => "All",
                };
                format!("/useradmin{path}?include={include}&limit={limit}&page={page}")
            }
            Listing::Owners(_) => {
                format!("/useradmin{path}?include=Active&limit={limit}&page={page}")
            }
            _ => format!("/useradmin{path}?limit={limit}&page={page}"),
        };
        // A client's value goes upstream only in the look-up of one user by display id.
        let is_filtered = matches!(listing, Listing::User(By::DisplayId(_)));
        PageRequest { target, accept: ACCEPT, is_filtered }
    }

    fn read_page(
        &self,
        listing: &Listing,
        body: &[u8],
        context: Context<'_>,
        row: &mut dyn FnMut(Row<'_, '_>),
    ) -> Result<PageTail, PageError> {
        let rows = match listing {
            Listing::Teams => "groups",
            Listing::Skills => "skills",
            Listing::CallerIds => "callbackNumbers",
            Listing::OfUser(Owned::Skills, _) => "agentSkills",
            Listing::OfUser(Owned::SupervisedTeams, _) => "groupPermissions",
            Listing::OfUser(Owned::Queues, _) => "queues",
            _ => "users",
        };
        let layout = Layout { rows, metadata: "meta", total: "totalCount", refusal: |_| None };
        match listing {
            Listing::User(_) => one_user(body, context, row),
            _ => list::read(body, layout, &mut Rows { listing, context, row }),
        }
    }

    fn shortcut(&self, filter: &UserFilter<GroupIds>, rules: &Rules) -> Shortcut {
        let has_no_zone = rules.mapping.timezone.is_none();
        if filter.asks(TextOf::SipAccount) || (filter.asks(TextOf::TimeZone) && has_no_zone) {
            return Shortcut::Nobody;
        }
        if let Some(number) = filter.id() {
            return by_number(number, rules);
        }
        match filter.pushdown(TextOf::Extension) {
            Some(extension)
                if rules.mapping.extension == ExtensionField::AgentDisplayId
                    && stays_a_segment(extension) =>
            {
                Shortcut::Listing(Listing::User(By::DisplayId(Arc::from(extension))))
            }
            _ => Shortcut::None,
        }
    }

    fn follow_up(&self, needs: Needs, rules: &Rules, related: &Related) -> Vec<Listing> {
        let mut wanted = Vec::new();
        if needs.teams || needs.records {
            wanted.push(Listing::Teams);
            let members = |team: &Item<'_>| Listing::TeamMembers(Arc::from(&*team.id));
            wanted.extend(related.items(&Listing::Teams).iter().map(members));
            if rules.mapping.supervisor_in_teams == SupervisionSource::WritePermissions {
                owned(Owned::SupervisedTeams, related, &mut wanted);
            }
        }
        if needs.records {
            wanted.extend([Listing::CallerIds, Listing::Skills]);
            let members = |skill: &Item<'_>| Listing::SkillMembers(Arc::from(&*skill.id));
            wanted.extend(related.items(&Listing::Skills).iter().map(members));
            if related.lacks(&Listing::Skills) {
                owned(Owned::Skills, related, &mut wanted);
            }
            if rules.mapping.assigned_queues == QueueSource::Permissions {
                owned(Owned::Queues, related, &mut wanted);
            }
        }
        wanted.retain(|listing| !related.knows(listing));
        wanted
    }

    fn fields_of_number(&self, policy: &IdPolicy) -> &'static [&'static str] {
        match policy {
            // A legacy record may show the same number as the extension.
            IdPolicy::DisplayId => &["agentDisplayId", "extension"],
            IdPolicy::Fail | IdPolicy::Map(_) | IdPolicy::Hash => &[],
        }
    }

    fn has(&self, listing: &Listing) -> bool {
        *listing != Listing::Messages
    }

    fn may_lack(&self, listing: &Listing) -> bool {
        match listing {
            // No page documents the list of skills; a user, team or skill may be gone by now.
            Listing::Skills
            | Listing::User(_)
            | Listing::TeamMembers(_)
            | Listing::SkillMembers(_)
            | Listing::OfUser(..) => true,
            Listing::Users(_)
            | Listing::Teams
            | Listing::Messages
            | Listing::CallerIds
            | Listing::Owners(_) => false,
        }
    }
}

/// Asks for things that have no list of their own: first for their owners, then for each owner's.
fn owned(owned: Owned, related: &Related, wanted: &mut Vec<Listing>) {
    let owners = Listing::Owners(owned);
    let of = |owner: &Item<'_>| Listing::OfUser(owned, Arc::from(&*owner.id));
    wanted.extend(related.items(&owners).iter().map(of));
    wanted.push(owners);
}

/// The user behind a legacy number.
fn by_number(number: u64, rules: &Rules) -> Shortcut {
    let may_be_hashed = rules.unnumbered == Unnumbered::Hash && id::is_hash53(number);
    match &rules.ids {
        IdPolicy::Map(map) => match map.id(number) {
            Some(text) if id::is_uuid(text) => {
                Shortcut::Listing(Listing::User(By::Id(Arc::from(text))))
            }
            // A name or an address: only the list tells which user has it, and that no other does.
            Some(_) => Shortcut::None,
            None if may_be_hashed => Shortcut::None,
            None => Shortcut::Nobody,
        },
        IdPolicy::DisplayId if may_be_hashed => Shortcut::None,
        IdPolicy::DisplayId if number > wire::DISPLAY_ID_MAX => Shortcut::Nobody,
        IdPolicy::DisplayId => {
            Shortcut::Listing(Listing::User(By::DisplayId(Arc::from(number.to_string()))))
        }
        IdPolicy::Hash if !id::is_hash53(number) => Shortcut::Nobody,
        IdPolicy::Hash | IdPolicy::Fail => Shortcut::None,
    }
}

fn path(listing: &Listing) -> Cow<'static, str> {
    match listing {
        Listing::Users(_) | Listing::Owners(_) => Cow::Borrowed("/users"),
        Listing::User(By::Id(id)) => Cow::Owned(format!("/users/{}", segment(id))),
        Listing::User(By::DisplayId(id)) => {
            Cow::Owned(format!("/users/by/agentDisplayId/{}", segment(id)))
        }
        Listing::Teams => Cow::Borrowed("/groups"),
        // There is none; see `has`.
        Listing::Messages => Cow::Borrowed("/messages"),
        Listing::Skills => Cow::Borrowed("/skills"),
        Listing::CallerIds => Cow::Borrowed("/callbackNumbers"),
        Listing::TeamMembers(team) => Cow::Owned(format!("/groups/{}/users", segment(team))),
        Listing::SkillMembers(skill) => Cow::Owned(format!("/skills/{}/users", segment(skill))),
        Listing::OfUser(owned, user) => {
            let what = match owned {
                Owned::Skills => "skills",
                Owned::SupervisedTeams => "permissions/groups",
                Owned::Queues => "permissions/queues",
            };
            Cow::Owned(format!("/users/{}/{what}", segment(user)))
        }
    }
}

/// Whether a caller's value, escaped, is one segment of a path for every server on the way. Many
/// servers take `%2E%2E` for a step up and `%2F` for a slash, or refuse them; for such values the
/// whole list is read.
fn stays_a_segment(value: &str) -> bool {
    !value.contains(['/', '\\']) && !matches!(value, "." | "..")
}

/// A value as one segment of a path.
fn segment(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// The rows of any listing.
struct Rows<'r, 'c> {
    listing: &'r Listing,
    context: Context<'c>,
    row: &'r mut dyn FnMut(Row<'_, '_>),
}

impl RowReader<'_> for Rows<'_, '_> {
    fn row(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        match self.listing {
            Listing::Owners(owned) => {
                (self.row)(wire::User::read(scan)?.owner(*owned).as_row());
            }
            Listing::Users(_) | Listing::User(_) => {
                let user = wire::User::read(scan)?.into_hub(self.context);
                (self.row)(Row::User(&user.ok_or_else(list::bad_id)?));
            }
            Listing::Teams => (self.row)(Row::Item(&wire::Group::read(scan)?.into_item())),
            Listing::Messages => return unfit(),
            Listing::OfUser(Owned::SupervisedTeams, _) => {
                (self.row)(wire::Group::read(scan)?.into_supervised().as_row());
            }
            Listing::Skills | Listing::OfUser(Owned::Skills, _) => {
                (self.row)(Row::Item(&wire::Skill::read(scan)?.into_item()));
            }
            Listing::CallerIds => {
                let number = wire::CallbackNumber::read(scan)?;
                (self.row)(Row::Item(&number.into_item(self.context.rules.mapping.caller_id)));
            }
            Listing::TeamMembers(_) | Listing::SkillMembers(_) => {
                (self.row)(Row::Item(&wire::Member::read(scan)?.into_item()));
            }
            Listing::OfUser(Owned::Queues, _) => {
                (self.row)(wire::Queue::read(scan)?.into_item().as_row());
            }
        }
        Ok(())
    }
}

/// A body that is one user. An empty object means that there is no such user. Any other object
/// without an id is an error, since a list or a refusal must not look like "no such user".
fn one_user(
    body: &[u8],
    context: Context<'_>,
    row: &mut dyn FnMut(Row<'_, '_>),
) -> Result<PageTail, PageError> {
    if body.iter().filter(|byte| !b" \t\r\n".contains(byte)).eq(b"{}") {
        return Ok(PageTail { total: 0, keys: 0 });
    }
    let user = list::read_one::<wire::User<'_>>(body)?;
    let user = user.into_hub(context).ok_or_else(list::bad_id)?;
    row(Row::User(&user));
    Ok(PageTail { total: 1, keys: 0 })
}

/// Text in lower case, borrowed where it is that already: ids are UUIDs, in which case does not count.
fn lower(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// Identity of an upstream id.
fn key(id: &str) -> u64 {
    id::key(&lower(id))
}
