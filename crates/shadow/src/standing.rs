//! Whether control is asked for one caller. After several failures in a row, or after a request to wait,
//! control is left alone for a while; then one request tries it.
//!
//! Clients and comparisons have separate counts of failures. An answer that is too late or unfit for a
//! client can still be compared, and such a success must never reset the failures that clients met. A
//! request to wait holds for both.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After this many failures in a row control is left alone.
const FAILURES_MAX: u32 = 5;
/// How long control is left alone.
pub(crate) const LEFT_ALONE_FOR: Duration = Duration::from_secs(30);
/// The longest wait that control may ask for.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// The use of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A client waits for it and gets it unchanged.
    Client,
    /// It is compared, whether it is fit for a client or not.
    Comparison,
}

#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<Now>);

#[derive(Debug, Default)]
struct Now {
    /// The pause that control asked for.
    wait: Option<Pause>,
    /// The failures that clients and comparisons met, by [`Purpose`].
    met: [Met; 2],
    /// The number of pauses so far.
    pauses: u64,
}

#[derive(Debug, Default)]
struct Met {
    /// Failures in a row.
    failures: u32,
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    /// Control is not asked before this moment.
    until: Instant,
    /// The place among all pauses.
    number: u64,
}

/// One question that is being asked: its purpose, and the number of pauses before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    purpose: Purpose,
    pauses: u64,
}

impl Standing {
    /// Whether control would be asked now.
    pub(crate) fn is_asked(&self, purpose: Purpose) -> bool {
        self.now().is_asked(purpose)
    }

    /// A ticket, if control may be asked. After a pause one question tries; the others follow when it
    /// worked.
    pub(crate) fn enter(&self, purpose: Purpose) -> Option<Ticket> {
        let mut now = self.now();
        if !now.is_asked(purpose) {
            return None;
        }
        let until = Instant::now() + LEFT_ALONE_FOR;
        if now.wait.is_some() {
            now.wait = Some(now.pause(until));
        }
        if now.met[purpose as usize].pause.is_some() {
            now.met[purpose as usize].pause = Some(now.pause(until));
        }
        Some(Ticket { purpose, pauses: now.pauses })
    }

    /// Ends the pauses that began before the question. A pause that began after it continues.
    pub(crate) fn worked(&self, ticket: Ticket) {
        let mut now = self.now();
        now.wait = after(now.wait, ticket);
        let met = &mut now.met[ticket.purpose as usize];
        met.pause = after(met.pause, ticket);
        if met.pause.is_none() {
            met.failures = 0;
        }
    }

    /// Returns whether this is the failure after which control is left alone.
    pub(crate) fn failed(&self, ticket: Ticket) -> bool {
        let mut now = self.now();
        let met = &mut now.met[ticket.purpose as usize];
        met.failures = met.failures.saturating_add(1);
        let (failures, before) = (met.failures, met.pause);
        if failures >= FAILURES_MAX {
            now.met[ticket.purpose as usize].pause = now.longer(before, ticket, LEFT_ALONE_FOR);
        }
        failures == FAILURES_MAX
    }

    /// Control asked us to wait, perhaps for a given time.
    pub(crate) fn wait(&self, ticket: Ticket, told: Option<Duration>) {
        let wait = told.unwrap_or(LEFT_ALONE_FOR).clamp(Duration::from_secs(1), WAIT_MAX);
        let mut now = self.now();
        let before = now.wait;
        now.wait = now.longer(before, ticket, wait);
        // It tried after a pause, and has been told for how long the next one is.
        let met = &mut now.met[ticket.purpose as usize];
        met.pause = after(met.pause, ticket);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn is_asked(&self, purpose: Purpose) -> bool {
        let pauses = [self.wait, self.met[purpose as usize].pause];
        pauses.into_iter().flatten().all(|pause| pause.until <= Instant::now())
    }

    /// A pause from now on. It keeps the end of the one before, if that began after the question and ends
    /// later.
    fn longer(&mut self, before: Option<Pause>, ticket: Ticket, wait: Duration) -> Option<Pause> {
        let until = Instant::now() + wait;
        Some(self.pause(after(before, ticket).map_or(until, |other| other.until.max(until))))
    }

    fn pause(&mut self, until: Instant) -> Pause {
        self.pauses += 1;
        Pause { until, number: self.pauses }
    }
}

/// The pause, if it began after the question.
fn after(pause: Option<Pause>, ticket: Ticket) -> Option<Pause> {
    pause.filter(|pause| pause.number > ticket.pauses)
}

#[cfg(test)]
mod tests {
    use super::Purpose::{Client, Comparison};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_five_failures_in_a_row_it_is_left_alone_and_then_tried_once() {
        let standing = Standing::default();
        let enter = || standing.enter(Client);
        for _ in 1..FAILURES_MAX {
            assert!(!standing.failed(enter().unwrap()));
        }
        standing.worked(enter().unwrap());
        for number in 1..=FAILURES_MAX {
            let ticket = enter().expect("one that worked makes the others forgotten");
            assert_eq!(standing.failed(ticket), number == FAILURES_MAX);
        }
        assert!(!standing.is_asked(Client) && enter().is_none());
        tokio::time::sleep(LEFT_ALONE_FOR).await;
        assert!(standing.is_asked(Client));
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
            standing.wait(standing.enter(Client).unwrap(), told);
            tokio::time::sleep(kept - Duration::from_millis(1)).await;
            assert!(standing.enter(Client).is_none(), "{told:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(standing.enter(Client).is_some(), "{told:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn l03_a_question_from_before_a_wait_neither_ends_nor_shortens_it() {
        let standing = Standing::default();
        let [slow, limited, other, failing] = [(); 4].map(|()| standing.enter(Client).unwrap());
        let hour = Duration::from_secs(3600);
        standing.wait(limited, Some(hour));
        standing.worked(slow);
        standing.wait(other, Some(Duration::from_secs(1)));
        for _ in 0..FAILURES_MAX {
            standing.failed(failing);
        }
        tokio::time::sleep(hour - Duration::from_millis(1)).await;
        assert!(standing.enter(Client).is_none());
        tokio::time::sleep(Duration::from_millis(1)).await;
        // The attempt after the pause decides how long the next pause is.
        let tries = standing.enter(Client).unwrap();
        standing.wait(tries, Some(Duration::from_secs(1)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        standing.worked(standing.enter(Client).unwrap());
        assert!(standing.enter(Client).is_some() && standing.enter(Client).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_comparison_that_works_does_not_end_a_pause_for_clients() {
        let standing = Standing::default();
        for number in 1..=FAILURES_MAX {
            let ticket = standing.enter(Client).unwrap();
            standing.worked(standing.enter(Comparison).unwrap());
            assert_eq!(standing.failed(ticket), number == FAILURES_MAX);
            standing.worked(standing.enter(Comparison).unwrap());
        }
        assert_eq!((standing.is_asked(Client), standing.is_asked(Comparison)), (false, true));
        // A limit holds for both purposes, and either may try.
        standing.wait(standing.enter(Comparison).unwrap(), None);
        tokio::time::sleep(LEFT_ALONE_FOR - Duration::from_millis(1)).await;
        assert!(!standing.is_asked(Client) && !standing.is_asked(Comparison));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let tries = standing.enter(Client).unwrap();
        assert!(standing.enter(Comparison).is_none());
        standing.worked(tries);
        assert!(standing.is_asked(Client) && standing.is_asked(Comparison));
    }
}
