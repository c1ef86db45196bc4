//! The facts about candidate that a comparison needs: the settings in force and the ledger of losses. Both
//! come as JSON, with the names of the configuration. This crate must never share the gateway's types.

use std::collections::BTreeMap;

use report::Loss;
use serde::Deserialize;

/// The facts about candidate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Knowledge {
    /// The dialect of its upstream; empty where it is not known.
    pub dialect: String,
    /// The name of its upstream in the configuration.
    pub upstream: String,
    /// `deleted_at` of the upstream: `unless_live`, `always` or `never`.
    pub deleted_at: String,
    /// The configured value of each field that the new API does not have; `None` is `null`. Empty where the
    /// configuration is not known.
    pub defaults: BTreeMap<String, Option<String>>,
    /// The ledger of losses, as `tieline losses --format json` prints it, with the code of each.
    pub ledger: Vec<Loss>,
    /// The table `[legacy.<endpoint>]` of each endpoint.
    pub settings: BTreeMap<String, Settings>,
}

impl Knowledge {
    /// The settings of an endpoint, or the defaults.
    pub fn settings(&self, endpoint: &str) -> Settings {
        self.settings.get(endpoint).cloned().unwrap_or_default()
    }

    /// The status of a field in the ledger; empty where it has none.
    pub fn status(&self, endpoint: &str, field: &str) -> &str {
        let is_it = |loss: &&Loss| {
            loss.endpoint == endpoint && loss.field == field && loss.dialect == self.dialect
        };
        self.ledger.iter().find(is_it).map_or("", |loss| loss.status.as_str())
    }
}

/// The settings of `[legacy.<endpoint>]` on which answers depend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named and described as in the configuration")]
pub struct Settings {
    pub envelope: String,
    pub assigned_teams: String,
    pub supervisor_in_teams: String,
    pub employee_id: String,
    pub timezone: String,
    pub timezone_names: BTreeMap<String, String>,
    pub caller_id_groups: BTreeMap<String, String>,
    pub channel_types: BTreeMap<String, String>,
    pub separator_in_name: String,
    pub filters: BTreeMap<String, String>,
    pub invalid_key: InvalidKey,
}

/// The answer to a key that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named and described as in the configuration")]
pub struct InvalidKey {
    pub status: u16,
    pub text: String,
}

impl Default for InvalidKey {
    fn default() -> Self {
        InvalidKey { status: 401, text: "Invalid User API Key".to_owned() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let owned = str::to_owned;
        Settings {
            envelope: owned("array"),
            assigned_teams: owned("ids"),
            supervisor_in_teams: owned("ids"),
            employee_id: owned("string"),
            timezone: owned("rails"),
            timezone_names: BTreeMap::new(),
            caller_id_groups: BTreeMap::new(),
            channel_types: BTreeMap::new(),
            separator_in_name: owned("keep"),
            filters: BTreeMap::new(),
            invalid_key: InvalidKey::default(),
        }
    }
}

impl Settings {
    /// How a filter compares: `exact`, `case_insensitive` or `contains`.
    pub fn mode(&self, filter: &str) -> &str {
        self.filters.get(filter).map_or("exact", String::as_str)
    }
}
