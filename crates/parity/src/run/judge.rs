//! Finds the cause of every difference: from an earlier question, from the evidence, or by asking both
//! sides again.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};

use corpus::ask::KeyPlace;
use corpus::endpoint::{ENDPOINTS, Endpoint};
use corpus::node::Node;
use report::Cause;

use super::again::NOISE;
use super::records::Records;
use super::systematic::not_by_rule;
use super::{Pair, Run, behind};
use crate::cause::{
    BODY_PARAMETERS, DELETED_AT, DELETION_RULES, DifferenceId, Evidence, Judgement, KnownEndpoint,
    NO_AGREEMENT, Teams, Vote, deletion_rules, quoted, votes,
};
use crate::compare::{Compared, Difference, ERROR, KEY, Kind, RECORDS, STATUS, has_records};
use crate::filter::{Index, predicted};
use crate::knowledge::Settings;
use crate::list::{KeyedBy, List};
use crate::scenario::{Group, Scenario};
use crate::witness;

/// The field that may have changed since the other side was asked.
const AGENT_STATUS: &str = "status";

impl Run<'_> {
    /// Notes the facts of a whole list, for the questions that follow.
    pub(super) fn learn(&mut self, endpoint: &'static Endpoint, pair: &Pair) {
        let by = self.keyed_by(endpoint);
        let records = Records::of(pair, by);
        let (Some(control), Some(candidate)) = (&records.control, &records.candidate) else {
            return;
        };
        if endpoint.name == "v2_cdr_deleted_agents" {
            let is_id = |key: &&String| key.bytes().all(|byte| byte.is_ascii_digit());
            let others = || self.known.endpoints.values();
            let is_live = |key: &&String| others().any(|of| of.control.rows.contains_key(*key));
            let deleted = control.keys.iter().find(|key| is_id(key) && !is_live(key)).cloned();
            self.known.deleted = deleted;
        }
        let known = self.known.endpoints.entry(endpoint.name).or_default();
        if !endpoint.lists_users() {
            // Of agents' status a dictionary has the words.
            for (key, record) in control.keys.iter().zip(&control.records) {
                if let (true, Some(other)) = (endpoint.by_email, candidate.record(key)) {
                    known.pairs.note(&record.node(), &other.node());
                }
            }
            return;
        }
        for (key, record) in control.keys.iter().zip(&control.records) {
            let node = record.node();
            self.gathered.mask.note_user(&node);
            known.control.note(endpoint, key, &node);
            if let Some(other) = candidate.record(key) {
                known.pairs.note(&node, &other.node());
            }
        }
        for (key, record) in candidate.keys.iter().zip(&candidate.records) {
            let node = record.node();
            self.gathered.mask.note_user(&node);
            known.candidate.note(endpoint, key, &node);
        }
        self.known.note_teams(control);
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
            let is_missing = |one: &&Difference| one.kind == Kind::Missing;
            if scenario.endpoint.name == "v2_cdr_teams" && of_fresh.iter().any(is_missing) {
                self.ask_for_teams().await;
            }
            let rows = self.rows(scenario, &of_fresh, &records, by).await;
            let settings = self.sides.knowledge.settings(scenario.endpoint.name);
            let of = (scenario, &settings);
            let made = self.evidence(of, pair, &of_fresh, rows.as_ref(), &records, by);
            for (place, judgement) in fresh.iter().zip(made) {
                judged[*place] = Some(judgement);
            }
            let is_doubtful = |place: &usize| {
                let cause = judged[*place].as_ref().map(|judgement| judgement.cause);
                // A user who was deleted a moment ago has a deletion date as well.
                let is_listing = found.differences[*place].field == RECORDS;
                // A status may change from one moment to the next.
                matches!(cause, Some(Cause::Bug | Cause::UpstreamData))
                    || found.differences[*place].field == AGENT_STATUS
                    || is_listing && cause == Some(Cause::Quirk) && scenario.filters.is_empty()
            };
            let doubtful: Vec<usize> = fresh.into_iter().filter(is_doubtful).collect();
            if !doubtful.is_empty() {
                self.again(scenario, pair, found, &doubtful, &mut judged, by).await;
            }
        }
        let mut judged: Vec<Judgement> = judged.into_iter().flatten().collect();
        if scenario.group == Group::All {
            self.deleted(scenario, records.control.as_ref(), &mut judged, by).await;
            not_by_rule(scenario.endpoint, found, &records, &mut judged);
            let noisy = found.differences.iter().zip(&judged);
            let noisy = noisy.filter(|(_, judgement)| judgement.cause == Cause::Noise);
            let noisy: Vec<(&str, &str)> = noisy
                .filter_map(|(one, _)| Some((one.record.as_deref()?, one.field.as_str())))
                .collect();
            self.endpoint(scenario.endpoint).note_noise(&noisy, found.common_records);
            self.gathered.other_data(scenario.endpoint, found, &judged);
        }
        let known = self.endpoint(scenario.endpoint);
        for (difference, judgement) in found.differences.iter().zip(&judged) {
            let is_kept = difference.record.is_some()
                && !matches!(judgement.cause, Cause::Race | Cause::Noise | Cause::Order)
                && (scenario.group == Group::All || difference.field != RECORDS);
            let id = DifferenceId::of(difference);
            if is_kept && known.judged(&id).is_none() {
                known.note(id, judgement.clone());
            }
        }
        judged
    }

    /// Whether candidate lists just those of its own whole list who fit every filter of a question.
    pub(super) async fn lists_just_who_fits(&mut self, scenario: &Scenario, pair: &Pair) -> bool {
        let (endpoint, by) = (scenario.endpoint, self.keyed_by(scenario.endpoint));
        let settings = self.sides.knowledge.settings(endpoint.name);
        let Some(listed) = Records::of(pair, by).candidate.map(|list| list.keys) else {
            return false;
        };
        let fits = |whole: &Index| {
            let fit = predicted(endpoint, whole, &scenario.filters, &settings);
            fit == listed.iter().map(String::as_str).collect()
        };
        if pair.control.status != 200 || fits(&self.endpoint(endpoint).candidate) {
            return pair.control.status == 200;
        }
        // The whole list may have changed since it was read.
        self.gathered.totals.candidate_requests += 1;
        let reply = self.sides.candidate.ask(&Scenario::all(endpoint).ask).await;
        let reply = reply.map(|reply| reply.body).unwrap_or_default();
        let mut whole = Index::default();
        let Ok(list) = List::read(&reply, by) else { return false };
        for (key, record) in list.keys.iter().zip(&list.records) {
            whole.note(endpoint, key, &record.node());
        }
        fits(&whole)
    }

    pub(super) fn votes(&mut self, scenario: &Scenario, pair: &Pair, by: KeyedBy) -> Vec<Vote> {
        let Records { control, .. } = Records::of(pair, by);
        let known = self.endpoint(scenario.endpoint);
        let mut all = votes(scenario, known, &pair.control, control.as_ref());
        all.iter().for_each(|vote| known.note_vote(vote));
        all.append(&mut self.deletions);
        all
    }

    /// Checks the setting `deleted_at` against all users with a deletion date, also those without a
    /// difference. Where no value fits all of them, the two APIs disagree about single users.
    async fn deleted(
        &mut self,
        scenario: &Scenario,
        control: Option<&List<'_>>,
        judged: &mut [Judgement],
        by: KeyedBy,
    ) {
        let key_of = |judgement: &Judgement| {
            let key = judgement.setting.as_ref().map(|setting| setting.key.clone());
            key.filter(|key| key.name == DELETED_AT)
        };
        let (Some(behind), Some(list)) = (self.sides.behind, control) else { return };
        let Some(key) = judged.iter().find_map(key_of) else { return };
        let rows = behind::deleted(behind, by).await.unwrap_or_default();
        let mut counts: BTreeMap<Vec<&str>, u64> = BTreeMap::new();
        for (of, row) in &rows {
            let is_listed = list.places.contains_key(of);
            let rules: Vec<&str> = deletion_rules(scenario.endpoint, row, is_listed).collect();
            *counts.entry(rules).or_default() += 1;
        }
        let fits_all = |rule: &&str| counts.keys().all(|rules| rules.contains(rule));
        if !DELETION_RULES.iter().any(fits_all) {
            for judgement in judged.iter_mut().filter(|one| key_of(one).is_some()) {
                *judgement = Judgement::new(Cause::UpstreamData, NO_AGREEMENT);
            }
            return;
        }
        let vote = |(rules, count): (Vec<&str>, u64)| {
            let values = rules.into_iter().map(quoted).collect();
            Vote { key: key.clone(), values, count }
        };
        self.deletions = counts.into_iter().map(vote).collect();
    }

    /// The judgements of the same differences in earlier answers. Which records a filter lists is judged
    /// for each question.
    fn judged_before(&self, scenario: &Scenario, found: &Compared) -> Vec<Option<Judgement>> {
        let known = self.known.endpoints.get(scenario.endpoint.name);
        let of = |difference: &Difference| {
            let is_filtered = difference.field == RECORDS && !scenario.filters.is_empty();
            let record = difference.record.as_deref().filter(|_| !is_filtered)?;
            let known = known?;
            let before = known.judged(&DifferenceId::of(difference)).cloned();
            // A missing field, or another form, differs from every value of control.
            let is_null = [&difference.control, &difference.candidate].contains(&&Some(Node::Null));
            let is_value =
                difference.kind == Kind::Value || difference.kind == Kind::Type && is_null;
            let is_noise = is_value && known.is_noisy(record, &difference.field);
            before.or_else(|| is_noise.then(|| Judgement::new(Cause::Noise, NOISE)))
        };
        found.differences.iter().map(of).collect()
    }

    /// Reads the evidence for a missing team: the new API's list of teams, or, where the new API refuses
    /// it, the teams that control's users name.
    async fn ask_for_teams(&mut self) {
        let behind = self.sides.behind.filter(|_| self.sides.knowledge.dialect == "voiso-v4");
        if let (Some(behind), Teams::Unknown) = (behind, &self.known.new_teams) {
            self.known.new_teams = behind::teams(behind).await;
        }
        if !matches!(self.known.new_teams, Teams::Refused) || self.known.teams_of_users.is_some() {
            return;
        }
        for users in ENDPOINTS.iter().filter(|endpoint| endpoint.lists_users()) {
            self.gathered.totals.control_requests += 1;
            self.gathered.totals.control_requests_extra += 1;
            let reply = self.sides.control.ask(&Scenario::all(users).ask).await;
            let Ok(reply) = reply.as_ref().map(|reply| &reply.body) else { continue };
            let Ok(list) = List::read(reply, KeyedBy::Id) else { continue };
            return self.known.note_teams(&list);
        }
    }

    /// The rows of the new API for the records that differ.
    pub(super) async fn rows(
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
            // Which records a filter lists is judged by the whole lists.
            let is_filtered = difference.field == RECORDS && !scenario.filters.is_empty();
            difference.kind != Kind::Order && difference.record.is_some() && !is_filtered
        };
        let wanted: HashSet<String> =
            differences.iter().filter(needs).filter_map(|one| one.record.clone()).collect();
        if wanted.is_empty() {
            return None;
        }
        if endpoint.has_pages() {
            return behind::templates(behind, &wanted).await;
        }
        let both = |key: &String| [records.control(key), records.candidate(key)];
        let few = if wanted.len() <= 20 { Some(&wanted) } else { None };
        let nodes: Vec<Node> = few.into_iter().flatten().flat_map(both).flatten().collect();
        behind::rows(behind, &wanted, &behind::emails(nodes.iter()), by).await
    }

    /// Judges differences by the evidence, where candidate has these settings.
    pub(super) fn evidence(
        &mut self,
        (scenario, settings): (&Scenario, &Settings),
        pair: &Pair,
        differences: &[&Difference],
        witness: Option<&witness::Rows>,
        records: &Records<'_>,
        by: KeyedBy,
    ) -> Vec<Judgement> {
        let endpoint = scenario.endpoint;
        self.endpoint(endpoint);
        let Some(known) = self.known.endpoints.get(endpoint.name) else { return Vec::new() };
        let evidence = Evidence {
            endpoint,
            knowledge: self.sides.knowledge,
            settings,
            keyed_by: by,
            witness,
            pairs: &known.pairs,
            known: &self.known,
            mode: OnceCell::new(),
        };
        let keys = records.control.iter().flat_map(|list| list.keys.iter().cloned());
        let listed = if scenario.filters.is_empty() { HashSet::new() } else { keys.collect() };
        let is_whole = scenario.ask == Scenario::all(endpoint).ask;
        let refused = match scenario.group {
            Group::BadKey => evidence.refused(&pair.control, &pair.candidate),
            _ => None,
        };
        let ignored = ignored(scenario, known, records, settings);
        let judge = |difference: &&Difference| {
            if let (Some(judgement), RECORDS) = (&ignored, difference.field.as_str()) {
                return judgement.clone();
            }
            if difference.field == KEY {
                return wrong_key(scenario, pair);
            }
            let is_answer = matches!(difference.field.as_str(), STATUS | ERROR);
            if let (true, Some(judgement)) = (is_answer, &refused) {
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
                    Judgement::bug(
                        "both whole lists have the record, and under this parameter one has not",
                    )
                }
                (Some(key), _) => {
                    let (control, candidate) = (records.control(key), records.candidate(key));
                    evidence.judge(difference, control.as_ref(), candidate.as_ref())
                }
                (None, _) => evidence.judge(difference, None, None),
            }
        };
        differences.iter().map(judge).collect()
    }
}

/// The judgement of records for a wrong key, or for none. No cause excuses them.
fn wrong_key(scenario: &Scenario, pair: &Pair) -> Judgement {
    let key = match scenario.ask.key {
        KeyPlace::Missing => "a request without a key",
        _ => "a request with a wrong key",
    };
    let answered = [&pair.control, &pair.candidate].map(has_records);
    Judgement::bug(&match answered {
        [true, true] => format!("both sides answer {key} with records"),
        [true, false] => format!("control answers {key} with records, and candidate refuses it"),
        _ => format!("candidate answers {key} with records"),
    })
}

/// The judgement that control ignores a filter in this form: it lists everybody, and candidate those who fit, by
/// its own whole list.
fn ignored(
    scenario: &Scenario,
    known: &KnownEndpoint,
    records: &Records<'_>,
    settings: &Settings,
) -> Option<Judgement> {
    let (control, candidate) = (records.control.as_ref()?, records.candidate.as_ref()?);
    let is_everybody = control.keys.len() == known.control.rows.len()
        && control.keys.iter().all(|key| known.control.rows.contains_key(key));
    if scenario.group != Group::Written || scenario.filters.is_empty() || !is_everybody {
        return None;
    }
    let fit = predicted(scenario.endpoint, &known.candidate, &scenario.filters, settings);
    let listed: HashSet<&str> = candidate.keys.iter().map(String::as_str).collect();
    let judgement = || match scenario.ask.written.is_body() {
        true => {
            let (table, why) = ("legacy".to_owned(), "control ignores filters in a body");
            Judgement::quirk(table, BODY_PARAMETERS, quoted("ignore"), why)
        }
        false => Judgement::new(
            Cause::Quirk,
            "control ignores a filter in this form, and no setting does",
        ),
    };
    (listed == fit).then(judgement)
}
