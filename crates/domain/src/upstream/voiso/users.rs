//! The users of `GET /api/v4/users` as rows of the hub. The strict way takes any user; the quick way takes one that is
//! written as this vendor writes them, and makes room for nothing that the user before had room for.

use std::borrow::Cow;

use crate::hub::{Channel, Id, Named, Skill, State, User};
use crate::id::{self, Number};
use crate::listing::Row;
use crate::upstream::list::{self, RowReader};
use crate::upstream::scan::{Fault, Quick, Scalar, Scan};
use crate::upstream::strict::{Read, Str, object, refill, unfit};
use crate::upstream::{DeletionDate, Rules, SchemaKind};

/// The keys of a user that are read, and those that are known and not read.
pub(super) const KEYS: &[&str] = WireUser::KEYS;
pub(super) const UNREAD: &[&str] = WireUser::UNREAD;

/// Statuses of a user who exists. `offline` is not among them: deleted users are offline, too.
const LIVE: &[&str] = &["available", "unavailable", "inbound", "outbound", "dialer", "postcall"];

fn state(status: Option<&str>, deleted_at: Option<&str>, rule: DeletionDate) -> State {
    // Hardly any user has a date. An empty text is none and must not delete a user.
    if deleted_at.is_none_or(str::is_empty) {
        return State::Live;
    }
    let is_live = || status.is_some_and(|status| LIVE.contains(&status));
    match rule {
        DeletionDate::Always => State::Deleted,
        DeletionDate::UnlessLive if !is_live() => State::Deleted,
        DeletionDate::UnlessLive | DeletionDate::Never => State::LiveWithDeletionDate,
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
        security_access_group: Option<Named<'a>> = "security_access_group",
        teams: Vec<Named<'a>> = "teams",
        supervised_teams: Vec<Named<'a>> = "supervised_teams",
        queues: Vec<Named<'a>> = "queues",
        - "supervised_queues",
        webrtc_ringtone: Option<WireRingtone<'a>> = "webrtc_ringtone",
        - "channels",
        - "channel_group_capacity",
        channel_profiles: Vec<Channel<'a>> = "channel_profiles",
        - "speech_language",
        skills: Vec<Skill<'a>> = "skills",
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

/// Reads a value of the hub as its record of the wire.
macro_rules! read_as {
    ($($hub:ident<'a>: $wire:ident, $of:expr;)*) => {$(
        impl<'de> Read<'de> for $hub<'de> {
            fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
                $wire::read(scan).map($of)
            }

            #[inline(always)]
            fn quick(quick: &mut Quick<'de>) -> Option<Self> {
                $wire::quick(quick).map($of)
            }
        }
    )*};
}

read_as! {
    Named<'a>: WireNamed, |wire| Named { id: wire.id.0, name: text(wire.name) };
    Skill<'a>: WireSkill, |wire| Skill { name: text(wire.skill.name), level: Some(wire.value.0) };
    Channel<'a>: WireProfile, |wire| Channel {
        kind: wire.channel.0,
        name: text(wire.name),
        identifier: text(wire.identifier),
    };
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

    #[inline(always)]
    fn quick(quick: &mut Quick<'de>) -> Option<Self> {
        quick.string().map(UserId)
    }

    fn absent(_: &'static str) -> Result<Self, Fault> {
        Err(Fault::new(SchemaKind::BadId))
    }
}

/// The id of a group, team or queue: a whole number by the documentation. The same number as text is the
/// same id; other text is taken as it is.
#[derive(Debug, PartialEq)]
pub(super) struct WireId<'a>(pub(super) Id<'a>);

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

    #[inline(always)]
    fn quick(quick: &mut Quick<'de>) -> Option<Self> {
        quick.whole().map(|number| WireId(Id::Number(number)))
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

    #[inline(always)]
    fn quick(quick: &mut Quick<'de>) -> Option<Self> {
        quick.whole().filter(|level| (1..=10).contains(level)).map(|level| Level(level as u32))
    }
}

/// The rows of the list of users.
pub(super) struct Users<'de, 'r> {
    rules: &'r Rules,
    row: &'r mut dyn FnMut(Row<'_, '_>),
    /// The user of the row before, whose memory the next one gets.
    user: User<'de>,
    /// How many rows in a row were not as they are expected.
    odd: u32,
    /// Whether any row was.
    has_expected: bool,
}

/// After so many odd rows in a row the rest of a page is read the strict way at once.
const ODD_MAX: u32 = 3;

impl<'de, 'r> Users<'de, 'r> {
    pub(super) fn new(rules: &'r Rules, row: &'r mut dyn FnMut(Row<'_, '_>)) -> Self {
        Users { rules, row, user: User::default(), odd: 0, has_expected: false }
    }

    /// Hands on the user, who has all but the numbers.
    #[inline]
    fn hand_on(&mut self) -> Result<(), Fault> {
        let user = &mut self.user;
        let decimal = id::decimal(&user.own_id);
        user.key = id::key_of(&user.own_id, decimal);
        let number = match self.rules.ids.number_of(&user.own_id, decimal) {
            Some(number) => Number::Is(number),
            None => self.rules.unnumbered.number(&user.own_id),
        };
        match number {
            Number::Is(id) => user.id = id,
            Number::LeftOut => (user.id, user.state) = (user.key, State::Unlisted),
            Number::Missing => return Err(list::bad_id()),
        }
        (self.row)(Row::User(user));
        Ok(())
    }
}

impl<'de> RowReader<'de> for Users<'de, '_> {
    fn row(&mut self, scan: &mut Scan<'de>) -> Result<(), Fault> {
        if self.odd < ODD_MAX {
            let user = &mut self.user;
            if scan.goes_on(|quick| quick_user(quick, user, self.rules)) {
                (self.odd, self.has_expected) = (0, true);
                return self.hand_on();
            }
            self.odd += 1;
        }
        self.user = hub_user(WireUser::read_strictly(scan)?, self.rules);
        self.hand_on()
    }

    fn has_seen_every_key(&self) -> bool {
        // A quick way gives up where one is missing.
        self.has_expected
    }
}

/// Reads a user whose keys are those of [`WireUser`], in that order, or gives up.
#[inline(never)]
fn quick_user<'de>(
    mut quick: Quick<'de>,
    user: &mut User<'de>,
    rules: &Rules,
) -> Option<Quick<'de>> {
    quick.takes("{\"id\":")?;
    user.own_id = quick.string()?;
    quick.next(",\"name\":", KEYS)?;
    quick.text(&mut user.name)?;
    quick.next(",\"email\":", KEYS)?;
    quick.text(&mut user.email)?;
    quick.next(",\"sip_account\":", KEYS)?;
    quick.text(&mut user.sip_account)?;
    quick.next(",\"extension\":", KEYS)?;
    quick.text(&mut user.extension)?;
    quick.next(",\"caller_id\":", KEYS)?;
    quick.text(&mut user.caller_id)?;
    quick.next(",\"employee_id\":", KEYS)?;
    quick.text(&mut user.employee_id)?;
    quick.next(",\"timezone\":", KEYS)?;
    quick.text(&mut user.time_zone)?;
    quick.next(",\"security_access_group\":", KEYS)?;
    user.group = Option::quick(&mut quick)?;
    quick.next(",\"teams\":", KEYS)?;
    quick = refill(&mut user.teams, quick)?;
    quick.next(",\"supervised_teams\":", KEYS)?;
    quick = refill(&mut user.supervised_teams, quick)?;
    quick.next(",\"queues\":", KEYS)?;
    quick = refill(&mut user.queues, quick)?;
    quick.next(",\"supervised_queues\":", KEYS)?;
    quick.skip()?;
    quick.next(",\"webrtc_ringtone\":", KEYS)?;
    user.ringtone = None;
    if !quick.null() {
        quick.takes("{\"type\":")?;
        quick.skip()?;
        quick.takes(",\"name\":")?;
        quick.text(&mut user.ringtone)?;
        quick.takes("}")?;
    }
    quick.next(",\"channels\":", KEYS)?;
    quick.skip()?;
    quick.next(",\"channel_group_capacity\":", KEYS)?;
    quick.skip()?;
    quick.next(",\"channel_profiles\":", KEYS)?;
    quick = refill(&mut user.channels, quick)?;
    quick.next(",\"speech_language\":", KEYS)?;
    quick.skip()?;
    quick.next(",\"skills\":", KEYS)?;
    quick = refill(&mut user.skills, quick)?;
    quick.next(",\"status\":", KEYS)?;
    quick.text(&mut user.status)?;
    quick.next(",\"created_at\":", KEYS)?;
    quick.skip()?;
    quick.next(",\"updated_at\":", KEYS)?;
    quick.skip()?;
    quick.next(",\"deleted_at\":", KEYS)?;
    let mut deleted_at = None;
    quick.text(&mut deleted_at)?;
    quick.next("}", KEYS)?;
    user.state = state(user.status.as_deref(), deleted_at.as_deref(), rules.deleted_at);
    Some(quick)
}

/// All of a user but the numbers.
fn hub_user<'a>(wire: WireUser<'a>, rules: &Rules) -> User<'a> {
    let status = wire.status.as_ref().map(|status| &*status.0);
    let deleted_at = wire.deleted_at.as_ref().map(|date| &*date.0);
    User {
        key: 0,
        id: 0,
        state: state(status, deleted_at, rules.deleted_at),
        own_id: wire.id.0,
        name: text(wire.name),
        email: text(wire.email),
        sip_account: text(wire.sip_account),
        group: wire.security_access_group,
        extension: text(wire.extension),
        caller_id: text(wire.caller_id),
        time_zone: text(wire.timezone),
        ringtone: wire.webrtc_ringtone.and_then(|ringtone| text(ringtone.name)),
        teams: wire.teams,
        supervised_teams: wire.supervised_teams,
        skills: wire.skills,
        queues: wire.queues,
        employee_id: text(wire.employee_id),
        channels: wire.channel_profiles,
        status: text(wire.status),
    }
}

pub(super) fn text(text: Option<Str<'_>>) -> crate::hub::Text<'_> {
    text.map(|text| text.0)
}

#[cfg(test)]
mod tests;
