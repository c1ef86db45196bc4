//! What the tests over sockets share: a server with one small application, and raw peers. Listens on
//! port 0 of the loopback only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use transport::alarm::{Alarm, within};
use transport::body::{self, Body, BodyError};
use transport::server::{Drained, Peer, ServerLimits, serve};
use transport::tls::ServerTls;

pub(crate) const SHORT: Duration = Duration::from_millis(150);
pub(crate) const LONG: Duration = Duration::from_secs(5);
pub(crate) const BIG_BYTES: usize = 32 * 1024 * 1024;

/// The answer of `/big`, made once: the tests run within 256 MiB.
static BIG: LazyLock<Bytes> = LazyLock::new(|| vec![b'x'; BIG_BYTES].into());

/// Limits that no test reaches unless it lowers one.
pub(crate) fn patient() -> ServerLimits {
    ServerLimits {
        header_timeout: LONG,
        idle_timeout: LONG,
        handshake_timeout: LONG,
        body_idle: LONG,
        write_progress: LONG,
        ..ServerLimits::default()
    }
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    /// Requests in progress in the application.
    pub(crate) working: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Drained>,
}

impl Server {
    pub(crate) async fn start(limits: ServerLimits) -> Self {
        Self::start_with(limits, None, LONG).await
    }

    pub(crate) async fn start_with(
        limits: ServerLimits,
        tls: Option<ServerTls>,
        grace: Duration,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let working = Arc::new(AtomicUsize::new(0));
        let service = tower::service_fn({
            let working = Arc::clone(&working);
            move |request| application(request, Working::new(&working))
        });
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, tls, limits, service, shutdown, grace));
        Self { addr, working, stop, task }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends raw bytes and reads until the server closes.
    pub(crate) async fn send(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }

    pub(crate) async fn stop(self) -> Drained {
        let _ = self.stop.send(());
        timeout(2 * LONG, self.task).await.expect("the drain must end").unwrap()
    }

    /// Tells the server to stop; the drain continues in the background.
    pub(crate) fn begin_stop(self) -> JoinHandle<Drained> {
        let _ = self.stop.send(());
        self.task
    }

    pub(crate) async fn wait_until_working(&self, count: usize) {
        for _ in 0..500 {
            if self.working.load(Ordering::SeqCst) == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the application never had {count} requests at work");
    }
}

/// Counts a request while its future lives.
struct Working(Arc<AtomicUsize>);

impl Working {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn application(
    request: Request<Body>,
    _working: Working,
) -> Result<Response<Body>, Infallible> {
    let peer = request.extensions().get::<Peer>().copied();
    let version = request.version();
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        "/echo" => match body::collect(request.into_body(), 1 << 20, LONG).await {
            Ok(bytes) => body::full(bytes),
            Err(error) => {
                let mut refused = Response::new(body::full(error.to_string()));
                *refused.status_mut() = match error {
                    BodyError::Idle { .. } => StatusCode::REQUEST_TIMEOUT,
                    _ => StatusCode::BAD_REQUEST,
                };
                return Ok(refused);
            }
        },
        "/rope" => body::pieces(vec!["one,".into(), "".into(), "two,".into(), "three".into()]),
        "/big" => body::full(BIG.clone()),
        "/slow" => {
            tokio::time::sleep(2 * SHORT).await;
            body::full("late")
        }
        "/hang" => std::future::pending().await,
        "/alarms" => {
            let began = Instant::now();
            let first = within(began + SHORT / 2, Box::pin(std::future::pending::<()>())).await;
            let after = began.elapsed();
            Alarm::at(began + 3 * SHORT).await;
            assert!(first.is_none() && after < LONG / 2, "{first:?} after {after:?}");
            body::full("on time")
        }
        // Which connection it came over.
        "/peer" => body::full(peer.map_or(0, |peer| peer.0.port()).to_string()),
        _ => body::full(format!(
            "{version:?} {}",
            peer.is_some_and(|peer| peer.0.ip().is_loopback())
        )),
    };
    Ok(Response::new(answer))
}

/// Reads until the end or a reset, with a time limit.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(2 * LONG, stream.read_to_end(&mut bytes)).await.expect("must be closed");
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Reads exactly one answer whose whole text is known to end with `end`.
pub(crate) async fn read_until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.ends_with(end) {
        let read = timeout(LONG, stream.read(&mut buffer)).await.expect("in time").unwrap();
        assert_ne!(read, 0, "closed early after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}
