//! Checks the settings before they are printed: whole lists, filters and wrong keys under them, compared with those
//! of control. A setting under which something differs that agreed is taken out again.

use std::collections::{BTreeMap, BTreeSet};

use corpus::ask::Reply;
use serde_json::{Map, Value};

use super::{Calibration, Lists, Overlay, Remaining, UPSTREAM, Unable};
use crate::cause::DELETED_AT;
use crate::compare::{BODY, Compared, ENVELOPE, ERROR, Kind, RECORDS, STATUS, compare};
use crate::knowledge::TWO;
use crate::scenario::{Group, Scenario};

/// The answers of a candidate: its whole lists, and one to each probe.
pub(super) struct Tried {
    pub(super) lists: Lists,
    pub(super) probes: Vec<Reply>,
}

/// A question that shows how filters compare or how keys are refused, and control's answer.
pub(super) struct Probe {
    pub(super) scenario: Scenario,
    pub(super) control: Reply,
}

/// The endpoint, the record or the probe, and a field, a part of a list, or a setting.
pub(super) type Place = (&'static str, Option<String>, String);

impl Calibration<'_> {
    /// The answers of a candidate under an overlay to all probes.
    pub(super) async fn tried(
        &self,
        overlay: &Overlay,
        probes: &[Probe],
    ) -> Result<Vec<Reply>, Unable> {
        let candidate = self.start(overlay).await?;
        let mut answers = Vec::with_capacity(probes.len());
        for probe in probes {
            answers.push(candidate.ask(&probe.scenario.ask).await.map_err(Unable::Candidate)?);
        }
        Ok(answers)
    }

    /// Everything under an overlay.
    pub(super) async fn under(&self, overlay: &Overlay, probes: &[Probe]) -> Result<Tried, Unable> {
        let lists = self.trial(overlay).await?;
        Ok(Tried { lists, probes: self.tried(overlay, probes).await? })
    }

    /// How many values differ, by field; and how many answers to probes, by setting.
    pub(super) fn remaining(&self, tried: &Tried, probes: &[Probe]) -> Vec<Remaining> {
        let mut all = Vec::new();
        for (endpoint, control, candidate) in self.both(&tried.lists) {
            let compared = compare(endpoint, control, candidate, self.keyed_by(endpoint));
            all.extend(compared.tallies.into_iter().map(|(field, tally)| Remaining {
                endpoint: endpoint.name,
                field: self.mask.name(&field),
                compared: tally.compared,
                differing: tally.compared - tally.matched,
            }));
        }
        let mut of_probes: BTreeMap<(&'static str, String), (u64, u64)> = BTreeMap::new();
        for (probe, candidate) in probes.iter().zip(&tried.probes) {
            let of = (probe.scenario.endpoint.name, probe.setting());
            let (compared, differing) = of_probes.entry(of).or_default();
            *compared += 1;
            *differing += u64::from(self.is_other(probe, candidate));
        }
        all.extend(of_probes.into_iter().map(|((endpoint, field), (compared, differing))| {
            Remaining { endpoint, field, compared, differing }
        }));
        all
    }

    /// Every field of a record, every part of a list and every probe that differs.
    pub(super) fn differing(&self, tried: &Tried, probes: &[Probe]) -> BTreeSet<Place> {
        let of_lists = self.both(&tried.lists).flat_map(|(endpoint, control, candidate)| {
            let compared = compare(endpoint, control, candidate, self.keyed_by(endpoint));
            let places = compared.differences.into_iter().filter(|one| one.kind != Kind::Order);
            places.map(move |one| (endpoint.name, one.record, one.field))
        });
        let other = probes.iter().zip(&tried.probes);
        let other = other.filter(|(probe, candidate)| self.is_other(probe, candidate));
        let of_probes = other.map(|(probe, _)| {
            let scenario = &probe.scenario;
            (scenario.endpoint.name, Some(scenario.id.clone()), probe.setting())
        });
        of_lists.chain(of_probes).collect()
    }

    /// Whether a filter finds other users, or a key is refused otherwise. The fields of users are compared in the
    /// whole lists.
    fn is_other(&self, probe: &Probe, candidate: &Reply) -> bool {
        let endpoint = probe.scenario.endpoint;
        let Compared { differences, .. } =
            compare(endpoint, &probe.control, candidate, self.keyed_by(endpoint));
        differences.iter().any(|one| [STATUS, ERROR, RECORDS, BODY].contains(&one.field.as_str()))
    }

    /// Removes the settings under which something differs that agreed before. True if there were any.
    pub(super) fn without_spoiling(
        &mut self,
        before: &BTreeSet<Place>,
        now: &BTreeSet<Place>,
        overlay: &mut Overlay,
    ) -> bool {
        let mut spoiled: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (endpoint, record, field) in now.difference(before) {
            // A record of one side only was not compared, so it did not agree.
            if !before.contains(&(*endpoint, record.clone(), RECORDS.to_owned())) {
                *spoiled.entry((endpoint, field)).or_default() += 1;
            }
        }
        let mut taken = Vec::new();
        for (table, settings) in overlay.iter_mut() {
            let mut against = |name: &str| -> bool {
                let of = spoiled.iter().filter(|((endpoint, field), _)| {
                    (table == UPSTREAM || table == endpoint) && is_about(name, field)
                });
                let count: u64 = of.map(|(_, count)| count).sum();
                if count > 0 {
                    taken.push(format!("{table}.{name}: {count} values that agree would differ"));
                }
                count > 0
            };
            if let Some(Value::Object(filters)) = settings.get_mut("filters") {
                let in_force = self.knowledge.settings(table).filters;
                let spoiling: Vec<String> =
                    filters.keys().filter(|name| against(&filter_setting(name))).cloned().collect();
                for name in spoiling {
                    match in_force.get(&name) {
                        Some(mode) => filters.insert(name, mode.as_str().into()),
                        None => filters.remove(&name),
                    };
                }
            }
            settings.retain(|name, value| {
                let is_empty = value.as_object().is_some_and(Map::is_empty);
                !is_empty && !against(name)
            });
        }
        overlay.retain(|_, settings| !settings.is_empty());
        let is_any = !taken.is_empty();
        self.found.spoiling.extend(taken);
        is_any
    }
}

/// The name of the setting of a filter.
pub(super) fn filter_setting(name: &str) -> String {
    format!("filters.{name}")
}

impl Probe {
    /// The setting that decides the answer.
    fn setting(&self) -> String {
        match self.scenario.group {
            Group::BadKey => "invalid_key".to_owned(),
            _ => filter_setting(self.scenario.filters.first().map_or("", |(name, _)| name)),
        }
    }
}

/// Whether a setting may change a field of a record, a part of a list, or the answer to a probe.
fn is_about(setting: &str, field: &str) -> bool {
    match setting {
        DELETED_AT => field == RECORDS,
        "envelope" => field.starts_with(ENVELOPE) || field == BODY,
        "timezone_names" => field == "timezone",
        "caller_id_groups" => field == "caller_id",
        "channel_types" => field == "assigned_channels",
        _ if setting == field => field == "invalid_key" || field.starts_with("filters."),
        _ => TWO.iter().any(|two| two.setting == setting && two.fields.contains(&field)),
    }
}
