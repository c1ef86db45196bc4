//! A reading that many wait for. The request that began it takes it further, so it costs no task of its own. If
//! that client leaves, it goes on in a task. The others are woken once, at its end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::whose;

/// Work panicked. The panic was logged where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// The result of a reading under way; each clone gives the same.
pub struct Reading<V, E>(Shared<oneshot::Receiver<Result<Arc<V>, E>>>);

impl<V, E> Clone for Reading<V, E> {
    fn clone(&self) -> Self {
        Reading(self.0.clone())
    }
}

impl<V, E: From<Panicked> + Clone> Reading<V, E> {
    /// How many wait for the result, beside this one.
    pub fn waiting(&self) -> usize {
        self.0.strong_count().map_or(0, |readings| readings.saturating_sub(1))
    }

    /// Waits for the result.
    pub async fn wait(self) -> Result<Arc<V>, E> {
        // Without a result only if the runtime ended before the reading did.
        self.0.await.unwrap_or_else(|_| Err(Panicked.into()))
    }
}

/// The work of a reading. Its result is the one that all others get.
type Work<V, E> = BoxFuture<'static, Result<Arc<V>, E>>;

/// The work, until it is done. It goes on in a task of its own when this is dropped.
pub struct Lead<V: Send + Sync + 'static, E: Send + 'static>(Option<Work<V, E>>);

impl<V: Send + Sync, E: From<Panicked> + Send> Lead<V, E> {
    /// Takes the reading to its end, once. The others have the same result by then.
    pub async fn take_further(&mut self) -> Result<Arc<V>, E> {
        let Some(work) = &mut self.0 else { return Err(Panicked.into()) };
        let result = work.await;
        self.0 = None;
        result
    }

    /// The rest of the work, to be taken further in another way.
    pub fn into_work(mut self) -> Option<Work<V, E>> {
        self.0.take()
    }
}

impl<V: Send + Sync, E: Send> Drop for Lead<V, E> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            // The future of a request is dropped on its behalf.
            runtime.spawn(whose::of_the_same(work));
        }
    }
}

/// Begins a reading: the work, for one to take further, and its result, for all.
pub fn reading<V, E>(
    read: impl Future<Output = Result<Arc<V>, E>> + Send + 'static,
) -> (Lead<V, E>, Reading<V, E>)
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static,
{
    let (tell, told) = oneshot::channel();
    let work = async move {
        let read = AssertUnwindSafe(read).catch_unwind().await;
        let read = read.unwrap_or_else(|_| Err(Panicked.into()));
        // No listener is left if no other waits.
        let _ = tell.send(read.clone());
        read
    };
    (Lead(Some(work.boxed())), Reading(told.shared()))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct Failed;

    impl From<Panicked> for Failed {
        fn from(_: Panicked) -> Self {
            Failed
        }
    }

    /// Waits ten times before its result.
    async fn steps() -> Result<Arc<u32>, Failed> {
        for _ in 0..10 {
            sleep(Duration::from_secs(1)).await;
        }
        Ok(Arc::new(7))
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_are_woken_once_in_every_case() {
        let (mut lead, reading) = reading(steps());
        let polls = Arc::new(AtomicU32::new(0));
        let followers = (0..100).map(|_| {
            let (mut waiting, polls) = (Box::pin(reading.clone().wait()), Arc::clone(&polls));
            tokio::spawn(std::future::poll_fn(move |cx| {
                polls.fetch_add(1, Ordering::Relaxed);
                waiting.as_mut().poll(cx)
            }))
        });
        let followers: Vec<_> = followers.collect();
        tokio::task::yield_now().await;
        assert_eq!(lead.take_further().await, Ok(Arc::new(7)));
        for follower in followers {
            assert_eq!(follower.await.unwrap(), Ok(Arc::new(7)));
        }
        assert_eq!(polls.load(Ordering::Relaxed), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_goes_on_without_the_request_that_began_it() {
        let (mut lead, reading) = reading(steps());
        assert!(futures_util::poll!(Box::pin(lead.take_further())).is_pending());
        drop(lead);
        assert_eq!(reading.wait().await, Ok(Arc::new(7)));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_to_all() {
        let (mut lead, reading) = reading::<u32, Failed>(async { panic!("a fault") });
        assert_eq!(lead.take_further().await, Err(Failed));
        assert_eq!(reading.clone().wait().await, Err(Failed));
        assert_eq!(reading.wait().await, Err(Failed));
    }
}
