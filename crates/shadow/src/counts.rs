//! The counters of shadowing, and their labels.

use std::fmt;

use transport::client::LookupFailure;

/// The reasons why a comparison is dropped.
pub const DROPPED: [&str; 6] = ["busy", "memory", "paused", "queue_full", "timeout", "too_large"];

/// Counts events. It must never wait.
pub trait Counts: fmt::Debug + Send + Sync {
    /// The host name of control could not be resolved.
    fn dns_failed(&self, failure: LookupFailure);
    /// Control was asked, for a client or for a comparison.
    fn control_request(&self, outcome: &'static str);
    /// Control was chosen to answer a client.
    fn control_answer(&self, outcome: &'static str);
    /// A comparison was dropped.
    fn dropped(&self, why: &'static str);
    /// Two answers were compared, or one side had no answer.
    fn compared(
        &self,
        endpoint: &'static str,
        outcome: &'static str,
        causes: &[(&'static str, u64)],
    );
}
