//! What is lost of each legacy field over Vonage. A changed reason changes `docs/FIDELITY.md`.

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
            "Vonage has UUIDs: the number is a hash of it, the agent's display id, or one from the \
             operator's table, by the id policy.",
        ),
        FieldId::Name | FieldId::DeletedUserName => {
            row(Is::Exact, Code::SameValue, "The same text.")
        }
        FieldId::Email => row(
            Is::Exact,
            Code::SameValue,
            "The same text; users sign in with their username, which may be another.",
        ),
        FieldId::SipAccount => {
            row(Is::Unavailable, Code::NoSuchField, "Vonage has no SIP accounts; always null.")
        }
        FieldId::Group => row(
            Is::Dictionary,
            Code::NamesDiffer,
            "Vonage has four fixed roles in place of groups: the role's name, or the group's name \
             where mapping.sag has one.",
        ),
        FieldId::Extension => row(
            Is::Derived,
            Code::SeveralSources,
            "The display id that addresses the agent in calls, or the telephony extension; null \
             for users who are no agents.",
        ),
        FieldId::CallerId => row(
            Is::Derived,
            Code::SeveralSources,
            "The name, or the number, of the callback number the user has selected.",
        ),
        FieldId::TimeZone => row(
            Is::Defaulted,
            Code::OneForAll,
            "Vonage has no time zone per user: the configured one for all, else null.",
        ),
        FieldId::Ringtone => {
            row(Is::Unavailable, Code::NoSuchField, "Vonage has no ringtones; always null.")
        }
        FieldId::Teams => row(
            Is::Derived,
            Code::OtherLists,
            "The display ids of the groups that list the user as a member, joined.",
        ),
        FieldId::SupervisedTeams => row(
            Is::Derived,
            Code::OtherLists,
            "The groups a supervisor may edit, where mapping.supervisor_in_teams asks for them; \
             else empty.",
        ),
        FieldId::Skills => row(
            Is::Derived,
            Code::OtherLists,
            "The skills that list the user, with the level; null where the account has no levels.",
        ),
        FieldId::Queues => row(
            Is::Unavailable,
            Code::NoSuchField,
            "Vonage assigns queues to groups and skills, not to users: empty, unless \
             mapping.assigned_queues shows the queues a user may see.",
        ),
        FieldId::EmployeeId => row(
            Is::Derived,
            Code::SeveralSources,
            "The id for single sign-on, or the agent's display id, by the mapping.",
        ),
        FieldId::Channels => {
            row(Is::Unavailable, Code::NoSuchField, "Vonage lists no channels per user.")
        }
        FieldId::Status => row(
            Is::Unavailable,
            Code::NoSuchField,
            "Vonage's user records have no presence; always null.",
        ),
        FieldId::CallId | FieldId::StopCall => row(
            Is::Unavailable,
            Code::NoSuchField,
            "The User Admin API places no calls; the configuration refuses effects over it.",
        ),
        FieldId::TemplateId
        | FieldId::TemplateName
        | FieldId::TemplateBody
        | FieldId::TemplateTeams => row(
            Is::Unavailable,
            Code::NoSuchField,
            "Vonage has no list of message templates; the endpoint answers that it is not offered.",
        ),
        FieldId::DeletedUserId => row(
            Is::Derived,
            Code::VanishedUsersMissing,
            "Made of archived users by the id policy; users deleted for good are missing unless the \
             roster is on.",
        ),
        FieldId::TeamId => row(
            Is::Renamed,
            Code::NewNumber,
            "The group's display id; it is not the number that the team had before the move. A display id \
             that is no canonical number gets one by the id policy, which assigned_teams does not show.",
        ),
        FieldId::TeamName => row(Is::Renamed, Code::OtherPlace, "The group's name."),
    }
}
