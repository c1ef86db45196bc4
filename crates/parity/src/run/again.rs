//! Asks both sides again about differences without an explanation, because the data may have changed
//! between the two answers. Nothing else is asked again, so that a run over steady data takes one pass.

use std::collections::BTreeSet;

use corpus::ask::Ask;
use corpus::node::Node;
use report::Cause;

use super::records::Records;
use super::{Pair, Run, compared};
use crate::cause::Judgement;
use crate::compare::{Compared, Difference, Kind, ORDER, RECORDS};
use crate::list::KeyedBy;
use crate::scenario::{Group, Scenario};

/// How often both sides are asked again at most.
const ROUNDS_MAX: usize = 3;
/// The most records that are asked for one by one, where the endpoint has a filter by id.
const ONE_BY_ONE_MAX: usize = 3;

/// The reason of noise.
pub(super) const NOISE: &str = "control says something else each time it is asked";

/// A difference that may disappear.
struct Pending {
    place: usize,
    control: Option<Node>,
    /// Whether control has changed this value.
    has_moved: bool,
}

/// One more pair of answers, compared once for all pending differences.
struct Reading<'a> {
    records: Records<'a>,
    now: Compared,
    /// The differences between control and its first answer.
    since: Compared,
}

impl<'a> Reading<'a> {
    fn of(scenario: &Scenario, first: &Pair, pair: &'a Pair, by: KeyedBy) -> Reading<'a> {
        Reading {
            records: Records::of(pair, by),
            now: compared(scenario, &pair.control, &pair.candidate, by),
            since: compared(scenario, &first.control, &pair.control, by),
        }
    }
}

enum Fate {
    /// It disappeared, and control changed.
    Race,
    /// It disappeared, although control did not change.
    Unsteady,
    /// It is still there, and control did not change.
    Settled,
    /// It is still there, and control changed again.
    Moving(Option<Node>),
}

impl Run<'_> {
    pub(super) async fn again(
        &mut self,
        scenario: &Scenario,
        first: &Pair,
        found: &Compared,
        doubtful: &[usize],
        judged: &mut [Option<Judgement>],
        by: KeyedBy,
    ) {
        let records = Records::of(first, by);
        let start = |place: &usize| {
            let difference = &found.differences[*place];
            let control = at(difference, &|key| records.control(key));
            Pending { place: *place, control, has_moved: false }
        };
        let mut pending: Vec<Pending> = doubtful.iter().map(start).collect();
        // An answer about one record comes from another question. It can only confirm a difference.
        if let Some(keys) = one_by_one(scenario, found, &pending, by) {
            let Some(pairs) = self.ask_for_each(scenario, &keys).await else { return };
            pending.retain(|one| {
                let difference = &found.differences[one.place];
                let of_record =
                    pairs.iter().find(|(key, _)| Some(key) == difference.record.as_ref());
                let reading = of_record.map(|(_, pair)| Reading::of(scenario, first, pair, by));
                let fate = reading.map(|reading| fate(difference, one, &reading));
                !matches!(fate, Some(Fate::Settled))
            });
        }
        for _ in 0..ROUNDS_MAX {
            if pending.is_empty() {
                return;
            }
            self.gathered.totals.control_requests_extra += 1;
            let Ok(pair) = self.ask(&scenario.ask).await else { return };
            let reading = Reading::of(scenario, first, &pair, by);
            let mut moving = Vec::new();
            for one in pending {
                let difference = &found.differences[one.place];
                match fate(difference, &one, &reading) {
                    Fate::Settled => {}
                    // Control has changed before, which explains that the difference disappeared.
                    Fate::Unsteady if !one.has_moved => {
                        judged[one.place] = Some(Judgement::bug(
                            "candidate answered the same question in two ways while control held still",
                        ))
                    }
                    Fate::Race | Fate::Unsteady => {
                        judged[one.place] = Some(Judgement::new(
                            Cause::Race,
                            "control changed between the two readings; asked again, both say the same",
                        ))
                    }
                    Fate::Moving(control) => {
                        moving.push(Pending { place: one.place, control, has_moved: true });
                    }
                }
            }
            pending = moving;
        }
        for one in pending {
            // A missing field, or another form, differs from every value of control.
            let difference = &found.differences[one.place];
            let is_null = [&difference.control, &difference.candidate].contains(&&Some(Node::Null));
            if difference.kind == Kind::Absent || difference.kind == Kind::Type && !is_null {
                continue;
            }
            judged[one.place] = Some(Judgement::new(Cause::Noise, NOISE));
        }
    }

    /// Asks for each record. `None` where a side does not answer; the judgement stays then.
    async fn ask_for_each(
        &mut self,
        scenario: &Scenario,
        keys: &[String],
    ) -> Option<Vec<(String, Pair)>> {
        let mut pairs = Vec::new();
        for key in keys {
            let query = vec![("id".to_owned(), key.clone())];
            let ask = Ask { query, ..scenario.ask.clone() };
            self.gathered.totals.control_requests_extra += 1;
            pairs.push((key.clone(), self.ask(&ask).await.ok()?));
        }
        Some(pairs)
    }
}

/// The records to ask for one by one, if values of only a few records differ. Whether a record is listed,
/// and how often, only the list can show.
fn one_by_one(
    scenario: &Scenario,
    found: &Compared,
    pending: &[Pending],
    by: KeyedBy,
) -> Option<Vec<String>> {
    let has_filter = by == KeyedBy::Id && scenario.endpoint.filters.contains(&"id");
    if scenario.group != Group::All || !has_filter {
        return None;
    }
    let mut keys = BTreeSet::new();
    for one in pending {
        let difference = &found.differences[one.place];
        let is_value = difference.field != RECORDS;
        keys.insert(difference.record.as_ref().filter(|_| is_value)?.clone());
    }
    (keys.len() <= ONE_BY_ONE_MAX).then(|| keys.into_iter().collect())
}

/// The value at a difference: the whole field, whether the record exists, or the difference's own value.
fn at(difference: &Difference, record: &dyn Fn(&str) -> Option<Node>) -> Option<Node> {
    match (&difference.record, difference.field.as_str()) {
        (Some(key), RECORDS) => record(key).map(|_| Node::Bool(true)),
        (Some(key), field) => record(key)?.get(field).cloned(),
        (None, _) => difference.control.clone(),
    }
}

fn fate(difference: &Difference, before: &Pending, reading: &Reading<'_>) -> Fate {
    let Reading { records, now, since, .. } = reading;
    if difference.record.is_none() {
        let is_it = |one: &&Difference| {
            one.record.is_none() && one.path == difference.path && difference.field != ORDER
        };
        return match now.differences.iter().find(is_it) {
            None if !since.differences.iter().any(|one| is_it(&one)) => Fate::Unsteady,
            None => Fate::Race,
            Some(now) if now.control == before.control => Fate::Settled,
            Some(now) => Fate::Moving(now.control.clone()),
        };
    }
    let control = at(difference, &|key| records.control(key));
    let candidate = at(difference, &|key| records.candidate(key));
    let is_repeated =
        |one: &Difference| one.kind == Kind::Repeated && one.record == difference.record;
    let (is_gone, is_still) = match difference.kind {
        Kind::Repeated => {
            (!now.differences.iter().any(is_repeated), !since.differences.iter().any(is_repeated))
        }
        _ => (control == candidate, control == before.control),
    };
    match (is_gone, is_still) {
        (true, true) => Fate::Unsteady,
        (true, false) => Fate::Race,
        (false, true) => Fate::Settled,
        (false, false) => Fate::Moving(control),
    }
}
