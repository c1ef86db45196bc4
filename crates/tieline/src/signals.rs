//! The signals that end a command, and the one that does not.
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
                Err(Failure::new("stopped by a second signal before the drain was over"))
            }
        }
    }
}

/// SIGHUP asks many servers to read their configuration again. This one can't yet, and being
/// killed by the attempt would be the worst answer.
#[cfg(unix)]
pub(crate) fn survive_hangups() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())
        .map_err(|error| Failure::new(format_args!("cannot listen for signals: {error}")))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::warn!(
                "SIGHUP: this version does not reload its configuration, nothing changed; restart \
                 the process to apply a new one"
            );
        }
    });
    Ok(())
}

/// There are no hangups here.
#[cfg(not(unix))]
pub(crate) fn survive_hangups() -> Result<(), Failure> {
    Ok(())
}
