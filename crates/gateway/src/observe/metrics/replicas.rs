//! What is counted of replicas that share. Without `[commons]` there are no such series.

use std::collections::BTreeSet;

use commons::Standing;
use prometheus::{IntCounterVec, IntGaugeVec};

use super::scrape::set;

/// See the module.
#[derive(Debug)]
pub(super) struct Replicas {
    errors: IntCounterVec,
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
            replicas: gauge("tieline_commons_replicas")?,
            alone: gauge("tieline_commons_alone")?,
            configurations: gauge("tieline_commons_configurations")?,
        })
    }

    pub(super) fn look_at(&self, standing: &Standing) {
        for (kind, count) in &standing.errors {
            let counter = self.errors.with_label_values(&[kind]);
            // The count begins anew with other servers; what was counted stays counted.
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        set(&self.replicas, &[], Some(i64::from(standing.replicas)));
        set(&self.alone, &[], Some(i64::from(standing.is_alone)));
        let words: BTreeSet<&[u8]> = standing.members.iter().map(|it| &it.word[..]).collect();
        set(&self.configurations, &[], i64::try_from(words.len()).ok());
    }
}
