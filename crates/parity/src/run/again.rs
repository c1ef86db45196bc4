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
    /// Whether that is another value than before.
    has_moved: bool,
}

/// One more reading of both sides, taken apart once for all that is pending.
struct Reading<'a> {
    key: Option<&'a str>,
    records: Records<'a>,
    now: Compared,
    /// How control differs from what it said first.
    since: Compared,
}

impl<'a> Reading<'a> {
    fn of(
        scenario: &Scenario,
        key: Option<&'a str>,
        first: &Pair,
        pair: &'a Pair,
        by: KeyedBy,
    ) -> Reading<'a> {
        let endpoint = scenario.endpoint;
        Reading {
            key,
            records: Records::of(pair, by),
            now: compare(endpoint, &pair.control, &pair.candidate, by),
            since: compare(endpoint, &first.control, &pair.control, by),
        }
    }
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
            let control = at(difference, &|key| records.control(key));
            Pending { place: *place, control, has_moved: false }
        };
        let mut pending: Vec<Pending> = doubtful.iter().map(start).collect();
        for _ in 0..ROUNDS_MAX {
            let Some(pairs) = self.ask_again(scenario, found, &pending, by).await else { return };
            let readings: Vec<Reading<'_>> = pairs
                .iter()
                .map(|(key, pair)| Reading::of(scenario, key.as_deref(), first, pair, by))
                .collect();
            let mut moving = Vec::new();
            for one in pending {
                let difference = &found.differences[one.place];
                let is_it = |reading: &&Reading<'_>| {
                    reading.key.is_none() || reading.key == difference.record.as_deref()
                };
                let Some(reading) = readings.iter().find(is_it) else { continue };
                match fate(difference, &one, reading) {
                    Fate::Settled => {}
                    // Once control has moved, what goes away had to do with that.
                    Fate::Unsteady if one.has_moved => judged[one.place] = Some(race()),
                    Fate::Race => judged[one.place] = Some(race()),
                    Fate::Unsteady => judged[one.place] = Some(unsteady()),
                    Fate::Moving(control) => {
                        moving.push(Pending { place: one.place, control, has_moved: true });
                    }
                }
            }
            pending = moving;
            if pending.is_empty() {
                return;
            }
        }
        for one in pending {
            // A field that candidate lacks, or has in another form, differs whatever control says.
            let difference = &found.differences[one.place];
            let is_null = [&difference.control, &difference.candidate].contains(&&Some(Node::Null));
            if difference.kind == Kind::Absent || difference.kind == Kind::Type && !is_null {
                continue;
            }
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
    let is_gone = match difference.kind {
        Kind::Repeated => !now
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
