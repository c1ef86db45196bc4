//! Both sides are asked again for what differs and has no explanation: what the data did in between
//! is nobody's fault. Nothing else is asked again, so that quiet data cost one pass.

use super::judge::Records;
use super::{Pair, Run};
use crate::ask::Ask;
use crate::cause::Judgement;
use crate::compare::{Compared, Difference, Kind, ORDER, RECORDS, compare};
use crate::list::KeyedBy;
use crate::node::Node;
use crate::report::Cause;
use crate::scenario::{Group, Scenario};

/// Times both sides are asked again at most.
const ROUNDS_MAX: usize = 3;
/// Up to this many records are asked for one by one, where the endpoint has a filter by id.
const ONE_BY_ONE_MAX: usize = 3;

/// A difference that may go away.
struct Pending {
    place: usize,
    /// What control last said there.
    control: Option<Node>,
}

/// What became of it.
enum Fate {
    /// It is gone, and control changed.
    Race,
    /// It is gone though control held still.
    Unsteady,
    /// It is there, and control held still.
    Settled,
    /// Control says something else again.
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
            Pending { place: *place, control: at(difference, &|key| records.control(key)) }
        };
        let mut pending: Vec<Pending> = doubtful.iter().map(start).collect();
        for _ in 0..ROUNDS_MAX {
            let Some(pairs) = self.ask_again(scenario, found, &pending, by).await else { return };
            let seconds: Vec<Second<'_>> = pairs
                .iter()
                .map(|(key, pair)| Second::of(scenario, key, first, pair, by))
                .collect();
            let mut moving = Vec::new();
            for one in pending {
                let difference = &found.differences[one.place];
                let is_it = |second: &&Second<'_>| {
                    second.key.is_none() || second.key.as_ref() == difference.record.as_ref()
                };
                let Some(second) = seconds.iter().find(is_it) else { continue };
                match fate(difference, &one, second) {
                    Fate::Settled => {}
                    Fate::Race => judged[one.place] = Some(race()),
                    Fate::Unsteady => judged[one.place] = Some(unsteady()),
                    Fate::Moving(control) => moving.push(Pending { place: one.place, control }),
                }
            }
            pending = moving;
            if pending.is_empty() {
                return;
            }
        }
        for one in pending {
            judged[one.place] = Some(Judgement {
                cause: Cause::Noise,
                why: "control says something else each time it is asked".to_owned(),
                setting: None,
            });
        }
    }

    /// The same question again, or one for each record where those are few. `None` where a side does
    /// not answer: then the judgement stands as it is.
    async fn ask_again(
        &mut self,
        scenario: &Scenario,
        found: &Compared,
        pending: &[Pending],
        by: KeyedBy,
    ) -> Option<Vec<(Option<String>, Pair)>> {
        let mut keys: Vec<&String> =
            pending.iter().filter_map(|one| found.differences[one.place].record.as_ref()).collect();
        keys.sort();
        keys.dedup();
        let is_by_id = scenario.group == Group::All
            && by == KeyedBy::Id
            && scenario.endpoint.filters.contains(&"id")
            && pending.iter().all(|one| found.differences[one.place].record.is_some())
            && keys.len() <= ONE_BY_ONE_MAX;
        let asks: Vec<(Option<String>, Ask)> = if is_by_id {
            let one = |key: &&String| {
                let query = vec![("id".to_owned(), (*key).clone())];
                (Some((*key).clone()), Ask { query, ..scenario.ask.clone() })
            };
            keys.iter().map(one).collect()
        } else {
            vec![(None, scenario.ask.clone())]
        };
        let mut pairs = Vec::new();
        for (key, ask) in asks {
            self.gathered.totals.control_requests_extra += 1;
            pairs.push((key, self.ask(&ask).await.ok()?));
        }
        Some(pairs)
    }
}

/// What a side has where a difference is: the whole field, the record, or the difference's own value.
fn at(difference: &Difference, record: &dyn Fn(&str) -> Option<Node>) -> Option<Node> {
    match (&difference.record, difference.field.as_str()) {
        (Some(key), RECORDS) => record(key).map(|_| Node::Bool(true)),
        (Some(key), field) => record(key)?.get(field).cloned(),
        (None, _) => difference.control.clone(),
    }
}

/// The answers to a question that was asked again, read once for all that differed.
struct Second<'a> {
    /// The record that was asked for; none is all of them.
    key: &'a Option<String>,
    records: Records<'a>,
    /// How the two sides differ now.
    now: Compared,
    /// How control differs from what it said first.
    since: Compared,
}

impl<'a> Second<'a> {
    fn of(
        scenario: &Scenario,
        key: &'a Option<String>,
        first: &Pair,
        pair: &'a Pair,
        by: KeyedBy,
    ) -> Second<'a> {
        Second {
            key,
            records: Records::of(pair, by),
            now: compare(scenario.endpoint, &pair.control, &pair.candidate, by),
            since: compare(scenario.endpoint, &first.control, &pair.control, by),
        }
    }
}

fn fate(difference: &Difference, before: &Pending, second: &Second<'_>) -> Fate {
    if difference.record.is_none() {
        let is_it = |one: &&Difference| {
            one.record.is_none() && one.path == difference.path && difference.field != ORDER
        };
        return match second.now.differences.iter().find(is_it) {
            None if !second.since.differences.iter().any(|one| is_it(&one)) => Fate::Unsteady,
            None => Fate::Race,
            Some(now) if now.control == before.control => Fate::Settled,
            Some(now) => Fate::Moving(now.control.clone()),
        };
    }
    let control = at(difference, &|key| second.records.control(key));
    let candidate = at(difference, &|key| second.records.candidate(key));
    let is_gone = match difference.kind {
        Kind::Repeated => !second
            .now
            .differences
            .iter()
            .any(|one| one.kind == Kind::Repeated && one.record == difference.record),
        _ => control == candidate,
    };
    match (is_gone, control == before.control) {
        (true, true) => Fate::Unsteady,
        (true, false) => Fate::Race,
        (false, true) => Fate::Settled,
        (false, false) => Fate::Moving(control),
    }
}

fn race() -> Judgement {
    Judgement {
        cause: Cause::Race,
        why: "control changed between the two readings; asked again, both say the same".to_owned(),
        setting: None,
    }
}

fn unsteady() -> Judgement {
    Judgement {
        cause: Cause::Bug,
        why: "candidate answered the same question in two ways while control held still".to_owned(),
        setting: None,
    }
}
