//! Tries the suggested settings, all of them together, before they are believed: candidate under these settings
//! is asked every question again, and its answers are compared with those of control that are remembered. A
//! setting under which something differs that agreed before, or nothing becomes equal, explains nothing.

mod blame;
mod brought;
mod overlay;

use std::collections::{BTreeMap, BTreeSet};

use corpus::ask::Reply;
use corpus::source::Source;
use report::{Replayed, Suggestion};

use super::Run;
use super::finished::Finished;
use crate::cause::{Judgement, SettingKey};
use crate::compare::{BODY, Compared, Difference, Kind, RECORDS, STATUS};
use crate::list::KeyedBy;
use crate::scenario::Scenario;
use blame::{Fault, Faulty};
use overlay::{is_replayable, key_of, overlay};

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
    /// How many answers are not: an earlier run had them, or there was no room.
    missing: u64,
    /// The records that only suggested settings list and that were judged, by endpoint.
    brought: BTreeSet<(&'static str, String)>,
}

impl Remembered {
    /// Counts an answer that cannot be tried.
    pub(super) fn miss(&mut self) {
        self.missing += 1;
    }

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
            self.miss();
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
    /// The judgements of records that only the settings list.
    pub(super) brought: Vec<Finished>,
}

impl Run<'_> {
    /// Tries settings. `None` where there is none to believe. Where candidate cannot be had under other settings,
    /// none of them is tried, and the result says so.
    ///
    /// A question that candidate fails to answer counts as missing. A setting is tried if a difference that it
    /// explains stands in a question that was answered.
    pub(super) async fn tried(&mut self, suggested: &[Suggestion]) -> Option<Trial> {
        let believed: Vec<&Suggestion> = suggested.iter().filter(|one| one.against == 0).collect();
        if believed.is_empty() {
            return None;
        }
        let mut trial = Trial {
            against: BTreeMap::new(),
            replayed: Replayed {
                settings: believed.len() as u64,
                missing: self.remembered.missing,
                ..Replayed::default()
            },
            brought: Vec::new(),
        };
        let overlay = overlay(believed.iter().copied(), self.sides.knowledge);
        let under = match self.sides.behind.filter(|_| !overlay.is_empty()) {
            Some(behind) => behind.under(&overlay).await,
            None => None,
        };
        let Some(Ok(candidate)) = under else { return Some(trial) };
        let keys: BTreeSet<SettingKey> =
            believed.iter().map(|one| key_of(one)).filter(is_replayable).collect();
        let mut explains: BTreeSet<&SettingKey> = BTreeSet::new();
        let mut faults: Vec<Faulty> = Vec::new();
        let mut brought: Vec<(usize, Reply, BTreeSet<String>)> = Vec::new();
        let mut new: Vec<(usize, Place)> = Vec::new();
        let replayed = &mut trial.replayed;
        for (number, one) in self.remembered.answers.iter().enumerate() {
            let Some((reply, now)) = self.differing_now(&*candidate, one).await else {
                replayed.missing += 1;
                continue;
            };
            let is_same_status = reply.status == one.control.status;
            let mut spoiled: Vec<&Place> = now.difference(&one.differing).collect();
            if !spoiled.is_empty() {
                // A place that now differs under the settings in force too has changed in between.
                self.gathered.totals.candidate_requests += 1;
                let in_force = self.differing_now(self.sides.candidate, one).await;
                if let Some((_, in_force)) = in_force {
                    spoiled.retain(|place| !in_force.contains(*place));
                }
            }
            replayed.questions += 1;
            replayed.before += one.differing.len() as u64;
            replayed.after += now.len() as u64;
            for (place, key) in &one.resting {
                let Some(key) = keys.get(key) else { continue };
                explains.insert(key);
                if !is_same_status || !is_mended(place, &now) {
                    faults.push((number, place.clone(), Fault::Stays(key.clone())));
                }
            }
            // What was not compared before did not agree before.
            let had = |record: Option<&String>, field: &str| {
                one.differing.contains(&(record.cloned(), field.to_owned()))
            };
            for place in spoiled {
                match had(None, STATUS) || had(place.0.as_ref(), RECORDS) {
                    true => new.push((number, place.clone())),
                    false => faults.push((number, place.clone(), Fault::Spoiled)),
                }
            }
            let records = self.brought_by(one, &now);
            if !records.is_empty() {
                brought.push((number, reply, records));
            }
        }
        replayed.settings_tried = explains.len() as u64;
        trial.against = self.blame(&believed, faults).await;
        if trial.against.is_empty() {
            for (number, reply, records) in brought {
                trial.brought.push(self.judge_brought(number, &reply, &records, &overlay).await);
            }
        }
        trial.replayed.unjudged = self.unjudged(&new);
        Some(trial)
    }

    /// How many fields differ in records that the settings bring in, where no answer tells the cause.
    fn unjudged(&self, new: &[(usize, Place)]) -> u64 {
        let answers = &self.remembered.answers;
        let of = |number: usize| answers[number].scenario.endpoint.name;
        let is_judged = |(number, (record, field)): &&(usize, Place)| {
            let is_it =
                |record: &String| self.remembered.brought.contains(&(of(*number), record.clone()));
            let same = answers.iter().filter(|other| other.scenario.endpoint.name == of(*number));
            // A field that differs elsewhere is judged there.
            record.as_ref().is_some_and(is_it)
                || same.flat_map(|other| &other.differing).any(|(_, known)| known == field)
        };
        let open = new.iter().filter(|place| !is_judged(place));
        open.map(|(number, (_, field))| (number, field)).collect::<BTreeSet<_>>().len() as u64
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
        let compared = super::compared(&one.scenario, &one.control, &reply, one.by);
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

#[cfg(test)]
mod tests {
    use corpus::ask::Ask;
    use corpus::source::{Answering, Silence};
    use report::Cause;

    use super::*;
    use crate::knowledge::{Knowledge, Overlay};
    use crate::run::{Behind, Plan, Sides};

    /// Answers every question with this status and this body.
    struct Always(u16, &'static str);

    impl Source for Always {
        fn ask<'a>(&'a self, _: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
            let reply = Reply { status: self.0, headers: Vec::new(), body: self.1.into() };
            Box::pin(async move { Ok(reply) })
        }
    }

    /// The new API behind a candidate that answers so under other settings; with the status 0 it does not start.
    struct Under(fn(&Overlay) -> (u16, &'static str));

    impl Behind for Under {
        fn take_calls(&self) -> Vec<String> {
            Vec::new()
        }

        fn ask<'a>(&'a self, _: &'a str) -> Answering<'a, Option<Reply>> {
            Box::pin(async { None })
        }

        fn under<'a>(&'a self, overlay: &'a Overlay) -> Answering<'a, Option<crate::run::Under>> {
            let source: crate::run::Under = match (self.0)(overlay) {
                (0, _) => Err("it does not start".to_owned()),
                (status, body) => Ok(Box::new(Always(status, body))),
            };
            Box::pin(async move { Some(source) })
        }
    }

    /// A setting and the record and field whose difference it explains.
    type Explains = ((&'static str, &'static str), (&'static str, &'static str));

    const EMPLOYEE: Explains =
        (("legacy.v1_users", "employee_id = \"number\""), ("1", "employee_id"));
    const ZONES: Explains = (("legacy.v1_users", "timezone = \"upstream\""), ("1", "timezone"));
    const LONDON: Explains = (
        ("legacy.v1_users.timezone_names", "\"Europe/London\" = \"Edinburgh\""),
        ("2", "timezone"),
    );
    const DELETED: Explains = (("upstream.ams", "deleted_at = \"never\""), ("2", RECORDS));

    /// What a trial of settings shows, where candidate answers `in_force` under those that it has.
    async fn trial(
        control: &'static str,
        in_force: &'static str,
        explains: &[Explains],
        behind: Option<Under>,
    ) -> Trial {
        let (in_force, knowledge) = (Always(200, in_force), Knowledge::default());
        let sides = Sides {
            control: &in_force,
            candidate: &in_force,
            behind: behind.as_ref().map(|behind| behind as &dyn Behind),
            knowledge: &knowledge,
        };
        let plan = Plan::default();
        let mut run = Run::new(&sides, &plan);
        let suggestion = |((table, line), _): &Explains| Suggestion {
            table: (*table).to_owned(),
            line: (*line).to_owned(),
            evidence: 1,
            against: 0,
        };
        let suggested: Vec<Suggestion> = explains.iter().map(suggestion).collect();
        let place =
            |(_, (record, field)): &Explains| (Some((*record).to_owned()), (*field).to_owned());
        run.remembered.answers.push(Answered {
            scenario: Scenario::all(plan.endpoints[0]),
            control: Reply { status: 200, headers: Vec::new(), body: control.into() },
            by: KeyedBy::Id,
            differing: explains.iter().map(place).collect(),
            resting: explains.iter().map(place).zip(suggested.iter().map(key_of)).collect(),
        });
        run.tried(&suggested).await.unwrap()
    }

    const CONTROL: &str = r#"[{"id":1,"employee_id":7,"name":"Jane"}]"#;

    /// Whether a setting that would make `employee_id` equal was tried, what speaks against it, and whether a doubt
    /// is left.
    async fn of_one(under: fn(&Overlay) -> (u16, &'static str)) -> (u64, u64, bool) {
        let in_force = r#"[{"id":1,"employee_id":"7","name":"Jane"}]"#;
        let trial = trial(CONTROL, in_force, &[EMPLOYEE], Some(Under(under))).await;
        let against = trial.against.values().sum();
        (trial.replayed.settings_tried, against, trial.replayed.doubt().is_some())
    }

    #[tokio::test]
    async fn a_trial_without_an_answer_proves_nothing() {
        assert_eq!(of_one(|_| (200, CONTROL)).await, (1, 0, false), "it explains the difference");
        assert_eq!(of_one(|_| (502, "")).await, (0, 0, true), "the gateway under it fails");
        assert_eq!(of_one(|_| (0, "")).await, (0, 0, true), "no gateway starts under it");
        let by_url = trial(CONTROL, "[]", &[EMPLOYEE], None).await;
        assert!(by_url.replayed.doubt().is_some(), "a gateway by its URL has other settings never");
    }

    #[tokio::test]
    async fn a_setting_that_spoils_an_answer_explains_nothing() {
        let (tried, against, _) = of_one(|_| (403, "")).await;
        assert!(tried == 1 && against > 0, "another status");
        assert_eq!(of_one(|_| (200, "[]")).await.1, 2, "the record is gone, and so not mended");
        let other = |_: &Overlay| (200, r#"[{"id":1,"employee_id":7,"name":"Joan"}]"#);
        assert_eq!(of_one(other).await.1, 1, "no setting is known to change the name");
    }

    #[tokio::test]
    async fn only_the_setting_that_spoils_an_answer_is_blamed() {
        let control = r#"[{"id":1,"timezone":"Asia/Oral"},{"id":2,"timezone":"Edinburgh"},{"id":3,"timezone":"Rome"}]"#;
        let in_force = r#"[{"id":1,"timezone":"Oral"},{"id":2,"timezone":"London"},{"id":3,"timezone":"Rome"}]"#;
        let under = |overlay: &Overlay| {
            let has = |name: &str| overlay.values().any(|settings| settings.contains_key(name));
            let body = match (has("timezone"), has("timezone_names")) {
                (true, true) => {
                    r#"[{"id":1,"timezone":"Asia/Oral"},{"id":2,"timezone":"Edinburgh"},{"id":3,"timezone":"Europe/Rome"}]"#
                }
                (true, false) => {
                    r#"[{"id":1,"timezone":"Asia/Oral"},{"id":2,"timezone":"Europe/London"},{"id":3,"timezone":"Europe/Rome"}]"#
                }
                _ => {
                    r#"[{"id":1,"timezone":"Oral"},{"id":2,"timezone":"Edinburgh"},{"id":3,"timezone":"Rome"}]"#
                }
            };
            (200, body)
        };
        let trial = trial(control, in_force, &[ZONES, LONDON], Some(Under(under))).await;
        let blamed: Vec<&str> = trial.against.keys().map(|key| key.name.as_str()).collect();
        assert_eq!(blamed, ["timezone"]);
    }

    #[tokio::test]
    async fn records_that_a_setting_brings_in_are_judged_too() {
        let of = |name: &'static str| async move {
            let under: fn(&Overlay) -> (u16, &'static str) = match name {
                "B" => |_| (200, r#"[{"id":1,"name":"A"},{"id":2,"name":"B"}]"#),
                _ => |_| (200, r#"[{"id":1,"name":"A"},{"id":2,"name":"C"}]"#),
            };
            let control = r#"[{"id":1,"name":"A"},{"id":2,"name":"B"}]"#;
            let in_force = r#"[{"id":1,"name":"A"}]"#;
            trial(control, in_force, &[DELETED], Some(Under(under))).await
        };
        for (name, bugs) in [("B", None), ("C", Some(1))] {
            let trial = of(name).await;
            assert!(trial.against.is_empty() && trial.replayed.unjudged == 0);
            let [finished] = &trial.brought[..] else { panic!("it brings one record in") };
            assert_eq!(finished.records, 1);
            assert_eq!(finished.scenario.causes.get(&Cause::Bug).copied(), bugs, "{name}");
        }
    }
}
