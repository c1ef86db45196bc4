//! The facts about candidate that a comparison needs: the settings in force and the ledger of losses. Both
//! come as JSON, with the names of the configuration. This crate must never share the gateway's types.

use std::collections::BTreeMap;

use report::Loss;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Settings that replace those in force: by endpoint, as JSON with the names of the configuration. The
/// settings of the upstream are under [`UPSTREAM`].
pub type Overlay = BTreeMap<String, Map<String, Value>>;

/// The table of the upstream in an [`Overlay`].
pub const UPSTREAM: &str = "upstream";

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
        let is_it = |loss: &&Loss| loss.endpoint == endpoint && loss.field == field;
        self.losses().find(is_it).map_or("", |loss| loss.status.as_str())
    }

    /// Whether the new API has anything of what an endpoint lists, by the ledger.
    pub(crate) fn offers(&self, endpoint: &str) -> bool {
        let mut rows = self.losses().filter(|loss| loss.endpoint == endpoint).peekable();
        rows.peek().is_none() || rows.any(|loss| loss.status != "unavailable")
    }

    /// The rows of the ledger for the dialect.
    pub(crate) fn losses(&self) -> impl Iterator<Item = &Loss> {
        self.ledger.iter().filter(|loss| loss.dialect == self.dialect)
    }
}

/// The settings of `[legacy.<endpoint>]` on which answers depend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
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
    pub statuses: BTreeMap<String, String>,
    pub style: String,
    pub unknown_status: String,
    pub filters: BTreeMap<String, String>,
    pub invalid_key: InvalidKey,
}

/// The answer to a key that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InvalidKey {
    pub status: u16,
    pub text: String,
}

impl Default for InvalidKey {
    fn default() -> Self {
        InvalidKey { status: 401, text: "Invalid User API Key".to_owned() }
    }
}

/// A setting with two values, and the fields that it changes.
pub(crate) struct Two {
    pub(crate) setting: &'static str,
    pub(crate) values: [&'static str; 2],
    pub(crate) fields: &'static [&'static str],
}

pub(crate) const TWO: [Two; 5] = [
    Two {
        setting: "assigned_teams",
        values: ["ids", "names"],
        fields: &["assigned_teams", "agent_in_teams"],
    },
    Two {
        setting: "supervisor_in_teams",
        values: ["ids", "names"],
        fields: &["supervisor_in_teams"],
    },
    Two { setting: "employee_id", values: ["string", "number"], fields: &["employee_id"] },
    Two { setting: "timezone", values: ["rails", "upstream"], fields: &["timezone"] },
    Two { setting: "separator_in_name", values: ["keep", "replace"], fields: &["assigned_queues"] },
];

/// The values of the setting `style`.
pub(crate) const LOWER: &str = "lower";
pub(crate) const TITLE: &str = "title";

impl Default for Settings {
    fn default() -> Self {
        let none = BTreeMap::new;
        Settings {
            envelope: "array".to_owned(),
            assigned_teams: "ids".to_owned(),
            supervisor_in_teams: "ids".to_owned(),
            employee_id: "string".to_owned(),
            timezone: "rails".to_owned(),
            timezone_names: none(),
            caller_id_groups: none(),
            channel_types: none(),
            separator_in_name: "keep".to_owned(),
            statuses: none(),
            style: LOWER.to_owned(),
            unknown_status: "pass".to_owned(),
            filters: none(),
            invalid_key: InvalidKey::default(),
        }
    }
}

impl Settings {
    /// The value of a setting in [`TWO`].
    pub(crate) fn of_two(&mut self, setting: &str) -> &mut String {
        match setting {
            "assigned_teams" => &mut self.assigned_teams,
            "supervisor_in_teams" => &mut self.supervisor_in_teams,
            "employee_id" => &mut self.employee_id,
            "timezone" => &mut self.timezone,
            _ => &mut self.separator_in_name,
        }
    }

    /// The same under an overlay of the configuration.
    pub(crate) fn under(mut self, overlay: &Overlay, endpoint: &str) -> Settings {
        for (name, value) in overlay.get(endpoint).into_iter().flatten() {
            let table = match name.as_str() {
                "timezone_names" => &mut self.timezone_names,
                "caller_id_groups" => &mut self.caller_id_groups,
                "channel_types" => &mut self.channel_types,
                "statuses" => &mut self.statuses,
                "filters" => &mut self.filters,
                "style" => {
                    value.as_str().unwrap_or_default().clone_into(&mut self.style);
                    continue;
                }
                _ => {
                    if let (Some(text), true) =
                        (value.as_str(), TWO.iter().any(|two| two.setting == name))
                    {
                        text.clone_into(self.of_two(name));
                    }
                    continue;
                }
            };
            let text = |(key, value): (&String, &Value)| {
                (key.clone(), value.as_str().unwrap_or_default().to_owned())
            };
            *table = value.as_object().into_iter().flatten().map(text).collect();
        }
        self
    }

    /// How a filter compares: `exact`, `case_insensitive` or `contains`.
    pub fn mode(&self, filter: &str) -> &str {
        self.filters.get(filter).map_or("exact", String::as_str)
    }
}
