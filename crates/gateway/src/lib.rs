//! The gateway: the recipe (`stack.rs`), its layers, its configuration, its admin port.
//!
//! Start reading at `stack.rs`. Nothing here knows a legacy field or a v4 field; that is `domain`.

mod admin;
mod admission;
mod answers;
mod aside;
mod call;
mod caller;
pub mod check;
mod condition;
pub mod config;
mod error;
mod explain;
mod kept;
mod layers;
mod memory;
pub mod metrics;
mod openapi;
mod origin;
mod pace;
pub mod process;
mod reload;
mod retry_after;
mod secret;
mod stack;
mod state;
mod svc;
#[cfg(test)]
mod transcripts;

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use transport::server::{Drained, ServerLimits, serve};

pub use caller::key_digest;
use config::Config;
use reload::InForce;
pub use reload::{ReloadError, Reloader};
use state::State;

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
        let _ = self.admin_server.await;
    }
}

/// Binds both ports and serves until `shutdown` is cancelled.
///
/// # Errors
/// Where a port cannot be bound or the roster's file cannot be opened; the message names the setting.
/// [`io::ErrorKind::InvalidInput`] is a bad configuration, in one line as [`config::ConfigError`]'s.
pub async fn start(config: Config, shutdown: CancellationToken) -> io::Result<Running> {
    let tls = config.server.tls.clone();
    let grace = config.limits.request_deadline;
    let (listen, admin_listen) = (config.server.listen, config.admin);
    // Before any port is bound: what is wrong with the roster's file is a bad configuration.
    let state = State::new(config)?;
    let listener = bind("server.listen", listen).await?;
    let admin_listener = bind("admin.listen", admin_listen).await?;
    let (address, admin) = (listener.local_addr()?, admin_listener.local_addr()?);
    let callers = state.callers.all().len();
    let in_force = InForce::new(state);
    let admin_service = admin::admin(in_force.clone());
    let limits = ServerLimits::default();
    let draining = in_force.clone();
    let stop_legacy = async move {
        shutdown.cancelled().await;
        let state = draining.state();
        let delay = state.config.limits.drain_delay;
        state.condition.begin_drain(Instant::now() + delay + grace);
        // Whoever sends clients here needs a moment to see that it should not any more.
        sleep(delay).await;
    };
    let legacy = serve(listener, tls, limits.clone(), in_force.service(), stop_legacy, grace);
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
        tokio::spawn(serve(admin_listener, None, limits, admin_service, stop_admin, grace));
    tracing::info!(%address, %admin, callers, "listening");
    Ok(Running { address, admin, reloader: Reloader(in_force), legacy_server, admin_server })
}

async fn bind(field: &str, address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("{field}: cannot listen on {address}: {error}"))
    })
}
