//! When the next places of a pace are, as far as is known: whether a list fits before its deadline. Must never take a
//! place.

use std::time::Duration;

use tokio::time::Instant;

use crate::law::{self, Law};

/// The wait that is told for a list that never fits: the longest that is ever told.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// When the next places of a pace are, as far as was known when somebody looked.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    pub(crate) at: Instant,
    pub(crate) law: Law,
    pub(crate) first: i64,
    pub(crate) pause: u64,
}

impl Outlook {
    /// Whether so many requests would have places before a deadline.
    ///
    /// # Errors
    ///
    /// They would not: after how long they would, if there were no others.
    pub fn admits(&self, requests: u64, deadline: Instant) -> Result<(), Duration> {
        let horizon = law::micros(deadline.saturating_duration_since(self.at));
        let told = |wait: Option<u64>| wait.map_or(NEVER, Duration::from_micros).min(NEVER);
        self.law.fits(self.first, self.pause, requests, horizon).map_err(told)
    }
}
