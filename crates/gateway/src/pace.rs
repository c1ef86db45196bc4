//! A rate that an upstream may be asked at, all callers together: places in time, given out in order.
//!
//! A quarter of a minute's requests may go at once; after that they are spread evenly. So no minute
//! ever sees more than the rate and that quarter.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pacer {
    interval: Duration,
    /// How far behind the clock the next place may lie.
    burst: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pacer {
    /// So many requests a minute, at least one.
    pub(crate) fn per_minute(requests: u32) -> Self {
        let minute = Duration::from_secs(60);
        let interval = minute / requests.max(1);
        Pacer { interval, burst: minute / 4, next: Mutex::default() }
    }

    /// Waits for a place; gives up at once where there is none before the deadline.
    pub(crate) async fn wait(&self, deadline: Instant) -> Result<(), Error> {
        let place = {
            let now = Instant::now();
            // Plain data, valid after any panic.
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let earliest = now.checked_sub(self.burst).unwrap_or(now);
            let place = next.map_or(earliest, |next| next.max(earliest));
            if place >= deadline {
                return Err(Error::RateLimited { retry_after: place.duration_since(now) });
            }
            *next = Some(place + self.interval);
            place
        };
        tokio::time::sleep_until(place).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_quarter_goes_at_once_and_the_rest_is_spread() {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let (pacer, started) = (Pacer::per_minute(120), Instant::now());
        let deadline = started + Duration::from_secs(1000);
        let mut first_minute = 0;
        for _ in 0..300 {
            pacer.wait(deadline).await.unwrap();
            first_minute += u32::from(started.elapsed() < Duration::from_secs(60));
        }
        assert_eq!(first_minute, 150);
        assert_eq!(started.elapsed().as_secs(), (300 - 31) / 2);
        let soon = Instant::now() + Duration::from_millis(100);
        let refused = pacer.wait(soon).await;
        assert!(matches!(refused, Err(Error::RateLimited { .. })));
    }
}
