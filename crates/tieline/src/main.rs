//! The command line: reads what was typed, starts one command, turns its end into an exit code.
//!
//! Every command is one file under `commands`. Nothing here may log or print the arguments or the
//! environment: keys travel in both.

mod admin_port;
mod brownouts;
mod commands;
mod configuration;
mod curl;
mod failure;
mod hardening;
mod judge;
mod log;
mod otlp;
mod output;
mod progress;
mod runtime;
mod signals;
mod sockets;
mod supervisor;
mod utc;
mod validation;

use std::process::ExitCode;

// Linked for its effect alone: it sets the allocator.
use allocator as _;
use clap::{CommandFactory, Parser, Subcommand};

/// The version, and the revision that it is built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TIELINE_REVISION"), ")");

/// Keeps customizations of the legacy users API working on the v4 API that replaced it.
#[derive(Debug, Parser)]
#[command(
    version = VERSION,
    propagate_version = true,
    max_term_width = 100,
    after_help = "\
Example:
  tieline demo
      a pretend vendor and the gateway in one process, with curl lines to paste

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 bad configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines on standard error look; overrides the configuration
    #[arg(long, global = true, value_enum, value_name = "FORMAT", display_order = 1000)]
    log_format: Option<log::Format>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pretend vendor and the gateway in one process; nothing to configure
    Demo(commands::demo::Demo),
    /// Run the gateway
    Serve(commands::serve::Serve),
    /// Ask the real upstreams what every caller of a configuration would get, and serve nobody
    Check(commands::check::Check),
    /// Run the pretend vendor alone: its v4 face and its legacy face over one data set
    Simulate(Box<commands::simulate::Simulate>),
    /// Compare what the gateway answers with what the legacy API answers
    Validate(Box<commands::validate::Validate>),
    /// Find the settings under which the real answers agree
    Calibrate(Box<commands::calibrate::Calibrate>),
    /// Record legacy answers, to validate against them when the legacy API is gone
    Record(Box<commands::record::Record>),
    /// Show how faithful every legacy field is
    Losses(commands::losses::Losses),
    /// Fill and copy the memory of deleted users
    Roster(commands::roster::RosterCommand),
    /// Work with a configuration, offline
    Config(commands::config::ConfigCommand),
    /// Ask a running gateway whether it is ready, as a container's health check
    Healthcheck(commands::healthcheck::Healthcheck),
    /// Print the completions of a shell
    Completions(commands::completions::Completions),
    /// Print the manual page of a command
    Man(commands::man::Man),
    /// Work with legacy keys
    Key(commands::key::Key),
}

fn main() -> ExitCode {
    let Cli { command, log_format } = Cli::parse();
    let done = match command {
        Command::Demo(demo) => demo.run(log_format),
        Command::Serve(serve) => serve.run(log_format),
        Command::Check(check) => check.run(log_format),
        Command::Simulate(simulate) => simulate.run(log_format),
        Command::Validate(validate) => validate.run(log_format),
        Command::Calibrate(calibrate) => calibrate.run(log_format),
        Command::Record(record) => record.run(log_format),
        Command::Losses(losses) => losses.run(),
        Command::Roster(roster) => roster.run(),
        Command::Config(config) => config.run(),
        Command::Healthcheck(healthcheck) => healthcheck.run(),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
        Command::Key(key) => key.run(),
    };
    log::finish();
    match done {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        super::Cli::command().debug_assert();
    }
}
