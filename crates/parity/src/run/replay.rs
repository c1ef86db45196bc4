//! Tries the suggested settings, all of them together, before they are believed: candidate under these settings
//! is asked every question again, and its answers are compared with those of control that are remembered. A
//! setting under which something differs that agreed before, or nothing becomes equal, explains nothing.

use std::collections::{BTreeMap, BTreeSet};

use corpus::ask::Reply;
use corpus::source::Source;
use report::{Replayed, Suggestion};
use serde_json::{Value, json};

use super::Run;
use crate::calibrate::{Overlay, UPSTREAM, insert_below};
use crate::cause::{DELETED_AT, Judgement, SettingKey};
use crate::compare::{BODY, Compared, Difference, Kind, RECORDS, STATUS, compare};
use crate::knowledge::{Knowledge, TWO};
use crate::list::KeyedBy;
use crate::scenario::Scenario;

/// The most bytes of answers that are remembered. An answer that finds no room is not tried.
const REMEMBERED_BYTES_MAX: usize = 16 << 20;
/// The memory that a place takes, roughly.
const PLACE_BYTES: usize = 128;

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
    /// Remembers an answer, if there is room for it.
    pub(super) fn note(
        &mut self,
        scenario: &Scenario,
        control: &Reply,
        by: KeyedBy,
        (found, judged): (&Compared, &[Judgement]),
    ) -> bool {
        let size = control.body.len() + found.differences.len() * PLACE_BYTES;
        if self.bytes + size > REMEMBERED_BYTES_MAX {
            return false;
        }
        self.bytes += size;
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
        true
    }
}

/// What a trial has shown.
pub(super) struct Trial {
    /// The settings that explain nothing, and how many values speak against each.
    pub(super) against: BTreeMap<SettingKey, u64>,
    pub(super) replayed: Replayed,
}

impl Run<'_> {
    /// Tries settings. `None` where there is none to try, or candidate cannot be had under other settings.
    ///
    /// A question is not tried where candidate fails to answer it. A setting is tried if a difference that it
    /// explains stands in a question that was.
    pub(super) async fn tried(&mut self, suggested: &[Suggestion]) -> Option<Trial> {
        let overlay = overlay(suggested, self.sides.knowledge);
        if overlay.is_empty() {
            return None;
        }
        let candidate = self.sides.behind?.under(&overlay).await?;
        let keys: BTreeSet<SettingKey> = suggested
            .iter()
            .filter(|one| one.against == 0)
            .map(key_of)
            .filter(is_replayable)
            .collect();
        let mut against: BTreeMap<SettingKey, u64> = BTreeMap::new();
        let mut mended: BTreeMap<&SettingKey, (u64, u64)> = BTreeMap::new();
        let mut replayed = Replayed { settings: keys.len() as u64, ..Replayed::default() };
        let Ok(candidate) = candidate else { return Some(Trial { against, replayed }) };
        for one in &self.remembered.answers {
            let Some((reply, now)) = self.differing_now(&*candidate, one).await else { continue };
            let is_same_status = reply.status == one.control.status;
            let mut spoiled: Vec<&Place> = now.difference(&one.differing).collect();
            if !spoiled.is_empty() {
                // A place that now differs under the settings in force too has changed in between.
                self.gathered.totals.candidate_requests += 1;
                let in_force = self.differing_now(self.sides.candidate, one).await;
                let Some((_, in_force)) = in_force else { continue };
                spoiled.retain(|place| !in_force.contains(*place));
            }
            replayed.questions += 1;
            replayed.before += one.differing.len() as u64;
            replayed.after += now.len() as u64;
            for (place, key) in &one.resting {
                let Some(key) = keys.get(key) else { continue };
                let (mended, all) = mended.entry(key).or_default();
                *mended += u64::from(is_same_status && is_mended(place, &now));
                *all += 1;
            }
            // What was not compared before did not agree before.
            let had = |record: Option<&String>, field: &str| {
                one.differing.contains(&(record.cloned(), field.to_owned()))
            };
            let (compared, new): (Vec<&Place>, Vec<&Place>) = spoiled
                .into_iter()
                .partition(|place| !had(None, STATUS) && !had(place.0.as_ref(), RECORDS));
            // A field that differs elsewhere is judged there.
            let is_judged = |field: &String| {
                let of = self.remembered.answers.iter();
                let of =
                    of.filter(|other| other.scenario.endpoint.name == one.scenario.endpoint.name);
                of.flat_map(|other| &other.differing).any(|(_, known)| known == field)
            };
            let fields: BTreeSet<&String> = new.iter().map(|(_, field)| field).collect();
            replayed.unjudged +=
                fields.into_iter().filter(|field| !is_judged(field)).count() as u64;
            for (_, field) in compared {
                let touching: Vec<_> = keys.iter().filter(|key| touches(key, one, field)).collect();
                // Where no setting is known to change this, any of them may have.
                let blamed = if touching.is_empty() { keys.iter().collect() } else { touching };
                blamed.into_iter().for_each(|key| *against.entry(key.clone()).or_default() += 1);
            }
        }
        replayed.settings_tried = mended.len() as u64;
        for (key, (mended, all)) in mended {
            // A setting does not explain a difference that it leaves as it is.
            if mended < all {
                *against.entry(key.clone()).or_default() += all - mended;
            }
        }
        Some(Trial { against, replayed })
    }

    /// The answer to a question that was asked before, and where it differs from control's; `None` where
    /// candidate fails to answer.
    async fn differing_now(
        &self,
        candidate: &dyn Source,
        one: &Answered,
    ) -> Option<(Reply, BTreeSet<Place>)> {
        let reply = candidate.ask(&one.scenario.ask).await.ok()?;
        if reply.status >= 500 && reply.status != one.control.status {
            return None;
        }
        let endpoint = one.scenario.endpoint;
        let compared = compare(endpoint, &one.control, &reply, one.by);
        let is_ignored = |field: &str| {
            self.plan.ignored.iter().any(|(of, name)| of == endpoint.name && name == field)
        };
        let all = compared.differences.into_iter();
        let all = all.filter(|one| one.kind != Kind::Order && !is_ignored(&one.field));
        Some((reply, all.map(|one| (one.record, one.field)).collect()))
    }
}

/// Whether a place is compared now, and equal.
fn is_mended(place: &Place, now: &BTreeSet<Place>) -> bool {
    let differs =
        |record: Option<&String>, field: &str| now.contains(&(record.cloned(), field.to_owned()));
    !now.contains(place) && !differs(None, BODY) && !differs(place.0.as_ref(), RECORDS)
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
    use corpus::ask::Ask;
    use corpus::source::{Answering, Silence};

    use super::*;
    use crate::run::{Behind, Plan, Sides, Under};

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

    /// Answers every question with this status and this body.
    struct Always(u16, &'static str);

    impl Source for Always {
        fn ask<'a>(&'a self, _: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
            let reply = Reply { status: self.0, headers: Vec::new(), body: self.1.into() };
            Box::pin(async move { Ok(reply) })
        }
    }

    /// The new API behind a candidate that answers so under other settings.
    struct Trial(u16, &'static str);

    impl Behind for Trial {
        fn take_calls(&self) -> Vec<String> {
            Vec::new()
        }

        fn ask<'a>(&'a self, _: &'a str) -> Answering<'a, Option<Reply>> {
            Box::pin(async { None })
        }

        fn under<'a>(&'a self, _: &'a Overlay) -> Answering<'a, Option<Under>> {
            let source: Under = match self.0 {
                0 => Err("it does not start".to_owned()),
                status => Ok(Box::new(Always(status, self.1))),
            };
            Box::pin(async move { Some(source) })
        }
    }

    const CONTROL: &str = r#"[{"id":1,"employee_id":7,"name":"Jane"}]"#;

    /// What a trial of a setting shows, which would make `employee_id` equal.
    async fn trial(status: u16, body: &'static str) -> (u64, u64, bool) {
        let (in_force, knowledge) =
            (Always(200, r#"[{"id":1,"employee_id":"7","name":"Jane"}]"#), Knowledge::default());
        let behind = Trial(status, body);
        let sides = Sides {
            control: &in_force,
            candidate: &in_force,
            behind: Some(&behind),
            knowledge: &knowledge,
        };
        let plan = Plan::default();
        let mut run = Run::new(&sides, &plan);
        let scenario = Scenario::all(plan.endpoints[0]);
        let place = (Some("1".to_owned()), "employee_id".to_owned());
        let table = format!("legacy.{}", scenario.endpoint.name);
        let key = SettingKey { table: table.clone(), name: "employee_id".to_owned() };
        run.remembered.answers.push(Answered {
            scenario,
            control: Reply { status: 200, headers: Vec::new(), body: CONTROL.into() },
            by: KeyedBy::Id,
            differing: BTreeSet::from([place.clone()]),
            resting: vec![(place, key)],
        });
        let line = "employee_id = \"number\"".to_owned();
        let suggested = [Suggestion { table, line, evidence: 1, against: 0 }];
        let trial = run.tried(&suggested).await.unwrap();
        let against = trial.against.values().sum();
        (trial.replayed.settings_tried, against, trial.replayed.doubt().is_some())
    }

    #[tokio::test]
    async fn a_trial_without_an_answer_proves_nothing() {
        assert_eq!(trial(200, CONTROL).await, (1, 0, false), "it explains the difference");
        assert_eq!(trial(502, "").await, (0, 0, true), "the gateway under it fails");
        assert_eq!(trial(0, "").await, (0, 0, true), "no gateway starts under it");
    }

    #[tokio::test]
    async fn a_setting_that_spoils_an_answer_explains_nothing() {
        let (tried, against, _) = trial(403, "").await;
        assert!(tried == 1 && against > 0, "another status");
        assert_eq!(trial(200, "[]").await.1, 2, "the record is gone, and so not mended");
        let other = r#"[{"id":1,"employee_id":7,"name":"Joan"}]"#;
        assert_eq!(trial(200, other).await.1, 1, "no setting is known to change the name");
    }
}
