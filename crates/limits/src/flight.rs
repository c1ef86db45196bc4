//! A reading that many wait for. It belongs to no single request, so it goes on when clients leave.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tracing::Instrument;

/// A reading under way; each clone waits for the same result.
pub type Reading<V, E> = Shared<BoxFuture<'static, Result<Arc<V>, E>>>;

/// Work panicked. The panic was logged where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panicked;

/// Begins a reading in a task of its own.
pub fn apart<V, E>(read: impl Future<Output = Result<Arc<V>, E>> + Send + 'static) -> Reading<V, E>
where
    V: Send + Sync + 'static,
    E: From<Panicked> + Clone + Send + Sync + 'static,
{
    let task = tokio::spawn(read.in_current_span());
    async move { task.await.unwrap_or_else(|_| Err(Panicked.into())) }.boxed().shared()
}
