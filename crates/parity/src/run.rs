//! A validation asks for the whole lists first, then every other question, and compares and judges each.
//!
//! It always asks control before candidate. If control then answers the same again, the data has not
//! changed in between.

mod again;
mod behind;
mod finished;
mod gathered;
mod judge;
pub(crate) mod left_out;
mod records;
mod replay;
mod settle;
pub mod state;
mod systematic;
mod unable;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use corpus::ask::{Ask, Reply};
use corpus::endpoint::{ENDPOINTS, Endpoint};
use corpus::node::Node;
use corpus::source::{Answering, Silence, Source};
use report::secrets::Secrets;
use report::{Outcome, Report, ScenarioReport, Verdict};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cause::{Judgement, Known, KnownEndpoint, SettingKey, Vote};
use crate::compare::{Compared, compare};
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};
use crate::scenario::{Extent, Group, Scenario, questions};
pub use behind::{Behind, Under};
use finished::{Finished, Showing};
use gathered::Gathered;
use records::Records;
use replay::Remembered;
use settle::settle;
use state::State;
use unable::unable;
pub(crate) use unable::{NO_GATEWAY, is_of_tieline};
pub use unable::{Side, Unable};

/// Calls upstream data a bug where a rule explains it, for two whole lists outside of a run.
pub(crate) fn not_by_rule(
    endpoint: &Endpoint,
    found: &Compared,
    (control, candidate): (List<'_>, List<'_>),
    judged: &mut [Judgement],
) {
    let records = Records { control: Some(control), candidate: Some(candidate) };
    systematic::not_by_rule(endpoint, found, &records, judged);
}

/// The questions to ask, and the limits of the report.
#[derive(Clone, Debug)]
pub struct Plan {
    pub endpoints: Vec<&'static Endpoint>,
    pub extent: Extent,
    /// The seed that selects values.
    pub seed: u64,
    /// Endpoints and fields that are left out. They count neither as compared nor as matched.
    pub ignored: Vec<(String, String)>,
    /// The most examples of each finding.
    pub examples_max: usize,
    /// The questions, if they are not made from the data.
    pub questions: Option<Vec<Scenario>>,
    /// How many questions of a recording have no answer. They stay undecided.
    pub questions_lost: u64,
    /// Keys that must not appear in a report.
    pub secrets: Secrets,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            endpoints: ENDPOINTS.iter().collect(),
            extent: Extent::default(),
            seed: 1,
            ignored: Vec::new(),
            examples_max: 3,
            questions: None,
            questions_lost: 0,
            secrets: Secrets::default(),
        }
    }
}

impl Plan {
    /// The same without the endpoints of which the new API has nothing. The report says that they are left out.
    pub(crate) fn of_offered(mut self, knowledge: &Knowledge) -> Plan {
        self.endpoints.retain(|endpoint| knowledge.offers(endpoint.name));
        self
    }

    /// Whether a question filters by a field that is left out.
    fn ignores_filter_of(&self, scenario: &Scenario) -> bool {
        self.ignored.iter().any(|(endpoint, field)| {
            *endpoint == scenario.endpoint.name
                && scenario.filters.iter().any(|(filter, _)| filter == field)
        })
    }
}

pub struct Sides<'a> {
    /// The real legacy API, or a recording of it.
    pub control: &'a dyn Source,
    /// The side that is validated.
    pub candidate: &'a dyn Source,
    /// The new API behind candidate, where it can be reached.
    pub behind: Option<&'a dyn Behind>,
    pub knowledge: &'a Knowledge,
}

pub trait Progress: Send + Sync {
    /// The number of questions, and how many of them an earlier run has answered.
    fn planned(&self, questions: usize, known: usize);
    fn asked(&self, scenario: &ScenarioReport);
    fn checked(&self, _name: &str, _holds: bool) {}
}

impl Progress for () {
    fn planned(&self, _: usize, _: usize) {}
    fn asked(&self, _: &ScenarioReport) {}
}

/// How often suggested settings are tried, each time without those that failed.
const TRIALS_MAX: usize = 4;

pub(crate) struct Run<'a> {
    sides: &'a Sides<'a>,
    plan: &'a Plan,
    known: Known,
    gathered: Gathered,
    by: KeyedBy,
    /// Whether an answer of control had the headers of a gateway.
    is_control_a_gateway: bool,
    /// Votes of the current list for the setting `deleted_at`.
    deletions: Vec<Vote>,
    remembered: Remembered,
    /// Settings that were tried and explain nothing, and how many values speak against each.
    failed: BTreeMap<SettingKey, u64>,
}

/// Runs a validation to its end, or until it is cancelled. Questions that were not asked are undecided.
///
/// # Errors
/// Where the first questions show that a comparison would prove nothing.
pub async fn validate(
    sides: &Sides<'_>,
    plan: &Plan,
    state: &mut State,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Report, Unable> {
    let started = Instant::now();
    let plan = &plan.clone().of_offered(sides.knowledge);
    let mut run = Run::new(sides, plan);
    let (mut left, mut asked) = (Vec::new(), Vec::new());
    run.teams().await;
    for endpoint in &plan.endpoints {
        let scenario = Scenario::all(endpoint);
        let Some(finished) = cancel.run_until_cancelled(run.first(&scenario)).await else {
            return Ok(run.report(started, vec![scenario.id], cancel).await);
        };
        let finished = match finished {
            Err(why) if endpoint.is_extra => match run.without(&scenario, why)? {
                Some(finished) => finished,
                None => continue,
            },
            finished => finished?,
        };
        progress.asked(&finished.scenario);
        let is_undecided = finished.scenario.undecided_because.is_some();
        run.gathered.finished.push(finished);
        if !(endpoint.is_extra && is_undecided) {
            asked.push(*endpoint);
        }
    }
    for endpoint in asked {
        let control = &mut run.known.endpoints.entry(endpoint.name).or_default().control;
        control.deleted.clone_from(&run.known.deleted);
        let mut all = match &plan.questions {
            Some(all) => {
                all.iter().filter(|one| one.endpoint.name == endpoint.name).cloned().collect()
            }
            None => questions(endpoint, control, plan.extent, plan.seed),
        };
        let left_out = &mut run.gathered.left_out;
        left_out::note(left_out, plan, endpoint, control, &all);
        let wanted = all.len();
        // A filter by a field that is left out may list other records, without a cause to be found.
        all.retain(|scenario| !plan.ignores_filter_of(scenario));
        left_out.filtered += (wanted - all.len()) as u64;
        left.extend(all);
    }
    // Refused keys come first, because they show at once whether control is a legacy API.
    left.sort_by_key(|scenario| scenario.group != Group::BadKey);
    let known = left.iter().filter(|scenario| state.has(&scenario.fingerprint())).count();
    progress.planned(left.len(), known);
    let lost = |number| format!("recorded without an answer/{number}");
    let mut unasked: Vec<String> = (0..plan.questions_lost).map(lost).collect();
    for scenario in &left {
        if let Some(finished) = state.take(&scenario.fingerprint()) {
            let known = run.endpoint(scenario.endpoint);
            finished.votes.iter().for_each(|vote| known.note_vote(vote));
            run.gathered.finished.push(finished);
            run.remembered.miss();
            continue;
        }
        let asked = match cancel.is_cancelled() {
            true => None,
            false => cancel.run_until_cancelled(run.question(scenario)).await,
        };
        if run.is_control_a_gateway {
            return Err(Unable::Gateway { shape: scenario.ask.shape() });
        }
        let Some(finished) = asked else {
            unasked.push(scenario.id.clone());
            continue;
        };
        progress.asked(&finished.scenario);
        if finished.scenario.outcome != Outcome::Undecided {
            state.note(&scenario.fingerprint(), &finished);
        }
        run.gathered.finished.push(finished);
    }
    Ok(run.report(started, unasked, cancel).await)
}

/// Compares the answers to a question.
fn compared(scenario: &Scenario, control: &Reply, candidate: &Reply, by: KeyedBy) -> Compared {
    let mut found = compare(scenario.endpoint, control, candidate, by);
    if scenario.group == Group::BadKey {
        found.for_wrong_key(control, candidate);
    }
    found
}

pub(crate) struct Pair {
    control: Reply,
    candidate: Reply,
    control_took: Duration,
    candidate_took: Duration,
}

impl<'a> Run<'a> {
    fn new(sides: &'a Sides<'a>, plan: &'a Plan) -> Run<'a> {
        Run {
            sides,
            plan,
            known: Known::default(),
            gathered: Gathered::new(plan),
            by: KeyedBy::Id,
            is_control_a_gateway: false,
            deletions: Vec::new(),
            remembered: Remembered::default(),
            failed: BTreeMap::new(),
        }
    }

    async fn report(
        mut self,
        started: Instant,
        unasked: Vec<String>,
        cancel: &CancellationToken,
    ) -> Report {
        self.gathered.totals.candidate_busy = self.sides.candidate.times_busy();
        let mut all = std::mem::take(&mut self.gathered.finished);
        let mut settings = settle(&mut all, &BTreeMap::new());
        let (mut replayed, mut is_settled) = (None, false);
        // Settings that fail are taken out, and the others tried again.
        for _ in 0..TRIALS_MAX {
            let trial = match cancel.is_cancelled() {
                true => None,
                false => cancel.run_until_cancelled(self.tried(&settings)).await.flatten(),
            };
            replayed = trial.as_ref().map(|trial| trial.replayed.clone());
            let open = trial.filter(|one| !one.against.is_empty() || !one.brought.is_empty());
            is_settled = open.is_none();
            let Some(trial) = open else { break };
            for (key, count) in trial.against {
                *self.failed.entry(key).or_default() += count;
            }
            all.extend(trial.brought);
            settings = settle(&mut all, &self.failed);
        }
        self.remembered = Remembered::default();
        if let Some(behind) = self.sides.behind {
            behind.forget(true);
        }
        self.gathered.finished = all;
        let mut report =
            self.gathered.report(self.sides.knowledge, started.elapsed(), &unasked, settings);
        if report.verdict == Verdict::Agree {
            let doubt = match (&replayed, is_settled && !cancel.is_cancelled()) {
                (_, false) => Some("the suggested settings were not tried to their end".to_owned()),
                (Some(run), _) => run.doubt(),
                (None, _) => None,
            };
            if let Some(doubt) = doubt {
                (report.verdict, report.because) = (Verdict::Undecided, doubt);
            }
        }
        report.replayed = replayed;
        report
    }

    fn endpoint(&mut self, endpoint: &'static Endpoint) -> &mut KnownEndpoint {
        self.known.endpoints.entry(endpoint.name).or_default()
    }

    /// Reads the names of teams, for lists of teams that show names on one side.
    async fn teams(&mut self) {
        let teams = self.plan.endpoints.iter().find(|endpoint| endpoint.name == "v2_cdr_teams");
        let Some(teams) = teams else { return };
        let ask = Scenario::all(teams).ask;
        let Ok(reply) = self.sides.candidate.ask(&ask).await else { return };
        self.gathered.totals.candidate_requests += 1;
        let Ok(list) = List::read(&reply.body, KeyedBy::Id) else { return };
        for (key, record) in list.keys.iter().zip(&list.records) {
            if let Some(name) = record.node().get("name").and_then(Node::text) {
                self.known.teams.insert(key.clone(), name.to_owned());
            }
        }
    }

    /// Asks for a whole list. Without it nothing else can be asked.
    async fn first(&mut self, scenario: &Scenario) -> Result<Finished, Unable> {
        let shape = scenario.ask.shape();
        let asked = self.ask_for(scenario).await;
        let silent = |(side, why)| Unable::Silent { side, shape: shape.clone(), why };
        let pair = asked.map_err(silent)?;
        if let Some(unable) = unable(&pair, shape) {
            return Err(unable);
        }
        if scenario.endpoint.lists_users() && self.by == KeyedBy::Id {
            self.by = KeyedBy::of(&pair.control.body, &pair.candidate.body);
        }
        self.learn(scenario.endpoint, &pair);
        Ok(self.finish(scenario, pair).await)
    }

    /// An account, a key or the new API may be without an endpoint that is no list of users, teams or deleted users:
    /// its questions are undecided then, and the others are asked. A recording that does not have it leaves it out.
    fn without(&mut self, scenario: &Scenario, why: Unable) -> Result<Option<Finished>, Unable> {
        match why {
            Unable::Silent { why: Silence::NotRecorded, .. } => {
                self.gathered.left_out.endpoints.push(scenario.endpoint.name.to_owned());
                Ok(None)
            }
            Unable::Refused { .. } | Unable::NotThere { .. } | Unable::Unfit { .. } => {
                let mut finished = Finished::of(scenario);
                finished.scenario.undecided_because = Some(why.to_string());
                Ok(Some(finished))
            }
            why => Err(why),
        }
    }

    async fn question(&mut self, scenario: &Scenario) -> Finished {
        match self.ask_for(scenario).await {
            Ok(pair) => self.finish(scenario, pair).await,
            Err((side, why)) => {
                let mut finished = Finished::of(scenario);
                let because = format!("{}: {why}", side.word());
                finished.scenario.undecided_because = Some(because);
                finished.hide(&self.gathered.mask);
                finished
            }
        }
    }

    /// Asks both sides a question for the first time.
    async fn ask_for(&mut self, scenario: &Scenario) -> Result<Pair, (Side, Silence)> {
        let control = self.sides.control.ask_first(&scenario.ask, scenario.whole.as_deref());
        self.pair(control, &scenario.ask).await
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Pair, (Side, Silence)> {
        let control = self.sides.control.ask(ask);
        self.pair(control, ask).await
    }

    async fn pair(
        &mut self,
        control: Answering<'_, Result<Reply, Silence>>,
        ask: &Ask,
    ) -> Result<Pair, (Side, Silence)> {
        let started = Instant::now();
        self.gathered.totals.control_requests += 1;
        let control = match control.await {
            Ok(reply) => reply,
            Err(why) => {
                // A request beyond the budget was not sent.
                let unasked = u64::from(why == Silence::Budget);
                self.gathered.totals.control_requests -= unasked;
                return Err((Side::Control, why));
            }
        };
        let control_took = started.elapsed();
        self.is_control_a_gateway |= is_of_tieline(&control);
        if let Some(behind) = self.sides.behind {
            behind.take_calls();
        }
        let started = Instant::now();
        self.gathered.totals.candidate_requests += 1;
        let candidate = self.sides.candidate.ask(ask).await;
        let candidate = candidate.map_err(|why| (Side::Candidate, why))?;
        let candidate_took = started.elapsed();
        if let Some(behind) = self.sides.behind {
            self.gathered.calls(ask, &behind.take_calls());
        }
        Ok(Pair { control, candidate, control_took, candidate_took })
    }

    async fn finish(&mut self, scenario: &Scenario, pair: Pair) -> Finished {
        let mut finished = Finished::of(scenario);
        let millis = |took: Duration| took.as_secs_f64() * 1e3;
        finished.scenario.control_ms = millis(pair.control_took);
        finished.scenario.candidate_ms = millis(pair.candidate_took);
        let is_refusal = scenario.group == Group::BadKey && pair.candidate.status >= 400;
        finished.looks_like_tieline = match is_of_tieline(&pair.candidate) {
            true => Some(true),
            false => is_refusal.then_some(false),
        };
        if pair.control.status >= 500 {
            let because = format!("control: it answers {}", pair.control.status);
            finished.scenario.undecided_because = Some(because);
            return finished;
        }
        if pair.candidate.header("x-tieline-answered-by") == Some("control") {
            let because = "candidate: control answered in its place (control_percent)";
            finished.scenario.undecided_because = Some(because.to_owned());
            return finished;
        }
        let is_refused = pair.control.status >= 400 && pair.candidate.status < 400;
        if scenario.group == Group::Unprinted && self.lists_just_who_fits(scenario, &pair).await {
            finished.scenario.outcome = Outcome::Explained;
            return finished;
        }
        if matches!(scenario.group, Group::Written | Group::Unprinted) && is_refused {
            // No client can use a form that control refuses.
            finished.scenario.outcome = Outcome::Explained;
            return finished;
        }
        let by = self.keyed_by(scenario.endpoint);
        let mut found = compared(scenario, &pair.control, &pair.candidate, by);
        finished.ignore(&mut found, &self.plan.ignored, &self.gathered.mask);
        finished.scenario.control_records = found.control_records;
        finished.scenario.candidate_records = found.candidate_records;
        let judged = self.judge(scenario, &pair, &found, by).await;
        finished.votes = self.votes(scenario, &pair, by);
        if !self.remembered.note(scenario, &pair.control, by, (&found, &judged))
            && let Some(behind) = self.sides.behind
        {
            // Its pages are not needed again, those of smaller answers are.
            behind.forget(false);
        }
        // Most questions have no difference.
        let records = OnceCell::new();
        let showing = Showing {
            examples_max: self.plan.examples_max,
            mask: &self.gathered.mask,
            records: &|key| {
                let records = records.get_or_init(|| Records::of(&pair, by));
                [records.control(key), records.candidate(key)].into_iter().flatten().collect()
            },
        };
        finished.count(&found, judged, &showing);
        finished
    }

    fn keyed_by(&self, endpoint: &Endpoint) -> KeyedBy {
        if endpoint.lists_users() { self.by } else { KeyedBy::own(endpoint) }
    }
}
