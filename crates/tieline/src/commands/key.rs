//! `tieline key`: the form of a legacy key that a configuration may hold, and a key that seals what replicas share.
//!
//! A key comes from standard input, a variable or a file, never from an argument, where every user of the machine
//! could read it. It must not appear in any message.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::output;
use crate::validation::key::KeySource;

/// A wrong file on standard input is found out before it fills the memory.
const INPUT_BYTES_MAX: u64 = settings::KEY_BYTES_MAX as u64;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  printf '%s' \"$LEGACY_KEY\" | tieline key digest
  (umask 077 && tieline key seal > /etc/tieline/seal_key)")]
pub(crate) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the digest of a key for `legacy_key` in the configuration
    #[command(after_help = "\
Example:
  printf '%s' \"$LEGACY_KEY\" | tieline key digest
  tieline key digest env:LEGACY_KEY
  tieline key digest file:/run/secrets/legacy_key

The line goes into the configuration: legacy_key = { digest = \"sha256:...\" }
One newline at the end of the input is dropped.")]
    Digest {
        /// Where the key is found: env:NAME or file:PATH; without it, on standard input
        #[arg(value_name = "KEY")]
        key: Vec<KeySource>,
    },
    /// Make a key that seals what replicas share, for `seal_key` in `[commons]`
    #[command(after_help = "\
Example:
  (umask 077 && tieline key seal > /etc/tieline/seal_key)

All replicas of one gateway have the same: seal_key = { file = \"/etc/tieline/seal_key\" }
It is 32 random bytes in base64, and another one each time.")]
    Seal,
}

impl Key {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let key = match self.command {
            Command::Digest { key } => key,
            Command::Seal => {
                let key = rand::random::<[u8; 32]>();
                let line = format!("{}\n", BASE64.encode(key));
                output::print(&line)?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        if let [source @ (KeySource::Env(_) | KeySource::File(_))] = key.as_slice() {
            return print_digest(&source.read("KEY")?);
        }
        if !key.is_empty() {
            // Said without repeating it, which the parser's own message would do.
            return Err(Failure::new(format_args!(
                "the key comes from standard input, env:NAME or file:PATH, not as an argument; \
                 an argument can be read by every user of this machine"
            )));
        }
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            let hint = "Type the key and Enter, then Ctrl-D. The key stays visible here.";
            let _ = writeln!(std::io::stderr(), "{hint}");
        }
        print_digest(&read(stdin.lock())?)
    }
}

fn print_digest(key: &str) -> Result<ExitCode, Failure> {
    output::print(&format!("{}\n", settings::key_digest(key)))?;
    Ok(ExitCode::SUCCESS)
}

fn read(input: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    input.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| {
        Failure::new(format_args!("cannot read the key from standard input: {error}"))
    })?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::new(format_args!(
            "standard input has more than {INPUT_BYTES_MAX} bytes; pass the key alone"
        )));
    }
    let wrong = |why: &str| {
        Failure::new(format_args!(
            "the key on standard input {why}; pass it like this: \
             printf '%s' \"$LEGACY_KEY\" | tieline key digest"
        ))
    };
    let text = settings::utf_8(bytes).map_err(wrong)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match settings::key_text(line).map_err(wrong)? {
        key if key == line => Ok(key.to_owned()),
        _ => Err(wrong("has white space around it")),
    }
}
