//! What is counted of the other side.

use prometheus::IntCounterVec;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shadow {
    comparisons: IntCounterVec,
    differences: IntCounterVec,
    dropped: IntCounterVec,
    requests: IntCounterVec,
    answers: IntCounterVec,
}

/// How a comparison ends.
pub(crate) const OUTCOMES: [&str; 4] = ["equal", "explained", "different", "failed"];
/// What nothing explains.
pub(crate) const BUG: &str = "bug";
/// Why a comparison is not made.
pub(crate) const DROPPED: [&str; 6] =
    ["busy", "memory", "paused", "queue_full", "timeout", "too_large"];

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
        // From the start, so that the first one is seen as a growth, by whoever is to be alarmed.
        for endpoint in domain::legacy::ENDPOINTS {
            for outcome in OUTCOMES {
                shadow.comparisons.with_label_values(&[endpoint.name(), outcome]);
            }
            shadow.differences.with_label_values(&[endpoint.name(), BUG]);
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

    /// Two answers were compared, or one of them was not to be had.
    pub(crate) fn compared(
        &self,
        endpoint: &str,
        outcome: &'static str,
        causes: impl Iterator<Item = (&'static str, u64)>,
    ) {
        self.comparisons.with_label_values(&[endpoint, outcome]).inc();
        for (cause, count) in causes {
            self.differences.with_label_values(&[endpoint, cause]).inc_by(count);
        }
    }

    /// Two answers are not compared.
    pub(crate) fn dropped(&self, why: &'static str) {
        self.dropped.with_label_values(&[why]).inc();
    }

    /// Control was asked, for whatever reason.
    pub(crate) fn control_request(&self, outcome: &'static str) {
        self.requests.with_label_values(&[outcome]).inc();
    }

    /// A client was to be answered by control.
    pub(crate) fn control_answer(&self, outcome: &'static str) {
        self.answers.with_label_values(&[outcome]).inc();
    }
}
