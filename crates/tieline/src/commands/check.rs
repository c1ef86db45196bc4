//! `tieline check`: a dry run of a configuration against the real upstreams.

mod database;
mod engine;
mod report;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::configuration::{CONFIG, load_or_input, set_up_log};
use crate::failure::Failure;
use crate::progress::Lines;
use crate::validation::key::KeySource;
use crate::{log, output, runtime};
use report::Report;
use usage::Usage;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline check --config /etc/tieline/tieline.toml
  tieline check --config tieline.toml --running 127.0.0.1:9090
  tieline check --config /etc/tieline/tieline.toml --format json

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
    /// The key of that port where it asks for one (`admin.key`): env:NAME, file:PATH, or the key itself (others may
    /// see it then)
    #[arg(long, value_name = "KEY", requires = "running")]
    admin_key: Option<KeySource>,
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
        let key = self.admin_key.as_ref().map(|key| key.read("--admin-key")).transpose()?;
        runtime::run(async move {
            let usage = match self.running {
                Some(admin) => Some(Usage::of(admin, key.as_deref()).await?),
                None => None,
            };
            let report =
                Report::of(&config, usage, Lines::new(self.progress)).await.map_err(|error| {
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
