//! The table of legacy fields: the name of each, its kind and meaning, its filter, and how its value is
//! written. Everything else that lists fields derives from here.
//!
//! Source: the vendor's "Users API", "Teams API" and "Deleted users API" pages. Rows stand in the
//! order of the answers, which is the documented one.

use super::Notes;
use super::schema::{Kind, Property};
use super::write::{CHANNEL, SKILL, Writer};
use crate::asked::plan::TextOf;
use crate::hub::{State, User};
use crate::names::unmapped::Unmapped;
use crate::quirks::{EmployeeId, Filters, Match, Quirks, TeamList, TimeZoneName};
use crate::text::draft::{Draft, Piece};
use crate::text::json;

/// A legacy field, whatever an endpoint calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldId {
    /// The number of a user.
    Id,
    /// The display name of a user.
    Name,
    /// The e-mail address of a user.
    Email,
    /// The SIP account of a user.
    SipAccount,
    /// The name of a user's security access group.
    Group,
    /// The extension of a user.
    Extension,
    /// The caller id of a user, or the group it belongs to.
    CallerId,
    /// The time zone of a user.
    TimeZone,
    /// The ringtone of a user.
    Ringtone,
    /// The teams that a user is a member of.
    Teams,
    /// The teams that a user supervises.
    SupervisedTeams,
    /// The skills of a user.
    Skills,
    /// The queues of a user.
    Queues,
    /// The employee id of a user.
    EmployeeId,
    /// The digital channels of a user.
    Channels,
    /// Whether a user can take a call just now.
    Status,
    /// The number that a deleted user had.
    DeletedUserId,
    /// The name that a deleted user had.
    DeletedUserName,
    /// The id of a call that was placed.
    CallId,
    /// The word by which a call is stopped. No field of an answer, but a part of the legacy request.
    StopCall,
    /// The number of a template.
    TemplateId,
    /// The name of a template.
    TemplateName,
    /// The text of a template.
    TemplateBody,
    /// The teams that may use a template.
    TemplateTeams,
    /// The number of a team.
    TeamId,
    /// The name of a team.
    TeamName,
}

/// A row of the table: one field of a record.
#[derive(Debug)]
pub(super) struct Field<W> {
    pub(super) head: Head,
    /// Appends the value.
    pub(super) write: W,
}

/// A field without its value.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) id: FieldId,
    name: Name,
    /// The kind of its value under the quirks, and its meaning.
    schema: fn(&Quirks) -> (Kind, &'static str),
    pub(super) filter: Option<Filter>,
}

impl Head {
    pub(crate) fn name(&self) -> &'static str {
        self.name.plain
    }

    /// The text before a value.
    pub(super) fn lead(&self) -> &[u8] {
        self.name.lead.text()
    }

    pub(super) fn property(&self, quirks: &Quirks) -> Property {
        let (kind, meaning) = (self.schema)(quirks);
        Property { name: self.name.plain, kind, meaning }
    }
}

/// A name, and the text before a value: a comma, the name and a colon.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) plain: &'static str,
    pub(super) lead: Piece,
}

macro_rules! named {
    ($name:literal) => {
        Name { plain: $name, lead: $crate::text::draft::Piece::of(concat!(",\"", $name, "\":")) }
    };
}
pub(super) use named;

/// The filter of a field, with the setting that says how texts compare.
#[derive(Debug, Clone, Copy)]
pub(super) enum Filter {
    /// The number of one user.
    Id,
    /// The name of a group.
    Group(fn(&Filters) -> Match),
    /// A text of the user.
    Text(TextOf, fn(&Filters) -> Match),
}

/// How the value of a user's field is written.
pub(super) type OfUser = fn(&User<'_>, &mut Writer<'_>);

/// How a field of a record of id and name is written.
pub(super) type OfEntry = fn(u64, Option<&str>, &mut Vec<u8>);

pub(super) const fn row<W>(
    id: FieldId,
    name: Name,
    schema: fn(&Quirks) -> (Kind, &'static str),
    filter: Option<Filter>,
    write: W,
) -> Field<W> {
    Field { head: Head { id, name, schema, filter }, write }
}

const fn text(of: TextOf, mode: fn(&Filters) -> Match) -> Option<Filter> {
    Some(Filter::Text(of, mode))
}

/// The words by which the two lists of users differ.
struct Differing {
    /// The name of the list of a user's teams.
    teams: Name,
    /// The filter by id, where the endpoint has one.
    by_id: Option<Filter>,
}

/// The record of a user.
const fn user(differing: &Differing) -> [Field<OfUser>; 15] {
    [
        row(
            FieldId::Id,
            named!("id"),
            |_| (Kind::Number, "The id of the user."),
            differing.by_id,
            |user, to| to.number(user.id),
        ),
        row(
            FieldId::Name,
            named!("name"),
            |_| (Kind::TextOrNull, "The display name."),
            text(TextOf::Name, |modes| modes.name),
            |user, to| to.text(&user.name),
        ),
        row(
            FieldId::Email,
            named!("email"),
            |_| (Kind::TextOrNull, "The e-mail address."),
            text(TextOf::Email, |modes| modes.email),
            |user, to| to.text(&user.email),
        ),
        row(
            FieldId::SipAccount,
            named!("sip_account"),
            |_| (Kind::TextOrNull, "The SIP account."),
            text(TextOf::SipAccount, |modes| modes.sip_account),
            |user, to| to.text(&user.sip_account),
        ),
        row(
            FieldId::Group,
            named!("sag"),
            |_| (Kind::TextOrNull, "The name of the security access group."),
            Some(Filter::Group(|modes| modes.sag)),
            |user, to| match &user.group {
                Some(group) => to.text(&group.name),
                None => to.text(&None),
            },
        ),
        row(
            FieldId::Extension,
            named!("extension"),
            |_| (Kind::TextOrNull, "The extension."),
            text(TextOf::Extension, |modes| modes.extension),
            |user, to| to.text(&user.extension),
        ),
        row(
            FieldId::CallerId,
            named!("caller_id"),
            |_| {
                (
                    Kind::TextOrNull,
                    "The name of the caller id group, or the number of the caller id.",
                )
            },
            text(TextOf::CallerId, |modes| modes.caller_id),
            |user, to| to.caller_id(&user.caller_id),
        ),
        row(
            FieldId::TimeZone,
            named!("timezone"),
            |quirks| (Kind::TextOrNull, time_zone(quirks.timezone)),
            text(TextOf::TimeZone, |modes| modes.timezone),
            |user, to| to.time_zone(&user.time_zone),
        ),
        row(
            FieldId::Ringtone,
            named!("webrtc_ringtone"),
            |_| (Kind::TextOrNull, "The name of the ringtone."),
            None,
            |user, to| to.text(&user.ringtone),
        ),
        row(
            FieldId::Teams,
            differing.teams,
            |quirks| (Kind::Text, teams(quirks.assigned_teams)),
            None,
            |user, to| to.teams(&user.teams, to.quirks.assigned_teams),
        ),
        row(
            FieldId::SupervisedTeams,
            named!("supervisor_in_teams"),
            |quirks| (Kind::Text, teams(quirks.supervisor_in_teams)),
            None,
            |user, to| to.teams(&user.supervised_teams, to.quirks.supervisor_in_teams),
        ),
        row(
            FieldId::Skills,
            named!("assigned_skills"),
            |_| (Kind::List(SKILL), "Skills with their levels."),
            None,
            |user, to| to.skills(&user.skills),
        ),
        row(
            FieldId::Queues,
            named!("assigned_queues"),
            |_| {
                (
                    Kind::Text,
                    "Names of queues, joined with a comma and a space; empty where there is none.",
                )
            },
            None,
            |user, to| to.names(&user.queues),
        ),
        row(
            FieldId::EmployeeId,
            named!("employee_id"),
            |quirks| (employee_id(quirks.employee_id), "The id of the employee."),
            None,
            |user, to| to.employee_id(&user.employee_id),
        ),
        row(
            FieldId::Channels,
            named!("assigned_channels"),
            |_| (Kind::List(CHANNEL), "Channels that the user has."),
            None,
            |user, to| to.channels(&user.channels),
        ),
    ]
}

fn time_zone(shows: TimeZoneName) -> &'static str {
    match shows {
        TimeZoneName::Rails => "The Rails name of the time zone, or its IANA id where it has none.",
        TimeZoneName::Upstream => "The IANA id of the time zone.",
    }
}

fn teams(shows: TeamList) -> &'static str {
    match shows {
        TeamList::Ids => {
            "Ids of teams, joined with a comma and a space; empty where there is none."
        }
        TeamList::Names => {
            "Names of teams, joined with a comma and a space; empty where there is none."
        }
    }
}

fn employee_id(shows: EmployeeId) -> Kind {
    match shows {
        EmployeeId::String => Kind::TextOrNull,
        EmployeeId::Number => Kind::NumberOrTextOrNull,
    }
}

static V1_USER_FIELDS: [Field<OfUser>; 15] =
    user(&Differing { teams: named!("assigned_teams"), by_id: Some(Filter::Id) });

static V3_USER_FIELDS: [Field<OfUser>; 15] =
    user(&Differing { teams: named!("agent_in_teams"), by_id: None });

/// The record of an agent's status, without a filter.
static AGENT_STATUS_FIELDS: [Field<OfUser>; 3] = [
    row(
        FieldId::Email,
        named!("email"),
        |_| (Kind::TextOrNull, "The e-mail address."),
        None,
        |user, to| to.text(&user.email),
    ),
    row(
        FieldId::Extension,
        named!("ext"),
        |_| (Kind::TextOrNull, "The extension."),
        None,
        |user, to| to.text(&user.extension),
    ),
    row(
        FieldId::Status,
        named!("status"),
        |_| (Kind::TextOrNull, "Whether the agent can take a call just now, in a word."),
        None,
        |user, to| to.status(&user.status),
    ),
];

/// The answer to a call that was placed. What is written of it is no record of a list.
static CALL_FIELDS: [Field<()>; 1] =
    [row(FieldId::CallId, named!("call_id"), |_| (Kind::Text, "The id of the call."), None, ())];

static TEAM_FIELDS: [Field<OfEntry>; 2] = [
    row(
        FieldId::TeamName,
        named!("name"),
        |_| (Kind::TextOrNull, "The name of the team."),
        None,
        |_, name, out| json::text(out, name),
    ),
    row(
        FieldId::TeamId,
        named!("id"),
        |_| (Kind::Number, "The id of the team."),
        None,
        |id, _, out| json::number(out, id),
    ),
];

static DELETED_USER_FIELDS: [Field<OfEntry>; 2] = [
    row(
        FieldId::DeletedUserId,
        named!("id"),
        |_| (Kind::Number, "The id that the user had."),
        None,
        |id, _, out| json::number(out, id),
    ),
    row(
        FieldId::DeletedUserName,
        named!("name"),
        |_| (Kind::TextOrNull, "The name that was last known."),
        None,
        |_, name, out| json::text(out, name),
    ),
];

/// The record of v1 users.
pub(super) const V1_USER: UserRecord = UserRecord(&V1_USER_FIELDS);

/// The record of v3 users, the same but for one name.
pub(super) const V3_USER: UserRecord = UserRecord(&V3_USER_FIELDS);

/// The record of an agent's status.
pub(super) const AGENT_STATUS: UserRecord = UserRecord(&AGENT_STATUS_FIELDS);

/// The record of a team.
pub(super) const TEAM: EntryRecord = EntryRecord(&TEAM_FIELDS);

/// The record of a deleted user.
pub(super) const DELETED_USER: EntryRecord = EntryRecord(&DELETED_USER_FIELDS);

/// The answer to a call.
pub(super) const CALL: CallRecord = CallRecord(&CALL_FIELDS);

/// The answer to a call.
#[derive(Debug, Clone, Copy)]
pub struct CallRecord(pub(super) &'static [Field<()>]);

impl PartialEq for CallRecord {
    /// Whether they are of one table of fields.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

/// A record of a user.
#[derive(Debug, Clone, Copy)]
pub struct UserRecord(pub(super) &'static [Field<OfUser>]);

impl PartialEq for UserRecord {
    /// Whether they are the record of one table of fields.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl UserRecord {
    /// Whether it shows more than a user's own row may hold, so that other listings have to be joined.
    pub fn needs_other_lists(self) -> bool {
        let is_own = |id| {
            matches!(id, FieldId::Email | FieldId::Extension | FieldId::Status | FieldId::Name)
        };
        !self.0.iter().all(|field| is_own(field.head.id))
    }

    /// Appends the record of one user.
    pub fn write(
        self,
        user: &User<'_>,
        quirks: &Quirks,
        unmapped: Option<&Unmapped>,
        out: &mut Vec<u8>,
        notes: &mut Notes,
    ) {
        if user.state == State::LiveWithDeletionDate {
            notes.live_with_deletion_date += 1;
        }
        let mut to = Writer { out: Draft::new(out), quirks, notes, unmapped };
        for (index, field) in self.0.iter().enumerate() {
            to.out.piece(&field.head.name.lead);
            if index == 0 {
                to.out.begin_with(b'{');
            }
            (field.write)(user, &mut to);
        }
        to.out.byte(b'}');
        to.out.end();
    }
}

/// A record of an id and a name.
#[derive(Debug, Clone, Copy)]
pub struct EntryRecord(pub(super) &'static [Field<OfEntry>]);

impl PartialEq for EntryRecord {
    /// Whether they are the record of one table of fields.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl EntryRecord {
    /// Appends the record of one team or deleted user.
    pub fn write(self, id: u64, name: Option<&str>, out: &mut Vec<u8>) {
        let start = out.len();
        for field in self.0 {
            out.extend_from_slice(field.head.lead());
            (field.write)(id, name, out);
        }
        close(out, start);
    }
}

/// Every field begins with a comma; the first one's becomes the brace of the record.
pub(super) fn close(out: &mut Vec<u8>, start: usize) {
    out[start] = b'{';
    out.push(b'}');
}
