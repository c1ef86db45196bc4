//! A reading that many wait for. Whoever waits takes it further, so it costs no task of its own; it belongs
//! to no single request, so when clients leave it goes on without them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;
use tracing::Instrument;

/// A reading under way; each clone gives the same result.
pub struct Reading<V, E> {
    work: Shared<BoxFuture<'static, Result<Arc<V>, E>>>,
    /// Whether a task of its own takes it further.
    is_apart: Arc<AtomicBool>,
}

impl<V, E> Clone for Reading<V, E> {
    fn clone(&self) -> Self {
        Reading { work: self.work.clone(), is_apart: Arc::clone(&self.is_apart) }
    }
}

/// Work panicked. The panic was logged where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

impl<V, E> Reading<V, E>
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static,
{
    /// A reading that begins when somebody waits for it, or when it goes on [`apart`](Self::go_apart).
    pub fn new(read: impl Future<Output = Result<Arc<V>, E>> + Send + 'static) -> Self {
        let read = AssertUnwindSafe(read.in_current_span()).catch_unwind();
        let read = read.map(|read| read.unwrap_or_else(|_| Err(Panicked.into())));
        Reading { work: read.boxed().shared(), is_apart: Arc::default() }
    }

    /// Waits for the result. If this future is dropped before, the reading goes on in a task of its own.
    pub async fn wait(self) -> Result<Arc<V>, E> {
        let mut leaving = Leaving(Some(self.clone()));
        let result = self.work.await;
        leaving.0 = None;
        result
    }

    /// Goes on in a task of its own, whether or not anybody waits.
    pub fn go_apart(&self) {
        // Without a runtime the process is about to end.
        if let Ok(runtime) = Handle::try_current()
            && !self.is_apart.swap(true, Ordering::Relaxed)
        {
            runtime.spawn(self.work.clone());
        }
    }
}

/// One who waits, and may leave.
struct Leaving<V, E>(Option<Reading<V, E>>)
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static;

impl<V, E> Drop for Leaving<V, E>
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static,
{
    fn drop(&mut self) {
        if let Some(reading) = &self.0 {
            reading.go_apart();
        }
    }
}
