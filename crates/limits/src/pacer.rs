//! A rate that something may be asked at: places in time, given out in order.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The wait that is told for a list that never fits: the longest that is ever told.
const NEVER: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Debug)]
pub struct Pacer {
    interval: Duration,
    /// How far behind the clock the next place may lie.
    burst: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pacer {
    /// One request in that interval; after a quiet time as many at once as fit into `burst`.
    pub fn new(interval: Duration, burst: Duration) -> Self {
        Pacer { interval, burst, next: Mutex::default() }
    }

    /// So many requests a second, evenly spread. A quiet time saves nothing up.
    pub fn per_second(requests: f64) -> Self {
        // No rate that may be set is too small for a duration.
        let interval = Duration::try_from_secs_f64(1.0 / requests);
        let interval = interval.unwrap_or(Duration::from_secs(1));
        Pacer { interval, burst: Duration::ZERO, next: Mutex::default() }
    }

    /// Whether so many more requests can have places before the deadline, if nothing is sent before
    /// `start`. If not, after how long they could if there were no others.
    pub fn admits(&self, requests: u64, start: Instant, deadline: Instant) -> Result<(), Duration> {
        let now = Instant::now();
        let first = self.place(*self.next(), start.max(now));
        let behind = u32::try_from(requests.saturating_sub(1)).unwrap_or(u32::MAX);
        let length = self.interval.saturating_mul(behind);
        let last = first.checked_add(length).ok_or(NEVER)?;
        if last < deadline {
            return Ok(());
        }
        // With all places free, it would still not fit.
        if length >= self.burst + deadline.duration_since(now) {
            return Err(NEVER);
        }
        Err(last.duration_since(deadline) + self.interval)
    }

    /// How long a request that comes now would wait for its place.
    pub fn wait_now(&self) -> Duration {
        let now = Instant::now();
        self.place(*self.next(), now).saturating_duration_since(now)
    }

    /// Takes a place that is free at once, if there is one.
    pub fn take(&self) -> bool {
        let now = Instant::now();
        let mut next = self.next();
        let place = self.place(*next, now);
        let is_free = place <= now;
        if is_free {
            *next = Some(place + self.interval);
        }
        is_free
    }

    /// Waits for a place. One that is given up is lost.
    pub async fn turn(&self) {
        let place = {
            let mut next = self.next();
            let place = self.place(*next, Instant::now());
            *next = Some(place + self.interval);
            place
        };
        sleep_until(place).await;
    }

    /// Waits for a place; gives up at once where there is none before the deadline, and says after how
    /// long there is one.
    pub async fn wait(&self, deadline: Instant) -> Result<(), Duration> {
        let place = {
            let now = Instant::now();
            let mut next = self.next();
            let place = self.place(*next, now);
            if place >= deadline {
                return Err(place.duration_since(now));
            }
            *next = Some(place + self.interval);
            place
        };
        sleep_until(place).await;
        Ok(())
    }

    /// The first place that is left from a time on.
    fn place(&self, next: Option<Instant>, from: Instant) -> Instant {
        let earliest = from.checked_sub(self.burst).unwrap_or(from);
        next.map_or(earliest, |next| next.max(earliest))
    }

    fn next(&self) -> MutexGuard<'_, Option<Instant>> {
        // Plain data, valid after any panic.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quarter of a minute's requests may go at once; after that they are spread evenly.
    fn per_minute(requests: u32) -> Pacer {
        let minute = Duration::from_secs(60);
        Pacer::new(minute / requests, minute / 4)
    }

    #[tokio::test(start_paused = true)]
    async fn a_quarter_goes_at_once_and_the_rest_is_spread() {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let (pacer, started) = (per_minute(120), Instant::now());
        let deadline = started + Duration::from_secs(1000);
        let mut first_minute = 0;
        for _ in 0..300 {
            pacer.wait(deadline).await.unwrap();
            first_minute += u32::from(started.elapsed() < Duration::from_secs(60));
        }
        assert_eq!(first_minute, 150);
        assert_eq!(started.elapsed().as_secs(), (300 - 31) / 2);
        let soon = Instant::now() + Duration::from_millis(100);
        // The next place is free half a second after the last one.
        assert_eq!(pacer.wait(soon).await, Err(Duration::from_millis(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_not_free_at_once_is_not_taken() {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let pacer = per_minute(12);
        // A quarter of a minute's places, and the one of now.
        assert_eq!((0..10).filter(|_| pacer.take()).count(), 4);
        tokio::time::sleep(Duration::from_secs(5) - Duration::from_millis(1)).await;
        assert!(!pacer.take());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(pacer.take() && !pacer.take());
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_cannot_finish_is_told_when_it_could() {
        tokio::time::sleep(Duration::from_secs(100)).await;
        let (pacer, now) = (per_minute(60), Instant::now());
        let second = Duration::from_secs(1);
        let deadline = now + 25 * second;
        // 15 seconds' places are free at once, 25 more come in time.
        assert_eq!(pacer.admits(40, now, deadline), Ok(()));
        assert_eq!(pacer.admits(41, now, deadline), Err(NEVER));
        for _ in 0..15 {
            pacer.wait(deadline).await.unwrap();
        }
        assert_eq!(pacer.admits(25, now, deadline), Ok(()));
        let told = pacer.admits(40, now, deadline).unwrap_err();
        assert_eq!(told, 15 * second);
        // That is the truth: then it fits, and before it does not.
        tokio::time::sleep(told - 2 * second).await;
        let now = Instant::now();
        assert!(pacer.admits(40, now, now + 25 * second).is_err());
        tokio::time::sleep(2 * second).await;
        let now = Instant::now();
        assert_eq!(pacer.admits(40, now, now + 25 * second), Ok(()));
        // A pause under way takes its time, but its places are not lost.
        assert_eq!(pacer.admits(40, now + 10 * second, now + 25 * second), Err(10 * second));
        assert_eq!(pacer.admits(30, now + 10 * second, now + 25 * second), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn l03_no_second_sees_more_turns_than_are_configured() {
        for (per_second, turns, seconds) in [(1.0, 10, 9), (0.1, 4, 30), (4.0, 41, 10)] {
            let (all, started) = (Pacer::per_second(per_second), Instant::now());
            for _ in 0..turns {
                all.turn().await;
            }
            assert_eq!(started.elapsed().as_secs(), seconds, "{per_second}");
            // A quiet time saves nothing up.
            tokio::time::sleep(Duration::from_secs(100)).await;
            let started = Instant::now();
            all.turn().await;
            assert_eq!(started.elapsed().as_secs(), 0);
            all.turn().await;
            assert_eq!(started.elapsed(), all.interval);
        }
    }
}
