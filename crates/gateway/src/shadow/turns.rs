//! How often anything is asked for a comparison: turns, evenly spread, none saved up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Turns {
    /// So many a second.
    pub(super) fn new(per_second: f64) -> Self {
        // The configuration lets nothing through that no duration can hold.
        let interval = Duration::try_from_secs_f64(1.0 / per_second);
        Turns { interval: interval.unwrap_or(Duration::from_secs(1)), next: Mutex::default() }
    }

    /// Waits for a turn. One that is given up is lost.
    pub(super) async fn wait(&self) {
        let turn = {
            // Plain data, valid after any panic.
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = next.map_or(Instant::now(), |next| next.max(Instant::now()));
            *next = Some(turn + self.interval);
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn l03_no_second_sees_more_turns_than_are_configured() {
        for (per_second, turns, seconds) in [(1.0, 10, 9), (0.1, 4, 30), (4.0, 41, 10)] {
            let (all, started) = (Turns::new(per_second), Instant::now());
            for _ in 0..turns {
                all.wait().await;
            }
            assert_eq!(started.elapsed().as_secs(), seconds, "{per_second}");
            // A quiet time saves nothing up.
            tokio::time::sleep(Duration::from_secs(100)).await;
            let started = Instant::now();
            all.wait().await;
            assert_eq!(started.elapsed().as_secs(), 0);
            all.wait().await;
            assert_eq!(started.elapsed(), all.interval);
        }
    }
}
