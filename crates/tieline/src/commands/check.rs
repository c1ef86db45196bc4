//! `tieline check`: a dry run of a configuration against the real upstreams.

mod database;
mod engine;
mod report;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::configuration::{CONFIG, load_or_input, set_up_log};
use crate::failure::Failure;
use crate::{log, output, runtime};
use report::Report;
use usage::Usage;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline check --config /etc/tieline/tieline.toml
  tieline check --config tieline.toml --running 127.0.0.1:9090

It reads from the upstreams, changes nothing there and listens nowhere.
Exit codes: 0 all is well, 1 the report names what is not, 78 bad configuration.")]
pub(crate) struct Check {
    /// The configuration; `-` is standard input
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// The admin port of a gateway that runs: names the legacy paths that its callers ask for and that have no
    /// endpoint here
    #[arg(long, value_name = "ADDR")]
    running: Option<SocketAddr>,
}

impl Check {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let config = load_or_input(&self.config)?;
        set_up_log(&config, log_format)?;
        runtime::run(async move {
            let usage = match self.running {
                Some(admin) => Some(Usage::of(admin).await?),
                None => None,
            };
            let report = Report::of(&config, usage).await.map_err(|error| {
                Failure::new(format_args!("{error}; change it in {}", self.config.display()))
            })?;
            output::print(&format!("{}\n", report.to_string().trim_end()))?;
            Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}
