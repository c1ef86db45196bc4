//! Accepts connections and serves each with a clone of one tower service, until told to stop. Must
//! never wait without a limit: not for a peer, not for a free connection's end, not for the drain.

mod activity;
mod connection;
mod exchange;
mod guard;
mod io;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::Body;
use crate::tls::ServerTls;

/// Pause after a failed accept; doubled at each further failure up to the maximum.
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(5);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_millis(100);
/// How long a cut connection may take to notice. Only a service that blocks its thread needs it.
const CUT_WAIT: Duration = Duration::from_secs(1);

/// The limits of one listener.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// From the start of a connection, or the first byte of a later request, to the end of that
    /// request's head. On HTTP/2: to the end of the connection preface.
    pub header_timeout: Duration,
    /// How long a connection may stay without a request. An HTTP/2 connection is then told to go
    /// away and has the same time again for what it has not read yet.
    pub idle_timeout: Duration,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// The longest wait for each piece of a request body.
    pub body_idle: Duration,
    /// How long the peer may take no byte of what is ready for it. Ends the connection; where an
    /// HTTP/2 peer withholds the window of one stream, resets that stream within twice this time.
    pub write_progress: Duration,
    /// Connections served at once. Above it nothing is accepted; later peers wait in the backlog of
    /// the kernel.
    pub connections_max: usize,
    /// Header fields in an HTTP/1 request. HTTP/2 is bounded by `header_bytes_max` alone.
    pub headers_max: usize,
    /// Size of a request head, in bytes.
    pub header_bytes_max: u32,
    /// Concurrent streams on one HTTP/2 connection.
    pub streams_max: u32,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(5),
            body_idle: Duration::from_secs(10),
            write_progress: Duration::from_secs(10),
            connections_max: 10_000,
            headers_max: 100,
            header_bytes_max: 32 * 1024,
            streams_max: 100,
        }
    }
}

/// The address of the peer's socket, in the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// How the drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had to be cut at the end of the grace time.
    pub cut: usize,
}

/// What every connection of one listener shares.
#[derive(Clone, Debug)]
struct Shared {
    limits: Arc<ServerLimits>,
    tls: Option<ServerTls>,
    /// Cancelled when the drain begins.
    finish: CancellationToken,
}

/// Serves `service` on `listener` until `shutdown` resolves, then drains.
///
/// HTTP/1 or HTTP/2 is chosen by ALPN under TLS, otherwise by the connection's first bytes. The
/// drain stops accepting, lets every request in flight finish, and after `grace` cuts what is left.
/// Dropping the returned future cuts everything at once.
///
/// # Example
///
/// ```
/// # use std::{convert::Infallible, time::Duration};
/// # use transport::{body, server::{ServerLimits, serve}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let service = tower::service_fn(async |_request: http::Request<body::Body>| {
///     Ok::<_, Infallible>(http::Response::new(body::full("hello")))
/// });
/// let shutdown = async {}; // in a program: a signal
/// let grace = Duration::from_secs(20);
/// let drained = serve(listener, None, ServerLimits::default(), service, shutdown, grace).await;
/// assert_eq!(drained.cut, 0);
/// # Ok(())
/// # }
/// ```
pub async fn serve<S>(
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: ServerLimits,
    service: S,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> Drained
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
    let shared = Shared { limits: Arc::new(limits), tls, finish: CancellationToken::new() };
    let cut = CancellationToken::new();
    let _cut_on_drop = cut.clone().drop_guard();
    let connections = TaskTracker::new();

    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer, slot) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let connection = connection::run(stream, Peer(peer), shared.clone(), service.clone());
        let cut = cut.clone();
        connections.spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection => {}
            }
            drop(slot);
        });
    }
    drop(listener);

    shared.finish.cancel();
    connections.close();
    if timeout(grace, connections.wait()).await.is_ok() {
        return Drained { cut: 0 };
    }
    let drained = Drained { cut: connections.len() };
    cut.cancel();
    let _ = timeout(CUT_WAIT, connections.wait()).await;
    drained
}

/// The next connection and the slot it holds while it lasts. Never fails and never spins: whatever
/// accept says (out of descriptors, out of memory, peer already gone), the next try comes later.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let slot = free_slot(slots).await;
    let mut pause = ACCEPT_PAUSE_MIN;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), ?pause, "accept failed");
                sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
            }
        }
    }
}

async fn free_slot(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    if slots.available_permits() == 0 {
        tracing::warn!("every connection slot is taken, accepting is paused");
    }
    match Arc::clone(slots).acquire_owned().await {
        Ok(slot) => slot,
        // The semaphore is never closed.
        Err(_) => std::future::pending().await,
    }
}
