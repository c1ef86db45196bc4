//! Settings with two or three values. Every setting has fields of its own, so one candidate with all first
//! values and one with all second values decide every setting.

use corpus::endpoint::Endpoint;
use corpus::node::Node;
use serde_json::{Map, Value};

use super::calibrated::counts;
use super::{Calibration, Choice, Lists, Overlay, UPSTREAM, Unable};
use crate::knowledge::Settings;
use crate::list::{List, Record};

/// A setting with two values, and the fields that it changes.
struct Two {
    setting: &'static str,
    values: [&'static str; 2],
    fields: &'static [&'static str],
}

const TWO: [Two; 5] = [
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

impl Calibration<'_> {
    /// Tries all values. Returns an overlay with the settings that should change.
    pub(super) async fn enumerated(&mut self) -> Result<Overlay, Unable> {
        let mut overlay = Overlay::new();
        let first = self.trial(&self.all_set(0, "array", "unless_live")).await?;
        let second = self.trial(&self.all_set(1, "users", "always")).await?;
        let third = self.trial(&self.all_set(0, "sample", "never")).await?;
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.lists_users()) {
            let settings = self.settings(endpoint);
            for two in &TWO {
                let choice = self.two(endpoint, two, &first, &second);
                let choice = choice.decide(in_force(&settings, two.setting));
                self.choose(choice, &mut overlay);
            }
            let choice = self.envelope(endpoint, [&first, &second, &third]);
            self.choose(choice.decide(&settings.envelope), &mut overlay);
        }
        let choice =
            self.deleted([("unless_live", &first), ("always", &second), ("never", &third)]);
        let in_force = self.knowledge.deleted_at.clone();
        if self.knowledge.dialect == "voiso-v4" {
            self.choose(choice.decide(&in_force), &mut overlay);
        }
        Ok(overlay)
    }

    /// An overlay with all first or all second values. Dictionaries are empty, so that the values of the new
    /// API are visible.
    fn all_set(&self, place: usize, envelope: &str, deleted_at: &str) -> Overlay {
        let mut overlay = Overlay::new();
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.lists_users()) {
            let mut settings = Map::new();
            for two in &TWO {
                settings.insert(two.setting.to_owned(), two.values[place].into());
            }
            settings.insert("envelope".to_owned(), envelope.into());
            for dictionary in ["timezone_names", "caller_id_groups", "channel_types"] {
                settings.insert(dictionary.to_owned(), Value::Object(Map::new()));
            }
            overlay.insert(endpoint.name.to_owned(), settings);
        }
        let mut upstream = Map::new();
        upstream.insert("deleted_at".to_owned(), deleted_at.into());
        overlay.insert(UPSTREAM.to_owned(), upstream);
        overlay
    }

    /// Notes a choice, and sets it if it differs from the value in force.
    pub(super) fn choose(&mut self, choice: Choice, overlay: &mut Overlay) {
        match &choice.chosen {
            None if choice.deciding == 0 => self.found.undecided.push(format!(
                "{}.{}: no answer tells its values apart",
                choice.table, choice.setting
            )),
            None => self.found.undecided.push(format!(
                "{}.{}: no value stands out: {}",
                choice.table,
                choice.setting,
                counts(&choice)
            )),
            Some(value) if !choice.is_in_force => {
                let table = overlay.entry(choice.table.clone()).or_default();
                match choice.setting.split_once('.') {
                    Some((table_name, key)) => {
                        // The printed table replaces the whole table of the configuration.
                        let in_force = || self.knowledge.settings(&choice.table).filters;
                        let in_force = || in_force().into_iter().map(|(k, v)| (k, v.into()));
                        let inner = table
                            .entry(table_name.to_owned())
                            .or_insert_with(|| Value::Object(in_force().collect()));
                        if let Value::Object(inner) = inner {
                            inner.insert(key.to_owned(), value.clone().into());
                        }
                    }
                    None => {
                        table.insert(choice.setting.clone(), value.clone().into());
                    }
                }
            }
            Some(_) => {}
        }
        self.found.choices.push(choice);
    }

    fn two(&self, endpoint: &Endpoint, two: &Two, first: &Lists, second: &Lists) -> Choice {
        let mut agree = [0, 0];
        let mut deciding = 0;
        self.each(endpoint, [first, second], |control, [one, other]| {
            for field in two.fields {
                let (Some(a), Some(b)) = (one.get(field), other.get(field)) else { continue };
                if a == b {
                    continue;
                }
                deciding += 1;
                agree[0] += u64::from(control.get(field) == Some(a));
                agree[1] += u64::from(control.get(field) == Some(b));
            }
        });
        let agree = two.values.iter().zip(agree).map(|(value, count)| ((*value).to_owned(), count));
        Choice {
            table: endpoint.name.to_owned(),
            setting: two.setting.to_owned(),
            agree: agree.collect(),
            deciding,
            ..Choice::default()
        }
    }

    /// Calls `f` for each record that control and both trials have.
    pub(super) fn each(
        &self,
        endpoint: &Endpoint,
        trials: [&Lists; 2],
        mut f: impl FnMut(&Node, [&Node; 2]),
    ) {
        let by = self.keyed_by(endpoint);
        let read = |lists: &'_ Lists| lists.get(endpoint.name).map(|reply| reply.body.clone());
        let (Some(control), Some(one), Some(other)) =
            (read(&self.lists), read(trials[0]), read(trials[1]))
        else {
            return;
        };
        let (Ok(control), Ok(one), Ok(other)) =
            (List::read(&control, by), List::read(&one, by), List::read(&other, by))
        else {
            return;
        };
        let node = |record: Record<'_>| record.node();
        for (key, record) in control.keys.iter().zip(&control.records) {
            if let (Some(a), Some(b)) = (one.record(key).map(node), other.record(key).map(node)) {
                f(&record.node(), [&a, &b]);
            }
        }
    }

    fn envelope(&self, endpoint: &Endpoint, trials: [&Lists; 3]) -> Choice {
        let name = |lists: &Lists| {
            let reply = lists.get(endpoint.name)?;
            let list = List::read(&reply.body, self.keyed_by(endpoint)).ok()?;
            Some(list.envelope.name())
        };
        let control = name(&self.lists);
        let count = |lists: &Lists| u64::from(control.is_some() && name(lists) == control);
        let values = ["array", "users", "sample"];
        let agree =
            values.iter().zip(trials).map(|(value, lists)| ((*value).to_owned(), count(lists)));
        Choice {
            table: endpoint.name.to_owned(),
            setting: "envelope".to_owned(),
            agree: agree.collect(),
            deciding: 1,
            ..Choice::default()
        }
    }

    /// The choice of `deleted_at`, by the users whom some of its values call deleted and others do not.
    fn deleted(&self, trials: [(&str, &Lists); 3]) -> Choice {
        let keys = |lists: &Lists, name: &str| -> std::collections::BTreeSet<String> {
            let body = lists.get(name).map(|reply| reply.body.clone()).unwrap_or_default();
            let by = self.by;
            List::read(&body, by).map(|list| list.keys.into_iter().collect()).unwrap_or_default()
        };
        let name = self.endpoints.iter().find(|one| one.lists_users()).map_or("", |one| one.name);
        let listed: Vec<_> = trials.iter().map(|(_, lists)| keys(lists, name)).collect();
        let control = keys(&self.lists, name);
        let all: std::collections::BTreeSet<&String> = listed.iter().flatten().collect();
        let deciding: Vec<&&String> =
            all.iter().filter(|key| !listed.iter().all(|one| one.contains(**key))).collect();
        let agree = trials.iter().zip(&listed).map(|((value, _), listed)| {
            let agreeing = deciding.iter().filter(|key| {
                listed.contains(**key.to_owned()) == control.contains(**key.to_owned())
            });
            ((*value).to_owned(), agreeing.count() as u64)
        });
        Choice {
            table: UPSTREAM.to_owned(),
            setting: "deleted_at".to_owned(),
            agree: agree.collect(),
            deciding: deciding.len() as u64,
            ..Choice::default()
        }
    }
}

fn in_force<'a>(settings: &'a Settings, setting: &str) -> &'a str {
    match setting {
        "assigned_teams" => &settings.assigned_teams,
        "supervisor_in_teams" => &settings.supervisor_in_teams,
        "employee_id" => &settings.employee_id,
        "timezone" => &settings.timezone,
        _ => &settings.separator_in_name,
    }
}
