//! Whether an upstream is asked at all: one that has failed nearly every time is left alone for a while,
//! and then tried with one request. Must never count what an upstream says with good reason: refusals
//! and limits.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::recent::{Kind, Recent};

/// The target of its lines, which filters go by; it does not move with this file.
const TARGET: &str = "gateway::limits::breaker";

/// Of a hundred attempts of the last ten seconds, so many must have failed.
const FAILED_PERCENT_MIN: u64 = 80;
/// The wait that a client is told while the one request that tries is under way.
const TRYING: Duration = Duration::from_secs(1);

/// When an upstream is left alone, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct BreakerRules {
    /// Failed attempts within ten seconds that it takes.
    pub failures_min: u64,
    /// How long nothing is asked.
    pub open_for: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Breaker {
    /// `None`: it is always asked.
    rules: Option<BreakerRules>,
    upstream: String,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    /// The attempts that ended since it was last closed.
    recent: Recent,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    /// One request tries.
    Trying,
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything is asked.
    Closed = 0,
    /// One request tries, or the next one will.
    HalfOpen = 1,
    /// Nothing is asked.
    Open = 2,
}

/// How an attempt ended, as far as it tells whether the upstream works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Worked,
    /// It answered something that says nothing about how well it works: a refusal, a limit.
    Alive,
    /// It failed.
    Failed,
    /// Nothing is known: the attempt was given up, or never reached it.
    Unknown,
}

/// An attempt under way. One that is dropped tells nothing.
#[derive(Debug)]
pub struct Entry<'a> {
    breaker: &'a Breaker,
    tries: bool,
    has_ended: bool,
}

impl Breaker {
    /// A closed breaker. Log lines name `upstream`.
    pub fn new(upstream: &str, rules: Option<BreakerRules>) -> Self {
        let now = Mutex::new(Now { phase: Phase::Closed, recent: Recent::new() });
        Breaker { rules, upstream: upstream.to_owned(), now }
    }

    /// Whether to ask; if not, for how long not.
    pub fn enter(&self) -> Result<Entry<'_>, Duration> {
        let mut now = self.now();
        let tries = match now.phase {
            Phase::Closed => false,
            Phase::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
                now.phase = Phase::Trying;
                true
            }
            Phase::Trying => return Err(TRYING),
        };
        Ok(Entry { breaker: self, tries, has_ended: false })
    }

    /// Its state.
    pub fn state(&self) -> BreakerState {
        match self.now().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { until } if until > Instant::now() => BreakerState::Open,
            Phase::Open { .. } | Phase::Trying => BreakerState::HalfOpen,
        }
    }

    fn end(&self, tries: bool, outcome: Outcome) {
        let Some(rules) = self.rules else { return };
        let mut now = self.now();
        let until = Instant::now() + rules.open_for;
        match (now.phase, outcome) {
            (Phase::Closed, Outcome::Worked) => now.recent.note(Kind::Usual),
            (Phase::Closed, Outcome::Failed) => {
                now.recent.note(Kind::Rare);
                let (worked, failed) = now.recent.sums();
                let is_most = failed * 100 >= (worked + failed) * FAILED_PERCENT_MIN;
                if failed >= rules.failures_min && is_most {
                    now.phase = Phase::Open { until };
                    let upstream = self.upstream.as_str();
                    tracing::warn!(target: TARGET, upstream, "the upstream fails and is left alone for a while");
                }
            }
            (Phase::Trying, Outcome::Worked | Outcome::Alive) if tries => {
                *now = Now { phase: Phase::Closed, recent: Recent::new() };
                let upstream = self.upstream.as_str();
                tracing::info!(target: TARGET, upstream, "the upstream works again");
            }
            (Phase::Trying, Outcome::Failed) if tries => now.phase = Phase::Open { until },
            // The next request tries.
            (Phase::Trying, Outcome::Unknown) if tries => {
                now.phase = Phase::Open { until: Instant::now() };
            }
            // A request from before it opened says nothing new.
            _ => {}
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Plain data, valid after any panic.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry<'_> {
    /// It ended.
    pub fn end(mut self, outcome: Outcome) {
        self.has_ended = true;
        self.breaker.end(self.tries, outcome);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.breaker.end(self.tries, Outcome::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(5);

    fn breaker() -> Breaker {
        Breaker::new("ams", Some(BreakerRules { failures_min: 20, open_for: OPEN_FOR }))
    }

    fn note(breaker: &Breaker, times: usize, outcome: Outcome) {
        (0..times).for_each(|_| breaker.enter().unwrap().end(outcome));
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_when_nearly_everything_fails_and_closes_with_one_that_works() {
        let breaker = breaker();
        note(&breaker, 19, Outcome::Failed);
        assert_eq!(breaker.state(), BreakerState::Closed);
        note(&breaker, 1, Outcome::Failed);
        assert_eq!((breaker.state(), breaker.enter().unwrap_err()), (BreakerState::Open, OPEN_FOR));
        tokio::time::sleep(OPEN_FOR).await;
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let try_out = breaker.enter().unwrap();
        assert_eq!(breaker.enter().unwrap_err(), TRYING, "one at a time");
        try_out.end(Outcome::Failed);
        assert_eq!((breaker.state(), breaker.enter().unwrap_err()), (BreakerState::Open, OPEN_FOR));
        tokio::time::sleep(OPEN_FOR).await;
        note(&breaker, 1, Outcome::Worked);
        assert_eq!(breaker.state(), BreakerState::Closed);
        note(&breaker, 19, Outcome::Failed);
        assert_eq!(breaker.state(), BreakerState::Closed, "the failures before are forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_and_limits_never_count_and_show_that_it_is_alive() {
        let breaker = breaker();
        note(&breaker, 1000, Outcome::Alive);
        note(&breaker, 1000, Outcome::Unknown);
        assert_eq!(breaker.state(), BreakerState::Closed);
        note(&breaker, 20, Outcome::Failed);
        assert_eq!(breaker.state(), BreakerState::Open, "they do not hide failures either");
        tokio::time::sleep(OPEN_FOR).await;
        note(&breaker, 1, Outcome::Alive);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn some_that_work_keep_it_closed_and_old_failures_are_forgotten() {
        let breaker = breaker();
        note(&breaker, 10, Outcome::Worked);
        note(&breaker, 39, Outcome::Failed);
        assert_eq!(breaker.state(), BreakerState::Closed, "39 of 49 are less than 80 in a hundred");
        tokio::time::sleep(Duration::from_secs(10)).await;
        note(&breaker, 19, Outcome::Failed);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_is_dropped_lets_the_next_one_try_and_late_failures_do_not_count() {
        let breaker = breaker();
        let late = breaker.enter().unwrap();
        note(&breaker, 20, Outcome::Failed);
        tokio::time::sleep(OPEN_FOR).await;
        drop(breaker.enter().unwrap());
        let try_out = breaker.enter().unwrap();
        late.end(Outcome::Failed);
        try_out.end(Outcome::Worked);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn without_rules_it_never_opens() {
        let breaker = Breaker::new("ams", None);
        note(&breaker, 1000, Outcome::Failed);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
