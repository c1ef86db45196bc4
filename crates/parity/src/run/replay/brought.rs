//! Judges the records that only the suggested settings list. Nobody has compared their fields before, so a setting
//! must not be believed before they are.

use std::collections::BTreeSet;
use std::time::Duration;

use corpus::ask::Reply;

use super::Answered;
use super::Place;
use crate::calibrate::Overlay;
use crate::compare::{Difference, RECORDS, compare};
use crate::list::{KeyedBy, List};
use crate::run::finished::{Finished, Showing};
use crate::run::records::Records;
use crate::run::systematic::not_by_rule;
use crate::run::{Pair, Run};
use crate::scenario::Group;

impl Run<'_> {
    /// The records that a whole list has on both sides now, and had on one side only.
    pub(super) fn brought_by(&self, one: &Answered, now: &BTreeSet<Place>) -> BTreeSet<String> {
        if one.scenario.group != Group::All || !one.scenario.filters.is_empty() {
            return BTreeSet::new();
        }
        let of = one.differing.iter().filter(|(_, field)| field == RECORDS);
        let of = of.filter(|place| !now.contains(*place)).filter_map(|(record, _)| record.clone());
        let endpoint = one.scenario.endpoint.name;
        of.filter(|key| !self.remembered.brought.contains(&(endpoint, key.clone()))).collect()
    }

    /// Compares these records alone, and judges what differs. `overlay` are the settings that list them.
    pub(super) async fn judge_brought(
        &mut self,
        number: usize,
        reply: &Reply,
        records: &BTreeSet<String>,
        overlay: &Overlay,
    ) -> Finished {
        let one = &self.remembered.answers[number];
        let (mut scenario, by) = (one.scenario.clone(), one.by);
        scenario.id.push_str("/under the suggested settings");
        let pair = Pair {
            control: only(&one.control, records, by),
            candidate: only(reply, records, by),
            control_took: Duration::ZERO,
            candidate_took: Duration::ZERO,
        };
        let endpoint = scenario.endpoint;
        let all = records.iter().map(|key| (endpoint.name, key.clone()));
        self.remembered.brought.extend(all);
        let mut found = compare(endpoint, &pair.control, &pair.candidate, by);
        // The answers as a whole were compared already.
        found.tallies.retain(|field, _| !field.starts_with('$'));
        found.differences.retain(|one| !one.field.starts_with('$'));
        let mut finished = Finished::of(&scenario);
        finished.ignore(&mut found, &self.plan.ignored, &self.gathered.mask);
        let both = Records::of(&pair, by);
        let known = self.endpoint(endpoint);
        both.both().for_each(|(control, candidate)| known.pairs.note(&control, &candidate));
        let differences: Vec<&Difference> = found.differences.iter().collect();
        let rows = self.rows(&scenario, &differences, &both, by).await;
        let settings = self.sides.knowledge.settings(endpoint.name).under(overlay, endpoint.name);
        let mut judged =
            self.evidence((&scenario, &settings), &pair, &differences, rows.as_ref(), &both, by);
        not_by_rule(endpoint, &found, &both, &mut judged);
        self.gathered.other_data_brought(endpoint, &found, &judged);
        let showing = Showing {
            examples_max: self.plan.examples_max,
            mask: &self.gathered.mask,
            records: &|key| {
                [both.control(key), both.candidate(key)].into_iter().flatten().collect()
            },
        };
        finished.count(&found, judged, &showing);
        finished
    }
}

/// An answer with some of its records.
fn only(reply: &Reply, records: &BTreeSet<String>, by: KeyedBy) -> Reply {
    let wanted = List::read(&reply.body, by).map(|list| {
        let of = list.keys.iter().zip(&list.records).filter(|(key, _)| records.contains(*key));
        format!("[{}]", of.map(|(_, record)| record.raw).collect::<Vec<_>>().join(","))
    });
    Reply { body: wanted.unwrap_or_default().into(), ..reply.clone() }
}
