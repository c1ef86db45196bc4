//! Whether a sum has grown of late, as far as somebody looked: what is counted since the start would need attention for
//! ever. Must never make a request wait: only those who look come here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long after its last growth a sum needs attention.
pub(crate) const LATELY: Duration = Duration::from_secs(60 * 60);

/// See the module. Sums go by their names.
#[derive(Debug, Default)]
pub(crate) struct Lately(Mutex<BTreeMap<&'static str, (u64, Instant)>>);

impl Lately {
    /// Whether the sum is more than it was an hour ago. What it has grown by since the last look counts as grown now,
    /// so nobody who looks seldom misses it.
    pub(crate) fn has_grown(&self, name: &'static str, sum: u64) -> bool {
        let now = Instant::now();
        // Plain data, valid after any panic.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, grew) = all.entry(name).or_insert((0, now));
        if sum > *known {
            (*known, *grew) = (sum, now);
        }
        sum > 0 && now.saturating_duration_since(*grew) < LATELY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sum_needs_attention_for_an_hour_after_it_was_seen_to_grow() {
        let lately = Lately::default();
        let after = async |wait: Duration, sum: u64| {
            tokio::time::sleep(wait).await;
            lately.has_grown("panics", sum)
        };
        assert!(!after(Duration::ZERO, 0).await);
        // Two days later, at the first look since it grew.
        assert!(after(48 * LATELY, 3).await);
        assert!(after(LATELY / 2, 3).await);
        assert!(!after(LATELY / 2, 3).await);
        assert!(after(LATELY, 4).await && after(LATELY / 2, 5).await && after(LATELY / 2, 5).await);
        assert!(!after(LATELY / 2, 5).await);
        // Each sum is by itself.
        assert!(lately.has_grown("log lines", 1) && !lately.has_grown("panics", 5));
    }
}
