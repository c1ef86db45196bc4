//! Joins two connections byte by byte after a switch of protocols (101). Must never outlive the
//! connection that was switched, and must never look into the bytes.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::time::{Instant, sleep_until};

use crate::body::Body;

/// How much is read ahead of a slow reader, each way, in bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// Joins two connections that switch protocols. It is in the extensions of the answer 101. The server
/// runs it in the connection's task, until one side ends or both are silent for too long.
#[derive(Clone)]
pub struct Tunnel(Arc<Mutex<Option<Joining>>>);

type Joining = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Tunnel {
    /// Joins the connections of `request` and `answer`. `idle` is the longest time that both may be silent;
    /// `kept` is dropped at the end.
    pub fn new<K: Send + 'static>(
        request: &mut Request<Body>,
        answer: &mut Response<Body>,
        idle: Duration,
        kept: K,
    ) -> Tunnel {
        let (near, far) = (hyper::upgrade::on(request), hyper::upgrade::on(answer));
        Tunnel(Arc::new(Mutex::new(Some(Box::pin(async move {
            join(near, far, idle).await;
            drop(kept);
        })))))
    }

    pub(crate) async fn run(self) {
        let joining = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(joining) = joining {
            joining.await;
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

async fn join(near: OnUpgrade, far: OnUpgrade, idle: Duration) {
    // When the server gets here, both switches have happened, or never will.
    let switched = async { Ok::<_, hyper::Error>((near.await?, far.await?)) };
    let Ok(Ok((near, far))) = tokio::time::timeout(idle, switched).await else { return };
    let last = Arc::new(Mutex::new(Instant::now()));
    let mut near = Stamped { inner: TokioIo::new(near), last: Arc::clone(&last) };
    let mut far = Stamped { inner: TokioIo::new(far), last: Arc::clone(&last) };
    let copying = copy_bidirectional_with_sizes(&mut near, &mut far, BUFFER_BYTES, BUFFER_BYTES);
    tokio::select! {
        _ = copying => {}
        () = silence(&last, idle) => tracing::debug!("tunnel closed: it was silent too long"),
    }
}

/// Resolves after nothing was read for `idle`.
async fn silence(last: &Mutex<Instant>, idle: Duration) {
    loop {
        let until = *last.lock().unwrap_or_else(PoisonError::into_inner) + idle;
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}

/// Records the time of the last read.
struct Stamped {
    inner: TokioIo<Upgraded>,
    last: Arc<Mutex<Instant>>,
}

impl AsyncRead for Stamped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if read.is_ready() {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        read
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
