//! `tieline serve`: the gateway.
//!
//! A bad configuration ends the process before any port is bound.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::signals::{Signals, survive_hangups};
use crate::{log, runtime};
use gateway::config::{Config, LogFormat};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline serve --config /etc/tieline/tieline.toml

SIGTERM and SIGINT let requests in flight finish; a second one stops at once.
Environment: TIELINE_SERVER__LISTEN and the like override the file, TIELINE_LOG (or RUST_LOG) is the
log filter, TOKIO_WORKER_THREADS the number of threads (default: one for each core).
Exit codes: 0 after a signal, 1 failed, 78 bad configuration.")]
pub(crate) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let config = load(&self.config)?;
        set_up_log(&config, log_format)?;
        runtime::run(async move {
            let signals = Signals::listen()?;
            survive_hangups()?;
            let shutdown = CancellationToken::new();
            let running = gateway::start(config, shutdown.clone())
                .await
                .map_err(|error| self.start_failure(&error))?;
            signals.drain(shutdown, running.finished()).await?;
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

/// Reads a configuration file and the environment over it.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    // A variable that is not UTF-8 is none of ours.
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Config::load(file, &environment).map_err(Failure::configuration)
}

/// Starts the log as configured, or as the command line says.
pub(crate) fn set_up_log(config: &Config, chosen: Option<log::Format>) -> Result<(), Failure> {
    let format = chosen.unwrap_or(match config.log.format {
        LogFormat::Auto => log::Format::Auto,
        LogFormat::Json => log::Format::Json,
        LogFormat::Human => log::Format::Human,
    });
    log::set_up(&config.log.level, format)
}
