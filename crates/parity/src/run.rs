//! A validation: the whole lists first, then every other question, each compared and judged.
//!
//! Control is asked before candidate, every time, so that what candidate read is the younger one: if
//! control says the same before and after, nothing has changed in between.

mod again;
mod behind;
mod gathered;
mod judge;
mod settle;
pub mod state;
mod systematic;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ask::{Ask, Reply};
use crate::cause::{Known, KnownEndpoint, Vote};
use crate::compare::compare;
use crate::endpoint::{ENDPOINTS, Endpoint};
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};
use crate::node::Node;
use crate::report::{Cause, Outcome, Report, ScenarioReport};
use crate::scenario::{Extent, Scenario, questions};
use crate::source::{Answering, Silence, Source};
pub use behind::Behind;
use gathered::Gathered;
use state::{Finished, State};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which endpoints.
    pub endpoints: Vec<&'static Endpoint>,
    /// How many questions.
    pub extent: Extent,
    /// Picks the values.
    pub seed: u64,
    /// `endpoint.field` that are left out: not compared, not matched.
    pub ignored: Vec<(String, String)>,
    /// Examples of each finding.
    pub examples_max: usize,
    /// The questions, where they are not to be made from the data.
    pub questions: Option<Vec<Scenario>>,
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
        }
    }
}

/// Both sides, and what is known of candidate.
pub struct Sides<'a> {
    /// The real legacy API, or a recording of it.
    pub control: &'a dyn Source,
    /// What is validated.
    pub candidate: &'a dyn Source,
    /// What candidate asks the new API, and a way to ask it as well.
    pub behind: Option<&'a dyn Behind>,
    /// Settings and ledger.
    pub knowledge: &'a Knowledge,
}

impl std::fmt::Debug for Sides<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sides")
    }
}

/// Who is told how far it is.
pub trait Progress: Send + Sync {
    /// So many questions are to be asked, of which so many are known from before.
    fn planned(&self, questions: usize, known: usize);
    /// A question was answered by both.
    fn asked(&self, scenario: &ScenarioReport);
    /// A check of candidate alone was made, and whether it holds.
    fn checked(&self, _name: &str, _holds: bool) {}
}

/// Nobody.
impl Progress for () {
    fn planned(&self, _: usize, _: usize) {}
    fn asked(&self, _: &ScenarioReport) {}
}

/// Why a validation could not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// A side refuses the key.
    #[error("{side} refuses its key: it answers {status} to {shape}")]
    Refused {
        /// `control` or `candidate`.
        side: &'static str,
        /// What it answers.
        status: u16,
        /// What was asked.
        shape: String,
    },
    /// A side is something else than a legacy API.
    #[error(
        "{side} answers {status} and no JSON to {shape}, perhaps a web page: is that its address?"
    )]
    NoJson {
        /// `control` or `candidate`.
        side: &'static str,
        /// What it answers.
        status: u16,
        /// What was asked.
        shape: String,
    },
    /// A side does not answer at all.
    #[error("{side} does not answer {shape}: {why}")]
    Silent {
        /// `control` or `candidate`.
        side: &'static str,
        /// What was asked.
        shape: String,
        /// Why.
        why: Silence,
    },
}

/// One run.
pub(crate) struct Run<'a> {
    sides: &'a Sides<'a>,
    plan: &'a Plan,
    known: Known,
    gathered: Gathered,
    by: KeyedBy,
    /// What users with a deletion date say of the setting that reads it, by the list at hand.
    deletions: Vec<Vote>,
}

/// Runs a validation to its end, or until it is cancelled; what was not asked is undecided then.
///
/// # Errors
/// Where the first question already shows that nothing can be asked.
pub async fn validate(
    sides: &Sides<'_>,
    plan: &Plan,
    state: &mut State,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Report, Unable> {
    let started = Instant::now();
    let gathered = Gathered::new(plan);
    let (known, deletions) = (Known::default(), Vec::new());
    let mut run = Run { sides, plan, known, gathered, by: KeyedBy::Id, deletions };
    let mut left = Vec::new();
    run.teams(plan).await;
    for endpoint in &plan.endpoints {
        let scenario = Scenario::all(endpoint);
        let Some(finished) = cancel.run_until_cancelled(run.first(&scenario)).await else {
            return Ok(run.report(started, vec![scenario.id]));
        };
        let finished = finished?;
        progress.asked(&finished.scenario);
        run.gathered.add(finished);
        match &plan.questions {
            Some(all) => {
                let of_endpoint = all.iter().filter(|one| one.endpoint.name == endpoint.name);
                left.extend(of_endpoint.cloned());
            }
            None => {
                let control = &run.endpoint(endpoint).control;
                left.extend(questions(endpoint, control, plan.extent, plan.seed));
            }
        }
    }
    left.retain(|scenario| {
        // A filter by what is left out would list others for no reason that is looked at.
        !plan.ignored.iter().any(|(endpoint, field)| {
            *endpoint == scenario.endpoint.name
                && scenario.filters.iter().any(|(filter, _)| filter == field)
        })
    });
    let known = left.iter().filter(|scenario| state.has(&scenario.fingerprint())).count();
    progress.planned(left.len(), known);
    let mut unasked = Vec::new();
    for scenario in &left {
        if let Some(finished) = state.take(&scenario.fingerprint()) {
            let known = run.endpoint(scenario.endpoint);
            finished.votes.iter().for_each(|vote| known.heard(vote));
            run.gathered.add(finished);
            continue;
        }
        let asked = match cancel.is_cancelled() {
            true => None,
            false => cancel.run_until_cancelled(run.question(scenario)).await,
        };
        let Some(finished) = asked else {
            unasked.push(scenario.id.clone());
            continue;
        };
        progress.asked(&finished.scenario);
        if finished.scenario.outcome != Outcome::Undecided {
            state.note(&scenario.fingerprint(), &finished);
        }
        run.gathered.add(finished);
    }
    Ok(run.report(started, unasked))
}

/// One question to both sides, and how long each took.
pub(crate) struct Pair {
    control: Reply,
    candidate: Reply,
    control_took: Duration,
    candidate_took: Duration,
}

impl<'a> Run<'a> {
    fn report(self, started: Instant, unasked: Vec<String>) -> Report {
        self.gathered.report(self.sides.knowledge, started.elapsed(), &unasked)
    }

    fn endpoint(&mut self, endpoint: &'static Endpoint) -> &mut KnownEndpoint {
        self.known.endpoints.entry(endpoint.name).or_default()
    }

    /// The names of teams, for lists of teams that show names on one side.
    async fn teams(&mut self, plan: &Plan) {
        let teams = plan.endpoints.iter().find(|endpoint| endpoint.name == "v2_cdr_teams");
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

    /// A whole list: without it nothing else can be asked.
    async fn first(&mut self, scenario: &Scenario) -> Result<Finished, Unable> {
        let shape = scenario.ask.shape();
        let pair = match self.ask_for(scenario).await {
            Ok(pair) => pair,
            Err((side, why)) => return Err(Unable::Silent { side, shape, why }),
        };
        for (side, reply) in [("control", &pair.control), ("candidate", &pair.candidate)] {
            if matches!(reply.status, 401 | 403) {
                return Err(Unable::Refused { side, status: reply.status, shape });
            }
            // Control that lists nothing cannot be compared with; candidate that does not is wrong.
            let is_fit = match side {
                "control" => List::read(&reply.body, KeyedBy::Id).is_ok(),
                // A web page is no gateway; a list that is cut is a gateway's mistake.
                _ => !reply.body.trim_ascii_start().starts_with(b"<"),
            };
            if reply.status < 400 && !is_fit {
                return Err(Unable::NoJson { side, status: reply.status, shape });
            }
        }
        if scenario.endpoint.lists_users() {
            self.by = self.alignment(&pair);
        }
        self.learn(scenario.endpoint, &pair);
        Ok(self.finish(scenario, pair).await)
    }

    async fn question(&mut self, scenario: &Scenario) -> Finished {
        match self.ask_for(scenario).await {
            Ok(pair) => self.finish(scenario, pair).await,
            Err((side, why)) => {
                let mut finished = Finished::of(scenario);
                finished.scenario.undecided_because = Some(format!("{side}: {why}"));
                finished
            }
        }
    }

    /// Asks control, then candidate, for the first time.
    async fn ask_for(&mut self, scenario: &Scenario) -> Result<Pair, (&'static str, Silence)> {
        let control = self.sides.control.ask_for(scenario);
        self.pair(control, &scenario.ask).await
    }

    /// The same once more.
    async fn ask(&mut self, ask: &Ask) -> Result<Pair, (&'static str, Silence)> {
        let control = self.sides.control.ask(ask);
        self.pair(control, ask).await
    }

    async fn pair(
        &mut self,
        control: Answering<'_, Result<Reply, Silence>>,
        ask: &Ask,
    ) -> Result<Pair, (&'static str, Silence)> {
        let started = Instant::now();
        self.gathered.totals.control_requests += 1;
        let control = match control.await {
            Ok(reply) => reply,
            Err(why) => {
                // What the budget forbids was not asked.
                let unasked = u64::from(why == Silence::Budget);
                self.gathered.totals.control_requests -= unasked;
                return Err(("control", why));
            }
        };
        let control_took = started.elapsed();
        if let Some(behind) = self.sides.behind {
            behind.take_calls();
        }
        let started = Instant::now();
        self.gathered.totals.candidate_requests += 1;
        let candidate = self.sides.candidate.ask(ask).await.map_err(|why| ("candidate", why))?;
        let candidate_took = started.elapsed();
        if let Some(behind) = self.sides.behind {
            self.gathered.calls(ask, &behind.take_calls());
        }
        Ok(Pair { control, candidate, control_took, candidate_took })
    }

    /// By id; by e-mail address where the two sides number the same people in different ways.
    fn alignment(&self, pair: &Pair) -> KeyedBy {
        let shared = |by: KeyedBy| -> Option<(usize, usize)> {
            let control = List::read(&pair.control.body, by).ok()?;
            let candidate = List::read(&pair.candidate.body, by).ok()?;
            let both = control
                .keys
                .iter()
                .filter(|key| !key.starts_with('#') && candidate.places.contains_key(*key));
            Some((both.count(), control.keys.len().min(candidate.keys.len())))
        };
        if self.by == KeyedBy::Email {
            return KeyedBy::Email;
        }
        match (shared(KeyedBy::Id), shared(KeyedBy::Email)) {
            (Some((by_id, all)), Some((by_email, _))) if by_id * 10 < all && by_email * 2 > all => {
                KeyedBy::Email
            }
            _ => KeyedBy::Id,
        }
    }

    /// Compares, judges and counts.
    async fn finish(&mut self, scenario: &Scenario, pair: Pair) -> Finished {
        let mut finished = Finished::of(scenario);
        let millis = |took: Duration| took.as_secs_f64() * 1e3;
        finished.scenario.control_ms = millis(pair.control_took);
        finished.scenario.candidate_ms = millis(pair.candidate_took);
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
        let by = self.keyed_by(scenario.endpoint);
        let mut found = compare(scenario.endpoint, &pair.control, &pair.candidate, by);
        finished.ignore(&mut found, &self.plan.ignored);
        finished.scenario.control_records = found.control_records;
        finished.scenario.candidate_records = found.candidate_records;
        let judged = self.judge(scenario, &pair, &found, by).await;
        finished.votes = self.votes(scenario, &pair, by);
        finished.count(&found, judged, self.plan.examples_max, self.gathered.mask());
        finished.scenario.outcome = match finished.scenario.causes.keys().next() {
            None => Outcome::Equal,
            Some(Cause::Bug) => Outcome::Different,
            Some(_) => Outcome::Explained,
        };
        finished
    }

    fn keyed_by(&self, endpoint: &Endpoint) -> KeyedBy {
        if endpoint.lists_users() { self.by } else { KeyedBy::Id }
    }
}
