//! The sources of legacy fields, where an upstream has more than one and no document says which is
//! meant. The table `[upstream.<name>.mapping]`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Sources of legacy fields, by the name of the field. For upstreams of the dialect `vonage-v4`.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// The legacy group's name for a role, such as `Admin`; a role that is not listed keeps its own.
    pub sag: BTreeMap<String, String>,
    /// Where `extension` comes from.
    pub extension: ExtensionField,
    /// The part of the selected callback number that `caller_id` shows.
    pub caller_id: CallerIdField,
    /// The time zone of every user, an IANA id or a legacy name; none is `null`.
    pub timezone: Option<String>,
    /// Where `supervisor_in_teams` comes from.
    pub supervisor_in_teams: SupervisionSource,
    /// Where `assigned_queues` comes from.
    pub assigned_queues: QueueSource,
    /// Where `employee_id` comes from.
    pub employee_id: EmployeeIdField,
}

/// Where `extension` comes from.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ExtensionField {
    /// The short id that addresses an agent in calls.
    #[default]
    AgentDisplayId,
    /// The field of that name beside the agent's phone number.
    TelephonyExtension,
}

/// The part of the callback number that `caller_id` shows.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CallerIdField {
    /// The callback number's name.
    #[default]
    Name,
    /// The number itself.
    Number,
}

/// Where `supervisor_in_teams` comes from.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SupervisionSource {
    /// Nowhere: the list is empty.
    #[default]
    None,
    /// Groups a supervisor may write to; one call for every supervisor.
    WritePermissions,
}

/// Where `assigned_queues` comes from.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum QueueSource {
    /// Nowhere: the list is empty.
    #[default]
    None,
    /// Queues that a user may see, though perhaps not serve; one call for every user.
    Permissions,
}

/// Where `employee_id` comes from.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum EmployeeIdField {
    /// The id for single sign-on.
    #[default]
    SsoExternalId,
    /// The short id that addresses an agent.
    AgentDisplayId,
}
