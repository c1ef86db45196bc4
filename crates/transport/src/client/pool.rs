//! Connections that are kept for the next request, and new ones where none is free. A connection over
//! HTTP/1 serves one request at a time and comes back when its answer has ended, unless the answer began
//! before the request's end; one over HTTP/2 serves all that come.
//!
//! Must never give a connection to another origin than its own, never give it out when it is too old or was
//! unused for too long, and never send a request twice.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::answer;
use super::answers::Followed;
use super::connect::{Connector, Stream};
use super::{ClientError, HEAD_BYTES_MAX, HTTP1_BUFFER_BYTES_MAX, PING_INTERVAL, PING_TIMEOUT};
use crate::body::BodyError;

/// The bodies that a request may have.
pub(super) trait Outgoing:
    http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

impl<B> Outgoing for B where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static
{
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Settings of a [`Pool`].
#[derive(Clone, Copy, Debug)]
pub(super) struct PoolSettings {
    /// How long an unused connection is kept.
    pub(super) idle_timeout: Duration,
    /// How many unused connections are kept.
    pub(super) idle_max: usize,
    /// Whether a request without a `host` gets that of its URI.
    pub(super) names_host: bool,
}

/// See the module. Clones share their connections.
pub(super) struct Pool<B>(Arc<Shared<B>>);

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Pool(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for Pool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

struct Shared<B> {
    connector: Connector,
    settings: PoolSettings,
    kept: Mutex<Kept<B>>,
    /// Told when a connection comes back or is made.
    freed: Notify,
}

struct Kept<B> {
    connections: Vec<Connection<B>>,
    /// Whether a task ends connections that are unused for too long.
    is_swept: bool,
}

/// A connection that takes requests.
struct Connection<B> {
    sender: Sender<B>,
    origin: Arc<Origin>,
    /// From then on it takes no further request.
    expires: Instant,
    /// Since when it is unused.
    since: Instant,
}

enum Sender<B> {
    Http1(http1::SendRequest<B>),
    Http2(http2::SendRequest<B>),
}

/// Where a connection leads.
struct Origin {
    scheme: Scheme,
    authority: String,
    host: HeaderValue,
}

impl Origin {
    fn of(uri: &Uri) -> Option<Origin> {
        let (scheme, authority) = (uri.scheme()?, uri.authority()?);
        let usual = if *scheme == Scheme::HTTPS { 443 } else { 80 };
        let host = match authority.port_u16().filter(|port| *port != usual) {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        };
        let host = HeaderValue::from_str(&host).ok()?;
        Some(Origin { scheme: scheme.clone(), authority: authority.to_string(), host })
    }

    fn is_of(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&self.scheme)
            && uri.authority().is_some_and(|authority| authority.as_str() == self.authority)
    }
}

impl<B> Connection<B> {
    /// The same connection for others too, where it serves many requests at a time.
    fn shared(&self) -> Option<Connection<B>> {
        let Sender::Http2(sender) = &self.sender else { return None };
        let (sender, origin) = (Sender::Http2(sender.clone()), Arc::clone(&self.origin));
        Some(Connection { sender, origin, ..*self })
    }

    fn is_unready(&self, uri: &Uri) -> bool {
        matches!(&self.sender, Sender::Http1(sender) if !sender.is_ready() && !sender.is_closed())
            && self.origin.is_of(uri)
    }

    fn is_usable(&self, now: Instant, idle_timeout: Duration) -> bool {
        let is_open = match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        };
        is_open && now < self.expires && now < self.since + idle_timeout
    }
}

impl<B> Shared<B> {
    fn kept(&self) -> MutexGuard<'_, Kept<B>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to where a URI leads, if one is free. The one that was used last is taken first.
    fn take(&self, uri: &Uri) -> Option<Connection<B>> {
        let (now, idle_timeout) = (Instant::now(), self.settings.idle_timeout);
        let mut kept = self.kept();
        let mut at = kept.connections.len();
        while let Some(before) = at.checked_sub(1) {
            at = before;
            let connection = &mut kept.connections[at];
            if !connection.is_usable(now, idle_timeout) {
                kept.connections.remove(at);
                continue;
            }
            if !connection.origin.is_of(uri) {
                continue;
            }
            if let Some(shared) = connection.shared() {
                connection.since = now;
                return Some(shared);
            }
            // Where it is not ready, its task has not had its turn, or writes the end of its request.
            if matches!(&connection.sender, Sender::Http1(sender) if sender.is_ready()) {
                return Some(kept.connections.remove(at));
            }
        }
        None
    }
}

impl<B: Outgoing> Shared<B> {
    /// Whether a connection there has had its answer and does not take the next request yet.
    fn has_unready(&self, uri: &Uri) -> bool {
        self.kept().connections.iter().any(|connection| connection.is_unready(uri))
    }

    /// Keeps such connections anew, and wakes the requests that wait, when they take requests.
    fn await_unready(self: &Arc<Self>, uri: &Uri) {
        let unready = {
            let mut kept = self.kept();
            kept.connections.extract_if(.., |one| one.is_unready(uri)).collect::<Vec<_>>()
        };
        for mut connection in unready {
            let pool = Arc::downgrade(self);
            tokio::spawn(async move {
                if let Sender::Http1(sender) = &mut connection.sender
                    && sender.ready().await.is_ok()
                    && let Some(pool) = pool.upgrade()
                {
                    pool.keep(connection);
                }
            });
        }
    }

    /// Keeps a connection for the next request.
    fn keep(self: &Arc<Self>, mut connection: Connection<B>) {
        connection.since = Instant::now();
        let idle_timeout = self.settings.idle_timeout;
        let mut kept = self.kept();
        let has_room = kept.connections.len() < self.settings.idle_max;
        if !has_room || !connection.is_usable(connection.since, idle_timeout) {
            return;
        }
        kept.connections.push(connection);
        tracing::trace!(kept = kept.connections.len(), "a connection is kept");
        let is_swept = std::mem::replace(&mut kept.is_swept, true);
        drop(kept);
        self.freed.notify_one();
        if !is_swept {
            tokio::spawn(Self::sweep(Arc::downgrade(self), idle_timeout));
        }
    }

    /// Ends connections that are unused for too long, until none is left.
    async fn sweep(pool: Weak<Self>, idle_timeout: Duration) {
        let mut next = Instant::now() + idle_timeout;
        loop {
            sleep_until(next).await;
            let Some(pool) = pool.upgrade() else { return };
            let now = Instant::now();
            let mut kept = pool.kept();
            kept.connections.retain(|connection| connection.is_usable(now, idle_timeout));
            let Some(since) = kept.connections.iter().map(|connection| connection.since).min()
            else {
                kept.is_swept = false;
                return;
            };
            next = since + idle_timeout;
        }
    }
}

impl<B: Outgoing> Pool<B> {
    pub(super) fn new(connector: Connector, settings: PoolSettings) -> Self {
        let kept = Mutex::new(Kept { connections: Vec::new(), is_swept: false });
        Pool(Arc::new(Shared { connector, settings, kept, freed: Notify::new() }))
    }

    /// Sends a request with an absolute URI. `body` tells whether the request's body still exists, where that matters.
    pub(super) async fn send(
        &self,
        mut request: Box<Request<B>>,
        body: Option<Weak<()>>,
    ) -> Result<Response<Answer<B>>, ClientError> {
        let mut connection = match self.kept(request.uri()).await {
            Some(connection) => {
                tracing::trace!("a kept connection is used again");
                connection
            }
            // Boxed, so that a request over a kept connection stays small.
            None => Box::pin(self.connect(request.uri())).await?,
        };
        let answer = match &mut connection.sender {
            Sender::Http1(sender) => {
                if self.0.settings.names_host && !request.headers().contains_key(HOST) {
                    request.headers_mut().insert(HOST, connection.origin.host.clone());
                }
                let path = request.uri().path_and_query().cloned();
                let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
                *request.uri_mut() = path.into();
                sender.send_request(*request).await
            }
            Sender::Http2(sender) => sender.send_request(*request).await,
        };
        let mut answer = answer.map_err(|error| ClientError::from_exchange(&error))?;
        // A connection with an answer that has no one reading is not used again.
        answer::check(&mut answer)?;
        // An upstream that answers before it has the whole request may close its connection behind the answer without
        // saying so, and the next request over it would be lost. A body that was handed over may be under way all the
        // same; nobody can see how much of it the upstream has read.
        let is_handed_over = body.is_none_or(|body| body.strong_count() == 0);
        let mut lease = match &connection.sender {
            Sender::Http1(_) if is_handed_over => {
                Some(Lease { pool: Arc::downgrade(&self.0), connection })
            }
            _ => None,
        };
        if http_body::Body::is_end_stream(answer.body()) {
            lease = lease.and_then(Lease::end);
        }
        Ok(answer.map(|inner| Answer { inner, lease }))
    }

    /// A connection that is free, or is as soon as its task has had its turn.
    async fn kept(&self, uri: &Uri) -> Option<Connection<B>> {
        if let Some(connection) = self.0.take(uri) {
            return Some(connection);
        }
        if !self.0.has_unready(uri) {
            return None;
        }
        yield_now().await;
        self.0.take(uri)
    }

    /// A new connection, or one that comes back sooner; then the new one is kept for others.
    async fn connect(&self, uri: &Uri) -> Result<Connection<B>, ClientError> {
        self.0.await_unready(uri);
        let origin = Arc::new(Origin::of(uri).ok_or(ClientError::Other)?);
        let (tell, mut told) = oneshot::channel();
        let (pool, target) = (self.clone(), uri.clone());
        let opening = tokio::spawn(async move {
            let opened = pool.open(target, origin).await;
            // One that serves many requests is kept already.
            if let Err(Ok(connection)) = tell.send(opened)
                && matches!(connection.sender, Sender::Http1(_))
            {
                pool.0.keep(connection);
            }
        });
        // No connection is opened for a request that was given up.
        let mut opening = AbortOnDrop(Some(opening.abort_handle()));
        loop {
            tokio::select! {
                biased;
                opened = &mut told => return opened.unwrap_or(Err(ClientError::Other)),
                () = self.0.freed.notified() => {
                    if let Some(connection) = self.0.take(uri) {
                        if self.0.settings.idle_max > 0 {
                            opening.0 = None;
                        }
                        return Ok(connection);
                    }
                }
            }
        }
    }

    async fn open(&self, uri: Uri, origin: Arc<Origin>) -> Result<Connection<B>, ClientError> {
        let connector = self.0.connector.clone();
        let expires = connector.expires();
        let stream = connector.oneshot(uri).await?;
        let is_http2 = stream.connected().is_negotiated_h2();
        let sender = match is_http2 {
            true => http2(stream).await.map(Sender::Http2),
            false => http1(stream).await.map(Sender::Http1),
        };
        // No request has left.
        let sender = sender.map_err(|_| ClientError::Reset { started: false })?;
        tracing::debug!(is_http2, "connected to an upstream");
        let connection = Connection { sender, origin, expires, since: Instant::now() };
        if let Some(shared) = connection.shared() {
            self.0.keep(shared);
        }
        Ok(connection)
    }
}

async fn http1<B: Outgoing>(stream: Stream) -> hyper::Result<http1::SendRequest<B>> {
    let mut builder = http1::Builder::new();
    let (sender, connection) =
        builder.max_buf_size(HTTP1_BUFFER_BYTES_MAX).handshake(stream).await?;
    // If it breaks, the request that waits for an answer over it gets the error.
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

async fn http2<B: Outgoing>(stream: Stream) -> hyper::Result<http2::SendRequest<B>> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX)
        .adaptive_window(true)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let stream = TokioIo::new(Followed::new(TokioIo::new(stream)));
    let (sender, connection) = builder.handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Ends a task when it is dropped.
struct AbortOnDrop(Option<AbortHandle>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// A connection that is out for one answer.
struct Lease<B> {
    pool: Weak<Shared<B>>,
    connection: Connection<B>,
}

impl<B: Outgoing> Lease<B> {
    /// The answer has ended; nothing is left of the lease.
    fn end(self) -> Option<Self> {
        if let Some(pool) = self.pool.upgrade() {
            pool.keep(self.connection);
        }
        None
    }
}

/// The body of an answer. When it ends, its connection is kept for the next request, if there is a lease. When
/// it breaks off or is dropped before, the connection is closed.
pub(super) struct Answer<B> {
    inner: Incoming,
    lease: Option<Lease<B>>,
}

impl<B: Outgoing> http_body::Body for Answer<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Err(_)) => self.lease = None,
            Some(Ok(_)) if !self.inner.is_end_stream() => {}
            Some(Ok(_)) | None => self.lease = self.lease.take().and_then(Lease::end),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
