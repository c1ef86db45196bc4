//! One value that takes long to read, kept for a while: there is one reading at a time, and all that wait
//! share it. It belongs to no single request, so it goes on when clients leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::flight::{Lead, Panicked, Reading, reading};

/// See the module.
pub struct Kept<V, E>(Arc<Mutex<Held<V, E>>>);

struct Held<V, E> {
    value: Option<(Arc<V>, Instant)>,
    reading: Option<Reading<V, E>>,
    /// When a reading last failed.
    failed: Option<Instant>,
    /// Counts up when everything is forgotten: a reading that began before is not kept.
    generation: u64,
}

/// While an old value serves, a reading that failed is tried again no sooner.
const BACK_OFF: Duration = Duration::from_secs(10);

impl<V, E> Default for Kept<V, E> {
    fn default() -> Self {
        let held = Held { value: None, reading: None, failed: None, generation: 0 };
        Kept(Arc::new(Mutex::new(held)))
    }
}

impl<V, E> Clone for Kept<V, E> {
    /// The same value, shared.
    fn clone(&self) -> Self {
        Kept(Arc::clone(&self.0))
    }
}

impl<V, E> std::fmt::Debug for Kept<V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

/// How old a kept value may be.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    /// Younger, it is used as it is.
    pub fresh_for: Duration,
    /// Younger than this, it is used while it is read anew.
    pub stale_max: Duration,
}

/// A value that was read elsewhere a while ago, and has that age here as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aged<V> {
    pub value: V,
    /// Since its reading.
    pub age: Duration,
}

impl<V> From<V> for Aged<V> {
    /// A value that was read just now.
    fn from(value: V) -> Self {
        Aged { value, age: Duration::ZERO }
    }
}

impl<V, E> Kept<V, E>
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static,
{
    /// The value: kept, or read by `read`. An error is not kept, and does not replace the value before.
    pub async fn get<F, R>(&self, ages: Ages, read: impl FnOnce() -> F) -> Result<Arc<V>, E>
    where
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Aged<V>> + Send,
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
            let reading = self.under_way(&mut held, read);
            match known {
                // The new reading goes on by itself, and no caller waits for it.
                Some((value, _)) if is_usable => return Ok(value),
                _ => reading,
            }
        };
        result(reading).await
    }

    /// Another value than the judged one, which is dropped: another caller may have read it in the meantime, or
    /// may be reading it, or `read` reads it now.
    pub async fn another<F, R>(
        &self,
        judged: Option<&Arc<V>>,
        fresh_for: Duration,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<V>, E>
    where
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Aged<V>> + Send,
    {
        let reading = {
            let mut held = self.held();
            let is_other = |value| judged.is_none_or(|judged| !Arc::ptr_eq(judged, value));
            match &held.value {
                Some((value, at)) if is_other(value) && at.elapsed() < fresh_for => {
                    return Ok(Arc::clone(value));
                }
                _ => held.value = None,
            }
            self.under_way(&mut held, read)
        };
        result(reading).await
    }

    /// The value, if it is known and fresh, and its age.
    pub fn known(&self, fresh_for: Duration) -> Option<(Arc<V>, Duration)> {
        let held = self.held();
        let (value, at) = held.value.as_ref()?;
        let age = at.elapsed();
        (age < fresh_for).then(|| (Arc::clone(value), age))
    }

    /// Whether there is a fresh value, or will be without a reading more.
    pub fn is_under_way(&self, ages: Ages) -> bool {
        let is_being_read = self.held().reading.is_some();
        is_being_read || self.known(ages.fresh_for).is_some()
    }

    /// Forgets the value, and the reading under way.
    pub fn forget(&self) {
        let forgotten = {
            let mut held = self.held();
            held.generation += 1;
            held.failed = None;
            (held.value.take(), held.reading.take())
        };
        // The end of a reading asks for the lock.
        drop(forgotten);
    }

    fn held(&self) -> MutexGuard<'_, Held<V, E>> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reading under way; else one begins, which keeps what it read and makes room for the next.
    fn under_way<F, R>(&self, held: &mut Held<V, E>, read: impl FnOnce() -> F) -> UnderWay<V, E>
    where
        F: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Aged<V>> + Send,
    {
        if let Some(reading) = &held.reading {
            return (None, reading.clone());
        }
        let (kept, generation, read) = (self.clone(), held.generation, read());
        let (lead, result) = reading(async move {
            let mut unwinding = Unwinding { kept: &kept, generation, has_ended: false };
            let read = read.await.map(Into::into);
            let now = Instant::now();
            // A time before all clocks keeps nothing.
            let age = read.as_ref().map_or(Duration::ZERO, |read: &Aged<V>| read.age);
            let then = now.checked_sub(age);
            let read = read.map(|read| Arc::new(read.value));
            {
                let mut held = kept.held();
                unwinding.has_ended = true;
                if held.generation == generation {
                    // Under one lock: a client that judges the value must find no reading that gives it
                    // again, and the next reading must stay in its place.
                    held.reading = None;
                    match &read {
                        Ok(value) => {
                            held.value = then.map(|then| (Arc::clone(value), then));
                            held.failed = None;
                        }
                        Err(_) => held.failed = Some(now),
                    }
                }
            }
            read
        });
        held.reading = Some(result.clone());
        (Some(lead), result)
    }
}

/// A reading, with its work for the request that began it.
type UnderWay<V, E> = (Option<Lead<V, E>>, Reading<V, E>);

async fn result<V, E>((lead, reading): UnderWay<V, E>) -> Result<Arc<V>, E>
where
    V: Send + Sync,
    E: From<Panicked> + Clone + Send,
{
    match lead {
        Some(mut lead) => lead.take_further().await,
        None => reading.wait().await,
    }
}

/// Makes room for the next reading if this one panics.
struct Unwinding<'a, V, E>
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static,
{
    kept: &'a Kept<V, E>,
    generation: u64,
    has_ended: bool,
}

impl<V, E> Drop for Unwinding<'_, V, E>
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut held = self.kept.held();
        if held.generation == self.generation {
            held.reading = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::flight::tests::Failed;

    const AGES: Ages =
        Ages { fresh_for: Duration::from_secs(10), stale_max: Duration::from_secs(60) };

    #[tokio::test(start_paused = true)]
    async fn many_wait_for_one_reading_and_old_values_serve_while_it_runs() {
        let kept: Kept<u32, Failed> = Kept::default();
        let readings = Arc::new(AtomicU32::new(0));
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
        let kept: Kept<u32, Failed> = Kept::default();
        let leaving = kept.get(AGES, || async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(7)
        });
        assert!(tokio::time::timeout(Duration::from_secs(1), leaving).await.is_err());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let never = || async { Err::<u32, _>(Failed) };
        assert_eq!(*kept.get(AGES, never).await.unwrap(), 7);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(kept.get(AGES, never).await, Err(Failed));
        assert_eq!(*kept.get(AGES, || async { Ok(8) }).await.unwrap(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_from_elsewhere_keeps_its_age() {
        let kept: Kept<u32, Failed> = Kept::default();
        tokio::time::sleep(Duration::from_secs(100)).await;
        let aged = |value, seconds| {
            move || async move { Ok(Aged { value, age: Duration::from_secs(seconds) }) }
        };
        assert_eq!(*kept.get(AGES, aged(1, 9)).await.unwrap(), 1);
        assert_eq!(kept.known(AGES.fresh_for).map(|(_, age)| age.as_secs()), Some(9));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(kept.known(AGES.fresh_for).is_none(), "fresh for another ten seconds");
        assert_eq!(*kept.get(AGES, aged(2, 0)).await.unwrap(), 1, "old, and read anew meanwhile");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*kept.get(AGES, aged(3, 0)).await.unwrap(), 2);
        kept.forget();
        assert_eq!(*kept.get(AGES, aged(4, 61)).await.unwrap(), 4, "who waited has it");
        assert_eq!(*kept.get(AGES, aged(5, 0)).await.unwrap(), 5, "too old to be kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_judged_value_is_read_anew_once_and_forgotten_readings_are_not_kept() {
        let kept: Kept<u32, Failed> = Kept::default();
        let fresh_for = Duration::from_secs(60);
        let read = |value| {
            move || async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok(value)
            }
        };
        let first = kept.another(None, fresh_for, read(1)).await.unwrap();
        assert_eq!(*kept.another(None, fresh_for, read(2)).await.unwrap(), 1, "nobody doubts it");
        let (second, third) = tokio::join!(
            kept.another(Some(&first), fresh_for, read(2)),
            kept.another(Some(&first), fresh_for, read(3)),
        );
        assert_eq!((*second.unwrap(), *third.unwrap()), (2, 2), "one reading for both");
        let (value, age) = kept.known(fresh_for).unwrap();
        assert_eq!((*value, age), (2, Duration::ZERO));
        let judged = kept.another(Some(&first), fresh_for, read(4)).await.unwrap();
        assert_eq!(*judged, 2, "it was read anew in the meantime");
        let under_way = kept.another(Some(&judged), fresh_for, read(5));
        let forget = async {
            tokio::task::yield_now().await;
            kept.forget();
        };
        let (read, ()) = tokio::join!(under_way, forget);
        assert_eq!(*read.unwrap(), 5, "the waiting requests have it");
        assert!(kept.known(fresh_for).is_none());
    }
}
