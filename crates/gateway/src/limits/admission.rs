//! Places for requests in flight, and a short queue in front of them. Must never wait long: whoever
//! cannot be served soon had better be told at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::config::Limits;

/// See the module.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Semaphore,
    limits: Queue,
    queued: AtomicUsize,
}

/// The limits an admission was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Queue {
    in_flight_max: usize,
    queued_max: usize,
    wait_max: Duration,
}

/// Why a request was not let in; the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    /// Memory is nearly used up.
    Memory,
    /// Every place and the whole queue was taken.
    QueueFull,
    /// No place became free soon enough.
    QueueWait,
    /// The caller has its share already.
    Tenant,
}

impl Shed {
    pub(crate) const ALL: [Shed; 4] =
        [Shed::Memory, Shed::QueueFull, Shed::QueueWait, Shed::Tenant];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Shed::Memory => "memory",
            Shed::QueueFull => "queue_full",
            Shed::QueueWait => "queue_wait",
            Shed::Tenant => "tenant",
        }
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limits = Queue::of(limits);
        let places = Semaphore::new(limits.in_flight_max);
        Admission { places, limits, queued: AtomicUsize::new(0) }
    }

    /// Whether it was made with these limits, so that another configuration can go on with it.
    pub(crate) fn fits(&self, limits: &Limits) -> bool {
        self.limits == Queue::of(limits)
    }

    /// A place, at once or after a short wait in the queue.
    pub(crate) async fn enter(&self) -> Result<SemaphorePermit<'_>, Shed> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _queued = Queued::new(self)?;
        match timeout(self.limits.wait_max, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Shed::QueueWait),
        }
    }

    /// How many wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}

impl Queue {
    fn of(limits: &Limits) -> Queue {
        Queue {
            in_flight_max: limits.requests_in_flight_max,
            queued_max: limits.requests_queued_max,
            wait_max: limits.queue_wait_max,
        }
    }
}

/// A place in the queue, given back however the wait ends.
struct Queued<'a>(&'a Admission);

impl<'a> Queued<'a> {
    fn new(admission: &'a Admission) -> Result<Self, Shed> {
        let before = admission.queued.fetch_add(1, Ordering::Relaxed);
        let queued = Queued(admission);
        if before < admission.limits.queued_max { Ok(queued) } else { Err(Shed::QueueFull) }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn admission() -> Admission {
        let limits = Queue { in_flight_max: 1, queued_max: 2, wait_max: Duration::from_secs(1) };
        Admission { places: Semaphore::new(1), limits, queued: AtomicUsize::new(0) }
    }

    #[tokio::test(start_paused = true)]
    async fn c10_the_queue_is_bounded_in_length_and_in_time() {
        let admission = admission();
        let first = admission.enter().await.unwrap();
        let started = Instant::now();
        let (second, third, fourth) =
            tokio::join!(admission.enter(), admission.enter(), admission.enter());
        assert_eq!(second.err(), Some(Shed::QueueWait));
        assert_eq!(third.err(), Some(Shed::QueueWait));
        assert_eq!(fourth.err(), Some(Shed::QueueFull));
        assert_eq!(started.elapsed(), Duration::from_secs(1));
        assert_eq!(admission.queued(), 0);
        drop(first);
        assert!(admission.enter().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn c10_who_waits_is_let_in_when_a_place_is_free_and_who_leaves_holds_none() {
        let admission = admission();
        let first = admission.enter().await.unwrap();
        let leaving = timeout(Duration::from_millis(100), admission.enter());
        assert!(leaving.await.is_err());
        assert_eq!(admission.queued(), 0);
        let waiting = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(first);
            tokio::time::sleep(Duration::from_secs(9)).await;
        };
        let (entered, ()) = tokio::join!(admission.enter(), waiting);
        assert!(entered.is_ok());
    }
}
