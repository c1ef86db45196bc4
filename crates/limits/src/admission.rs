//! Places for requests in flight, and a short queue in front of them. Must never wait long: a request
//! that cannot be served soon is refused at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// See the module.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    limits: Queue,
    queued: AtomicUsize,
}

/// How many places there are, and how many may wait for one, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many may be in flight.
    pub in_flight_max: usize,
    /// How many may wait.
    pub queued_max: usize,
    /// How long they wait at most.
    pub wait_max: Duration,
}

/// Why a request was not let in; the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shed {
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
    /// Every one.
    pub const ALL: [Shed; 4] = [Shed::Memory, Shed::QueueFull, Shed::QueueWait, Shed::Tenant];

    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Shed::Memory => "memory",
            Shed::QueueFull => "queue_full",
            Shed::QueueWait => "queue_wait",
            Shed::Tenant => "tenant",
        }
    }
}

impl Admission {
    /// All places free, and nobody waiting.
    pub fn new(limits: Queue) -> Self {
        let places = Arc::new(Semaphore::new(limits.in_flight_max));
        Admission { places, limits, queued: AtomicUsize::new(0) }
    }

    /// Whether it was made with these limits, so that another configuration can go on with it.
    pub fn fits(&self, limits: Queue) -> bool {
        self.limits == limits
    }

    /// A place, at once or after a short wait in the queue.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Shed> {
        if let Some(place) = self.try_enter() {
            return Ok(place);
        }
        timeout(self.limits.wait_max, self.wait()).await.unwrap_or(Err(Shed::QueueWait))
    }

    /// A place, if there is one at once.
    pub fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place, at once or after a wait in the queue that the caller of this bounds.
    pub async fn wait(&self) -> Result<OwnedSemaphorePermit, Shed> {
        if let Some(place) = self.try_enter() {
            return Ok(place);
        }
        let _queued = Queued::new(self)?;
        // The semaphore is never closed.
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| Shed::QueueWait)
    }

    /// How many wait.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
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
        Admission::new(Queue { in_flight_max: 1, queued_max: 2, wait_max: Duration::from_secs(1) })
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
    async fn c10_a_waiter_is_let_in_when_a_place_is_free_and_one_that_left_holds_none() {
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
