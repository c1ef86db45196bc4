//! How control treats one caller: whether it is asked at all. One that fails several times in a row is
//! left alone for a while, and so is one that says "wait"; then one request tries.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row, and control is left alone.
const FAILURES_MAX: u32 = 5;
/// For so long.
pub(super) const LEFT_ALONE_FOR: Duration = Duration::from_secs(30);
/// The longest wait that control may ask for.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<Now>);

#[derive(Debug, Default)]
struct Now {
    failures: u32,
    /// Nothing is asked before this.
    not_before: Option<Instant>,
}

impl Standing {
    /// Whether control would be asked now.
    pub(super) fn is_asked(&self) -> bool {
        self.now().not_before.is_none_or(|then| then <= Instant::now())
    }

    /// Whether to ask. After a pause one may, and the others when it has worked.
    pub(super) fn enter(&self) -> bool {
        let mut now = self.now();
        let Some(then) = now.not_before else { return true };
        let may_try = then <= Instant::now();
        if may_try {
            now.not_before = Some(Instant::now() + LEFT_ALONE_FOR);
        }
        may_try
    }

    pub(super) fn worked(&self) {
        *self.now() = Now::default();
    }

    /// Whether this is the failure after which it is left alone.
    pub(super) fn failed(&self) -> bool {
        let mut now = self.now();
        now.failures = now.failures.saturating_add(1);
        if now.failures >= FAILURES_MAX {
            now.not_before = Some(Instant::now() + LEFT_ALONE_FOR);
        }
        now.failures == FAILURES_MAX
    }

    /// Control said "wait", perhaps for how long.
    pub(super) fn wait(&self, told: Option<Duration>) {
        let wait = told.unwrap_or(LEFT_ALONE_FOR).clamp(Duration::from_secs(1), WAIT_MAX);
        self.now().not_before = Some(Instant::now() + wait);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_five_failures_in_a_row_it_is_left_alone_and_then_tried_once() {
        let standing = Standing::default();
        for _ in 1..FAILURES_MAX {
            assert!(standing.enter());
            assert!(!standing.failed());
        }
        standing.worked();
        for number in 1..=FAILURES_MAX {
            assert!(standing.enter(), "one that worked makes the others forgotten");
            assert_eq!(standing.failed(), number == FAILURES_MAX);
        }
        assert!(!standing.is_asked() && !standing.enter());
        tokio::time::sleep(LEFT_ALONE_FOR).await;
        assert!(standing.is_asked() && standing.enter());
        assert!(!standing.enter(), "one at a time");
        assert!(!standing.failed(), "told once");
        tokio::time::sleep(LEFT_ALONE_FOR / 2).await;
        assert!(!standing.enter());
        tokio::time::sleep(LEFT_ALONE_FOR / 2).await;
        assert!(standing.enter());
        standing.worked();
        assert!(standing.enter() && standing.enter());
    }

    #[tokio::test(start_paused = true)]
    async fn l03_a_wait_that_control_asks_for_is_kept_and_capped() {
        for (told, kept) in [
            (Some(Duration::from_secs(7)), Duration::from_secs(7)),
            (None, LEFT_ALONE_FOR),
            (Some(Duration::ZERO), Duration::from_secs(1)),
            (Some(Duration::from_secs(1 << 30)), WAIT_MAX),
        ] {
            let standing = Standing::default();
            standing.wait(told);
            tokio::time::sleep(kept - Duration::from_millis(1)).await;
            assert!(!standing.enter(), "{told:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(standing.enter(), "{told:?}");
        }
    }
}
