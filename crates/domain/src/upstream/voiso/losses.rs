//! What is lost of each legacy field over Voiso v4. A changed reason changes `docs/FIDELITY.md`.

use crate::legacy::field::FieldId;
use crate::loss::{FieldLoss, LossCode, Status};

/// The row of a field.
pub(super) fn of(field: FieldId) -> FieldLoss {
    use {LossCode as Code, Status as Is};
    let row = FieldLoss::new;
    match field {
        FieldId::Id => row(
            Is::Derived,
            Code::IdPolicy,
            "v4 sends a decimal string and v1 promised a number; an id that is no decimal number \
             follows the id policy.",
        ),
        FieldId::Name
        | FieldId::Email
        | FieldId::SipAccount
        | FieldId::DeletedUserName
        | FieldId::TeamName => row(Is::Exact, Code::SameValue, "The same text."),
        FieldId::Group => {
            row(Is::Renamed, Code::OtherPlace, "The name inside v4's security_access_group object.")
        }
        FieldId::Extension => {
            row(Is::Exact, Code::SameValue, "The same text, null where the user has none.")
        }
        FieldId::CallerId => row(
            Is::Dictionary,
            Code::NamesDiffer,
            "v1 named the caller-id group and v4 gives a number: the number is shown unless \
             caller_id_groups has its group.",
        ),
        FieldId::TimeZone => row(
            Is::Dictionary,
            Code::NamesDiffer,
            "v4 gives an IANA id, and v1 a Rails name as far as its one documented value shows; 14 \
             zones have several names, and a zone without one is shown as its IANA id.",
        ),
        FieldId::Ringtone => {
            row(Is::Renamed, Code::OtherPlace, "The name inside v4's webrtc_ringtone object.")
        }
        FieldId::Teams => row(
            Is::Derived,
            Code::Joined,
            "The ids of v4's teams, joined with a comma and a space.",
        ),
        FieldId::SupervisedTeams => row(
            Is::Derived,
            Code::Joined,
            "The ids of v4's supervised_teams, joined; names are selectable because the v1 sample \
             shows names.",
        ),
        FieldId::Skills => {
            row(Is::Renamed, Code::OtherPlace, "v4's skills with the name taken out of its object.")
        }
        FieldId::Queues => row(
            Is::Derived,
            Code::Joined,
            "The names of v4's queues, joined; a name that holds the separator is ambiguous, as it \
             was in v1.",
        ),
        FieldId::EmployeeId => row(
            Is::Exact,
            Code::SameValue,
            "The same text; v1's samples show a number, which is selectable.",
        ),
        FieldId::Channels => row(
            Is::Dictionary,
            Code::NamesDiffer,
            "v4's channel_profiles: the type by a dictionary of slugs, the value only where the \
             identifier is a number; v4's channel name may carry the number, v1's did not.",
        ),
        FieldId::Status => row(
            Is::Dictionary,
            Code::NamesDiffer,
            "v4's status word for word, in lower case or with a capital: the legacy words are documented, of \
             v4's only `available` is, so that the others are the same is unconfirmed.",
        ),
        FieldId::CallId => row(
            Is::Renamed,
            Code::OtherPlace,
            "The id in v4's answer, at call.id or id as a public client reads it; that it is the id of call \
             records is not documented.",
        ),
        FieldId::StopCall => row(
            Is::Unavailable,
            Code::NoSuchField,
            "The legacy pages name it without a parameter, and v4 hangs up by user and not by call: refused, so \
             that it never places another call.",
        ),
        FieldId::TemplateId => row(
            Is::Exact,
            Code::SameValue,
            "The number of v4's canned message; that it is the legacy number is not documented.",
        ),
        FieldId::TemplateName | FieldId::TemplateBody => row(
            Is::Exact,
            Code::SameValue,
            "The same text, of canned messages whose channels hold sms.",
        ),
        FieldId::TemplateTeams => row(
            Is::Renamed,
            Code::OtherPlace,
            "v4's teams of the canned message, with id and name.",
        ),
        FieldId::DeletedUserId => row(
            Is::Derived,
            Code::VanishedUsersMissing,
            "v4 sends a decimal string; without the roster only users that v4 still lists with a \
             deletion date are found, others are missing.",
        ),
        FieldId::TeamId => row(
            Is::Exact,
            Code::EmptyTeamsMissing,
            "The same number; where v4 has no list of teams they are taken from the users, and a team \
             without members is missing.",
        ),
    }
}
