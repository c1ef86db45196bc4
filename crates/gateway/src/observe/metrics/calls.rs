//! The counters of calls that callers wanted placed. Every call is counted once, also one that was cut.

use prometheus::{IntCounter, IntCounterVec};

use super::Metrics;

/// The values of the label `outcome`.
const OUTCOMES: [&str; 4] = ["placed", "placed_without_id", "not_placed", "unknown"];

/// One counter for each of [`OUTCOMES`].
#[derive(Debug)]
pub(super) struct Calls([IntCounter; OUTCOMES.len()]);

impl Calls {
    pub(super) fn of(counters: &IntCounterVec) -> Calls {
        Calls(OUTCOMES.map(|outcome| counters.with_label_values(&[outcome])))
    }
}

impl Metrics {
    /// What became of a call that a caller wanted placed.
    pub(crate) fn call(&self, outcome: &'static str) {
        let place = OUTCOMES.iter().position(|known| *known == outcome);
        place.and_then(|place| self.0.calls.0.get(place)).inspect(|counter| counter.inc());
    }
}
