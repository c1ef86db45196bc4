//! `tieline config`: work with a configuration offline. Nothing here asks an upstream or binds a port.

mod init;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use crate::brownouts::Windows;
use crate::configuration::{CONFIG, INPUT, load_or_input, shown};
use crate::failure::Failure;
use crate::{output, utc};
use init::Init;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline config check --config /etc/tieline/tieline.toml")]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with a configuration, and ask nobody
    #[command(after_help = "\
Example:
  tieline config check --config /etc/tieline/tieline.toml
  tieline config check --config - < tieline.toml

It reads the files and the variables that the configuration names, as the gateway would.
Exit codes: 0 the gateway can use it, 78 bad configuration.")]
    Check(Which),
    /// Show the value of every setting and where it comes from
    #[command(after_help = "\
Example:
  tieline config show --config /etc/tieline/tieline.toml
  tieline config show --config /etc/tieline/tieline.toml --format json

A line is `NAME = VALUE  # ORIGIN`: FILE:LINE, a variable, or default. Words in brackets stand for what is
worked out at the start, and {env NAME}, {file PATH} or {digest} for a secret.
Exit codes: 0 shown, 78 bad configuration.")]
    Show {
        #[command(flatten)]
        which: Which,
        /// How it is shown
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Print the JSON Schema of a configuration, for editors
    #[command(after_help = "\
Example:
  tieline config schema > tieline.schema.json

Then the first line of tieline.toml is `#:schema ./tieline.schema.json`, and editors with taplo, such as VS Code with
Even Better TOML, complete names and mark mistakes. `tieline config check` finds more than a schema can.")]
    Schema,
    /// Write a configuration with comments, from flags or answers on a terminal
    Init(Init),
}

/// How settings are shown.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One line each
    Text,
    /// A list of objects
    Json,
}

/// Which configuration is meant.
#[derive(Debug, Args)]
struct Which {
    /// The configuration; `-` is standard input
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
}

impl ConfigCommand {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Check(which) => check(&which.config),
            Command::Show { which, format } => show(&which.config, format),
            Command::Schema => {
                output::print(&format!("{:#}\n", settings::schema()))?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Init(init) => init.run(),
        }
    }
}

fn check(file: &Path) -> Result<ExitCode, Failure> {
    let config = load_or_input(file)?;
    let (callers, upstreams) = (config.callers.len(), config.upstreams.len());
    let name = name(file);
    output::print(&format!("{name}: good; callers: {callers}, upstreams: {upstreams}\n"))?;
    if let Some(windows) = Windows::of(&config, utc::now()) {
        output::print(&format!("{windows}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(file: &Path, format: Format) -> Result<ExitCode, Failure> {
    let settings = shown(file)?;
    let text = match format {
        Format::Text => settings.iter().map(|setting| format!("{setting}\n")).collect(),
        Format::Json => {
            let lines: Vec<String> =
                settings.iter().map(|setting| setting.json().to_string()).collect();
            format!("[{}]\n", lines.join(",\n"))
        }
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// What people call it.
fn name(file: &Path) -> String {
    match file == Path::new(INPUT) {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    }
}
