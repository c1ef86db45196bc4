//! `tieline completions`: what a shell needs to complete the commands and their flags.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline completions bash > ~/.local/share/bash-completion/completions/tieline
  tieline completions zsh > ~/.zfunc/_tieline
  tieline completions fish > ~/.config/fish/completions/tieline.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut program: Command) -> Result<ExitCode, Failure> {
        let mut text = Vec::new();
        generate(self.shell, &mut program, "tieline", &mut text);
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(ExitCode::SUCCESS)
    }
}
