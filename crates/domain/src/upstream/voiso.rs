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

use std::borrow::Cow;

use super::list::{self, Layout, RowReader};
use super::news;
use super::scan::{Fault, Scalar, Scan};
use super::strict::{Read, Str, object, unfit};
use super::{
    CallAnswer, CallRefusal, Context, Credential, DeletionDate, Dialect, Facts, PageError,
    PageRequest, PageTail, Place, Refusal, Rules, SchemaError, SchemaKind,
};
use crate::asked::plan::{GroupIds, TextOf, UserFilter};
use crate::call::{CallRequest, WantedCall};
use crate::hub::{Channel, Id, Named, Skill, State, User};
use crate::id::{self, Number, PolicyName, Unnumbered};
use crate::legacy::field::FieldId;
use crate::listing::{Item, Listing, Row};
use crate::loss::FieldLoss;
use crate::sweep::{Paging, Window};

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
                let mut users = Users { rules: context.rules, row };
                match context.tells_keys {
                    true => news::read_with_keys(body, layout("users"), &mut users, WireUser::KEYS),
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
                news::new_fields(body, layout("users"), &[WireUser::KEYS, WireUser::UNREAD])
            }
            // No page documents any field of a team.
            _ => 0,
        }
    }

    fn documented_keys(&self) -> &'static [&'static str] {
        WireUser::KEYS
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

/// Statuses of a user who exists. `offline` is not among them: deleted users are offline, too.
const LIVE: &[&str] = &["available", "unavailable", "inbound", "outbound", "dialer", "postcall"];

fn state(status: Option<&str>, has_deletion_date: bool, rule: DeletionDate) -> State {
    let is_live = status.is_some_and(|status| LIVE.contains(&status));
    match (has_deletion_date, rule) {
        (false, _) => State::Live,
        (true, DeletionDate::Always) => State::Deleted,
        (true, DeletionDate::UnlessLive) if !is_live => State::Deleted,
        (true, DeletionDate::UnlessLive | DeletionDate::Never) => State::LiveWithDeletionDate,
    }
}

object! {
    /// A user as v4 sends it.
    WireUser<'a> {
        id: UserId<'a> = "id",
        name: Option<Str<'a>> = "name",
        email: Option<Str<'a>> = "email",
        sip_account: Option<Str<'a>> = "sip_account",
        extension: Option<Str<'a>> = "extension",
        caller_id: Option<Str<'a>> = "caller_id",
        employee_id: Option<Str<'a>> = "employee_id",
        timezone: Option<Str<'a>> = "timezone",
        security_access_group: Option<WireNamed<'a>> = "security_access_group",
        teams: Vec<WireNamed<'a>> = "teams",
        supervised_teams: Vec<WireNamed<'a>> = "supervised_teams",
        queues: Vec<WireNamed<'a>> = "queues",
        - "supervised_queues",
        webrtc_ringtone: Option<WireRingtone<'a>> = "webrtc_ringtone",
        - "channels",
        - "channel_group_capacity",
        channel_profiles: Vec<WireProfile<'a>> = "channel_profiles",
        - "speech_language",
        skills: Vec<WireSkill<'a>> = "skills",
        status: Option<Str<'a>> = "status",
        - "created_at",
        - "updated_at",
        deleted_at: Option<Str<'a>> = "deleted_at",
    }
}

object! {
    /// A group, team or queue.
    WireNamed<'a> {
        id: WireId<'a> = "id",
        name: Option<Str<'a>> = "name",
    }
}

object! {
    /// The ringtone; v4 also sends its type.
    WireRingtone<'a> {
        - "type",
        name: Option<Str<'a>> = "name",
    }
}

object! {
    /// A digital channel.
    WireProfile<'a> {
        - "id",
        channel: Str<'a> = "channel",
        identifier: Option<Str<'a>> = "identifier",
        name: Option<Str<'a>> = "name",
    }
}

object! {
    /// A skill and its level.
    WireSkill<'a> {
        skill: WireSkillName<'a> = "skill",
        value: Level = "value",
    }
}

object! {
    /// The inner object of a skill.
    WireSkillName<'a> {
        - "id",
        name: Option<Str<'a>> = "name",
    }
}

/// A user's id: a string by the documentation, a whole number taken as its digits.
#[derive(Debug, PartialEq)]
struct UserId<'a>(Cow<'a, str>);

impl<'de> Read<'de> for UserId<'de> {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        match scan.scalar()? {
            Scalar::Text(text) => Ok(UserId(text)),
            Scalar::Whole(number) => Ok(UserId(Cow::Owned(number.to_string()))),
            _ => Err(Fault::new(SchemaKind::BadId)),
        }
    }

    fn absent(_: &'static str) -> Result<Self, Fault> {
        Err(Fault::new(SchemaKind::BadId))
    }
}

/// The id of a group, team or queue: a whole number by the documentation. The same number as text is the
/// same id; other text is taken as it is.
#[derive(Debug, PartialEq)]
struct WireId<'a>(Id<'a>);

impl<'de> Read<'de> for WireId<'de> {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        if let Some(number) = scan.whole() {
            return Ok(WireId(Id::Number(number)));
        }
        match scan.scalar()? {
            Scalar::Text(text) => Ok(WireId(Id::of(text))),
            Scalar::Whole(number) => Ok(WireId(Id::Number(number))),
            _ => unfit(),
        }
    }
}

/// A skill level. Documentation of v1: "An integer from 1 to 10".
#[derive(Debug, PartialEq)]
struct Level(u32);

impl<'de> Read<'de> for Level {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        match scan.scalar()? {
            Scalar::Whole(level @ 1..=10) => Ok(Level(level as u32)),
            _ => unfit(),
        }
    }
}

/// The rows of the list of users.
struct Users<'r> {
    rules: &'r Rules,
    row: &'r mut dyn FnMut(Row<'_, '_>),
}

impl RowReader for Users<'_> {
    fn row(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        let wire = WireUser::read(scan)?;
        let text = &wire.id.0;
        let number = self
            .rules
            .ids
            .number(text)
            .map_or_else(|| self.rules.unnumbered.number(text), Number::Is);
        let user = match number {
            Number::Is(id) => hub_user(wire, id, self.rules),
            Number::LeftOut => {
                let key = id::key(text);
                User { state: State::Unlisted, ..hub_user(wire, key, self.rules) }
            }
            Number::Missing => return Err(list::bad_id()),
        };
        (self.row)(Row::User(&user));
        Ok(())
    }
}

/// The rows of the list of teams.
struct Teams<'r> {
    row: &'r mut dyn FnMut(Row<'_, '_>),
}

impl RowReader for Teams<'_> {
    fn row(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        let shown = named(WireNamed::read(scan)?);
        let id: Cow<'_, str> = match &shown.id {
            Id::Number(number) => Cow::Owned(number.to_string()),
            Id::Text(text) => text.clone(),
        };
        (self.row)(Row::Item(&Item { key: id::key(&id), id, shown, level: None, message: None }));
        Ok(())
    }
}

fn hub_user<'a>(wire: WireUser<'a>, id: u64, rules: &Rules) -> User<'a> {
    let status = wire.status.as_ref().map(|status| &*status.0);
    // An empty text is no date and must not delete a user.
    let has_deletion_date = wire.deleted_at.is_some_and(|date| !date.0.is_empty());
    User {
        key: id::key(&wire.id.0),
        own_id: wire.id.0,
        id,
        state: state(status, has_deletion_date, rules.deleted_at),
        name: text(wire.name),
        email: text(wire.email),
        sip_account: text(wire.sip_account),
        group: wire.security_access_group.map(named),
        extension: text(wire.extension),
        caller_id: text(wire.caller_id),
        time_zone: text(wire.timezone),
        ringtone: wire.webrtc_ringtone.and_then(|ringtone| text(ringtone.name)),
        teams: wire.teams.into_iter().map(named).collect(),
        supervised_teams: wire.supervised_teams.into_iter().map(named).collect(),
        skills: wire
            .skills
            .into_iter()
            .map(|skill| Skill { name: text(skill.skill.name), level: Some(skill.value.0) })
            .collect(),
        queues: wire.queues.into_iter().map(named).collect(),
        employee_id: text(wire.employee_id),
        channels: wire
            .channel_profiles
            .into_iter()
            .map(|profile| Channel {
                kind: profile.channel.0,
                name: text(profile.name),
                identifier: text(profile.identifier),
            })
            .collect(),
        status: text(wire.status),
    }
}

fn text(text: Option<Str<'_>>) -> crate::hub::Text<'_> {
    text.map(|text| text.0)
}

fn named(named: WireNamed<'_>) -> Named<'_> {
    Named { id: named.id.0, name: text(named.name) }
}
