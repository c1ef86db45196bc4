//! `tieline check`: a dry run of a configuration against the real upstreams.

mod database;
mod engine;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::configuration::{CONFIG, load_or_input, set_up_log};
use crate::failure::Failure;
use crate::{log, output, runtime};
use report::Report;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline check --config /etc/tieline/tieline.toml

It reads from the upstreams, changes nothing there and listens nowhere.
Exit codes: 0 all is well, 1 the report names what is not, 78 bad configuration.")]
pub(crate) struct Check {
    /// The configuration; `-` is standard input
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
}

impl Check {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let config = load_or_input(&self.config)?;
        set_up_log(&config, log_format)?;
        runtime::run(async move {
            let report = Report::of(&config).await.map_err(|error| {
                Failure::new(format_args!("{error}; change it in {}", self.config.display()))
            })?;
            output::print(&format!("{}\n", report.to_string().trim_end()))?;
            Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}
