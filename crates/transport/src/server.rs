//! Accepts connections and serves each with a clone of one tower service, until told to stop. Must never
//! wait without a limit, neither for a peer nor for the drain.

mod accept;
mod activity;
mod cancelled;
mod connection;
mod exchange;
mod frames;
mod guard;
mod head;
mod host;
mod io;
mod peer;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
mod refusal;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::Body;
use crate::tls::ServerTls;
use accept::Door;
pub use accept::owner;
use cancelled::Cancelled;
pub use host::read_host;
use peer::FromPeer;
pub use peer::Peer;
pub use refusal::{ERRNOS, Refusal, Rejection, Watcher};

/// How long a cut connection may take to notice. Only a service that blocks its thread needs this time.
const CUT_WAIT: Duration = Duration::from_secs(1);

/// The limits of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// From the start of a connection, or the first byte of a later request, to the end of that
    /// request's head. On HTTP/2: to the end of the connection preface.
    pub header_timeout: Duration,
    /// How long a connection may stay without a request. An HTTP/2 connection is then told to go away,
    /// and has the same time again to read the rest.
    pub idle_timeout: Duration,
    /// For the TLS handshake.
    pub handshake_timeout: Duration,
    /// The longest wait for each piece of a request body.
    pub body_idle: Duration,
    /// How long the peer may read no byte although some are ready; then the connection ends. If an HTTP/2
    /// peer keeps the window of one stream closed, that stream is reset within twice this time.
    pub write_progress: Duration,
    /// Concurrent connections. When they are reached, nothing is accepted, unless `closes_oldest`; further
    /// peers wait in the kernel's backlog.
    pub connections_max: usize,
    /// Concurrent connections of one address, or of one /64 of IPv6; 0 is no limit. One more is closed at
    /// once.
    pub connections_per_address_max: usize,
    /// Header fields of an HTTP/1 request. For HTTP/2 only `header_list_bytes_max` applies.
    pub headers_max: usize,
    /// Size of the first line of an HTTP/1 request, in bytes.
    pub request_line_bytes_max: usize,
    /// Size of one header field of HTTP/1, in bytes.
    pub field_bytes_max: usize,
    /// Size of all header fields of an HTTP/1 request together, in bytes.
    pub header_bytes_max: u32,
    /// Size of the header fields of an HTTP/2 request, as HTTP/2 counts them.
    pub header_list_bytes_max: u32,
    /// Concurrent streams on one HTTP/2 connection.
    pub streams_max: u32,
    /// How many requests of an HTTP/2 connection may be taken back within ten seconds, if they are most of
    /// its requests. A proxy whose clients leave has more, but has many others as well.
    pub resets_max: usize,
    /// How many frames of an HTTP/2 connection may ask for nothing within ten seconds: pings, settings,
    /// priorities, resets, unknown frames, and windows for nothing that was written.
    pub control_frames_max: usize,
    /// How many DATA frames of an HTTP/2 connection may be without content and without an end. h2 allows 100.
    pub empty_frames_max: usize,
    /// How many CONTINUATION frames a header block may have. h2 allows 5, or a quarter more than
    /// `header_list_bytes_max` needs.
    pub continuations_max: usize,
    /// How much of one body an HTTP/2 peer may send before it is read, in bytes.
    pub stream_window_bytes: u32,
    /// The same for all bodies of a connection.
    pub connection_window_bytes: u32,
    /// Whether the oldest connection is cut for a new one when there are `connections_max`, so that nobody can
    /// keep others out by holding connections.
    pub closes_oldest: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(5),
            body_idle: Duration::from_secs(10),
            write_progress: Duration::from_secs(10),
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            headers_max: 100,
            request_line_bytes_max: 8 * 1024,
            field_bytes_max: 8 * 1024,
            header_bytes_max: 32 * 1024,
            header_list_bytes_max: 16 * 1024,
            streams_max: 100,
            resets_max: 100,
            control_frames_max: 1_000,
            empty_frames_max: 100,
            continuations_max: 20,
            stream_window_bytes: 64 * 1024,
            connection_window_bytes: 1024 * 1024,
            closes_oldest: false,
        }
    }
}

/// How the drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had to be cut at the end of the grace time.
    pub cut: usize,
}

/// The watcher of connections, if there is one.
type Watch = Option<Arc<dyn Watcher>>;

/// State that all connections of one listener share.
#[derive(Clone)]
struct Shared {
    limits: Arc<ServerLimits>,
    tls: Option<ServerTls>,
    watch: Watch,
    /// Cancelled when the drain begins.
    finish: CancellationToken,
}

impl Shared {
    fn rejected(&self, rejection: Rejection) {
        if let Some(watcher) = &self.watch {
            watcher.rejected(rejection);
        }
    }
}

/// A service that answers every request. The server takes any service of this shape.
pub trait HttpService:
    tower::Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S> HttpService for S where
    S: tower::Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// Serves `service` on `listener` until `shutdown` resolves, then drains. Requests have their [`Peer`] in their
/// extensions.
///
/// ALPN chooses HTTP/1 or HTTP/2 under TLS, otherwise the connection's first bytes do. The drain stops
/// accepting, lets every request in flight finish, and after `grace` cuts the remaining ones. Dropping
/// the returned future cuts everything at once.
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
pub async fn serve<S: HttpService>(
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: ServerLimits,
    service: S,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> Drained {
    let service = move |peer| FromPeer { peer, service: service.clone() };
    serve_all(listener, tls, limits, None, service, shutdown, grace).await
}

/// The same, with a watcher of connections, and a service of its own for each connection. It also answers refused
/// requests: these have a [`Refusal`] in their extensions and nothing of the original request. Without a watcher such
/// an answer is only a status.
pub async fn serve_watched<S: HttpService>(
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: ServerLimits,
    watcher: Arc<dyn Watcher>,
    service: impl Fn(Peer) -> S,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> Drained {
    serve_all(listener, tls, limits, Some(watcher), service, shutdown, grace).await
}

async fn serve_all<S: HttpService>(
    listener: TcpListener,
    tls: Option<ServerTls>,
    limits: ServerLimits,
    watch: Watch,
    service: impl Fn(Peer) -> S,
    shutdown: impl Future<Output = ()> + Send + 'static,
    grace: Duration,
) -> Drained {
    let cut = CancellationToken::new();
    let _cut_on_drop = cut.clone().drop_guard();
    let door = Door::new(listener, &limits, watch.clone(), cut.clone());
    let finish = CancellationToken::new();
    let shared = Shared { limits: Arc::new(limits), tls, watch, finish };
    let connections = TaskTracker::new();

    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer, place) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = door.next() => accepted,
        };
        let connection = connection::run(stream, shared.clone(), service(Peer(peer)));
        connections.spawn(async move {
            // All of the place belongs to this task.
            let place = place;
            let (mut cut, mut connection) = (Cancelled::new(&place.cut), pin!(connection));
            poll_fn(|cx| match cut.poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => connection.as_mut().poll(cx),
            })
            .await;
        });
    }
    drop(door);

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
