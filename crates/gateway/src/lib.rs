//! The gateway: the recipe (`stack.rs`), its layers, its admin port.
//!
//! Start reading at `stack.rs`. Nothing here knows a legacy field or a v4 field; that is `domain`.

mod admin;
mod brownout;
mod cache;
mod caller;
mod edge;
mod error;
mod key_in_path;
mod layer;
mod legacy;
mod line;
mod list;
mod observe;
mod passthrough;
mod request;
mod stack;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use settings::Config;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use transport::server::{Drained, ServerLimits, serve, serve_watched};

use admin::door::Door;
use admin::reload::InForce;
pub use admin::reload::{ReloadError, Reloader};
pub use admin::survey;
use admin::{memory, pages};
pub use error::{Fault, ROWS as ERRORS, Retry, Row};
pub use limits::whose;
pub use observe::{access, metrics, process, spans};
pub use request::coding::is_built_in;
use state::State;
pub use state::Surroundings;

/// A gateway that is listening.
#[derive(Debug)]
pub struct Running {
    /// Where legacy clients connect.
    pub address: SocketAddr,
    /// Where operators look.
    pub admin: SocketAddr,
    reloader: Reloader,
    legacy_server: JoinHandle<Drained>,
    admin_server: JoinHandle<Drained>,
}

impl Running {
    /// What puts another configuration in force.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Waits until the shutdown token was cancelled and every request in flight has ended, or its
    /// deadline has passed.
    pub async fn finished(self) {
        // A server task ends by itself; that it panicked was logged where it happened.
        let _ = self.legacy_server.await;
        // Calls whose clients have left; each ends by its deadline.
        let under_way = self.reloader.0.state().under_way.clone();
        under_way.close();
        under_way.wait().await;
        let _ = self.admin_server.await;
        if let Some(shadow) = &self.reloader.0.state().shadow {
            shadow.ended().await;
        }
    }
}

/// Sockets that listen already, in the place of those that a start would bind.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Where legacy clients connect.
    pub server: Option<std::net::TcpListener>,
    /// Where operators look.
    pub admin: Option<std::net::TcpListener>,
}

/// Binds both ports and serves until `shutdown` is cancelled.
///
/// # Errors
/// Where a port cannot be bound or the roster cannot be opened; the message names the setting. A roster's database
/// that cannot be reached is no error.
/// [`io::ErrorKind::InvalidInput`] is a bad configuration, in one line as [`settings::ConfigError`]'s.
pub async fn start(config: Config, shutdown: CancellationToken) -> io::Result<Running> {
    start_with(config, Surroundings::default(), shutdown).await
}

/// As [`start`], in other surroundings.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    config: Config,
    surroundings: Surroundings,
    shutdown: CancellationToken,
) -> io::Result<Running> {
    start_on(Listeners::default(), config, surroundings, shutdown).await
}

/// As [`start_with`], on sockets that listen already. Connections that wait there are answered.
///
/// # Errors
/// As [`start`]. A socket that listens on another address than the configuration says is a bad configuration.
pub async fn start_on(
    listeners: Listeners,
    config: Config,
    surroundings: Surroundings,
    shutdown: CancellationToken,
) -> io::Result<Running> {
    let tls = config.server.tls.clone();
    let grace = config.limits.request_deadline;
    // Before any port is bound: what is wrong with the roster's file is a bad configuration.
    let state = State::new(config, surroundings)?;
    prepare_roster(&state).await?;
    let config = &state.config;
    let listener = bind(config, "server.listen", config.server.listen, listeners.server).await?;
    let admin_listener = bind(config, "admin.listen", config.admin.listen, listeners.admin).await?;
    let (address, admin) = (listener.local_addr()?, admin_listener.local_addr()?);
    let callers = state.callers.all().len();
    let (metrics, limits) = (state.metrics.clone(), within_files(&state.config.server.limits));
    let admin_limits = admin_limits(&state.config.admin);
    let in_force = InForce::new(state);
    let admin_service = pages::admin(in_force.clone());
    let door = Door { in_force: in_force.clone(), metrics };
    let draining = in_force.clone();
    let stop_legacy = async move {
        shutdown.cancelled().await;
        let state = draining.state();
        let delay = state.config.limits.drain_delay;
        state.lifecycle.begin_drain(Instant::now() + delay + grace);
        // No client waits for a comparison.
        if let Some(shadow) = &state.shadow {
            shadow.end();
        }
        // The load balancer needs a moment to see that it should send no more clients here.
        sleep(delay).await;
    };
    let door = Arc::new(door);
    let answering = in_force.clone();
    let front = move |peer| answering.of_connection(Some(peer));
    let legacy = serve_watched(listener, tls, limits, door, front, stop_legacy, grace);
    // The admin port says `draining` until the last request has ended.
    let all_ended = CancellationToken::new();
    let stop_admin = all_ended.clone().cancelled_owned();
    let (watching, watched) = (all_ended.clone(), memory::watch(in_force.clone()));
    tokio::spawn(async move { watching.run_until_cancelled(watched).await });
    let legacy_server = tokio::spawn(async move {
        // Dropped at the end, and by a panic as well.
        let _ended = all_ended.drop_guard();
        legacy.await
    });
    let admin_server =
        tokio::spawn(serve(admin_listener, None, admin_limits, admin_service, stop_admin, grace));
    tracing::info!(%address, %admin, callers, "listening");
    Ok(Running { address, admin, reloader: Reloader(in_force), legacy_server, admin_server })
}

/// A database that is away keeps no gateway from starting: lists of live users do not need it.
async fn prepare_roster(state: &State) -> io::Result<()> {
    let (Some(roster), Some(place)) = (&state.roster, &state.config.roster) else { return Ok(()) };
    match roster.prepare().await {
        Ok(()) => Ok(()),
        Err(error) if error.is_lasting() => Err(place.failed(error)),
        Err(error) => {
            tracing::warn!(%error, "lists of deleted users fail until the roster can be used");
            Ok(())
        }
    }
}

/// A probe must be answered at once, however many connections to the admin port are held open.
fn admin_limits(admin: &settings::Admin) -> ServerLimits {
    ServerLimits {
        header_timeout: admin.idle_timeout,
        idle_timeout: admin.idle_timeout,
        connections_max: admin.connections_max,
        closes_oldest: true,
        ..ServerLimits::default()
    }
}

/// The limits, with no more connections than half of the files the process may open: the other half
/// is for the connections to upstreams.
fn within_files(limits: &ServerLimits) -> ServerLimits {
    let most = metrics::open_files_max().map_or(usize::MAX, |files| (files / 2).max(1));
    if most < limits.connections_max {
        tracing::info!(connections_max = most, "half of the files this process may open");
    }
    ServerLimits { connections_max: limits.connections_max.min(most), ..limits.clone() }
}

/// A socket on the address of a setting, unless there is one already.
async fn bind(
    config: &Config,
    field: &str,
    address: SocketAddr,
    given: Option<std::net::TcpListener>,
) -> io::Result<TcpListener> {
    if let Some(given) = given {
        let has = given.local_addr()?;
        let port_fits = address.port() == 0 || address.port() == has.port();
        if !port_fits || address.ip().to_canonical() != has.ip().to_canonical() {
            let what =
                format!("the service manager's socket listens on {has}; say the same address here");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, config.place(field, &what)));
        }
        given.set_nonblocking(true)?;
        return TcpListener::from_std(given);
    }
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("{field}: cannot listen on {address}: {error}"))
    })
}
