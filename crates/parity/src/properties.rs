//! What must hold of candidate alone, when there is no legacy API left to compare with: a filtered
//! list is part of the whole one, groups part it without a rest, endpoints agree with each other, the
//! same question has the same answer.
//!
//! What does not hold is tried once more over lists that are read anew, so that a change of the data
//! in between is nobody's fault.

mod checks;
mod fields;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use corpus::ask::{Ask, KeyPlace};
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use corpus::source::{Silence, Source};
use report::{FORMAT, LeftOut, PropertyReport, Report, Totals, Verdict};
use tokio_util::sync::CancellationToken;

use crate::filter::Index;
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};
use crate::run::{Plan, Progress, left_out};
use crate::scenario::{Scenario, questions};

/// A whole list of candidate.
pub(crate) struct Whole {
    /// The answer as it came.
    body: Bytes,
    /// Records by id, as JSON.
    records: HashMap<String, Node>,
    /// What filters look at.
    index: Index,
}

/// What a check saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    tried: u64,
    failures: Vec<String>,
}

impl Seen {
    /// One try; `why` is asked where it did not hold, and must show no value.
    fn holds(&mut self, holds: bool, why: impl FnOnce() -> String) {
        self.tried += 1;
        if !holds {
            self.failures.push(why());
        }
    }
}

/// Candidate and what is known of it.
pub(crate) struct Alone<'a> {
    candidate: &'a dyn Source,
    knowledge: &'a Knowledge,
    plan: &'a Plan,
    asked: u64,
    wholes: BTreeMap<&'static str, Whole>,
}

/// Failures of one property that are told.
const SEEN_MAX: usize = 5;

/// Checks every property.
///
/// # Errors
/// Where candidate does not answer.
pub async fn properties(
    candidate: &dyn Source,
    knowledge: &Knowledge,
    plan: &Plan,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<Report, Silence> {
    let started = tokio::time::Instant::now();
    let mut alone = Alone { candidate, knowledge, plan, asked: 0, wholes: BTreeMap::new() };
    let mut reports = Vec::new();
    let work = alone.all(&mut reports, progress);
    let done = cancel.run_until_cancelled(work).await;
    // Of nobody everything holds.
    let is_whole = done.is_some() && alone.wholes.values().any(|whole| !whole.records.is_empty());
    done.unwrap_or(Ok(()))?;
    let tried: u64 = reports.iter().map(|report: &PropertyReport| report.tried).sum();
    let failed: u64 = reports.iter().map(|report| report.failed).sum();
    let (verdict, because) = match (failed, is_whole && tried > 0) {
        (0, true) => {
            let because = format!(
                "all of {tried} checks of candidate alone hold; nothing was compared with the \
                 legacy API"
            );
            (Verdict::Agree, because)
        }
        (0, false) => (Verdict::Undecided, "not every check was made".to_owned()),
        _ => {
            (Verdict::Differ, format!("{failed} of {tried} checks of candidate alone do not hold"))
        }
    };
    Ok(Report {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict,
        because,
        seconds: started.elapsed().as_secs_f64(),
        dialect: knowledge.dialect.clone(),
        totals: Totals {
            candidate_requests: alone.asked,
            candidate_busy: candidate.times_busy(),
            ..Totals::default()
        },
        properties: reports,
        ledger: knowledge
            .ledger
            .iter()
            .filter(|loss| loss.dialect == knowledge.dialect)
            .cloned()
            .collect(),
        left_out: alone.left_out(),
        ..Report::default()
    })
}

impl Alone<'_> {
    async fn all(
        &mut self,
        reports: &mut Vec<PropertyReport>,
        progress: &dyn Progress,
    ) -> Result<(), Silence> {
        let checks = checks::all(self.plan);
        progress.planned(checks.len(), 0);
        self.read_wholes().await?;
        for check in checks {
            let mut seen = self.check(&check).await?;
            if !seen.failures.is_empty() {
                let before = self.bodies();
                self.read_wholes().await?;
                // Where the data held still, what failed once has failed.
                if self.bodies() != before {
                    seen = self.check(&check).await?;
                }
            }
            progress.checked(check.name, seen.failures.is_empty());
            reports.push(PropertyReport {
                name: check.name.to_owned(),
                endpoint: check.endpoint.name.to_owned(),
                says: check.says.to_owned(),
                tried: seen.tried,
                failed: seen.failures.len() as u64,
                seen: seen.failures.into_iter().take(SEEN_MAX).collect(),
            });
        }
        Ok(())
    }

    /// Fields cannot be left out here: whatever is said of one is said of all.
    fn left_out(&self) -> LeftOut {
        let mut left_out = left_out::planned(self.plan);
        left_out.fields.clear();
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
            let (_, body) = self.ask(&ask).await?;
            let mut whole = Whole { body, records: HashMap::new(), index: Index::default() };
            for (key, record) in records(&whole.body) {
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
        Ok((reply.status, reply.body))
    }

    /// The ids of a filtered list and its records; `None` where the answer is no list.
    async fn filtered(
        &mut self,
        endpoint: &'static Endpoint,
        filters: &[(String, String)],
    ) -> Result<Option<Vec<(String, Node)>>, Silence> {
        let ask =
            Ask { path: endpoint.path.to_owned(), query: filters.to_vec(), key: endpoint.key };
        let (status, body) = self.ask(&ask).await?;
        Ok((status == 200 && List::read(&body, KeyedBy::Id).is_ok()).then(|| records(&body)))
    }

    fn whole(&self, endpoint: &Endpoint) -> Option<&Whole> {
        self.wholes.get(endpoint.name)
    }
}

fn records(body: &[u8]) -> Vec<(String, Node)> {
    let Ok(list) = List::read(body, KeyedBy::Id) else { return Vec::new() };
    list.keys.iter().cloned().zip(list.records.iter().map(|record| record.node())).collect()
}

/// The same endpoint without its key.
pub(crate) fn keyless(endpoint: &Endpoint, key: KeyPlace) -> Ask {
    Ask { path: endpoint.path.to_owned(), query: Vec::new(), key }
}
