//! Tries the suggested settings, all of them together, before they are believed: candidate under these settings
//! is asked every question again, and its answers are compared with those of control that are remembered. A
//! setting under which something differs that agreed before, or nothing becomes equal, explains nothing.

use std::collections::{BTreeMap, BTreeSet};

use corpus::ask::Reply;
use report::{Replayed, Suggestion};
use serde_json::{Value, json};

use super::Run;
use crate::calibrate::{Overlay, UPSTREAM, insert_below};
use crate::cause::{DELETED_AT, Judgement, SettingKey};
use crate::compare::{Compared, Difference, Kind, RECORDS, STATUS, compare};
use crate::knowledge::{Knowledge, TWO};
use crate::list::KeyedBy;
use crate::scenario::Scenario;

/// The most bytes of answers that are remembered. Further answers are not tried.
const REMEMBERED_BYTES_MAX: usize = 64 << 20;

/// A field of a record, or a part of an answer.
type Place = (Option<String>, String);

/// An answer of control, and how candidate's differed.
pub(super) struct Answered {
    scenario: Scenario,
    control: Reply,
    by: KeyedBy,
    differing: BTreeSet<Place>,
    /// The differences that settings explain.
    resting: Vec<(Place, SettingKey)>,
}

/// The answers that are remembered.
#[derive(Default)]
pub(super) struct Remembered {
    answers: Vec<Answered>,
    bytes: usize,
}

impl Remembered {
    pub(super) fn note(
        &mut self,
        scenario: &Scenario,
        control: &Reply,
        by: KeyedBy,
        (found, judged): (&Compared, &[Judgement]),
    ) {
        self.bytes += control.body.len();
        if self.bytes > REMEMBERED_BYTES_MAX {
            return;
        }
        let place = |one: &Difference| (one.record.clone(), one.field.clone());
        let resting = found.differences.iter().zip(judged).filter_map(|(one, judgement)| {
            Some((place(one), judgement.setting.as_ref()?.key.clone()))
        });
        self.answers.push(Answered {
            scenario: scenario.clone(),
            control: control.clone(),
            by,
            differing: found
                .differences
                .iter()
                .filter(|one| one.kind != Kind::Order)
                .map(place)
                .collect(),
            resting: resting.collect(),
        });
    }
}

impl Run<'_> {
    /// Tries settings, and returns the keys of those that explain nothing, with the number of values that
    /// speak against each. `None` where candidate cannot be asked under other settings.
    pub(super) async fn tried(
        &mut self,
        suggested: &[Suggestion],
    ) -> Option<(BTreeMap<SettingKey, u64>, Replayed)> {
        let overlay = overlay(suggested, self.sides.knowledge);
        if overlay.is_empty() {
            return None;
        }
        let candidate = self.sides.behind?.under(&overlay).await?;
        let mut against: BTreeMap<SettingKey, u64> = BTreeMap::new();
        let mut mended: BTreeMap<SettingKey, (u64, u64)> = BTreeMap::new();
        let mut replayed = Replayed::default();
        let keys: Vec<SettingKey> = suggested.iter().map(key_of).collect();
        for one in &self.remembered.answers {
            let Ok(reply) = candidate.ask(&one.scenario.ask).await else { continue };
            let compared = compare(one.scenario.endpoint, &one.control, &reply, one.by);
            let all = compared.differences.into_iter();
            let now: BTreeSet<Place> = all
                .filter(|one| one.kind != Kind::Order)
                .map(|one| (one.record, one.field))
                .collect();
            replayed.questions += 1;
            replayed.before += one.differing.len() as u64;
            replayed.after += now.len() as u64;
            for (place, key) in &one.resting {
                let (mended, all) = mended.entry(key.clone()).or_default();
                *mended += u64::from(!now.contains(place));
                *all += 1;
            }
            // What was not compared before did not agree before.
            let is_compared = |place: &&Place| {
                let had = |record: Option<&String>, field: &str| {
                    one.differing.contains(&(record.cloned(), field.to_owned()))
                };
                !had(None, STATUS) && !had(place.0.as_ref(), RECORDS)
            };
            let mut spoiled: Vec<&Place> =
                now.difference(&one.differing).filter(is_compared).collect();
            if spoiled.is_empty() {
                continue;
            }
            // What differs under the settings in force as well has changed in between.
            if let Ok(reply) = self.sides.candidate.ask(&one.scenario.ask).await {
                self.gathered.totals.candidate_requests += 1;
                let compared = compare(one.scenario.endpoint, &one.control, &reply, one.by);
                let moved = |place: &&Place| {
                    let is_it =
                        |one: &Difference| (&one.record, &one.field) == (&place.0, &place.1);
                    compared.differences.iter().any(is_it)
                };
                spoiled.retain(|place| !moved(place));
            }
            for key in &keys {
                let count = spoiled.iter().filter(|place| touches(key, one, &place.1)).count();
                if count > 0 {
                    *against.entry(key.clone()).or_default() += count as u64;
                }
            }
        }
        for (key, (mended, all)) in mended {
            // What a setting leaves as it is, it does not explain.
            if mended * 10 < all * 9 && keys.contains(&key) && is_replayable(&key) {
                *against.entry(key).or_default() += all - mended;
            }
        }
        Some((against, replayed))
    }
}

fn key_of(suggestion: &Suggestion) -> SettingKey {
    let name = name_of(&suggestion.line).unwrap_or(&suggestion.line);
    SettingKey { table: suggestion.table.clone(), name: name.to_owned() }
}

/// The name in a line of TOML, which may be quoted.
fn name_of(line: &str) -> Option<&str> {
    let mut names = serde_json::Deserializer::from_str(line).into_iter::<String>();
    match line.starts_with('"') {
        true => names.next()?.ok().map(|_| &line[..names.byte_offset()]),
        false => line.split_once(" = ").map(|(name, _)| name),
    }
}

/// Whether a setting may change this part of an answer.
fn touches(key: &SettingKey, of: &Answered, field: &str) -> bool {
    let endpoint = of.scenario.endpoint.name;
    let Some(table) = key.table.strip_prefix("legacy.") else {
        // The other tables are of all endpoints.
        return true;
    };
    let mut parts = table.splitn(2, '.');
    if parts.next() != Some(endpoint) {
        return false;
    }
    let is_filter = |name: &str| {
        field == "$records" && of.scenario.filters.iter().any(|(filter, _)| filter == name)
    };
    let two = TWO.iter().find(|two| two.setting == key.name);
    match (parts.next(), key.name.as_str()) {
        (Some("filters"), name) => is_filter(name),
        (Some("timezone_names"), _) => field == "timezone" || is_filter("timezone"),
        (Some("caller_id_groups"), _) => field == "caller_id" || is_filter("caller_id"),
        (Some("channel_types"), _) => field == "assigned_channels",
        (None, "envelope") => field.starts_with("$envelope") || field == "$body",
        (None, "invalid_key") => matches!(field, "$status" | "$error"),
        (None, _) => two.is_some_and(|two| two.fields.contains(&field)),
        _ => true,
    }
}

fn is_replayable(key: &SettingKey) -> bool {
    key.table.starts_with("legacy") || key.name == DELETED_AT
}

/// The settings as an overlay of a configuration.
fn overlay(suggested: &[Suggestion], knowledge: &Knowledge) -> Overlay {
    let mut overlay = Overlay::new();
    for one in suggested.iter().filter(|one| one.against == 0) {
        let key = key_of(one);
        let text = one.line.strip_prefix(&key.name).and_then(|line| line.strip_prefix(" = "));
        let Some(value) = text.and_then(value_of).filter(|_| is_replayable(&key)) else { continue };
        let name = serde_json::from_str::<String>(&key.name).unwrap_or_else(|_| key.name.clone());
        let table = match key.table.split_once('.') {
            None => key.table.as_str(),
            Some(("legacy", table)) => table,
            Some(_) => UPSTREAM,
        };
        match table.split_once('.') {
            None => {
                overlay.entry(table.to_owned()).or_default().insert(name, value);
            }
            Some((endpoint, table)) => {
                let settings = knowledge.settings(endpoint);
                let in_force = match table {
                    "timezone_names" => &settings.timezone_names,
                    "caller_id_groups" => &settings.caller_id_groups,
                    "channel_types" => &settings.channel_types,
                    _ => &settings.filters,
                };
                let of = overlay.entry(endpoint.to_owned()).or_default();
                insert_below(of, table, in_force, &name, value.as_str().unwrap_or_default());
            }
        }
    }
    overlay
}

/// A value in TOML, as far as settings have them: a text, or status and text of a refusal.
fn value_of(toml: &str) -> Option<Value> {
    if let Some(rest) = toml.strip_prefix("{ status = ") {
        let (status, text) = rest.strip_suffix(" }")?.split_once(", text = ")?;
        let (status, text) =
            (status.parse::<u16>().ok()?, serde_json::from_str::<String>(text).ok()?);
        return Some(json!({ "status": status, "text": text }));
    }
    serde_json::from_str::<String>(toml).ok().map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_become_an_overlay() {
        let of = |table: &str, line: &str| Suggestion {
            table: table.to_owned(),
            line: line.to_owned(),
            evidence: 1,
            against: 0,
        };
        let overlay = overlay(
            &[
                of("legacy.v1_users", "employee_id = \"number\""),
                of("legacy.v1_users", "invalid_key = { status = 403, text = \"a, text = b\" }"),
                of("legacy.v1_users.caller_id_groups", "\"1 = 2\" = \"Day\""),
                of("legacy.v3_cdr_users.filters", "sag = \"contains\""),
                of("legacy", "body_parameters = \"ignore\""),
                of("upstream.ams", "deleted_at = \"never\""),
                of("upstream.ams", "id_policy = \"map\""),
            ],
            &Knowledge::default(),
        );
        let expect = json!({
            "legacy": { "body_parameters": "ignore" },
            "upstream": { "deleted_at": "never" },
            "v1_users": {
                "caller_id_groups": { "1 = 2": "Day" },
                "employee_id": "number",
                "invalid_key": { "status": 403, "text": "a, text = b" },
            },
            "v3_cdr_users": { "filters": { "sag": "contains" } },
        });
        assert_eq!(json!(overlay), expect);
    }
}
