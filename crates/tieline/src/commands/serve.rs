//! `tieline serve`: the gateway.
//!
//! A bad configuration ends the process before any port is bound.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use settings::{Config, Files};
use shadow::Judge;
use tokio_util::sync::CancellationToken;

use crate::configuration::{CONFIG, load_to_serve, read, set_up_log};
use crate::failure::Failure;
use crate::judge::Parity;
use crate::otlp::Otlp;
use crate::signals::{Hangups, Signals};
use crate::supervisor::Supervisor;
use crate::{hardening, log, runtime, sockets};
use gateway::spans::Spans;
use gateway::{ReloadError, Reloader, Surroundings};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline serve --config /etc/tieline/tieline.toml

SIGTERM and SIGINT let requests in flight finish; a second one stops at once. SIGHUP, or a change of
the file or of one it names, puts the new configuration in force, all of it or nothing.
Sockets of systemd are taken by their names, server and admin (LISTEN_FDS).
Environment: TIELINE_SERVER__LISTEN and the like override the file, TIELINE_LOG (or RUST_LOG) is the
log filter, TOKIO_WORKER_THREADS the number of threads (default: one for each core).
Exit codes: 0 after a signal, 1 failed, 78 bad configuration.")]
pub(crate) struct Serve {
    /// The configuration
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        // Before any other thread runs.
        let listeners = sockets::of_environment()?;
        // Before any secret is read.
        hardening::keep_memory_private()?;
        let config = load_to_serve(&self.config)?;
        set_up_log(&config, log_format)?;
        gateway::process::watch_panics();
        tell_left_out(&config);
        runtime::run(async move {
            let signals = Signals::listen()?;
            let hangups = Hangups::listen()?;
            let supervisor = Supervisor::of_environment();
            let (files, callers) = (config.files.clone(), config.callers.len());
            let shutdown = CancellationToken::new();
            let otlp = config.traces.collector.as_ref().map(Otlp::new);
            let exporter = otlp.clone().map(|otlp| otlp as Arc<dyn Spans>);
            let judge = Some(Arc::new(Parity::default()) as Arc<dyn Judge>);
            let surroundings = Surroundings { exporter, judge, ..Surroundings::default() };
            let running = gateway::start_on(listeners, config, surroundings, shutdown.clone())
                .await
                .map_err(|error| self.start_failure(&error))?;
            supervisor.serving(callers);
            let reloading = tokio::spawn(reload_for_ever(
                self.config.clone(),
                running.reloader(),
                hangups,
                files,
                supervisor.clone(),
            ));
            let drain = async {
                supervisor.stopping();
                running.finished().await;
            };
            signals.drain(shutdown, drain).await?;
            reloading.abort();
            // It holds what is in force: only once it has let go, the roster's file is closed.
            let _ = reloading.await;
            if let Some(otlp) = otlp {
                otlp.shutdown().await;
            }
            Ok(ExitCode::SUCCESS)
        })
    }

    /// The error names the setting; this adds what to do about it.
    fn start_failure(&self, error: &std::io::Error) -> Failure {
        if error.kind() == std::io::ErrorKind::InvalidInput {
            return Failure::configuration(error);
        }
        let file = self.config.display();
        let or = match error.kind() {
            std::io::ErrorKind::AddrInUse => ", or stop what has the port",
            _ => "",
        };
        Failure::new(format_args!("{error}; change it in {file}{or}"))
    }
}

/// Logs which of the configured codings this build cannot make; clients get another one, or none.
fn tell_left_out(config: &Config) {
    let configured = config.server.compression.iter().copied();
    let left_out = configured.filter(|coding| !gateway::is_built_in(*coding));
    let left_out: Vec<&str> = left_out.map(|coding| coding.as_str()).collect();
    if !left_out.is_empty() {
        let codings = left_out.join(", ");
        tracing::info!(
            codings,
            "this build leaves these codings out; the feature `codings` has them"
        );
    }
}

/// How often files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

/// Reads the configuration again at every SIGHUP, and when a file that the last reading looked at has
/// changed and then stayed the same for one look. A configuration that cannot be used is told in the
/// log, changes nothing, and is tried again when one of its own files changes or appears.
async fn reload_for_ever(
    file: PathBuf,
    reloader: Reloader,
    mut hangups: Hangups,
    mut read_last: Files,
    supervisor: Supervisor,
) {
    let mut last = read_last.clone();
    loop {
        let is_asked = tokio::select! {
            () = hangups.next() => true,
            () = tokio::time::sleep(LOOK_INTERVAL) => false,
        };
        let now = read_last.now();
        let has_settled = std::mem::replace(&mut last, now.clone()) == now;
        if !is_asked && (now == read_last || !has_settled) {
            continue;
        }
        supervisor.reloading();
        match read(&file, &mut read_last) {
            Ok(config) => {
                let (mut of_roster, callers) = (read_last.clone(), config.callers.len());
                config.add_roster(&mut of_roster);
                if let Err(error) = reloader.reload(config) {
                    if matches!(error, ReloadError::Roster(_)) {
                        read_last = of_roster;
                    }
                    tracing::error!(%error, "the configuration was not reloaded");
                    supervisor.refused(error);
                } else {
                    supervisor.serving(callers);
                }
            }
            Err(error) => {
                reloader.refused(&error);
                tracing::error!(%error, "the configuration was not reloaded; the old one serves");
                supervisor.refused(error);
            }
        }
        last.clone_from(&read_last);
    }
}
