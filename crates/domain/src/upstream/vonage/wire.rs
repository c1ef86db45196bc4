//! The vendor's records, and how each becomes a row in hub words. Every field but the ids may be
//! missing; an absent field, `null` and `""` mean the same.

use std::borrow::Cow;

use super::{key, lower};
use crate::hub::{Id, Named, State, Text};
use crate::id::{self, IdPolicy, Number, Unnumbered};
use crate::listing::{Item, Owned, Row};
use crate::upstream::scan::{Fault, Scalar, Scan};
use crate::upstream::strict::{Read, Str, object, unfit};
use crate::upstream::{CallerIdField, Context, EmployeeIdField, ExtensionField, Rules};

/// Text or a whole number as text: the same field is one on one page and the other on the next.
#[derive(Debug, PartialEq)]
pub(super) struct Loose<'a>(Cow<'a, str>);

impl<'de> Read<'de> for Loose<'de> {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        match scan.scalar()? {
            Scalar::Text(text) => Ok(Loose(text)),
            Scalar::Whole(number) => Ok(Loose(Cow::Owned(number.to_string()))),
            _ => unfit(),
        }
    }
}

/// An id: text that is not empty.
#[derive(Debug, PartialEq)]
struct Key<'a>(Cow<'a, str>);

impl<'de> Read<'de> for Key<'de> {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        match scan.scalar()? {
            Scalar::Text(text) if !text.is_empty() => Ok(Key(text)),
            _ => unfit(),
        }
    }
}

/// The id of a group that people see: text or a number, never absent or empty.
#[derive(Debug, PartialEq)]
struct DisplayId<'a>(Cow<'a, str>);

impl<'de> Read<'de> for DisplayId<'de> {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        let text = Loose::read(scan)?.0;
        if text.is_empty() { unfit() } else { Ok(DisplayId(text)) }
    }
}

/// A skill level, as a number or as its digits; an empty text is none. No page documents its range, so
/// every level is taken.
#[derive(Debug, PartialEq)]
struct Level(Option<u32>);

impl<'de> Read<'de> for Level {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        let level = match scan.scalar()? {
            Scalar::Text(text) if text.is_empty() => return Ok(Level(None)),
            Scalar::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            Scalar::Whole(level) => u32::try_from(level).ok(),
            _ => None,
        };
        level.map_or_else(unfit, |level| Ok(Level(Some(level))))
    }
}

/// True or false.
#[derive(Debug, PartialEq)]
struct Flag(bool);

impl<'de> Read<'de> for Flag {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        match scan.scalar()? {
            Scalar::Bool(flag) => Ok(Flag(flag)),
            _ => unfit(),
        }
    }
}

object! {
    /// A user.
    WireUser<'a> or_again {
        id: Key<'a> = "userId",
        username: Option<Str<'a>> = "username",
        name: Option<Str<'a>> = "name",
        email: Option<Str<'a>> = "email",
        active: Option<Flag> = "active",
        sso_external_id: Option<Loose<'a>> = "ssoExternalId",
        configuration: Option<Configuration<'a>> = "userAccountConfiguration",
    }
}

object! {
    /// A user's settings.
    Configuration<'a> or_again {
        role: Option<Str<'a>> = "role",
        agent: Option<Agent<'a>> = "agentConfiguration",
    }
}

object! {
    /// Settings of a user who takes calls.
    Agent<'a> or_again {
        display_id: Option<Loose<'a>> = "agentDisplayId",
        telephony: Option<Telephony<'a>> = "telephonyAddress",
    }
}

object! {
    /// Telephone settings.
    Telephony<'a> or_again {
        extension: Option<Loose<'a>> = "telephonyExtension",
        callback_number: Option<Str<'a>> = "selectedCallbackNumberId",
    }
}

/// A row, or one that only counts.
pub(super) enum Listed<'a> {
    Item(Item<'a>),
    Other(u64),
}

impl<'a> Listed<'a> {
    pub(super) fn as_row(&self) -> Row<'_, 'a> {
        match self {
            Listed::Item(item) => Row::Item(item),
            Listed::Other(key) => Row::Other { key: *key },
        }
    }
}

impl<'a> User<'a> {
    /// As a user whose things must be asked for.
    pub(super) fn owner(self, owned: Owned) -> Listed<'a> {
        let wire = self.0;
        let key = key(&wire.id.0);
        let configuration = wire.configuration.as_ref();
        let is_owner = match owned {
            // Administrators may edit every group without supervising it.
            Owned::SupervisedTeams => configuration
                .and_then(|settings| settings.role.as_ref())
                .is_some_and(|role| &*role.0 == "Supervisor"),
            Owned::Skills => configuration.is_some_and(|settings| settings.agent.is_some()),
            // Permissions to see queues are for supervisors, agents or not.
            Owned::Queues => true,
        };
        if !is_owner {
            return Listed::Other(key);
        }
        let shown = Named { id: Id::Text(Cow::Borrowed("")), name: None };
        Listed::Item(Item { key, id: wire.id.0, shown, level: None, message: None })
    }

    /// As a user with the joined data; `None` where there is no legacy number.
    pub(super) fn into_hub<'c>(self, context: Context<'c>) -> Option<crate::hub::User<'a>>
    where
        'c: 'a,
    {
        let wire = self.0;
        let (rules, related, mapping) = (context.rules, context.related, &context.rules.mapping);
        let key = key(&wire.id.0);
        let is_archived = wire.active == Some(Flag(false));
        let mut state = if is_archived { State::Deleted } else { State::Live };
        let id = match number(&wire, rules) {
            Number::Is(id) => id,
            Number::LeftOut => {
                state = State::Unlisted;
                key
            }
            Number::Missing => return None,
        };
        let (role, agent) = match wire.configuration {
            Some(settings) => (text(settings.role), settings.agent),
            None => (None, None),
        };
        let (display_id, telephony) = match agent {
            Some(agent) => (loose(agent.display_id), agent.telephony),
            None => (None, None),
        };
        let (telephony_extension, callback_number) = match telephony {
            Some(telephony) => (loose(telephony.extension), text(telephony.callback_number)),
            None => (None, None),
        };
        let caller_id = callback_number.and_then(|id| related.caller_id(&lower(&id)));
        Some(crate::hub::User {
            key,
            id,
            state,
            name: text(wire.name),
            email: text(wire.email),
            sip_account: None,
            group: role.map(|role| group(role, rules)),
            extension: match mapping.extension {
                ExtensionField::AgentDisplayId => display_id.clone(),
                ExtensionField::TelephonyExtension => telephony_extension,
            },
            caller_id: caller_id.and_then(|shown| shown.name.as_deref().map(Cow::Borrowed)),
            time_zone: mapping.timezone.as_deref().map(Cow::Borrowed),
            ringtone: None,
            teams: related.teams_of(key),
            supervised_teams: related.supervised_teams_of(key),
            skills: related.skills_of(key),
            queues: related.queues_of(key),
            employee_id: match mapping.employee_id {
                EmployeeIdField::SsoExternalId => loose(wire.sso_external_id),
                EmployeeIdField::AgentDisplayId => display_id,
            },
            status: None,
            own_id: std::borrow::Cow::Borrowed(""),
            channels: Vec::new(),
        })
    }
}

/// The role as a group: its own name is its id.
fn group<'a>(role: Cow<'a, str>, rules: &'a Rules) -> Named<'a> {
    let name = match rules.mapping.sag.get(&*role) {
        Some(name) => Cow::Borrowed(name.as_str()),
        None => role.clone(),
    };
    Named { id: Id::Text(role), name: Some(name) }
}

/// No double holds an id above this.
pub(super) const DISPLAY_ID_MAX: u64 = (1 << 53) - 1;

/// The legacy number of a user.
fn number(wire: &WireUser<'_>, rules: &Rules) -> Number {
    let id = lower(&wire.id.0);
    let hashed = || Number::Is(id::hash53(&id));
    let found = match &rules.ids {
        IdPolicy::Hash => return hashed(),
        IdPolicy::Fail => id::decimal(&id),
        IdPolicy::Map(map) => {
            let known = |text: &Option<Str<'_>>| map.number(&text.as_ref()?.0);
            // An archived user may share an address with the successor.
            let email = if wire.active == Some(Flag(false)) { &None } else { &wire.email };
            map.number(&id).or_else(|| known(&wire.username)).or_else(|| known(email))
        }
        IdPolicy::DisplayId => {
            let agent = wire.configuration.as_ref().and_then(|settings| settings.agent.as_ref());
            let display_id = agent.and_then(|agent| agent.display_id.as_ref());
            display_id.and_then(|id| id::decimal(&id.0)).filter(|id| *id <= DISPLAY_ID_MAX)
        }
    };
    match (found, rules.unnumbered) {
        (Some(number), _) => Number::Is(number),
        (None, Unnumbered::Hash) => hashed(),
        (None, Unnumbered::Omit) => Number::LeftOut,
        (None, Unnumbered::Fail) => Number::Missing,
    }
}

object! {
    /// A group, or a permission on one.
    WireGroup<'a> or_again {
        id: Key<'a> = "groupId",
        display_id: DisplayId<'a> = "groupDisplayId",
        name: Option<Str<'a>> = "groupName",
        permission: Option<Str<'a>> = "groupPermission",
    }
}

object! {
    /// A skill, with the level of the user asked about.
    WireSkill<'a> or_again {
        id: Key<'a> = "skillId",
        name: Option<Str<'a>> = "skillName",
        level: Option<Level> = "agentSkillLevel",
    }
}

object! {
    /// A callback number.
    WireNumber<'a> or_again {
        id: Key<'a> = "callbackNumberId",
        name: Option<Str<'a>> = "callbackNumberName",
        number: Option<Loose<'a>> = "callbackNumberClid",
    }
}

object! {
    /// A user in the list of a group or a skill.
    WireMember<'a> or_again {
        id: Key<'a> = "userId",
        level: Option<Level> = "agentSkillLevel",
    }
}

object! {
    /// A queue and what a user may do with it.
    WireQueue<'a> or_again {
        id: Key<'a> = "queueId",
        name: Option<Str<'a>> = "queueName",
        permission: Option<Str<'a>> = "queuePermission",
    }
}

/// Declares the type that the dialect reads, over the private one of the macro.
macro_rules! readable {
    ($($name:ident($wire:ident))*) => {$(
        #[doc = concat!("See [`", stringify!($wire), "`].")]
        #[derive(Debug)]
        pub(super) struct $name<'a>($wire<'a>);

        impl<'a> Read<'a> for $name<'a> {
            fn read(scan: &mut Scan<'a>) -> Result<Self, Fault> {
                $wire::read(scan).map($name)
            }
        }
    )*};
}

readable! {
    User(WireUser)
    Group(WireGroup)
    Skill(WireSkill)
    CallbackNumber(WireNumber)
    Member(WireMember)
    Queue(WireQueue)
}

impl<'a> Group<'a> {
    /// As a team.
    pub(super) fn into_item(self) -> Item<'a> {
        let group = self.0;
        let key = key(&group.id.0);
        // Only a canonical number is one: 030 and 30 may be two groups.
        let id = match id::decimal(&group.display_id.0) {
            Some(number) => Id::Number(number),
            None => Id::Text(group.display_id.0),
        };
        Item {
            key,
            id: group.id.0,
            shown: Named { id, name: text(group.name) },
            level: None,
            message: None,
        }
    }

    /// As a team that a user supervises; only the permission to edit it shows that.
    pub(super) fn into_supervised(self) -> Listed<'a> {
        match &self.0.permission {
            Some(permission) if &*permission.0 == "Write" => Listed::Item(self.into_item()),
            _ => Listed::Other(key(&self.0.id.0)),
        }
    }
}

impl<'a> Skill<'a> {
    pub(super) fn into_item(self) -> Item<'a> {
        let skill = self.0;
        let (key, level) = (key(&skill.id.0), skill.level.and_then(|level| level.0));
        let shown = Named { id: Id::Text(Cow::Borrowed("")), name: text(skill.name) };
        Item { key, id: skill.id.0, shown, level, message: None }
    }
}

impl<'a> CallbackNumber<'a> {
    pub(super) fn into_item(self, shows: CallerIdField) -> Item<'a> {
        let number = self.0;
        let key = key(&number.id.0);
        let name = match shows {
            CallerIdField::Name => text(number.name),
            CallerIdField::Number => loose(number.number),
        };
        let id = Cow::Owned(lower(&number.id.0).into_owned());
        Item {
            key,
            id,
            shown: Named { id: Id::Text(Cow::Borrowed("")), name },
            level: None,
            message: None,
        }
    }
}

impl<'a> Member<'a> {
    pub(super) fn into_item(self) -> Item<'a> {
        let member = self.0;
        let (key, level) = (key(&member.id.0), member.level.and_then(|level| level.0));
        let shown = Named { id: Id::Text(Cow::Borrowed("")), name: None };
        Item { key, id: member.id.0, shown, level, message: None }
    }
}

impl<'a> Queue<'a> {
    /// As a queue, unless the user may not even see it.
    pub(super) fn into_item(self) -> Listed<'a> {
        let queue = self.0;
        let key = key(&queue.id.0);
        if queue.permission.is_some_and(|permission| &*permission.0 == "None") {
            return Listed::Other(key);
        }
        let shown = Named { id: Id::Text(Cow::Borrowed("")), name: text(queue.name) };
        Listed::Item(Item { key, id: queue.id.0, shown, level: None, message: None })
    }
}

fn text(text: Option<Str<'_>>) -> Text<'_> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}

fn loose(text: Option<Loose<'_>>) -> Text<'_> {
    text.map(|text| text.0).filter(|text| !text.is_empty())
}
