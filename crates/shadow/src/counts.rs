//! What is counted of the other side, and in which words.

use std::fmt;

use transport::client::LookupFailure;

/// Why a comparison is not made.
pub const DROPPED: [&str; 6] = ["busy", "memory", "paused", "queue_full", "timeout", "too_large"];

/// Counts. Must never wait.
pub trait Counts: fmt::Debug + Send + Sync {
    /// The name of control gave no address.
    fn dns_failed(&self, failure: LookupFailure);
    /// Control was asked, for whatever reason.
    fn control_request(&self, outcome: &'static str);
    /// A client was to be answered by control.
    fn control_answer(&self, outcome: &'static str);
    /// Two answers are not compared.
    fn dropped(&self, why: &'static str);
    /// Two answers were compared, or one of them was not to be had.
    fn compared(
        &self,
        endpoint: &'static str,
        outcome: &'static str,
        causes: &[(&'static str, u64)],
    );
}
