//! Sends single HTTP exchanges over its own connection pool. Must never follow a redirect, retry a request
//! by itself, or put an address, header or body into an error.

mod answer;
mod answers;
mod connect;
mod exchange;
mod failure;
mod pool;
mod resolve;
mod stream;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;

use crate::body::Body;
use crate::error_chain;
use crate::tls::ClientTls;
use connect::{ConnectSettings, Connector};
use failure::ConnectFailure;
use pool::{Pool, PoolSettings};
pub use resolve::{Looking, Lookup, LookupFailure, Resolver, ResolverSettings, SystemLookup};
pub use stream::{StreamClient, StreamSettings};

/// How often an HTTP/2 connection with open streams is pinged, and how long the reply may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an upstream may read nothing of a request. Requests with a body in one piece are short.
const WRITE_PROGRESS: Duration = Duration::from_secs(60);
/// The largest accepted answer head, in bytes. For HTTP/1, hyper allows at most 100 headers.
const HEAD_BYTES_MAX: u32 = 64 * 1024;
/// An upstream with more 1xx answers than this to one request counts as broken.
const INFORMATIONAL_MAX: usize = 16;
/// How much an HTTP/1 connection may buffer. A page of 100 users has some 95 kB: if it is read at once, it is one piece,
/// which nobody has to copy.
const HTTP1_BUFFER_BYTES_MAX: usize = 128 * 1024;
/// The default for the age of connections.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// The longest time for name look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Keep it below the upstream's own keep-alive time.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept per host.
    pub pool_idle_max: usize,
    /// Trusted roots for `https`.
    pub tls: ClientTls,
}

/// How names become connections, and for how long these are used.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Looks names up.
    pub resolver: Resolver,
    /// An older connection takes no further request, so that a new address is noticed even on busy
    /// connections. A random part of up to a quarter is subtracted.
    pub connection_age_max: Duration,
}

/// Sends requests with an absolute `http` or `https` URI. Always ready; clones share one pool.
///
/// Make one `Client` per caller. Then a pooled connection never carries two credentials, and an upstream
/// that mixes up answers on a connection can only send a caller its own.
///
/// The client limits neither the time to the answer's head nor the body. The code that calls it limits
/// the first with a timeout and the second with [`crate::body::collect`].
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<Full<Bytes>>,
}

impl Client {
    /// A client with an empty pool that asks the system's resolver. Opens nothing yet. Must be called
    /// within a tokio runtime.
    pub fn new(settings: &ClientSettings) -> Self {
        let resolver = Resolver::system(settings.connect_timeout);
        Self::reaching(settings, &Reach { resolver, connection_age_max: CONNECTION_AGE_MAX })
    }

    /// As [`Client::new`], with another resolver and connection age.
    pub fn reaching(settings: &ClientSettings, reach: &Reach) -> Self {
        let connect = ConnectSettings {
            connect_timeout: settings.connect_timeout,
            write_progress: WRITE_PROGRESS,
            age_max: reach.connection_age_max,
        };
        let connector = Connector::new(connect, reach.resolver.clone(), settings.tls.config());
        let pool = PoolSettings {
            idle_timeout: settings.pool_idle_timeout,
            idle_max: settings.pool_idle_max,
            names_host: true,
        };
        Self { pool: Pool::new(connector, pool) }
    }
}

impl Client {
    /// Sends a request and waits for the head of its answer.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, ClientError> {
        let request = Box::new(request.map(Full::new));
        let answer = exchange::exchange(&self.pool, request, None, None).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            // It was not requested.
            return Err(ClientError::BadFraming);
        }
        Ok(answer)
    }
}

impl tower::Service<Request<Bytes>> for Client {
    type Response = Response<Body>;
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, ClientError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let client = self.clone();
        Box::pin(async move { client.send(request).await })
    }
}

/// Why there is no answer head. Contains only kinds: neither `Debug` nor `Display` can show a URL, a header
/// or a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The host's name could not be resolved.
    #[error("the upstream's name could not be resolved")]
    Dns,
    /// The host's name leads only to private addresses, which is not allowed.
    #[error("the upstream's name leads to a private address")]
    AddressRefused,
    /// No TCP connection could be made.
    #[error("the upstream could not be reached")]
    Connect,
    /// Name look-up, TCP and TLS together took too long.
    #[error("connecting to the upstream took too long")]
    ConnectTimeout,
    /// There was a connection, but the TLS handshake took too long.
    #[error("the TLS handshake with the upstream took too long")]
    TlsTimeout,
    /// The TLS handshake failed, for example over an untrusted certificate.
    #[error("the TLS handshake with the upstream failed")]
    Tls,
    /// The connection ended before the whole head of the answer was read.
    #[error("the upstream closed the connection before its answer")]
    Reset {
        /// Whether any part of the request may have been written. `false` is typical of a pooled
        /// connection that the peer closed just before it was used.
        started: bool,
    },
    /// The upstream read nothing of the request for too long.
    #[error("the upstream took nothing of the request for too long")]
    Stalled,
    /// The answer is not well-formed HTTP.
    #[error("the upstream's answer is not well-formed HTTP")]
    BadFraming,
    /// The request cannot be sent (no absolute URI, unsupported version), or any other cause.
    #[error("the exchange with the upstream failed")]
    Other,
}

impl ClientError {
    /// Whether the upstream could have seen the request. If `false`, a retry cannot do the work twice.
    /// [`ClientError::Other`] counts as seen, to be safe.
    pub fn started(&self) -> bool {
        match self {
            Self::Dns | Self::AddressRefused | Self::Connect | Self::ConnectTimeout => false,
            Self::TlsTimeout | Self::Tls => false,
            Self::Reset { started } => *started,
            Self::BadFraming | Self::Stalled | Self::Other => true,
        }
    }
}

impl From<Infallible> for ClientError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<ConnectFailure> for ClientError {
    fn from(failure: ConnectFailure) -> Self {
        match failure {
            ConnectFailure::Dns => Self::Dns,
            ConnectFailure::AddressRefused => Self::AddressRefused,
            ConnectFailure::TlsTimeout => Self::TlsTimeout,
            ConnectFailure::Tcp => Self::Connect,
            ConnectFailure::Timeout => Self::ConnectTimeout,
            ConnectFailure::Tls => Self::Tls,
        }
    }
}

impl ClientError {
    /// Sorts the errors of an exchange on an open connection.
    fn from_exchange(error: &hyper::Error) -> Self {
        if error.is_canceled() || error.is_closed() {
            // In both cases hyper returns the request unsent.
            return Self::Reset { started: false };
        }
        if error.is_parse() {
            return Self::BadFraming;
        }
        if error.is_user() {
            return Self::Other;
        }
        let io = error_chain::find::<std::io::Error>(error).map(std::io::Error::kind);
        match io {
            Some(std::io::ErrorKind::TimedOut) => return Self::Stalled,
            Some(std::io::ErrorKind::InvalidInput) => return Self::BadFraming,
            _ => {}
        }
        // The socket ended early, or HTTP/2 reset the stream or sent GOAWAY.
        Self::Reset { started: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retries depend on this: hyper reports "canceled" for a request that it never wrote.
    #[tokio::test]
    async fn a_request_that_met_a_closed_connection_was_not_started() {
        let (near, _far) = tokio::io::duplex(1024);
        let io = hyper_util::rt::TokioIo::new(near);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(io).await.unwrap();
        drop(connection);
        let error = sender.send_request(Request::new(Full::default())).await.unwrap_err();
        let error = ClientError::from_exchange(&error);
        assert_eq!(error, ClientError::Reset { started: false });
        assert!(!error.started());
    }
}
