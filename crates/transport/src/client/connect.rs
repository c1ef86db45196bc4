//! Opens a connection (name look-up, TCP, TLS) within one deadline and says which step failed. Must
//! never keep the text of a failure: it holds the host.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::InvalidDnsNameError;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use crate::error_chain;
use crate::progress::Progress;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// The step of connecting that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("name look-up failed")]
    Dns,
    #[error("no TCP connection")]
    Tcp,
    #[error("connecting took too long")]
    Timeout,
    #[error("TLS handshake failed")]
    Tls,
}

/// hyper-rustls over hyper-util's TCP connector, with one deadline over all steps. Theirs alone would
/// leave the look-up and the TLS handshake without any.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    inner: HttpsConnector<Tcp>,
    connect_timeout: Duration,
}

impl Connector {
    /// `write_progress` is how long a peer may take no byte of what is ready for it.
    pub(crate) fn new(
        connect_timeout: Duration,
        write_progress: Duration,
        tls: Arc<ClientConfig>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Shared out among the host's addresses, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(connect_timeout));
        let tcp = Tcp { inner: tcp, write_progress };
        Self { inner: HttpsConnector::from((tcp, tls)), connect_timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Socket>;
    type Error = ConnectFailure;
    type Future = BoxFuture<Self::Response, ConnectFailure>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        self.inner.poll_ready(cx).map_err(|error| failure(&error))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(self.connect_timeout, self.inner.call(uri));
        Box::pin(async move {
            match connecting.await {
                Err(_) => Err(ConnectFailure::Timeout),
                Ok(connected) => connected.map_err(|error| failure(&error)),
            }
        })
    }
}

/// A socket to an upstream, below TLS.
type Socket = TokioIo<Progress<TcpStream>>;

/// TCP connections that fail when the upstream takes nothing.
#[derive(Clone, Debug)]
struct Tcp {
    inner: HttpConnector<Resolver>,
    write_progress: Duration,
}

impl Service<Uri> for Tcp {
    type Response = Socket;
    type Error = <HttpConnector<Resolver> as Service<Uri>>::Error;
    type Future = BoxFuture<Socket, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, write_progress) = (self.inner.call(uri), self.write_progress);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(Progress::new(stream, write_progress)))
        })
    }
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

/// The system's resolver, with its failures marked.
#[derive(Clone, Debug)]
struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = ConnectFailure;
    type Future = BoxFuture<GaiAddrs, ConnectFailure>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        self.0.poll_ready(cx).map_err(|_| ConnectFailure::Dns)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.0.call(name);
        Box::pin(async move { lookup.await.map_err(|_| ConnectFailure::Dns) })
    }
}
