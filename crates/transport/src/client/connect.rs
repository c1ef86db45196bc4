//! Opens a connection (name look-up, TCP, TLS) within one deadline and reports which step failed. Must
//! never keep the text of a failure, because it contains the host.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::InvalidDnsNameError;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tower::{Service, ServiceExt};

use super::failure::ConnectFailure;
use super::resolve::{Names, Resolver};
use crate::error_chain;
use crate::progress::Progress;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// hyper-rustls over hyper-util's TCP connector, with one deadline for all steps. Their own limits do not
/// cover the look-up and the TLS handshake.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    tcp: HttpConnector<Names>,
    tls: Arc<ClientConfig>,
    settings: ConnectSettings,
}

/// Settings of a [`Connector`], except its trusted roots and its resolver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectSettings {
    pub(crate) connect_timeout: Duration,
    /// How long a peer may read no byte although some are ready for it.
    pub(crate) write_progress: Duration,
    /// The greatest age of a connection. A random part of up to a quarter is subtracted, so that
    /// connections do not all end together.
    pub(crate) age_max: Duration,
}

impl Connector {
    pub(crate) fn new(
        settings: ConnectSettings,
        resolver: Resolver,
        tls: Arc<ClientConfig>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Names(resolver));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Divided among the host's addresses, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        Self { tcp, tls, settings }
    }

    /// Until when a connection that is opened now takes requests.
    pub(super) fn expires(&self) -> Instant {
        Instant::now() + age(self.settings.age_max)
    }
}

/// A connection to an upstream.
pub(super) type Stream = MaybeHttpsStream<Socket>;

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectFailure;
    type Future = BoxFuture<Self::Response, ConnectFailure>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let reached = Arc::new(AtomicBool::new(false));
        let tcp =
            Tcp { inner: self.tcp.clone(), settings: self.settings, reached: Arc::clone(&reached) };
        let connector = HttpsConnector::from((tcp, Arc::clone(&self.tls)));
        let connecting = timeout(self.settings.connect_timeout, connector.oneshot(uri));
        Box::pin(async move {
            match connecting.await {
                Err(_) if reached.load(Ordering::Relaxed) => Err(ConnectFailure::TlsTimeout),
                Err(_) => Err(ConnectFailure::Timeout),
                Ok(connected) => connected.map_err(|error| failure(&error)),
            }
        })
    }
}

/// A socket to an upstream, below TLS.
pub(super) type Socket = TokioIo<Progress<TcpStream>>;

/// Makes TCP connections that fail if the upstream reads nothing.
#[derive(Clone, Debug)]
struct Tcp {
    inner: HttpConnector<Names>,
    settings: ConnectSettings,
    /// Set once there is a connection: from then on only the handshake can take long.
    reached: Arc<AtomicBool>,
}

impl Service<Uri> for Tcp {
    type Response = Socket;
    type Error = <HttpConnector<Names> as Service<Uri>>::Error;
    type Future = BoxFuture<Socket, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, settings) = (self.inner.call(uri), self.settings);
        let reached = Arc::clone(&self.reached);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            reached.store(true, Ordering::Relaxed);
            Ok(TokioIo::new(Progress::new(stream, settings.write_progress)))
        })
    }
}

/// Between 75 and 100 percent of the greatest age.
fn age(age_max: Duration) -> Duration {
    // A new state has new random keys, so this is a random number without a library.
    let part = (RandomState::new().hash_one(0_u8) % 1024) as u32;
    age_max - (age_max / 4) * part / 1024
}

fn failure(error: &BoxError) -> ConnectFailure {
    let error: &(dyn std::error::Error + 'static) = &**error;
    if let Some(known) = error_chain::find::<ConnectFailure>(error) {
        return *known;
    }
    let by_tls = error_chain::find::<rustls::Error>(error).is_some()
        || error_chain::find::<InvalidDnsNameError>(error).is_some();
    if by_tls {
        return ConnectFailure::Tls;
    }
    let io = error_chain::find::<std::io::Error>(error);
    match io.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::TimedOut) => ConnectFailure::Timeout,
        _ => ConnectFailure::Tcp,
    }
}
