//! Every difference of a question gets its cause: from before, from the evidence, or after both sides
//! were asked again.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};

use super::{Pair, Run, behind};
use crate::cause::{Evidence, Judgement, Seen};
use crate::compare::{Compared, Difference, ERROR, Kind, RECORDS, STATUS};
use crate::endpoint::Endpoint;
use crate::knowledge::Settings;
use crate::list::{KeyedBy, List};
use crate::node::Node;
use crate::report::Cause;
use crate::scenario::{Group, Scenario};
use crate::witness;

/// The whole records of a difference, where the answers are lists.
pub(super) struct Records<'a> {
    control: Option<List<'a>>,
    candidate: Option<List<'a>>,
}

impl<'a> Records<'a> {
    pub(super) fn of(pair: &'a Pair, by: KeyedBy) -> Records<'a> {
        let read = |status: u16, body| if status == 200 { List::read(body, by).ok() } else { None };
        Records {
            control: read(pair.control.status, &pair.control.body),
            candidate: read(pair.candidate.status, &pair.candidate.body),
        }
    }

    pub(super) fn control(&self, key: &str) -> Option<Node> {
        Some(self.control.as_ref()?.record(key)?.node())
    }

    pub(super) fn candidate(&self, key: &str) -> Option<Node> {
        Some(self.candidate.as_ref()?.record(key)?.node())
    }

    fn control_keys(&self) -> HashSet<String> {
        self.control.iter().flat_map(|list| list.keys.iter().cloned()).collect()
    }
}

impl Run<'_> {
    /// What the whole lists tell, for the questions that follow.
    pub(super) fn learn(&mut self, endpoint: &'static Endpoint, pair: &Pair) {
        let by = self.keyed_by(endpoint);
        let records = Records::of(pair, by);
        let (Some(control), Some(candidate)) = (&records.control, &records.candidate) else {
            return;
        };
        let mut teams = HashSet::new();
        let known = self.known.endpoints.entry(endpoint.name).or_default();
        for (key, record) in control.keys.iter().zip(&control.records) {
            let node = record.node();
            for field in ["assigned_teams", "agent_in_teams", "supervisor_in_teams"] {
                let text = node.get(field).and_then(Node::text).unwrap_or_default();
                teams.extend(text.split(", ").map(str::to_owned));
            }
            if !endpoint.lists_users() {
                continue;
            }
            known.control.note(endpoint, key, &node);
            if let Some(other) = candidate.record(key) {
                known.pairs.note(&node, &other.node());
            }
        }
        if endpoint.lists_users() {
            for (key, record) in candidate.keys.iter().zip(&candidate.records) {
                known.candidate.note(endpoint, key, &record.node());
            }
        }
        self.known.teams_of_users.extend(teams);
    }

    /// The cause of each difference, in order.
    pub(super) async fn judge(
        &mut self,
        scenario: &Scenario,
        pair: &Pair,
        found: &Compared,
        by: KeyedBy,
    ) -> Vec<Judgement> {
        if found.differences.is_empty() {
            return Vec::new();
        }
        let records = Records::of(pair, by);
        let mut judged: Vec<Option<Judgement>> = self.judged_before(scenario, found);
        let open = |judged: &[Option<Judgement>]| -> Vec<usize> {
            let open = judged.iter().enumerate().filter(|(_, known)| known.is_none());
            open.map(|(place, _)| place).collect()
        };
        let fresh = open(&judged);
        if !fresh.is_empty() {
            let of_fresh: Vec<&Difference> =
                fresh.iter().map(|place| &found.differences[*place]).collect();
            let rows = self.rows(scenario, &of_fresh, &records, by).await;
            let made = self.evidence(scenario, pair, &of_fresh, rows.as_ref(), &records, by);
            for (place, judgement) in fresh.iter().zip(made) {
                judged[*place] = Some(judgement);
            }
            let doubtful: Vec<usize> = fresh
                .into_iter()
                .filter(|place| {
                    let cause = judged[*place].as_ref().map(|judgement| judgement.cause);
                    // Whoever was deleted just now has a deletion date as well.
                    let is_listing = found.differences[*place].field == RECORDS;
                    matches!(cause, Some(Cause::Bug | Cause::UpstreamData))
                        || is_listing && cause == Some(Cause::Quirk) && scenario.filters.is_empty()
                })
                .collect();
            if !doubtful.is_empty() {
                self.again(scenario, pair, found, &doubtful, &mut judged, by).await;
            }
        }
        let mut judged: Vec<Judgement> = judged.into_iter().flatten().collect();
        if scenario.group == Group::All {
            not_by_the_dozen(found, &mut judged);
        }
        let known = self.endpoint(scenario.endpoint);
        for (difference, judgement) in found.differences.iter().zip(&judged) {
            let is_kept = difference.record.is_some()
                && !matches!(judgement.cause, Cause::Race | Cause::Noise | Cause::Order)
                && (scenario.group == Group::All || difference.field != RECORDS);
            let seen = Seen::of(difference);
            if is_kept && known.judged(&seen).is_none() {
                known.note(seen, judgement.clone());
            }
        }
        judged
    }

    /// The same difference of the same record, seen in another answer. Who is listed is another matter
    /// under each filter.
    fn judged_before(&self, scenario: &Scenario, found: &Compared) -> Vec<Option<Judgement>> {
        let known = self.known.endpoints.get(scenario.endpoint.name);
        let of = |difference: &Difference| {
            let is_filtered = difference.field == RECORDS && !scenario.filters.is_empty();
            if difference.record.is_none() || is_filtered {
                return None;
            }
            known?.judged(&Seen::of(difference)).cloned()
        };
        found.differences.iter().map(of).collect()
    }

    /// What the new API holds of the users that differ.
    async fn rows(
        &self,
        scenario: &Scenario,
        differences: &[&Difference],
        records: &Records<'_>,
        by: KeyedBy,
    ) -> Option<witness::Rows> {
        let (behind, endpoint) = (self.sides.behind?, scenario.endpoint);
        if self.sides.knowledge.dialect != "voiso-v4" || endpoint.name == "v2_cdr_teams" {
            return None;
        }
        let needs = |difference: &&&Difference| {
            // Who is listed under a filter is judged by the whole lists.
            let is_filtered = difference.field == RECORDS && !scenario.filters.is_empty();
            difference.kind != Kind::Order && difference.record.is_some() && !is_filtered
        };
        let wanted: HashSet<String> =
            differences.iter().filter(needs).filter_map(|one| one.record.clone()).collect();
        if wanted.is_empty() {
            return None;
        }
        let both = |key: &String| [records.control(key), records.candidate(key)];
        let nodes: Vec<Node> = if wanted.len() <= 20 {
            wanted.iter().flat_map(both).flatten().collect()
        } else {
            Vec::new()
        };
        behind::rows(behind, &wanted, &behind::emails(nodes.iter()), by).await
    }

    fn evidence(
        &mut self,
        scenario: &Scenario,
        pair: &Pair,
        differences: &[&Difference],
        witness: Option<&witness::Rows>,
        records: &Records<'_>,
        by: KeyedBy,
    ) -> Vec<Judgement> {
        let endpoint = scenario.endpoint;
        self.endpoint(endpoint);
        let settings: Settings = self.sides.knowledge.settings(endpoint.name);
        let Some(known) = self.known.endpoints.get(endpoint.name) else { return Vec::new() };
        let evidence = Evidence {
            endpoint,
            knowledge: self.sides.knowledge,
            settings: &settings,
            keyed_by: by,
            witness,
            pairs: &known.pairs,
            known: &self.known,
            mode: OnceCell::new(),
        };
        let listed = match scenario.filters.is_empty() {
            true => HashSet::new(),
            false => records.control_keys(),
        };
        let is_whole = scenario.ask == Scenario::all(endpoint).ask;
        let refused = (scenario.group == Group::BadKey).then(|| {
            let body = |bytes: &[u8]| Node::parse(bytes).unwrap_or(Node::Null);
            let (one, two) = (body(&pair.control.body), body(&pair.candidate.body));
            evidence.refused((pair.control.status, &one), (pair.candidate.status, &two))
        });
        let judge = |difference: &&Difference| {
            let is_answer = matches!(difference.field.as_str(), STATUS | ERROR);
            if let (true, Some(Some(judgement))) = (is_answer, &refused) {
                return judgement.clone();
            }
            match (&difference.record, difference.kind) {
                (Some(key), Kind::Missing | Kind::Extra) if !scenario.filters.is_empty() => {
                    evidence.filtered(difference.kind, key, &scenario.filters, &listed)
                }
                (Some(key), Kind::Missing | Kind::Extra)
                    if !is_whole
                        && known.control.rows.contains_key(key)
                        && known.candidate.rows.contains_key(key) =>
                {
                    Judgement {
                        cause: Cause::Bug,
                        why:
                            "both whole lists have the record, and under this parameter one has not"
                                .to_owned(),
                        setting: None,
                    }
                }
                (Some(key), _) => {
                    let (one, two) = (records.control(key), records.candidate(key));
                    evidence.judge(difference, one.as_ref(), two.as_ref())
                }
                (None, _) => evidence.judge(difference, None, None),
            }
        };
        differences.iter().map(judge).collect()
    }
}

/// From this share on, in percent, what differs is no single value in the data.
const SHARE_MAX: u64 = 20;
/// Fewer are too few for a share.
const FEW_MAX: u64 = 5;

/// Where a field differs for many, and always "because the new API holds another value", the witness
/// and candidate may be wrong in the same way: that is no fault of the data, and nothing explains it.
fn not_by_the_dozen(found: &Compared, judged: &mut [Judgement]) {
    // A record counts once, however many parts of its field differ.
    let mut differing: BTreeMap<&str, HashSet<Option<&str>>> = BTreeMap::new();
    for (difference, judgement) in found.differences.iter().zip(judged.iter()) {
        if judgement.cause == Cause::UpstreamData {
            let records = differing.entry(&difference.field).or_default();
            records.insert(difference.record.as_deref());
        }
    }
    differing.retain(|field, records| {
        let compared = found.tallies.get(*field).map_or(0, |tally| tally.compared);
        let count = records.len() as u64;
        count > FEW_MAX && count * 100 > compared * SHARE_MAX
    });
    for (difference, judgement) in found.differences.iter().zip(judged) {
        let is_one = differing.contains_key(difference.field.as_str());
        if judgement.cause == Cause::UpstreamData && is_one {
            judgement.cause = Cause::Bug;
            "so many differ that it is the translation and not the data"
                .clone_into(&mut judgement.why);
        }
    }
}
