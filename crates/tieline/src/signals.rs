//! The signals that end a command, and the one that makes it read its configuration again.
//!
//! Listening starts before any port is bound: a signal in between would otherwise kill the process
//! in the middle of its start.

use std::io;

use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Waits for the polite requests to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on SIGTERM and SIGINT no longer kill the process.
    pub(crate) fn listen() -> Result<Signals, Failure> {
        Signals::new()
            .map_err(|error| Failure::new(format_args!("cannot listen for signals: {error}")))
    }

    #[cfg(unix)]
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Signals> {
        Ok(Signals {})
    }

    /// Resolves at the next request to stop.
    #[cfg(unix)]
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Resolves at the next request to stop.
    #[cfg(not(unix))]
    pub(crate) async fn stop(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a request to stop, tells `shutdown`, and gives `drain` its time. A second request
    /// ends the wait.
    pub(crate) async fn drain(
        mut self,
        shutdown: CancellationToken,
        drain: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        self.stop().await;
        tracing::info!("draining: requests in flight may finish; a second signal stops at once");
        shutdown.cancel();
        tokio::select! {
            () = drain => Ok(()),
            () = self.stop() => {
                tracing::warn!("stopped by a second signal before the drain was over");
                Ok(())
            }
        }
    }
}

/// Requests to read the configuration again: SIGHUP. From the first call on it no longer kills.
#[derive(Debug)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    hangups: tokio::signal::unix::Signal,
}

impl Hangups {
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Hangups, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangups = signal(SignalKind::hangup())
            .map_err(|error| Failure::new(format_args!("cannot listen for signals: {error}")))?;
        Ok(Hangups { hangups })
    }

    /// There are no hangups here.
    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Hangups, Failure> {
        Ok(Hangups {})
    }

    /// Resolves at the next one.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) {
        if self.hangups.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Never.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
