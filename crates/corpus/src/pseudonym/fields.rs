//! Which fields contain personal data, by the vendors' documentation. An unknown field counts as personal,
//! so that its values never reach a corpus.

use crate::spelling::plain_path;

/// The kind of an answer: `name` is a person's in one answer and a team's in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Document {
    /// The legacy list of teams.
    LegacyTeams,
    Other,
}

impl Document {
    pub fn of_path(path: &str) -> Document {
        match plain_path(path).rsplit('/').next() {
            Some("teams") => Document::LegacyTeams,
            _ => Document::Other,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Keep,
    Replace,
    /// The name of a thing: only numbers and e-mail addresses in it are replaced.
    Name,
    /// A sentence of the vendor: it stays if it is a known one.
    Sentence,
    /// An unknown field: text is replaced, and numbers longer than most extensions.
    Unknown,
}

/// Fields that are not about a person in any object: ids, names that an administrator chose, words from
/// closed lists, dates that no legacy answer shows.
#[rustfmt::skip]
const KEPT: &[&str] = &[
    // legacy
    "id", "sag", "timezone", "webrtc_ringtone", "assigned_teams", "agent_in_teams",
    "supervisor_in_teams", "assigned_queues", "type",
    // Voiso v4
    "status", "channel", "channels", "created_at", "updated_at", "deleted_at", "speech_language",
    "total", "limit", "offset", "page_size",
    // Vonage v4
    "userId", "role", "location", "virtualLocation", "outboundTelephonyRegion", "applicationType",
    "lastLoginTime", "selectedCallbackNumberId", "callbackNumberId", "groupId", "groupDisplayId",
    "groupName", "groupPermission", "skillId", "skillDisplayId", "skillName", "agentSkillLevel",
    "queueId", "queueName", "queuePermission", "interactionPlanId", "interactionPlanName",
    "page", "count", "pageCount", "totalCount",
];

/// Fields about a person, as text or as a number.
#[rustfmt::skip]
const PERSONAL: &[&str] = &[
    "email", "sip_account", "extension", "ext", "caller_id", "employee_id", "identifier",
    "username", "ssoExternalId", "agentDisplayId", "telephoneAddress", "telephonyExtension",
    "callbackNumberName", "callbackNumberClid",
];

/// Members whose object has an `id` and a `name` and is not a person.
const THINGS: &[&str] = &[
    "security_access_group",
    "teams",
    "supervised_teams",
    "queues",
    "supervised_queues",
    "webrtc_ringtone",
    "skill",
    "assigned_skills",
    // The teams of a template; of a user it is a text.
    "assigned_teams",
];

const CHANNELS: &[&str] = &["channel_profiles", "assigned_channels"];

const SENTENCES: &[&str] = &["error", "message", "error_description", "summary", "description"];

/// Parameters whose values are not about a person.
#[rustfmt::skip]
pub(super) const KEPT_PARAMETERS: &[&str] = &[
    "id", "sag", "timezone", "security_access_group_id", "limit", "offset", "page", "per_page",
    "include",
];

/// Sentences that the vendors' pages print.
#[rustfmt::skip]
pub(super) const SENTENCES_KNOWN: &[&str] = &[
    "Invalid User API Key", "Invalid api_key", "Invalid API key", "Invalid key",
    "The API key specified is invalid", "API rate limit exceeded", "Bad Request", "Unauthorized",
    "Forbidden", "Not found", "Too many requests", "Service Unavailable", "Internal server error",
    "User not found", "Conversation not found", "Agents parameters", "All of the user data",
    "Version missing from Accept header!", "Authorization has been denied for this request.",
];

/// How the value of `field` is treated, in an object that is in the member `parent`. `parent` is empty
/// for the outermost object.
pub(super) fn rule(document: Document, parent: &str, field: &str) -> Rule {
    match field {
        "name" if THINGS.contains(&parent) => Rule::Keep,
        "name" if CHANNELS.contains(&parent) => Rule::Name,
        "name" if parent.is_empty() && document == Document::LegacyTeams => Rule::Keep,
        "name" => Rule::Replace,
        "value" if CHANNELS.contains(&parent) => Rule::Replace,
        "value" if matches!(parent, "skills" | "assigned_skills") => Rule::Keep,
        _ if PERSONAL.contains(&field) => Rule::Replace,
        _ if KEPT.contains(&field) => Rule::Keep,
        _ if SENTENCES.contains(&field) => Rule::Sentence,
        _ => Rule::Unknown,
    }
}

/// The name of a parameter without `filter[]`.
pub fn plain(parameter: &str) -> &str {
    let bare = parameter.strip_suffix("[0]").or_else(|| parameter.strip_suffix("[]"));
    let parameter = bare.unwrap_or(parameter);
    let inner = parameter.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(parameter)
}

/// Whether the value of a parameter is a key. A key gets no pseudonym.
pub(super) fn is_key(parameter: &str) -> bool {
    matches!(plain(parameter), "key" | "api_key" | "access_token")
}

/// Whether the name of a member or a parameter may stay, because it looks like an API's own: `snake_case`
/// or `camelCase`. Names of people, such as logins, have dots, capitals or signs.
pub fn is_word(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(is_plain)
        && digits < super::DIGITS_MIN
}
