//! What is counted of the other side.

use prometheus::IntCounterVec;
use shadow::{Cause, Counts, DROPPED, Outcome};
use transport::client::LookupFailure;

use super::Metrics;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shadow {
    comparisons: IntCounterVec,
    differences: IntCounterVec,
    dropped: IntCounterVec,
    requests: IntCounterVec,
    answers: IntCounterVec,
}

/// Who answers a request that control is to answer.
const ANSWERS: [&str; 2] = ["control", "fallback"];

impl Shadow {
    pub(super) fn new(
        counter: impl Fn(&str) -> Result<IntCounterVec, prometheus::Error>,
    ) -> Result<Self, prometheus::Error> {
        let shadow = Shadow {
            comparisons: counter("tieline_shadow_total")?,
            differences: counter("tieline_shadow_differences_total")?,
            dropped: counter("tieline_shadow_dropped_total")?,
            requests: counter("tieline_control_requests_total")?,
            answers: counter("tieline_control_answers_total")?,
        };
        // At 0 from the start: an alert sees growth only from a value that was there before.
        for endpoint in domain::legacy::ENDPOINTS {
            for outcome in Outcome::ALL {
                shadow.comparisons.with_label_values(&[endpoint.name(), outcome.as_str()]);
            }
            shadow.differences.with_label_values(&[endpoint.name(), Cause::Bug.as_str()]);
        }
        for why in DROPPED {
            shadow.dropped.with_label_values(&[why]);
        }
        for side in ANSWERS {
            shadow.answers.with_label_values(&[side]);
        }
        shadow.requests.with_label_values(&["answered"]);
        Ok(shadow)
    }
}

impl Counts for Metrics {
    fn dns_failed(&self, failure: LookupFailure) {
        Metrics::dns_failed(self, failure);
    }

    fn control_request(&self, outcome: &'static str) {
        self.shadow().requests.with_label_values(&[outcome]).inc();
    }

    fn control_answer(&self, outcome: &'static str) {
        self.shadow().answers.with_label_values(&[outcome]).inc();
    }

    fn dropped(&self, why: &'static str) {
        self.shadow().dropped.with_label_values(&[why]).inc();
    }

    fn compared(
        &self,
        endpoint: &'static str,
        outcome: &'static str,
        causes: &[(&'static str, u64)],
    ) {
        let shadow = self.shadow();
        shadow.comparisons.with_label_values(&[endpoint, outcome]).inc();
        for (cause, count) in causes {
            shadow.differences.with_label_values(&[endpoint, cause]).inc_by(*count);
        }
    }
}
