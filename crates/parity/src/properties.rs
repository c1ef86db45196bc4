//! Properties of candidate alone, for when there is no legacy API to compare with: a filtered list is part
//! of the whole list, groups divide it completely, endpoints agree with each other, and the same question
//! has the same answer.
//!
//! A check that fails is repeated over lists that are read again, because the data may have changed.

mod checks;
mod fields;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use corpus::ask::Ask;
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use corpus::source::{Silence, Source};
use report::{FORMAT, LeftOut, PropertyReport, Report, Totals, Verdict};
use tokio_util::sync::CancellationToken;

use crate::filter::Index;
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};
use crate::run::{NO_GATEWAY, Plan, Progress, is_of_tieline, left_out};
use crate::scenario::{Scenario, questions};

pub(crate) struct Whole {
    body: Bytes,
    records: HashMap<String, Node>,
    index: Index,
}

#[derive(Debug, Default)]
pub(crate) struct Tries {
    tried: u64,
    failures: Vec<String>,
}

impl Tries {
    /// Counts one try. `why` describes a failure, without a value.
    fn holds(&mut self, holds: bool, why: impl FnOnce() -> String) {
        self.tried += 1;
        if !holds {
            self.failures.push(why());
        }
    }
}

pub(crate) struct Alone<'a> {
    candidate: &'a dyn Source,
    knowledge: &'a Knowledge,
    plan: &'a Plan,
    asked: u64,
    wholes: BTreeMap<&'static str, Whole>,
    /// Endpoints beside the lists of users, teams and deleted users that candidate cannot answer, such as for want of
    /// a scope.
    refused: Vec<&'static str>,
    /// Whether an answer shows that candidate is a gateway, and whether one shows that it is none.
    looks: (bool, bool),
}

/// The most failures of one property in the report.
const FAILURES_MAX: usize = 5;

/// Checks every property of candidate.
pub async fn properties(
    candidate: &dyn Source,
    knowledge: &Knowledge,
    plan: &Plan,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Report, Silence> {
    let started = tokio::time::Instant::now();
    let (wholes, looks) = (BTreeMap::new(), (false, false));
    let plan = &plan.clone().of_offered(knowledge);
    let mut alone =
        Alone { candidate, knowledge, plan, asked: 0, wholes, looks, refused: Vec::new() };
    let mut reports = Vec::new();
    let work = alone.all(&mut reports, progress);
    let done = cancel.run_until_cancelled(work).await;
    // Everything is true of empty lists, so they prove nothing.
    let is_whole = done.is_some() && alone.wholes.values().any(|whole| !whole.records.is_empty());
    done.unwrap_or(Ok(()))?;
    let tried: u64 = reports.iter().map(|report: &PropertyReport| report.tried).sum();
    let failed: u64 = reports.iter().map(|report| report.failed).sum();
    let (mut verdict, mut because) = match (failed, is_whole && tried > 0) {
        (0, true) => (
            Verdict::Agree,
            format!(
                "all {tried} checks of Tieline alone hold; nothing was compared with the legacy API"
            ),
        ),
        (0, false) => (Verdict::Undecided, "not every check was made".to_owned()),
        _ => (Verdict::Differ, format!("{failed} of {tried} checks of Tieline alone do not hold")),
    };
    let mut remarks = Vec::new();
    if alone.looks == (false, true) {
        match verdict {
            Verdict::Agree => (verdict, because) = (Verdict::Undecided, NO_GATEWAY.to_owned()),
            Verdict::Differ | Verdict::Undecided => remarks.push(NO_GATEWAY.to_owned()),
        }
    }
    let mut report = Report {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict,
        because,
        remarks,
        seconds: started.elapsed().as_secs_f64(),
        dialect: knowledge.dialect.clone(),
        totals: Totals {
            candidate_requests: alone.asked,
            candidate_busy: candidate.times_busy(),
            ..Totals::default()
        },
        properties: reports,
        ledger: knowledge.losses().cloned().collect(),
        left_out: alone.left_out(),
        ..Report::default()
    };
    report.sort();
    Ok(report)
}

impl Alone<'_> {
    async fn all(
        &mut self,
        reports: &mut Vec<PropertyReport>,
        progress: &dyn Progress,
    ) -> Result<(), Silence> {
        self.read_wholes().await?;
        let mut checks = checks::all(self.plan);
        checks.retain(|check| !self.refused.contains(&check.endpoint.name));
        progress.planned(checks.len(), 0);
        for check in checks {
            let mut tries = self.check(&check).await?;
            if !tries.failures.is_empty() {
                let before = self.bodies();
                self.read_wholes().await?;
                // Where the data did not change, the failure is final.
                if self.bodies() != before {
                    tries = self.check(&check).await?;
                }
            }
            progress.checked(check.name, tries.failures.is_empty());
            reports.push(PropertyReport {
                name: check.name.to_owned(),
                endpoint: check.endpoint.name.to_owned(),
                says: check.says.to_owned(),
                tried: tries.tried,
                failed: tries.failures.len() as u64,
                seen: tries.failures.into_iter().take(FAILURES_MAX).collect(),
            });
        }
        Ok(())
    }

    /// What was left out. No field can be, because the checks cover whole records.
    fn left_out(&self) -> LeftOut {
        let mut left_out = left_out::planned(self.plan);
        left_out.fields.clear();
        left_out.endpoints.extend(self.refused.iter().map(|name| (*name).to_owned()));
        for endpoint in self.plan.endpoints.iter().filter(|endpoint| endpoint.lists_users()) {
            let Some(whole) = self.whole(endpoint) else { continue };
            let asked = questions(endpoint, &whole.index, self.plan.extent, self.plan.seed);
            left_out::note(&mut left_out, self.plan, endpoint, &whole.index, &asked);
        }
        left_out
    }

    fn bodies(&self) -> Vec<Bytes> {
        self.wholes.values().map(|whole| whole.body.clone()).collect()
    }

    async fn read_wholes(&mut self) -> Result<(), Silence> {
        for endpoint in &self.plan.endpoints {
            let ask = Scenario::all(endpoint).ask;
            let (status, body) = self.ask(&ask).await?;
            let is_refused = status >= 400 && endpoint.is_extra;
            if is_refused && !self.refused.contains(&endpoint.name) {
                self.refused.push(endpoint.name);
            }
            let mut whole = Whole { body, records: HashMap::new(), index: Index::default() };
            for (key, record) in records(endpoint, &whole.body) {
                whole.index.note(endpoint, &key, &record);
                whole.records.insert(key, record);
            }
            self.wholes.insert(endpoint.name, whole);
        }
        Ok(())
    }

    async fn ask(&mut self, ask: &Ask) -> Result<(u16, Bytes), Silence> {
        self.asked += 1;
        let reply = self.candidate.ask(ask).await?;
        let is_wrong = !ask.key.is_right();
        self.looks.0 |= is_of_tieline(&reply);
        self.looks.1 |= is_wrong && reply.status >= 400 && !is_of_tieline(&reply);
        Ok((reply.status, reply.body))
    }

    /// The records of a filtered list with their ids; `None` where the answer is not a list.
    async fn filtered(
        &mut self,
        endpoint: &'static Endpoint,
        filters: &[(String, String)],
    ) -> Result<Option<Vec<(String, Node)>>, Silence> {
        self.listed(endpoint, &Ask { query: filters.to_vec(), ..Scenario::all(endpoint).ask }).await
    }

    /// The same of any question.
    async fn listed(
        &mut self,
        endpoint: &Endpoint,
        ask: &Ask,
    ) -> Result<Option<Vec<(String, Node)>>, Silence> {
        let (status, body) = self.ask(ask).await?;
        let is_list = status == 200 && List::read(&body, KeyedBy::Id).is_ok();
        Ok(is_list.then(|| records(endpoint, &body)))
    }

    fn whole(&self, endpoint: &Endpoint) -> Option<&Whole> {
        self.wholes.get(endpoint.name)
    }
}

fn records(endpoint: &Endpoint, body: &[u8]) -> Vec<(String, Node)> {
    let Ok(list) = List::read(body, KeyedBy::own(endpoint)) else { return Vec::new() };
    list.keys.iter().cloned().zip(list.records.iter().map(|record| record.node())).collect()
}
