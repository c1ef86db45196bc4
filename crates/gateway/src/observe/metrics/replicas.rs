//! What is counted of replicas that share. Without `[commons]` there are no such series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use commons::Standing;
use prometheus::{IntCounterVec, IntGaugeVec};

use super::scrape::set;

/// See the module.
#[derive(Debug)]
pub(super) struct Replicas {
    errors: IntCounterVec,
    /// What the commons had counted when somebody last looked.
    seen: Mutex<BTreeMap<&'static str, u64>>,
    replicas: IntGaugeVec,
    alone: IntGaugeVec,
    configurations: IntGaugeVec,
}

impl Replicas {
    pub(super) fn new(
        counter: impl Fn(&str) -> Result<IntCounterVec, prometheus::Error>,
        gauge: impl Fn(&str) -> Result<IntGaugeVec, prometheus::Error>,
    ) -> Result<Self, prometheus::Error> {
        Ok(Replicas {
            errors: counter("tieline_commons_errors_total")?,
            seen: Mutex::default(),
            replicas: gauge("tieline_commons_replicas")?,
            alone: gauge("tieline_commons_alone")?,
            configurations: gauge("tieline_commons_configurations")?,
        })
    }

    pub(super) fn look_at(&self, standing: Option<&Standing>) {
        // Plain data, valid after any panic.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(standing) = standing else {
            // A reload took the table out. What was counted stays counted.
            seen.clear();
            for gauge in [&self.replicas, &self.alone, &self.configurations] {
                gauge.reset();
            }
            return;
        };
        for (kind, count) in &standing.errors {
            let before = seen.insert(kind, *count).unwrap_or_default();
            // After a reload with other servers the count begins at 0, so that all of it is new.
            let new = if *count < before { *count } else { count - before };
            self.errors.with_label_values(&[kind]).inc_by(new);
        }
        drop(seen);
        set(&self.replicas, &[], Some(i64::from(standing.replicas)));
        set(&self.alone, &[], Some(i64::from(standing.is_alone)));
        let words: BTreeSet<&[u8]> = standing.members.iter().map(|it| &it.word[..]).collect();
        set(&self.configurations, &[], i64::try_from(words.len()).ok());
    }
}
