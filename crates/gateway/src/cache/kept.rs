//! One value that takes long to read, kept for a while: read by one task at a time, shared by all who
//! wait. The reading belongs to no single request, so it goes on when clients leave.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tracing::Instrument;

use crate::error::Error;

type Reading<T> = Shared<BoxFuture<'static, Result<Arc<T>, Error>>>;

/// See the module.
pub(crate) struct Kept<T>(Arc<Mutex<Held<T>>>);

struct Held<T> {
    value: Option<(Arc<T>, Instant)>,
    reading: Option<Reading<T>>,
    /// When a reading last failed.
    failed: Option<Instant>,
}

/// While an old value serves, a reading that failed is tried again no sooner.
const BACK_OFF: Duration = Duration::from_secs(10);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(Arc::new(Mutex::new(Held { value: None, reading: None, failed: None })))
    }
}

impl<T> std::fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

/// How old a kept value may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    /// Younger, it is used as it is.
    pub(crate) fresh_for: Duration,
    /// Younger than this, it is used while it is read anew.
    pub(crate) stale_max: Duration,
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// The value: kept, or read by `read`. An error is not kept; what was known before is.
    pub(crate) async fn get<F>(&self, ages: Ages, read: impl FnOnce() -> F) -> Result<Arc<T>, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let reading = {
            let mut held = self.held();
            let known = held.value.clone();
            match &known {
                Some((value, at)) if at.elapsed() < ages.fresh_for => return Ok(Arc::clone(value)),
                _ => {}
            }
            let is_usable = known.as_ref().is_some_and(|(_, at)| at.elapsed() < ages.stale_max);
            let failed_lately = held.failed.is_some_and(|at| at.elapsed() < BACK_OFF);
            if let (Some((value, _)), true, true) = (&known, is_usable, failed_lately) {
                return Ok(Arc::clone(value));
            }
            let reading = match &held.reading {
                Some(reading) => reading.clone(),
                None => {
                    let reading = self.start(read());
                    held.reading = Some(reading.clone());
                    reading
                }
            };
            match known {
                Some((value, _)) if is_usable => return Ok(value),
                _ => reading,
            }
        };
        reading.await
    }

    /// Whether there is a fresh value, or will be without a reading more.
    pub(crate) fn is_under_way(&self, ages: Ages) -> bool {
        let held = self.held();
        held.reading.is_some()
            || held.value.as_ref().is_some_and(|(_, at)| at.elapsed() < ages.fresh_for)
    }

    fn held(&self) -> MutexGuard<'_, Held<T>> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task that reads, keeps what it read, and makes room for the next reading.
    fn start<F>(&self, read: F) -> Reading<T>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let kept = Kept(Arc::clone(&self.0));
        let task = tokio::spawn(
            async move {
                let ended = Ended(&kept);
                let read = read.await.map(Arc::new);
                let now = Instant::now();
                match &read {
                    Ok(value) => {
                        let mut held = kept.held();
                        held.value = Some((Arc::clone(value), now));
                        held.failed = None;
                    }
                    Err(_) => kept.held().failed = Some(now),
                }
                drop(ended);
                read
            }
            .in_current_span(),
        );
        // A task that panicked was logged where it did.
        async move { task.await.unwrap_or(Err(Error::Internal)) }.boxed().shared()
    }
}

/// Ends a reading, however it ended.
struct Ended<'a, T: Send + Sync + 'static>(&'a Kept<T>);

impl<T: Send + Sync + 'static> Drop for Ended<'_, T> {
    fn drop(&mut self) {
        self.0.held().reading = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const AGES: Ages =
        Ages { fresh_for: Duration::from_secs(10), stale_max: Duration::from_secs(60) };

    #[tokio::test(start_paused = true)]
    async fn many_wait_for_one_reading_and_old_values_serve_while_it_runs() {
        let (kept, readings) = (Kept::default(), Arc::new(AtomicU32::new(0)));
        let read = || {
            let readings = Arc::clone(&readings);
            async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok(readings.fetch_add(1, Ordering::Relaxed) + 1)
            }
        };
        let started = Instant::now();
        let (a, b) = tokio::join!(kept.get(AGES, read), kept.get(AGES, read));
        assert_eq!((*a.unwrap(), *b.unwrap()), (1, 1));
        assert_eq!(started.elapsed(), Duration::from_secs(5));
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(*kept.get(AGES, read).await.unwrap(), 1, "old, but not too old to wait");
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(*kept.get(AGES, read).await.unwrap(), 2, "read anew in the meantime");
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(*kept.get(AGES, read).await.unwrap(), 3, "too old to be shown");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_stops_no_reading_and_an_error_is_not_kept() {
        let kept: Kept<u32> = Kept::default();
        let leaving = kept.get(AGES, || async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(7)
        });
        assert!(tokio::time::timeout(Duration::from_secs(1), leaving).await.is_err());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let never = || async { Err(Error::Deadline) };
        assert_eq!(*kept.get(AGES, never).await.unwrap(), 7);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(kept.get(AGES, never).await, Err(Error::Deadline));
        assert_eq!(*kept.get(AGES, || async { Ok(8) }).await.unwrap(), 8);
    }
}
