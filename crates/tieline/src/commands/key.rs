//! `tieline key digest`: the form of a legacy key that a configuration may hold.
//!
//! The key comes from standard input, never from an argument, where every user of the machine could
//! read it. It must not appear in any message.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output;

/// No key is longer; a wrong file on standard input is found out before it fills the memory.
const KEY_BYTES_MAX: u64 = 8 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  printf '%s' \"$LEGACY_KEY\" | tieline key digest")]
pub(crate) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a key from standard input and print its digest for `legacy_key` in the configuration
    #[command(after_help = "\
Example:
  printf '%s' \"$LEGACY_KEY\" | tieline key digest

The line goes into the configuration: legacy_key = { digest = \"sha256:...\" }
One newline at the end of the input is dropped.")]
    Digest {
        /// Not taken: an argument can be read by every user of the machine.
        #[arg(hide = true)]
        not_here: Vec<String>,
    },
}

impl Key {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let Command::Digest { not_here } = self.command;
        if !not_here.is_empty() {
            // Said without repeating it, which the parser's own message would do.
            return Err(Failure::new(format_args!(
                "the key comes from standard input, not as an argument; \
                 an argument can be read by every user of this machine"
            )));
        }
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let hint = "Type the key and Enter, then Ctrl-D. The key stays visible here.";
            let _ = writeln!(std::io::stderr(), "{hint}");
        }
        let key = read(stdin.lock())?;
        output::print(&format!("{}\n", settings::key_digest(&key)))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn read(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    input.take(KEY_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| {
        Failure::new(format_args!("cannot read the key from standard input: {error}"))
    })?;
    if bytes.len() as u64 > KEY_BYTES_MAX {
        return Err(Failure::new(format_args!(
            "standard input has more than {KEY_BYTES_MAX} bytes; pass the key alone"
        )));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new("the key is not UTF-8 text; pass the key alone"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let key = line.strip_suffix('\r').unwrap_or(line);
    if key.is_empty() {
        return Err(Failure::new(
            "there is no key on standard input; pass it like this: \
             printf '%s' \"$LEGACY_KEY\" | tieline key digest",
        ));
    }
    if key.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Failure::new(
            "the key has a space, a line break or a control character inside; pass the key alone, \
             without quotes or a `Bearer` before it",
        ));
    }
    Ok(key.to_owned())
}
