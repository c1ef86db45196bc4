//! One connection from its first byte to its last, written so that each phase has a limit. After the
//! drain's `finish` it must end as soon as its open requests have ended.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1::UpgradeableConnection;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Protocol};
use super::cancelled::Cancelled;
use super::exchange::{Exchange, Newest, Streams};
use super::io::{Opening, Watched, read_opening};
use super::refusal::{Refusal, Rejection};
use super::{HttpService, ServerLimits, Shared};
use crate::alarm;
use crate::error_chain;
use crate::progress::Progress;

/// How often an HTTP/2 peer is pinged, and how long the reply may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of one stream h2 may buffer beyond the peer's window, in bytes.
const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How many streams of one HTTP/2 connection may be reset for errors of the peer before it is closed.
const RESET_STREAMS_MAX: usize = 200;
/// The first byte of a TLS handshake; no request begins with it.
const TLS_HANDSHAKE: u8 = 0x16;
/// The time for answering a head that did not arrive in time.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// How many headers hyper reads if it is told no limit.
const HYPER_HEADERS_MAX: usize = 100;
/// How much larger hyper's limits are than the guard's, which apply first.
const SECOND_LINE_BYTES: usize = 1024;

/// Serves one accepted socket until it is done, idle, or broken.
pub(super) async fn run<S: HttpService>(stream: TcpStream, shared: Shared, service: S) {
    // If the peer is already gone, the first read will show it.
    let _ = stream.set_nodelay(true);
    hold_little(&stream, shared.limits.write_progress);
    let stream = Progress::new(stream, shared.limits.write_progress);
    match &shared.tls {
        None => {
            let Some(open) = plain(stream, &shared).await else { return };
            open.serve(&shared, service).await;
        }
        Some(tls) => {
            let handshake = timeout(shared.limits.handshake_timeout, tls.acceptor().accept(stream));
            let stream = match shared.finish.run_until_cancelled(handshake).await {
                Some(Ok(Ok(stream))) => stream,
                Some(Ok(Err(_))) => return shared.rejected(Rejection::TlsFailed),
                Some(Err(_)) => return shared.rejected(Rejection::TlsSlow),
                None => return,
            };
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let Some(open) = encrypted(stream, is_http2, &shared).await else { return };
            open.serve(&shared, service).await;
        }
    }
}

/// The same for any stream of bytes without TLS.
#[cfg(any(test, feature = "properties"))]
pub(super) async fn run_plain<T, S>(stream: T, shared: Shared, service: S)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: HttpService,
{
    let Some(open) = plain(stream, &shared).await else { return };
    open.serve(&shared, service).await;
}

/// A stream that is about to speak a known protocol.
struct Open<T> {
    stream: T,
    opening: Bytes,
    activity: Arc<Activity>,
}

/// Without TLS the first bytes choose the protocol. `None` if they do not arrive, or if the drain begins.
async fn plain<T: AsyncRead + Unpin>(mut stream: T, shared: &Shared) -> Option<Open<T>> {
    let opened = Instant::now();
    let Opening { is_http2, bytes } = opening(&mut stream, opened, shared).await?;
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        shared.rejected(Rejection::NotHttp);
        return None;
    }
    let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
    let activity = Arc::new(Activity::new(protocol, &shared.limits, shared.watch.clone(), opened));
    Some(Open { stream, opening: bytes, activity })
}

/// Under TLS the handshake has chosen the protocol. hyper waits for the HTTP/2 preface without a limit, so
/// this function reads it.
async fn encrypted<T: AsyncRead + Unpin>(
    mut stream: T,
    is_http2: bool,
    shared: &Shared,
) -> Option<Open<T>> {
    let opened = Instant::now();
    let (protocol, opening) = match is_http2 {
        true => (Protocol::Http2, opening(&mut stream, opened, shared).await?.bytes),
        false => (Protocol::Http1, Bytes::new()),
    };
    let activity = Arc::new(Activity::new(protocol, &shared.limits, shared.watch.clone(), opened));
    Some(Open { stream, opening, activity })
}

async fn opening(
    stream: &mut (impl AsyncRead + Unpin),
    opened: Instant,
    shared: &Shared,
) -> Option<Opening> {
    let reading = timeout_at(opened + shared.limits.header_timeout, read_opening(stream));
    match shared.finish.run_until_cancelled(reading).await? {
        Ok(opening) => opening.ok(),
        Err(_) => {
            shared.rejected(Rejection::Refused(Refusal::SlowHeaders));
            None
        }
    }
}

impl<T> Open<T>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    async fn serve<S: HttpService>(self, shared: &Shared, service: S) {
        let limits = &shared.limits;
        let activity = self.activity;
        let watched = Watched::new(self.stream, &self.opening, Arc::clone(&activity), limits);
        let stream = TokioIo::new(watched);
        let newest = Newest::default();
        let exchange = Exchange {
            service,
            body_idle: limits.body_idle,
            activity: Arc::clone(&activity),
            newest: newest.clone(),
            answers_refusals: shared.watch.is_some(),
        };
        match activity.protocol() {
            Protocol::Http1 => {
                let connection = http1(limits).serve_connection(stream, exchange).with_upgrades();
                let finish =
                    |connection: Pin<&mut _>| UpgradeableConnection::graceful_shutdown(connection);
                drive(connection, finish, &activity, limits, &shared.finish).await;
                // After a switch of protocols the tunnel belongs to this connection: it keeps the
                // connection's place, and the drain waits for it and cuts it.
                if let Some(tunnel) = activity.take_tunnel() {
                    tunnel.run().await;
                }
            }
            Protocol::Http2 => {
                let streams = Streams {
                    newest,
                    write_progress: limits.write_progress,
                    activity: Arc::clone(&activity),
                };
                let connection = http2(limits, streams).serve_connection(stream, exchange);
                let finish =
                    |connection: Pin<&mut _>| http2::Connection::graceful_shutdown(connection);
                drive(connection, finish, &activity, limits, &shared.finish).await;
            }
        }
    }
}

fn http1(limits: &ServerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .half_close(false)
        .max_header_size(
            limits.header_bytes_max as usize + limits.request_line_bytes_max + SECOND_LINE_BYTES,
        )
        // hyper's clock would also run during idle keep-alive. `drive` distinguishes the two times.
        .header_read_timeout(None);
    // With a limit of its own hyper fills a list of that length for every request.
    if limits.headers_max != HYPER_HEADERS_MAX {
        builder.max_headers(limits.headers_max);
    }
    builder
}

fn http2(limits: &ServerLimits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_list_bytes_max)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .max_local_error_reset_streams(RESET_STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Polls a connection to its end. Passes the drain on to it, and ends it after its deadline: HTTP/1 at
/// once, or with a refusal if a head did not arrive in time; HTTP/2 by GOAWAY and, if that does not help,
/// after another `idle_timeout`.
async fn drive<C>(
    connection: C,
    graceful_shutdown: impl Fn(Pin<&mut C>),
    activity: &Activity,
    limits: &ServerLimits,
    finish: &CancellationToken,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let mut finish = Cancelled::new(finish);
    let mut finishing = false;
    let mut timer = pin!(sleep_until(Instant::now() + limits.header_timeout));
    let mut last_deadline = None;

    poll_fn(|cx| {
        if !finishing && finish.poll(cx).is_ready() {
            finishing = true;
            graceful_shutdown(connection.as_mut());
        }
        let (polled, alarm) = alarm::listen(cx, |cx| connection.as_mut().poll(cx));
        if let Poll::Ready(result) = polled {
            if let Err(error) = result {
                tracing::debug!(%error, "connection failed");
                let io = error_chain::find::<std::io::Error>(&error);
                if io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
                    activity.rejected(Rejection::SlowRead);
                }
            }
            return Poll::Ready(());
        }
        // The timer is never later than the deadline, which moves with each request, nor than the alarms of a
        // request: a busy connection sets it only when it fires. While a request is open there is no deadline, and
        // without an alarm the timer only makes sure that it is checked again.
        loop {
            let deadline = last_deadline.or_else(|| activity.deadline());
            if let Some(first) = deadline.into_iter().chain(alarm).min()
                && first < timer.deadline()
            {
                timer.as_mut().reset(first);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if alarm.is_some_and(|at| at <= Instant::now()) {
                // It goes off when the connection is polled.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match deadline {
                None => timer.as_mut().reset(Instant::now() + limits.header_timeout),
                Some(later) if later > timer.deadline() => timer.as_mut().reset(later),
                Some(_) if last_deadline.is_some() && activity.deadline().is_none() => {
                    // A request that crossed our GOAWAY still gets its answer.
                    last_deadline = Some(Instant::now() + limits.idle_timeout);
                }
                Some(_) if last_deadline.is_none() && is_slow_head(activity) => {
                    activity.refuse(Refusal::SlowHeaders);
                    last_deadline = Some(Instant::now() + REFUSAL_TIME);
                    cx.waker().wake_by_ref();
                }
                Some(_) if last_deadline.is_some() || activity.protocol() == Protocol::Http1 => {
                    tracing::debug!("connection closed: it waited too long");
                    return Poll::Ready(());
                }
                Some(_) => {
                    last_deadline = Some(Instant::now() + limits.idle_timeout);
                    graceful_shutdown(connection.as_mut());
                    cx.waker().wake_by_ref();
                }
            }
        }
    })
    .await;
}

fn is_slow_head(activity: &Activity) -> bool {
    activity.protocol() == Protocol::Http1 && activity.is_head_due()
}

/// How much unsent answer the system may buffer, in bytes. With more, `write_progress` would not notice
/// that the peer reads nothing.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// Keeps the system from buffering much of an answer for a slow peer, and from keeping the rest for long
/// after everything was written.
fn hold_little(stream: &TcpStream, write_progress: Duration) {
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        // Only an older kernel refuses this; then it buffers more.
        let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        let _ = socket.set_tcp_user_timeout(Some(write_progress.saturating_mul(2)));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, write_progress, UNSENT_BYTES_MAX);
}
