//! Both sides are asked again for what differs and has no explanation: what the data did in between
//! is nobody's fault. Nothing else is asked again, so that quiet data cost one pass.

use std::collections::BTreeSet;

use corpus::ask::Ask;
use corpus::node::Node;
use report::Cause;

use super::records::Records;
use super::{Pair, Run};
use crate::cause::Judgement;
use crate::compare::{Compared, Difference, Kind, ORDER, RECORDS, compare};
use crate::list::KeyedBy;
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
    records: Records<'a>,
    now: Compared,
    /// How control differs from what it said first.
    since: Compared,
}

impl<'a> Reading<'a> {
    fn of(scenario: &Scenario, first: &Pair, pair: &'a Pair, by: KeyedBy) -> Reading<'a> {
        let endpoint = scenario.endpoint;
        Reading {
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
        // An answer about one record is another answer: it may show that a difference stays, and
        // nothing else.
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

    /// A question for each record. `None` where a side does not answer: then the judgement stands as
    /// it is.
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

/// The records to ask for one by one: a few whose values differ. Who is listed, and how often, only
/// the list itself can tell.
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
