//! What is counted of brownouts, and which are announced. Must never have a label of a request.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::scrape::set;

/// The slug of an answer in a window.
pub(super) const SLUG: &str = "brownout";

/// The window of each endpoint that is on or comes next: label, start and end, in seconds since 1970.
pub(crate) type Announced = Vec<(&'static str, u64, u64)>;

/// See the module.
#[derive(Debug)]
pub(super) struct Brownouts {
    answers: IntCounterVec,
    start: IntGaugeVec,
    end: IntGaugeVec,
}

impl Brownouts {
    pub(super) fn new<E>(
        counter: impl Fn(&str) -> Result<IntCounterVec, E>,
        gauge: impl Fn(&str) -> Result<IntGaugeVec, E>,
    ) -> Result<Self, E> {
        Ok(Brownouts {
            answers: counter("tieline_brownout_answers_total")?,
            start: gauge("tieline_brownout_start_seconds")?,
            end: gauge("tieline_brownout_end_seconds")?,
        })
    }

    /// A request was answered so.
    pub(super) fn answered(&self, caller: &str, endpoint: &str) {
        self.answers.with_label_values(&[caller, endpoint]).inc();
    }

    /// Shows the windows, and no other.
    pub(super) fn look_at(&self, announced: &Announced) {
        self.start.reset();
        self.end.reset();
        for (label, start, end) in announced {
            set(&self.start, &[label], i64::try_from(*start).ok());
            set(&self.end, &[label], i64::try_from(*end).ok());
        }
    }
}
