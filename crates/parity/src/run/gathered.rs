//! Adds up the results of all questions, and makes the report.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use corpus::ask::Ask;
use corpus::endpoint::{Endpoint, endpoint};
use report::{
    Cause, FORMAT, FieldReport, Finding, LeftOut, Outcome, Report, ScenarioReport, Suggestion,
    Totals, V4Call, Verdict, records_of,
};

use super::finished::{Finished, RestingFinding};
use super::{NO_GATEWAY, Plan, left_out};
use crate::cause::Judgement;
use crate::compare::{Compared, USERS, is_of_the_answer};
use crate::knowledge::Knowledge;
use crate::mask::Mask;

pub(super) struct Gathered {
    pub(super) totals: Totals,
    pub(super) left_out: LeftOut,
    ignored: Vec<(String, String)>,
    pub(super) mask: Mask,
    endpoints: Vec<&'static str>,
    examples_max: usize,
    /// By place of the endpoint and of the field's name.
    fields: BTreeMap<(usize, usize), FieldReport>,
    /// Names of fields, numbered in the order in which they were met.
    names: HashMap<String, usize>,
    scenarios: Vec<ScenarioReport>,
    findings: Vec<Finding>,
    /// The records of each finding.
    keys: Vec<HashSet<u64>>,
    /// The number of the answer that was last counted for each finding.
    counted: Vec<usize>,
    /// Whether an answer shows that candidate is a gateway, and whether one shows that it is none.
    looks: (bool, bool),
    /// Where each kind of finding stands.
    places: HashMap<Alike, usize>,
    pub(super) finished: Vec<Finished>,
    calls: Vec<V4Call>,
    /// The shapes of requests that `calls` has.
    called: HashSet<String>,
    /// By endpoint, how many records of its whole list the new API holds differently, and of how many.
    other_data: BTreeMap<&'static str, (u64, u64)>,
}

/// How many records the new API holds differently.
fn with_other_data(found: &Compared, judged: &[Judgement]) -> u64 {
    let of = found.differences.iter().zip(judged);
    let of = of.filter(|(_, judgement)| judgement.cause == Cause::UpstreamData);
    of.filter_map(|(one, _)| one.record.as_deref()).collect::<HashSet<&str>>().len() as u64
}

/// The share of records, in percent, that the new API may hold differently without a finding of its own.
const OTHER_DATA_MAX: u64 = 1;

/// Findings count as one if endpoint, field, kind, cause and reason are equal.
type Alike = (String, String, String, Cause, String);

impl Gathered {
    pub(super) fn new(plan: &Plan) -> Gathered {
        Gathered {
            totals: Totals::default(),
            left_out: left_out::planned(plan),
            ignored: plan.ignored.clone(),
            mask: Mask::new(plan.secrets.clone()),
            endpoints: plan.endpoints.iter().map(|endpoint| endpoint.name).collect(),
            examples_max: plan.examples_max,
            fields: BTreeMap::new(),
            names: HashMap::new(),
            scenarios: Vec::new(),
            findings: Vec::new(),
            keys: Vec::new(),
            counted: Vec::new(),
            looks: (false, false),
            places: HashMap::new(),
            finished: Vec::new(),
            calls: Vec::new(),
            called: HashSet::new(),
            other_data: BTreeMap::new(),
        }
    }

    /// Counts the records of a whole list that the new API holds differently.
    pub(super) fn other_data(
        &mut self,
        endpoint: &'static Endpoint,
        found: &Compared,
        judged: &[Judgement],
    ) {
        let all = found.control_records.max(found.candidate_records);
        let known = self.other_data.entry(endpoint.name).or_default();
        *known = (*known).max((with_other_data(found, judged), all));
    }

    /// The same for records that only suggested settings list: they come on top.
    pub(super) fn other_data_brought(
        &mut self,
        endpoint: &'static Endpoint,
        found: &Compared,
        judged: &[Judgement],
    ) {
        self.other_data.entry(endpoint.name).or_default().0 += with_other_data(found, judged);
    }

    /// A finding for each endpoint of which the new API holds too many records differently. Two are never
    /// few of a small list, and one is never many.
    fn too_much_other_data(&mut self) -> Option<String> {
        let mut worst: Option<(&str, u64, u64)> = None;
        for (endpoint, (count, all)) in std::mem::take(&mut self.other_data) {
            if records_of(endpoint).0 == "user" {
                let most = &mut self.totals.users_with_other_data;
                *most = count.max(*most);
            }
            if count < 2 || count * 100 <= all * OTHER_DATA_MAX {
                continue;
            }
            let told = share(endpoint, count, all);
            self.findings.push(Finding {
                endpoint: endpoint.to_owned(),
                field: USERS.to_owned(),
                kind: "share".to_owned(),
                cause: Cause::UpstreamData,
                why: format!(
                    "the new API holds other data for {told}, more than {OTHER_DATA_MAX} %"
                ),
                count,
                records: count,
                answers: 1,
                examples: Vec::new(),
            });
            if worst.is_none_or(|(_, known, of)| count * of > known * all) {
                worst = Some((endpoint, count, all));
            }
        }
        worst.map(|(endpoint, count, all)| share(endpoint, count, all))
    }

    /// Counts the calls that candidate made for a request. The report has one line for each shape of
    /// request, with the first call.
    pub(super) fn calls(&mut self, ask: &Ask, calls: &[String]) {
        let total = self.totals.upstream_calls.get_or_insert(0);
        *total += calls.len() as u64;
        let legacy = ask.shape();
        if !self.called.insert(legacy.clone()) {
            return;
        }
        let v4 = match calls.first() {
            Some(first) => without_values(first),
            None => "(no call: answered without asking)".to_owned(),
        };
        self.calls.push(V4Call { legacy, v4, calls: calls.len() as u64 });
    }

    fn count(&mut self, finished: Finished) {
        self.totals.records += finished.records;
        self.looks.0 |= finished.looks_like_tieline == Some(true);
        self.looks.1 |= finished.looks_like_tieline == Some(false);
        for field in finished.fields {
            self.field(field);
        }
        for one in finished.findings {
            self.finding(one);
        }
        self.scenarios.push(finished.scenario);
    }

    fn field(&mut self, field: FieldReport) {
        let endpoint = self.endpoints.iter().position(|known| *known == field.endpoint);
        let endpoint = endpoint.unwrap_or(usize::MAX);
        let next = self.names.len();
        let name = *self.names.entry(field.field.clone()).or_insert(next);
        let of = self.fields.entry((endpoint, name)).or_insert_with(|| FieldReport {
            endpoint: field.endpoint.clone(),
            field: field.field.clone(),
            ..FieldReport::default()
        });
        of.compared += field.compared;
        of.distinct = if is_of_the_answer(&field.field) {
            of.distinct + field.distinct
        } else {
            of.distinct.max(field.distinct)
        };
        of.matched += field.matched;
        of.ignored += field.ignored;
        for (cause, count) in field.causes {
            *of.causes.entry(cause).or_default() += count;
        }
    }

    fn finding(&mut self, one: RestingFinding) {
        let RestingFinding { finding, keys, .. } = one;
        let answer = self.scenarios.len();
        let alike = (
            finding.endpoint.clone(),
            finding.field.clone(),
            finding.kind.clone(),
            finding.cause,
            finding.why.clone(),
        );
        match self.places.entry(alike) {
            Entry::Occupied(place) => {
                self.keys[*place.get()].extend(keys);
                let known = &mut self.findings[*place.get()];
                known.count += finding.count;
                // Findings that rest on several settings become one.
                let counted = std::mem::replace(&mut self.counted[*place.get()], answer);
                known.answers += u64::from(counted != answer);
                let room = self.examples_max.saturating_sub(known.examples.len());
                known.examples.extend(finding.examples.into_iter().take(room));
            }
            Entry::Vacant(place) => {
                place.insert(self.findings.len());
                self.findings.push(finding);
                self.keys.push(keys);
                self.counted.push(answer);
            }
        }
    }

    /// Calls an empty list undecided where another endpoint lists users: the key may not be allowed to see
    /// users there, so the empty lists prove nothing.
    fn doubt_empty_lists(&mut self) {
        let is_all = |scenario: &ScenarioReport| {
            let lists_users = endpoint(&scenario.endpoint).is_some_and(|one| one.lists_users());
            lists_users && scenario.id == format!("{}/all", scenario.endpoint)
        };
        let is_any = self.scenarios.iter().any(|one| is_all(one) && one.control_records > 0);
        for scenario in &mut self.scenarios {
            let is_empty = scenario.control_records == 0 && scenario.candidate_records == 0;
            if is_any && is_all(scenario) && is_empty && scenario.outcome == Outcome::Equal {
                scenario.outcome = Outcome::Undecided;
                scenario.undecided_because = Some(
                    "both sides list no user here, but they do elsewhere: may the key see users?"
                        .to_owned(),
                );
            }
        }
    }

    /// Makes the report; `unasked` are questions that were not asked.
    pub(super) fn report(
        mut self,
        knowledge: &Knowledge,
        took: Duration,
        unasked: &[String],
        mut settings: Vec<Suggestion>,
    ) -> Report {
        for finished in std::mem::take(&mut self.finished) {
            self.count(finished);
        }
        for (finding, keys) in self.findings.iter_mut().zip(&self.keys) {
            finding.records = keys.len() as u64;
        }
        self.doubt_empty_lists();
        for field in self.fields.values() {
            self.totals.compared += field.compared;
            self.totals.matched += field.matched;
            self.totals.ignored += field.ignored;
            for (cause, count) in &field.causes {
                *self.totals.causes.entry(*cause).or_default() += count;
            }
        }
        self.totals.scenarios = self.scenarios.len() as u64;
        let undecided = self.scenarios.iter().filter(|one| one.outcome == Outcome::Undecided);
        self.totals.undecided = (undecided.count() + unasked.len()) as u64;
        settings.sort_by(|a, b| (&a.table, &a.line).cmp(&(&b.table, &b.line)));
        let seen = self.fields.values().filter(|one| one.ignored > 0);
        let seen: HashSet<(&str, &str)> =
            seen.map(|one| (one.endpoint.as_str(), one.field.as_str())).collect();
        let is_unseen = |(endpoint, name): &&(String, String)| {
            !seen.contains(&(endpoint.as_str(), self.mask.name(name).as_str()))
        };
        let unseen = self.ignored.iter().filter(is_unseen);
        let unseen = unseen.map(|(endpoint, name)| format!("{endpoint}.{name}")).collect();
        self.left_out.fields_unseen = unseen;
        let is_noise = |field: &&FieldReport| {
            let noise = field.causes.get(&Cause::Noise).copied().unwrap_or(0);
            field.compared > 0 && noise == field.compared
        };
        let noisy = self.fields.values().filter(is_noise);
        let noisy = noisy.map(|field| format!("{}.{}", field.endpoint, field.field));
        self.left_out.noisy = noisy.collect();
        let other_data = self.too_much_other_data();
        let (mut verdict, mut because) = verdict(&self.totals, unasked.len(), &self.left_out);
        if let (Some(told), Verdict::Agree) = (other_data, verdict) {
            verdict = Verdict::Differ;
            because = format!("no bug was found, but the new API holds other data for {told}");
        }
        let mut remarks = Vec::new();
        if self.looks == (false, true) {
            match verdict {
                Verdict::Agree => (verdict, because) = (Verdict::Undecided, NO_GATEWAY.to_owned()),
                Verdict::Differ | Verdict::Undecided => remarks.push(NO_GATEWAY.to_owned()),
            }
        }
        let is_asked = |loss: &&report::Loss| self.endpoints.contains(&loss.endpoint.as_str());
        let ledger = knowledge.losses().filter(is_asked);
        let mut report = Report {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            verdict,
            because,
            remarks,
            seconds: took.as_secs_f64(),
            dialect: knowledge.dialect.clone(),
            ledger: ledger.cloned().collect(),
            totals: self.totals,
            fields: self.fields.into_values().collect(),
            scenarios: self.scenarios,
            findings: self.findings,
            settings,
            calls: self.calls,
            left_out: self.left_out,
            ..Report::default()
        };
        report.sort();
        report
    }
}

/// `23 of 250 users (9.2 %)`.
fn share(endpoint: &str, count: u64, all: u64) -> String {
    let (_, records) = records_of(endpoint);
    format!("{count} of {all} {records} ({:.1} %)", 100.0 * count as f64 / all.max(1) as f64)
}

fn verdict(totals: &Totals, unasked: usize, left_out: &LeftOut) -> (Verdict, String) {
    let bugs = totals.causes.get(&Cause::Bug).copied().unwrap_or(0);
    let explained: u64 = totals.causes.values().sum::<u64>() - bugs;
    if bugs > 0 {
        let compared = totals.compared;
        return (
            Verdict::Differ,
            format!("{bugs} of {compared} values differ, and nothing known explains it"),
        );
    }
    if unasked > 0 {
        return (Verdict::Undecided, format!("{unasked} questions were not asked"));
    }
    if totals.records == 0 && totals.undecided == 0 {
        return (Verdict::Undecided, "no record was compared: both sides list no user".to_owned());
    }
    if totals.undecided > 0 || totals.compared == 0 {
        return (
            Verdict::Undecided,
            format!("{} questions could not be compared", totals.undecided),
        );
    }
    let is_whole = left_out.is_nothing();
    let because = match explained {
        0 if is_whole => format!("all of {} values are equal", totals.compared),
        0 => format!("all of {} values that were asked for are equal", totals.compared),
        _ => format!(
            "{explained} of {} values{} differ, each with a known cause; the others are equal",
            totals.compared,
            if is_whole { "" } else { " that were asked for" },
        ),
    };
    (Verdict::Agree, because)
}

/// A call without the values of its parameters, except those of paging.
fn without_values(call: &str) -> String {
    let Some((path, query)) = call.split_once('?') else { return call.to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ ("limit" | "offset" | "page" | "page_size"), value)) => {
            format!("{name}={value}")
        }
        Some((name, _)) => format!("{name}=.."),
        None => pair.to_owned(),
    });
    format!("{path}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    #[test]
    fn a_call_is_shown_without_its_values() {
        let call = "GET /api/v4/users?limit=100&offset=99&email=jane%40x.example";
        assert_eq!(without_values(call), "GET /api/v4/users?limit=100&offset=99&email=..");
    }

    #[test]
    fn without_a_comparison_the_verdict_is_undecided() {
        assert_eq!(verdict(&Totals::default(), 0, &LeftOut::default()).0, Verdict::Undecided);
        let nobody = Totals { compared: 9, matched: 9, ..Totals::default() };
        assert_eq!(verdict(&nobody, 0, &LeftOut::default()).0, Verdict::Undecided);
        let totals = Totals { compared: 9, matched: 9, records: 1, ..Totals::default() };
        assert_eq!(verdict(&totals, 0, &LeftOut::default()).0, Verdict::Agree);
        assert_eq!(verdict(&totals, 1, &LeftOut::default()).0, Verdict::Undecided);
        let left_out = LeftOut { pairs: 1, ..LeftOut::default() };
        let (verdict, because) = verdict(&totals, 0, &left_out);
        assert_eq!(verdict, Verdict::Agree);
        assert_eq!(because, "all of 9 values that were asked for are equal");
    }

    #[test]
    fn empty_lists_prove_nothing_where_another_endpoint_lists_users() {
        let of = |name: &str, records: u64| {
            let mut all = Finished::of(&Scenario::all(endpoint(name).unwrap()));
            all.scenario.control_records = records;
            all.scenario.candidate_records = records;
            all.scenario.outcome = Outcome::Equal;
            all.records = records;
            all
        };
        let undecided = |v1: u64, v3: u64| {
            let mut gathered = Gathered::new(&Plan::default());
            // The list of deleted users may be empty.
            let all = [("v1_users", v1), ("v3_cdr_users", v3), ("v2_cdr_deleted_agents", 0)];
            all.into_iter().for_each(|(name, records)| gathered.finished.push(of(name, records)));
            gathered.report(&Knowledge::default(), Duration::ZERO, &[], Vec::new()).totals.undecided
        };
        assert_eq!((undecided(5, 5), undecided(5, 0), undecided(0, 5)), (0, 1, 1));
    }
}
