//! `tieline check`: a dry run of a configuration against the real upstreams.

mod engine;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::configuration::{CONFIG, load_or_input, set_up_log};
use crate::failure::Failure;
use crate::progress::Lines;
use crate::{log, output, runtime};
use report::Report;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline check --config /etc/tieline/tieline.toml
  tieline check --config /etc/tieline/tieline.toml --format json

It reads from the upstreams, changes nothing there and listens nowhere.
Exit codes: 0 all is well, 1 the report names what is not, 78 bad configuration.")]
pub(crate) struct Check {
    /// The configuration; `-` is standard input
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Say on standard error how far it is, also where that is no terminal
    #[arg(long)]
    progress: bool,
}

/// How the report is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object, for programs
    Json,
}

impl Check {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let config = load_or_input(&self.config)?;
        set_up_log(&config, log_format)?;
        runtime::run(async move {
            let report = Report::of(&config, Lines::new(self.progress)).await.map_err(|error| {
                Failure::new(format_args!("{error}; change it in {}", self.config.display()))
            })?;
            let text = match self.format {
                Format::Text => report.to_string(),
                Format::Json => format!("{:#}", report.json()),
            };
            output::print(&format!("{}\n", text.trim_end()))?;
            Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}
