//! The dialect `voiso-v4`: `GET /api/v4/users`, pages of 100 by offset, `metadata.total`.
//!
//! Source: the vendor's "Get list of users" page. Documented filters that can be pushed down without
//! losing a row are `name`, `email`, `sip_account`, `extension` and `security_access_group_id`;
//! `caller_id` and `timezone` mean something else on each side and are left to the hub.
//!
//! Nullability is documented nowhere. Read here: a text or object may be null or absent (shown as
//! null), a list must be a list, `users`, `metadata.total` and every `id` must be there.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::strict::{BAD_ID, DUPLICATE, Missing, Skip, Str, TOO_DEEP, object};
use super::{
    DeletionDate, Dialect, PageError, PageRequest, PageTail, Refusal, Rules, SchemaError,
    SchemaKind,
};
use crate::hub::{Channel, Id, Named, Skill, State, User};
use crate::id;
use crate::plan::{GroupIds, UserFilter};
use crate::sweep::Window;

/// The dialect; see the module.
#[derive(Debug)]
pub(super) struct Voiso;

impl Dialect for Voiso {
    fn name(&self) -> &'static str {
        "voiso-v4"
    }

    fn page_rows_max(&self) -> u32 {
        100
    }

    fn page_request(&self, filter: Option<&UserFilter<GroupIds>>, window: Window) -> PageRequest {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", itoa::Buffer::new().format(window.limit));
        query.append_pair("offset", itoa::Buffer::new().format(window.offset));
        if let Some(filter) = filter {
            push_down(filter, &mut query);
        }
        // A `+` for a space is only right in forms; `%20` is right everywhere.
        let query = query.finish().replace('+', "%20");
        PageRequest { target: format!("/api/v4/users?{query}"), accept: "application/json" }
    }

    fn read_page(
        &self,
        body: &[u8],
        rules: &Rules,
        row: &mut dyn FnMut(&User<'_>),
    ) -> Result<PageTail, PageError> {
        let text = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(error) => return Err(bad_json(error.valid_up_to())),
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let page = PageSeed { rules, row }.deserialize(&mut json);
        let page = page.and_then(|page| json.end().map(|()| page));
        match page {
            Ok(Page::List(tail)) => Ok(tail),
            Ok(Page::Refused(refusal)) => Err(PageError::Refused(refusal)),
            Err(error) => Err(explain(&error, text, rules)),
        }
    }
}

fn push_down(filter: &UserFilter<GroupIds>, query: &mut form_urlencoded::Serializer<'_, String>) {
    let pairs = [
        ("name", filter.name()),
        ("email", filter.email()),
        ("sip_account", filter.sip_account()),
        ("extension", filter.extension()),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    // The upstream takes one group. Several groups of one name are a union, so the hub picks them
    // out of the whole list, in the list's order.
    if let Some([id]) = filter.group().map(GroupIds::ids) {
        match id {
            Id::Number(n) => {
                query.append_pair("security_access_group_id", itoa::Buffer::new().format(*n))
            }
            Id::Text(text) => query.append_pair("security_access_group_id", text),
        };
    }
}

/// Statuses of a user who exists. `offline` is left out: deleted users are offline, too.
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
        webrtc_ringtone: Option<WireRingtone<'a>> = "webrtc_ringtone",
        channel_profiles: Vec<WireProfile<'a>> = "channel_profiles",
        skills: Vec<WireSkill<'a>> = "skills",
        status: Option<Str<'a>> = "status",
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
        name: Option<Str<'a>> = "name",
    }
}

object! {
    /// A digital channel.
    WireProfile<'a> {
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
        name: Option<Str<'a>> = "name",
    }
}

object! {
    /// What the page says about the list.
    WireMetadata<'a> {
        total: Total<'a> = "total",
    }
}

impl Missing for WireSkillName<'_> {}
impl Missing for WireMetadata<'_> {}

/// Declares a type read from a scalar by the given visitor methods; anything else is refused.
macro_rules! scalar {
    ($name:ident $(<$life:lifetime>)?, $what:literal, { $($method:item)* }) => {
        impl<'de $(: $life, $life)?> Deserialize<'de> for $name $(<$life>)? {
            fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                struct ScalarVisitor;
                impl<'de> Visitor<'de> for ScalarVisitor {
                    type Value = scalar!(@value $name 'de $($life)?);
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    $($method)*
                }
                de.deserialize_any(ScalarVisitor)
            }
        }
        impl $(<$life>)? Missing for $name $(<$life>)? {
            fn missing<E: de::Error>(_: &'static str) -> Result<Self, E> {
                Err(E::custom($what))
            }
        }
    };
    (@value $name:ident $de:lifetime $life:lifetime) => { $name<$de> };
    (@value $name:ident $de:lifetime) => { $name };
}

/// A user's id: a string by the documentation, a whole number taken as its digits.
#[derive(Debug)]
struct UserId<'a>(Cow<'a, str>);

scalar!(UserId<'a>, "bad id", {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<UserId<'de>, E> {
        Ok(UserId(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<UserId<'de>, E> {
        Ok(UserId(Cow::Owned(text.to_owned())))
    }
    fn visit_u64<E>(self, number: u64) -> Result<UserId<'de>, E> {
        Ok(UserId(Cow::Owned(number.to_string())))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<UserId<'de>, E> {
        Err(E::custom(BAD_ID))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<UserId<'de>, E> {
        Err(E::custom(BAD_ID))
    }
    fn visit_unit<E: de::Error>(self) -> Result<UserId<'de>, E> {
        Err(E::custom(BAD_ID))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<UserId<'de>, E> {
        Err(E::custom(BAD_ID))
    }
});

/// The id of a group, team or queue: a whole number by the documentation, text taken as it is.
#[derive(Debug)]
struct WireId<'a>(Id<'a>);

scalar!(WireId<'a>, "an id", {
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<WireId<'de>, E> {
        Ok(WireId(Id::Text(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<WireId<'de>, E> {
        Ok(WireId(Id::Text(Cow::Owned(text.to_owned()))))
    }
    fn visit_u64<E>(self, number: u64) -> Result<WireId<'de>, E> {
        Ok(WireId(Id::Number(number)))
    }
});

/// A skill level. Documentation of v1: "An integer from 1 to 10".
#[derive(Debug)]
struct Level(u8);

scalar!(Level, "a level from 1 to 10", {
    fn visit_u64<E: de::Error>(self, level: u64) -> Result<Level, E> {
        match u8::try_from(level) {
            Ok(level @ 1..=10) => Ok(Level(level)),
            _ => Err(E::custom("a level out of range")),
        }
    }
});

/// Rows of the whole list.
#[derive(Debug)]
struct Total<'a>(u64, std::marker::PhantomData<&'a ()>);

scalar!(Total<'a>, "a count", {
    fn visit_u64<E: de::Error>(self, total: u64) -> Result<Total<'de>, E> {
        if total > id::ID_MAX {
            return Err(E::custom("a count out of range"));
        }
        Ok(Total(total, std::marker::PhantomData))
    }
});

/// A page, or what came in its place.
enum Page {
    List(PageTail),
    Refused(Refusal),
}

struct PageSeed<'r> {
    rules: &'r Rules,
    row: &'r mut dyn FnMut(&User<'_>),
}

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = Page;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Page, D::Error> {
        de.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = Page;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page, A::Error> {
        let mut has_users = false;
        let mut metadata: Option<WireMetadata<'_>> = None;
        let mut named: Option<Option<Refusal>> = None;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            let is_repeated = match &*key.0 {
                "users" => std::mem::replace(&mut has_users, true),
                "metadata" => metadata.is_some(),
                "error" => named.is_some(),
                _ => false,
            };
            if is_repeated {
                return Err(de::Error::custom(DUPLICATE));
            }
            match &*key.0 {
                "users" => {
                    map.next_value_seed(RowsSeed { rules: self.rules, row: &mut *self.row })?;
                }
                "metadata" => metadata = Some(map.next_value()?),
                "error" => named = Some(map.next_value::<Option<NamedError>>()?.and_then(|e| e.0)),
                _ => {
                    map.next_value::<Skip>()?;
                }
            }
        }
        match (has_users, metadata, named) {
            (false, _, Some(Some(refusal))) => Ok(Page::Refused(refusal)),
            (false, ..) => Err(de::Error::missing_field("users")),
            (true, None, _) => Err(de::Error::missing_field("metadata")),
            (true, Some(metadata), _) => Ok(Page::List(PageTail { total: metadata.total.0 })),
        }
    }
}

/// `{"error":"Unauthorized"}` under a 200; the words are those of the vendor's error table.
struct NamedError(Option<Refusal>);

impl<'de> Deserialize<'de> for NamedError {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let text = Str::deserialize(de)?;
        Ok(NamedError(match &*text.0 {
            "Unauthorized" => Some(Refusal::Unauthorized),
            "Forbidden" => Some(Refusal::Forbidden),
            "Not found" => Some(Refusal::NotFound),
            "Too many requests" => Some(Refusal::RateLimited),
            _ => None,
        }))
    }
}

struct RowsSeed<'r> {
    rules: &'r Rules,
    row: &'r mut dyn FnMut(&User<'_>),
}

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut row = 0;
        while let Some(wire) = seq.next_element::<WireUser<'_>>()? {
            let Some(id) = self.rules.ids.number(&wire.id.0) else {
                return Err(de::Error::custom(format_args!("{BAD_ID_OF_ROW}{row}")));
            };
            row += 1;
            (self.row)(&hub_user(wire, id, self.rules));
        }
        Ok(())
    }
}

fn hub_user<'a>(wire: WireUser<'a>, id: u64, rules: &Rules) -> User<'a> {
    let status = wire.status.as_ref().map(|status| &*status.0);
    // An empty text is no date: it must not make a user vanish.
    let has_deletion_date = wire.deleted_at.is_some_and(|date| !date.0.is_empty());
    User {
        key: id::key(&wire.id.0),
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
            .map(|skill| Skill { name: text(skill.skill.name), level: skill.value.0 })
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
    }
}

fn text(text: Option<Str<'_>>) -> crate::hub::Text<'_> {
    text.map(|text| text.0)
}

fn named(named: WireNamed<'_>) -> Named<'_> {
    Named { id: named.id.0, name: text(named.name) }
}

fn bad_json(at: usize) -> PageError {
    PageError::Schema(SchemaError { path: ".".to_owned(), kind: SchemaKind::BadJson { at } })
}

/// How serde_json begins to speak of a number that no float can hold.
const OUT_OF_RANGE: &str = "number out of range";

/// Says what went wrong without quoting the page: serde's own message does quote it, so only its
/// class, position and our own words are used. The path costs a second read, on this path only.
fn explain(error: &serde_json::Error, text: &str, rules: &Rules) -> PageError {
    let at = offset(text, error.line(), error.column());
    let said = error.to_string();
    let kind = if said.starts_with(BAD_ID) {
        SchemaKind::BadId
    } else if said.starts_with(OUT_OF_RANGE) {
        // Good JSON, such as 1e400, but no number that anything here could be.
        SchemaKind::BadSchema
    } else if said.starts_with(DUPLICATE) || said.starts_with(TOO_DEEP) || !error.is_data() {
        SchemaKind::BadJson { at }
    } else {
        SchemaKind::BadSchema
    };
    let mut path = path(text, rules);
    // serde names only our own keys here, never the page's.
    if let Some(key) = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
    {
        path = if path == "." { key.to_owned() } else { format!("{path}.{key}") };
    }
    if let Some(row) = said.strip_prefix(BAD_ID_OF_ROW).and_then(|rest| rest.split(' ').next()) {
        path = format!("users[{row}].id");
    }
    PageError::Schema(SchemaError { path, kind })
}

/// A bad id is only seen once its row is read; this says which row it was.
const BAD_ID_OF_ROW: &str = "bad id of row ";

fn path(text: &str, rules: &Rules) -> String {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let _ = PageSeed { rules, row: &mut |_| {} }.deserialize(tracked);
    known_path(&track.path())
}

/// A path may end in a key of the page itself (an unknown one); only our own words are kept.
fn known_path(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let is_ours = |key: &str| {
        key.len() <= 24 && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => shown.push_str(&format!("[{index}]")),
            Segment::Map { key } if is_ours(key) => {
                if !shown.is_empty() {
                    shown.push('.');
                }
                shown.push_str(key);
            }
            _ => shown.push_str(".?"),
        }
    }
    if shown.is_empty() { ".".to_owned() } else { shown }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column).min(text.len())
}
