//! The undecided differences of one pair of answers, kept until a rule over the whole lists may decide them.
//! It must never keep more than a few, however long the answers are.

use std::collections::{BTreeMap, BTreeSet};

use corpus::endpoint::Endpoint;
use report::Cause;

use crate::cause::Judgement;
use crate::compare::{Compared, Difference, RECORDS, Tally};
use crate::list::List;
use crate::run::not_by_rule;

/// The most differences that are kept, and their bytes as JSON.
const OPEN_MAX: usize = 2000;
pub(super) const OPEN_BYTES_MAX: usize = 1 << 20;
/// Rules read every record several times for each field with undecided differences. In longer lists no rule is
/// looked for.
const RECORDS_READ_MAX: usize = 20_000;

/// The undecided differences so far.
#[derive(Default)]
pub(super) struct Open {
    kept: Vec<Difference>,
    bytes: usize,
}

impl Open {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Keeps a difference, or gives it back where there is no room for it.
    pub(super) fn keep(&mut self, one: Difference) -> Option<Difference> {
        let values = [&one.control, &one.candidate].into_iter().flatten();
        let bytes: usize = values.map(|value| value.to_json().len()).sum();
        if self.kept.len() >= OPEN_MAX || self.bytes + bytes > OPEN_BYTES_MAX {
            return Some(one);
        }
        self.bytes += bytes;
        self.kept.push(one);
        None
    }

    /// Passes on the kept differences: as bugs where a rule shows, and otherwise as undecided. Without the
    /// lists no rule is looked for.
    pub(super) fn settle(
        self,
        endpoint: &Endpoint,
        lists: Option<(List<'_>, List<'_>)>,
        receive: &mut dyn FnMut(Difference, Option<Cause>),
    ) {
        let data = Judgement::new(Cause::UpstreamData, "the new API may hold another value");
        let mut judged = vec![data; self.kept.len()];
        let mut found = Compared::default();
        found.differences = self.kept;
        let fields: BTreeSet<&String> = found.differences.iter().map(|one| &one.field).collect();
        let is_short = |(control, candidate): &(List<'_>, List<'_>)| {
            let records = control.records.len().max(candidate.records.len());
            records * fields.len() <= RECORDS_READ_MAX
        };
        if let Some(lists) = lists.filter(is_short) {
            found.tallies = tallies(fields, &lists);
            not_by_rule(endpoint, &found, lists, &mut judged);
        }
        for (difference, judgement) in found.differences.into_iter().zip(judged) {
            receive(difference, (judgement.cause == Cause::Bug).then_some(Cause::Bug));
        }
    }
}

/// How many records have each of these fields, and in how many it is equal.
fn tallies(
    fields: BTreeSet<&String>,
    (control, candidate): &(List<'_>, List<'_>),
) -> BTreeMap<String, Tally> {
    let fields = fields.into_iter().map(|field| (field.clone(), Tally::default()));
    let mut tallies: BTreeMap<String, Tally> = fields.collect();
    let mut common = 0;
    for (key, of_control) in control.keys.iter().zip(&control.records) {
        let Some(of_candidate) = candidate.record(key) else { continue };
        common += 1;
        let (of_control, of_candidate) = (of_control.node(), of_candidate.node());
        for (field, tally) in &mut tallies {
            let (control, candidate) = (of_control.get(field), of_candidate.get(field));
            tally.compared += u64::from(control.is_some() || candidate.is_some());
            tally.matched += u64::from(control.is_some() && control == candidate);
        }
    }
    if let Some(tally) = tallies.get_mut(RECORDS) {
        let all = control.places.len() + candidate.places.len();
        *tally = Tally { compared: (all as u64).saturating_sub(common), matched: common };
    }
    tallies
}
