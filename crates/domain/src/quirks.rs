//! Quirks: the settings that fix what the legacy documentation leaves open or contradicts.
//!
//! Each has a default with a reason in `docs/CONFIGURATION.md`. Where the documents disagree about the
//! legacy shape, the choice is a setting here and never buried in code.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::dictionary::Dictionary;
use crate::text::moment::Moment;
use crate::text::span::Span;

/// Quirks of one legacy endpoint, the table `[legacy.<endpoint>]`.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// What the list is wrapped in.
    pub envelope: Envelope,
    /// What `assigned_teams` lists; in v3 that field is `agent_in_teams`.
    pub assigned_teams: TeamList,
    /// What `supervisor_in_teams` lists.
    pub supervisor_in_teams: TeamList,
    /// How `employee_id` is shown.
    pub employee_id: EmployeeId,
    /// How `timezone` is shown.
    pub timezone: TimeZoneName,
    /// Legacy names of single zones, by IANA id; they override the Rails table.
    pub timezone_names: BTreeMap<String, String>,
    /// Caller id number to the legacy caller-id group's name.
    pub caller_id_groups: BTreeMap<String, String>,
    /// Channel slug to the legacy channel type; overrides the built-in dictionary.
    pub channel_types: Dictionary,
    /// What happens to a name that holds `", "` in a joined list.
    pub separator_in_name: SeparatorInName,
    /// The upstream's word for an agent's status to the legacy one; overrides the documented words.
    pub statuses: BTreeMap<String, String>,
    /// How the documented words of a status are spelled.
    pub style: StatusStyle,
    /// What a status is shown as that no dictionary has.
    pub unknown_status: UnknownStatus,
    /// How filters compare.
    pub filters: Filters,
    /// The answer to a missing or wrong key; `None` is the endpoint's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_key: Option<InvalidKey>,
    /// How long an answer is used for equal questions; `None` is the endpoint's own, or that of `[cache]`.
    #[serde(skip_serializing)]
    pub fresh_for: Option<Span>,
    /// When the endpoint became or becomes deprecated.
    #[serde(skip_serializing)]
    pub deprecation: Option<Moment>,
    /// When the endpoint may disappear.
    #[serde(skip_serializing)]
    pub sunset: Option<Moment>,
    /// A page about the deprecation or the end.
    #[serde(skip_serializing)]
    pub link: Option<String>,
}

impl Default for Quirks {
    fn default() -> Self {
        Quirks {
            envelope: Envelope::Array,
            assigned_teams: TeamList::Ids,
            supervisor_in_teams: TeamList::Ids,
            employee_id: EmployeeId::String,
            timezone: TimeZoneName::Rails,
            timezone_names: BTreeMap::new(),
            caller_id_groups: BTreeMap::new(),
            channel_types: Dictionary::default(),
            separator_in_name: SeparatorInName::Keep,
            statuses: BTreeMap::new(),
            style: StatusStyle::Lower,
            unknown_status: UnknownStatus::Pass,
            filters: Filters::default(),
            invalid_key: None,
            fresh_for: None,
            deprecation: None,
            sunset: None,
            link: None,
        }
    }
}

/// What a list is wrapped in.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Envelope {
    /// `[..]`, as v3's real body is.
    Array,
    /// `{"users":[..],"metadata":{"total":N,"page":1,"page_size":N}}`, as sibling v1 services answer.
    Users,
    /// `{"summary":..,"description":..,"value":..}`, the documentation's printed sample: `value` is
    /// the one user of a one-user answer, else the array.
    Sample,
}

/// What a list of teams shows.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TeamList {
    /// Team ids, as the text says and a real reader expects.
    Ids,
    /// Team names, as one sample shows.
    Names,
}

/// How an employee id is shown.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum EmployeeId {
    /// A string or null, as the table says.
    String,
    /// A canonical decimal one as a number, as the samples show; others stay strings.
    Number,
}

/// How a time zone is shown.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TimeZoneName {
    /// The Rails name, as the sample "Istanbul" is.
    Rails,
    /// As the upstream spells it.
    Upstream,
}

/// What happens to a name that holds the list separator.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SeparatorInName {
    /// It stays as it is; legacy itself was ambiguous.
    Keep,
    /// The separator inside the name becomes a space, so that splitting is safe.
    Replace,
}

/// How the documented words of a status are spelled.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum StatusStyle {
    /// `available`, as the page of the endpoint has it.
    Lower,
    /// `Available`, as the overview has it.
    Title,
}

/// What a status is shown as that no dictionary has.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum UnknownStatus {
    /// The upstream's own word, in lower case or the wanted style.
    Pass,
    /// Null.
    Null,
}

/// How a filter compares its value with a row's.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq, Hash, Default)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// Same text.
    #[default]
    Exact,
    /// Same text, whatever the case.
    CaseInsensitive,
    /// The row's text contains the value, whatever the case.
    Contains,
}

impl Match {
    /// Whether a row's text fits the wanted value.
    pub fn fits(self, text: &str, wanted: &str) -> bool {
        match self {
            Match::Exact => text == wanted,
            Match::CaseInsensitive => text.to_lowercase() == wanted.to_lowercase(),
            Match::Contains => text.to_lowercase().contains(&wanted.to_lowercase()),
        }
    }
}

/// How each text filter compares. `id` always compares numbers.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, PartialEq, Eq, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    pub name: Match,
    pub email: Match,
    pub sip_account: Match,
    pub sag: Match,
    pub extension: Match,
    pub caller_id: Match,
    pub timezone: Match,
}

/// The answer to a missing or wrong key.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct InvalidKey {
    /// HTTP status, 400 to 499.
    pub status: u16,
    /// Text of `{"error":".."}`.
    pub text: String,
}

impl Default for InvalidKey {
    fn default() -> Self {
        // The overview pages' sentence; the endpoint reference has "Invalid api_key".
        InvalidKey { status: 401, text: "Invalid User API Key".to_owned() }
    }
}
