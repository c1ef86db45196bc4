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
    pause: Option<Pause>,
    /// Pauses so far.
    pauses: u64,
}

#[derive(Debug)]
struct Pause {
    /// Nothing is asked before this.
    until: Instant,
    /// Which of all pauses it is.
    number: u64,
}

/// One question under way: which pauses it came after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

impl Standing {
    /// Whether control would be asked now.
    pub(super) fn is_asked(&self) -> bool {
        self.now().pause.as_ref().is_none_or(|pause| pause.until <= Instant::now())
    }

    /// Whether to ask. After a pause one may, and the others when it has worked.
    pub(super) fn enter(&self) -> Option<Ticket> {
        let mut now = self.now();
        if let Some(pause) = &now.pause {
            if pause.until > Instant::now() {
                return None;
            }
            now.pause_until(Instant::now() + LEFT_ALONE_FOR);
        }
        Some(Ticket(now.pauses))
    }

    /// What was before it is forgotten. A pause that began while it was under way goes on.
    pub(super) fn worked(&self, ticket: Ticket) {
        let mut now = self.now();
        if now.pause_after(ticket).is_none() {
            (now.failures, now.pause) = (0, None);
        }
    }

    /// Whether this is the failure after which it is left alone.
    pub(super) fn failed(&self, ticket: Ticket) -> bool {
        let mut now = self.now();
        now.failures = now.failures.saturating_add(1);
        if now.failures >= FAILURES_MAX {
            now.leave_alone(ticket, LEFT_ALONE_FOR);
        }
        now.failures == FAILURES_MAX
    }

    /// Control said "wait", perhaps for how long.
    pub(super) fn wait(&self, ticket: Ticket, told: Option<Duration>) {
        let wait = told.unwrap_or(LEFT_ALONE_FOR).clamp(Duration::from_secs(1), WAIT_MAX);
        self.now().leave_alone(ticket, wait);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// Until when it is left alone for what came while this question was under way.
    fn pause_after(&self, ticket: Ticket) -> Option<Instant> {
        self.pause.as_ref().filter(|pause| pause.number > ticket.0).map(|pause| pause.until)
    }

    /// The longer one where another one came first.
    fn leave_alone(&mut self, ticket: Ticket, wait: Duration) {
        let until = Instant::now() + wait;
        self.pause_until(self.pause_after(ticket).map_or(until, |other| other.max(until)));
    }

    fn pause_until(&mut self, until: Instant) {
        self.pauses += 1;
        self.pause = Some(Pause { until, number: self.pauses });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_five_failures_in_a_row_it_is_left_alone_and_then_tried_once() {
        let standing = Standing::default();
        let enter = || standing.enter();
        for _ in 1..FAILURES_MAX {
            assert!(!standing.failed(enter().unwrap()));
        }
        standing.worked(enter().unwrap());
        for number in 1..=FAILURES_MAX {
            let ticket = enter().expect("one that worked makes the others forgotten");
            assert_eq!(standing.failed(ticket), number == FAILURES_MAX);
        }
        assert!(!standing.is_asked() && enter().is_none());
        tokio::time::sleep(LEFT_ALONE_FOR).await;
        assert!(standing.is_asked());
        let ticket = enter().unwrap();
        assert!(enter().is_none(), "one at a time");
        assert!(!standing.failed(ticket), "told once");
        tokio::time::sleep(LEFT_ALONE_FOR / 2).await;
        assert!(enter().is_none());
        tokio::time::sleep(LEFT_ALONE_FOR / 2).await;
        standing.worked(enter().unwrap());
        assert!(enter().is_some() && enter().is_some());
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
            standing.wait(standing.enter().unwrap(), told);
            tokio::time::sleep(kept - Duration::from_millis(1)).await;
            assert!(standing.enter().is_none(), "{told:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(standing.enter().is_some(), "{told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn l03_what_was_under_way_before_a_wait_neither_ends_nor_shortens_it() {
        let standing = Standing::default();
        let [slow, limited, other, failing] = [(); 4].map(|()| standing.enter().unwrap());
        let hour = Duration::from_secs(3600);
        standing.wait(limited, Some(hour));
        standing.worked(slow);
        standing.wait(other, Some(Duration::from_secs(1)));
        for _ in 0..FAILURES_MAX {
            standing.failed(failing);
        }
        tokio::time::sleep(hour - Duration::from_millis(1)).await;
        assert!(standing.enter().is_none());
        tokio::time::sleep(Duration::from_millis(1)).await;
        // What tries after the pause says how long the next one is.
        let tries = standing.enter().unwrap();
        standing.wait(tries, Some(Duration::from_secs(1)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        standing.worked(standing.enter().unwrap());
        assert!(standing.enter().is_some() && standing.enter().is_some());
    }
}
