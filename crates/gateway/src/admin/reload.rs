//! The configuration in force, and putting another in its place while requests are answered.
//!
//! All or nothing: a configuration that cannot be used changes nothing. Requests under way end with
//! the one they began with; the next request sees the new one.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{Request, Response};
use settings::{Config, ConfigError};
use tower::Service;
use transport::body::Body;
use transport::server::Peer;

use crate::edge::rescue;
use crate::layer::call::Arrived;
use crate::layer::{Below, Stage};
use crate::stack;
use crate::state::State;

/// What legacy clients reach.
type Edge = Stage<Arrived, Response<Body>>;

/// The configuration in force; clones share it.
#[derive(Clone)]
pub(crate) struct InForce(Arc<RwLock<(State, Edge)>>);

/// Asks, for each request of a connection, what is in force then.
#[derive(Clone)]
pub(crate) struct OfConnection {
    in_force: InForce,
    peer: Option<Peer>,
}

impl Service<Request<Body>> for OfConnection {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let edge = self.in_force.0.read().unwrap_or_else(PoisonError::into_inner).1.clone();
        let arrived = Arrived { request, peer: self.peer };
        // `rescue` has answered every error; from here on the type says so.
        Box::pin(async move { Ok(edge.ask(arrived).await.unwrap_or_else(rescue::last_resort)) })
    }
}

impl InForce {
    pub(crate) fn new(state: State) -> Self {
        let edge = begun(&state);
        InForce(Arc::new(RwLock::new((state, edge))))
    }

    /// What answers the requests of one connection.
    pub(crate) fn of_connection(&self, peer: Option<Peer>) -> OfConnection {
        OfConnection { in_force: self.clone(), peer }
    }

    pub(crate) fn state(&self) -> State {
        self.0.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn put(&self, state: State) {
        let before = self.state().shadow;
        let edge = begun(&state);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = (state, edge);
        // Requests under way may hold it for long; it compares for none of them any more.
        if let Some(before) = before {
            before.end();
        }
    }
}

/// What a state answers with, and what it does beside.
fn begun(state: &State) -> Edge {
    if let Some(shadow) = state.shadow.as_ref().filter(|_| !state.lifecycle.is_draining()) {
        shadow.start(state.config.limits.request_deadline);
    }
    stack::edge(state)
}

/// Why a configuration was not put in force; the old one still is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A setting that only a start can change.
    #[error("{0}; nothing was changed")]
    NeedsRestart(ConfigError),
    /// The new certificate has ended already.
    #[error("{0}; nothing was changed")]
    Certificate(ConfigError),
    /// The new roster cannot be opened.
    #[error("{0}; nothing was changed")]
    Roster(io::Error),
}

const RESTART_ONLY: &str = "takes effect at a restart only";

/// Certificates are judged by the clock on the wall, and by nothing else.
fn unix_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Puts another configuration in force.
#[derive(Clone)]
pub struct Reloader(pub(crate) InForce);

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reloader")
    }
}

impl Reloader {
    /// Puts `config` in force for every request that comes from now on, and gives its epoch: how
    /// many configurations there were since the start.
    pub fn reload(&self, config: Config) -> Result<u64, ReloadError> {
        let reloaded = self.put(config);
        let state = self.0.state();
        state.metrics.reloaded(reloaded.is_ok());
        state.past.epochs.note(reloaded.as_ref().map_err(ToString::to_string).copied());
        reloaded
    }

    /// Counts a configuration that could not even be read.
    pub fn refused(&self, error: &ConfigError) {
        let state = self.0.state();
        state.metrics.reloaded(false);
        state.past.epochs.note(Err(error.to_string()));
    }

    fn put(&self, config: Config) -> Result<u64, ReloadError> {
        let now = self.0.state();
        let (old, new) = (&now.config, &config);
        let url = |config: &Config| config.traces.collector.as_ref().map(|to| to.url.clone());
        let ca_file = |config: &Config| config.traces.collector.as_ref()?.ca_file.clone();
        let limits = |config: &Config| (config.admin.idle_timeout, config.admin.connections_max);
        for (setting, is_same) in [
            ("traces.otlp_endpoint", url(old) == url(new)),
            ("traces.ca_file", ca_file(old) == ca_file(new)),
            ("server.listen", old.server.listen == new.server.listen),
            ("server.tls", old.server.tls.is_some() == new.server.tls.is_some()),
            ("server: the limits of connections", old.server.limits == new.server.limits),
            ("admin.listen", old.admin.listen == new.admin.listen),
            ("admin: the limits of connections", limits(old) == limits(new)),
            ("log.level", old.log.level == new.log.level),
            ("log.format", old.log.format == new.log.format),
        ] {
            if !is_same {
                return Err(ReloadError::NeedsRestart(new.place(setting, RESTART_ONLY)));
            }
        }
        let certificate = (old.server.tls.clone(), new.server.tls.clone());
        if let (Some(shown), Some(new)) = &certificate
            && !shown.is_same(new)
            && new.not_after().is_some_and(|end| end < unix_seconds())
        {
            return Err(ReloadError::Certificate(config.place("server.tls", "has ended already")));
        }
        let mut config = config;
        // The listener holds the first one; it is told what to show.
        config.server.tls.clone_from(&old.server.tls);
        let state = now.renewed(config).map_err(ReloadError::Roster)?;
        let epoch = state.epoch;
        if let (Some(shown), Some(new)) = certificate {
            shown.show(&new);
        }
        self.0.put(state);
        tracing::info!(epoch, "the new configuration is in force");
        Ok(epoch)
    }
}
