//! Sends single HTTP exchanges with streamed bodies: bytes are read only as fast as the reader takes them.
//! Must never hold a complete body, follow a redirect, or send anything twice.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Request, Response, Version};
use http_body::Body as _;
use tokio::sync::oneshot;

use super::connect::{ConnectSettings, Connector};
use super::pool::{Pool, PoolSettings};
use super::{ClientError, Reach, exchange};
use crate::body::{self, Body};
use crate::tls::ClientTls;

/// Settings of a [`StreamClient`].
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// The longest time for name look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long the upstream may read no byte although some are ready; then the connection ends.
    pub write_progress: Duration,
    /// How long an unused connection is kept. Keep it below the upstream's own keep-alive time.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept per host; with 0 every connection is used once.
    pub pool_idle_max: usize,
    /// Trusted roots for `https`.
    pub tls: ClientTls,
    /// How names become connections.
    pub reach: Reach,
}

/// Sends requests with an absolute `http` or `https` URI, and bodies of any length. Clones share one
/// pool; make one client per caller, as with [`super::Client`].
///
/// It speaks only HTTP/1.1, where each exchange has a connection to itself. So a slow reader slows only
/// its own upstream connection, and protocols can be switched.
///
/// The client does not limit the time to the answer's head; the code that calls it does. Use
/// [`crate::body::TimedBody`] for the answer's body.
#[derive(Clone, Debug)]
pub struct StreamClient {
    pool: Pool<Body>,
}

impl StreamClient {
    /// A client with an empty pool. Opens nothing yet. Must be called within a tokio runtime.
    pub fn new(settings: &StreamSettings) -> Self {
        let connect = ConnectSettings {
            connect_timeout: settings.connect_timeout,
            write_progress: settings.write_progress,
            age_max: settings.reach.connection_age_max,
        };
        let resolver = settings.reach.resolver.clone();
        let connector = Connector::new(connect, resolver, settings.tls.http1_config());
        let pool = PoolSettings {
            idle_timeout: settings.pool_idle_timeout,
            idle_max: settings.pool_idle_max,
            names_host: false,
        };
        Self { pool: Pool::new(connector, pool) }
    }

    /// Sends a request; its head must have a `host`. `continued` is told of the first `100 Continue`.
    ///
    /// The answer's head may arrive before the request's body has ended; the body then continues as long
    /// as the upstream reads it, and the connection is not used again.
    pub async fn send(
        &self,
        mut request: Box<Request<Body>>,
        continued: Option<oneshot::Sender<()>>,
    ) -> Result<Response<Body>, ClientError> {
        *request.version_mut() = Version::HTTP_11;
        let body = watched(request.body_mut());
        exchange::exchange(&self.pool, request, continued, body).await
    }
}

/// What tells whether a body still exists, which is until the last piece of it was handed over. `None` where there is
/// nothing to send.
fn watched(body: &mut Body) -> Option<Weak<()>> {
    if body.is_end_stream() {
        return None;
    }
    let alive = Arc::new(());
    let watch = Arc::downgrade(&alive);
    *body = body::holding(std::mem::replace(body, body::empty()), alive);
    Some(watch)
}
