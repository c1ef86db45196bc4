//! The legacy user record, which v1 and v3 share but for the name of one field.
//!
//! Source: the vendor's "Users API" pages. Field order is the documented one.

use crate::channel;
use crate::hub::{Named, State, User};
use crate::json;
use crate::legacy::field::FieldId;
use crate::legacy::shape::{Field, Kind, Shape};
use crate::legacy::{Notes, Planned};
use crate::params::Params;
use crate::plan::{self, Nobody, Plan};
use crate::quirks::{EmployeeId, Quirks, SeparatorInName, TeamList, TimeZoneName};
use crate::time_zone;

/// Fields of a record.
pub(super) const FIELDS: usize = 15;

/// The fields in answer order; `teams` is what the endpoint calls the list of a user's teams.
pub(super) const fn fields(teams: &'static str) -> [&'static str; FIELDS] {
    [
        "id",
        "name",
        "email",
        "sip_account",
        "sag",
        "extension",
        "caller_id",
        "timezone",
        "webrtc_ringtone",
        teams,
        "supervisor_in_teams",
        "assigned_skills",
        "assigned_queues",
        "employee_id",
        "assigned_channels",
    ]
}

/// What the fields are.
pub(super) static FIELD_IDS: [FieldId; FIELDS] = [
    FieldId::Id,
    FieldId::Name,
    FieldId::Email,
    FieldId::SipAccount,
    FieldId::Group,
    FieldId::Extension,
    FieldId::CallerId,
    FieldId::TimeZone,
    FieldId::Ringtone,
    FieldId::Teams,
    FieldId::SupervisedTeams,
    FieldId::Skills,
    FieldId::Queues,
    FieldId::EmployeeId,
    FieldId::Channels,
];

/// The filters, `id` first, which not every endpoint has.
pub(super) const FILTERS: [&str; 8] =
    ["id", "name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"];

/// What [`render`] and [`envelope`] write, as data.
pub(super) fn shape(teams: &'static str, quirks: &Quirks) -> Shape {
    let team_list = |shows| match shows {
        TeamList::Ids => {
            "Ids of teams, joined with a comma and a space; empty where there is none."
        }
        TeamList::Names => {
            "Names of teams, joined with a comma and a space; empty where there is none."
        }
    };
    let employee_id = match quirks.employee_id {
        EmployeeId::String => Kind::TextOrNull,
        EmployeeId::Number => Kind::NumberOrTextOrNull,
    };
    let time_zone = match quirks.timezone {
        TimeZoneName::Rails => "The Rails name of the time zone, or its IANA id where it has none.",
        TimeZoneName::Upstream => "The IANA id of the time zone.",
    };
    let text = |name, says| Field::new(name, Kind::TextOrNull, says);
    let skill = vec![
        text("name", "The name of the skill."),
        Field::new("value", Kind::NumberOrNull, "The level."),
    ];
    let channel = vec![
        Field::new("type", Kind::Text, "The kind of the channel, such as WhatsApp."),
        text("name", "The name of the channel."),
        Field::new("value", Kind::NumberOrNull, "The identifier, where it is a number."),
    ];
    let fields = vec![
        Field::new("id", Kind::Number, "The id of the user."),
        text("name", "The display name."),
        text("email", "The e-mail address."),
        text("sip_account", "The SIP account."),
        text("sag", "The name of the security access group."),
        text("extension", "The extension."),
        text("caller_id", "The name of the caller id group, or the number of the caller id."),
        text("timezone", time_zone),
        text("webrtc_ringtone", "The name of the ringtone."),
        Field::new(teams, Kind::Text, team_list(quirks.assigned_teams)),
        Field::new("supervisor_in_teams", Kind::Text, team_list(quirks.supervisor_in_teams)),
        Field::new("assigned_skills", Kind::List(skill), "Skills with their levels."),
        Field::new(
            "assigned_queues",
            Kind::Text,
            "Names of queues, joined with a comma and a space; empty where there is none.",
        ),
        Field::new("employee_id", employee_id, "The id of the employee."),
        Field::new("assigned_channels", Kind::List(channel), "Channels that the user has."),
    ];
    Shape { fields, envelope: quirks.envelope }
}

/// Reads the user filters; `with_id` where the endpoint has one by id.
pub(super) fn plan(mut params: Params, quirks: &Quirks, with_id: bool) -> Planned {
    let filter = plan::user_filter(&mut params, quirks, with_id);
    let ignored = params.finish();
    match filter {
        Ok(filter) => Planned::Ask(Box::new(Plan { filter, ignored })),
        Err(Nobody) => Planned::Nobody { ignored },
    }
}

/// Appends one record; `teams` is what the endpoint calls the list of a user's teams.
pub(super) fn render(
    teams: &str,
    user: &User<'_>,
    quirks: &Quirks,
    out: &mut Vec<u8>,
    notes: &mut Notes,
) {
    if user.state == State::LiveWithDeletionDate {
        notes.live_with_deletion_date += 1;
    }
    out.extend_from_slice(b"{\"id\":");
    json::number(out, user.id);
    out.extend_from_slice(b",\"name\":");
    json::text(out, user.name.as_deref());
    out.extend_from_slice(b",\"email\":");
    json::text(out, user.email.as_deref());
    out.extend_from_slice(b",\"sip_account\":");
    json::text(out, user.sip_account.as_deref());
    out.extend_from_slice(b",\"sag\":");
    json::text(out, user.group.as_ref().and_then(|group| group.name.as_deref()));
    out.extend_from_slice(b",\"extension\":");
    json::text(out, user.extension.as_deref());
    out.extend_from_slice(b",\"caller_id\":");
    let caller_id = user.caller_id.as_deref().map(|number| plan::caller_id(number, quirks));
    json::text(out, caller_id);
    out.extend_from_slice(b",\"timezone\":");
    zone(user, quirks, out, notes);
    out.extend_from_slice(b",\"webrtc_ringtone\":");
    json::text(out, user.ringtone.as_deref());
    out.push(b',');
    json::string(out, teams);
    out.push(b':');
    team_list(&user.teams, quirks.assigned_teams, quirks, out, notes);
    out.extend_from_slice(b",\"supervisor_in_teams\":");
    team_list(&user.supervised_teams, quirks.supervisor_in_teams, quirks, out, notes);
    out.extend_from_slice(b",\"assigned_skills\":");
    json::array(out, &user.skills, |out, skill| {
        out.extend_from_slice(b"{\"name\":");
        json::text(out, skill.name.as_deref());
        out.extend_from_slice(b",\"value\":");
        match skill.level {
            Some(level) => json::number(out, u64::from(level)),
            None => json::text(out, None),
        }
        out.push(b'}');
    });
    out.extend_from_slice(b",\"assigned_queues\":");
    names(&user.queues, quirks, out, notes);
    out.extend_from_slice(b",\"employee_id\":");
    employee_id(user, quirks, out);
    out.extend_from_slice(b",\"assigned_channels\":");
    channels(user, quirks, out, notes);
    out.push(b'}');
}

fn zone(user: &User<'_>, quirks: &Quirks, out: &mut Vec<u8>, notes: &mut Notes) {
    let Some(zone) = user.time_zone.as_deref() else {
        return json::text(out, None);
    };
    let shown = match quirks.timezone {
        TimeZoneName::Upstream => Some(zone),
        TimeZoneName::Rails => time_zone::legacy_name(zone, &quirks.timezone_names),
    };
    if shown.is_none() {
        notes.time_zone_unmapped += 1;
    }
    json::string(out, shown.unwrap_or(zone));
}

fn team_list(
    teams: &[Named<'_>],
    shows: TeamList,
    quirks: &Quirks,
    out: &mut Vec<u8>,
    notes: &mut Notes,
) {
    match shows {
        TeamList::Ids => json::joined(out, teams, |out, team| team.id.write(out)),
        TeamList::Names => names(teams, quirks, out, notes),
    }
}

fn names(items: &[Named<'_>], quirks: &Quirks, out: &mut Vec<u8>, notes: &mut Notes) {
    json::joined(out, items, |out, item| {
        let name = item.name.as_deref().unwrap_or_default();
        if !name.contains(json::SEPARATOR) {
            return json::inner(out, name);
        }
        notes.separator_in_name += 1;
        match quirks.separator_in_name {
            SeparatorInName::Keep => json::inner(out, name),
            SeparatorInName::Replace => json::inner(out, &name.replace(json::SEPARATOR, " ")),
        }
    });
}

fn employee_id(user: &User<'_>, quirks: &Quirks, out: &mut Vec<u8>) {
    let text = user.employee_id.as_deref();
    match (quirks.employee_id, text.and_then(crate::id::decimal)) {
        (EmployeeId::Number, Some(number)) => json::number(out, number),
        (EmployeeId::Number | EmployeeId::String, _) => json::text(out, text),
    }
}

fn channels(user: &User<'_>, quirks: &Quirks, out: &mut Vec<u8>, notes: &mut Notes) {
    json::array(out, &user.channels, |out, assigned| {
        let kind = channel::display_name(&assigned.kind, &quirks.channel_types);
        if kind.is_none() {
            notes.channel_unmapped += 1;
        }
        out.extend_from_slice(b"{\"type\":");
        json::string(out, kind.as_deref().unwrap_or(&assigned.kind));
        out.extend_from_slice(b",\"name\":");
        json::text(out, assigned.name.as_deref());
        out.extend_from_slice(b",\"value\":");
        match assigned.identifier.as_deref().and_then(channel::number) {
            Some(digits) => out.extend_from_slice(digits.as_bytes()),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    });
}
