//! `tieline man`: the manual pages, made from the commands and their flags.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_mangen::Man as Page;

use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline man | man -l -
  tieline man config check | man -l -
  tieline man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The command; without it, the page of the whole program
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, mut program: Command) -> Result<ExitCode, Failure> {
        // Subcommands learn their whole names and the flags of all commands.
        program.build();
        if let Some(folder) = &self.out {
            let failed = |error| Failure::new(format_args!("--out: {}: {error}", folder.display()));
            std::fs::create_dir_all(folder).map_err(failed)?;
            clap_mangen::generate_to(program, folder).map_err(failed)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut command = &program;
        for name in &self.command {
            let unknown = || Failure::usage(format_args!("there is no command {name:?}"));
            command = command.find_subcommand(name).ok_or_else(unknown)?;
        }
        let mut text = Vec::new();
        let page = Page::new(command.clone());
        page.render(&mut text).map_err(|error| Failure::new(format_args!("man page: {error}")))?;
        output::print(&String::from_utf8_lossy(&text))?;
        Ok(ExitCode::SUCCESS)
    }
}
