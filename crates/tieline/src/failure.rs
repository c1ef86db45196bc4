//! Why a command ended badly: what the user reads on standard error, and the exit code.
//!
//! A message says what to do next. It must never hold a key.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// `EX_CONFIG` of sysexits.h: a supervisor that knows it does not restart in vain.
const BAD_CONFIGURATION: u8 = 78;

/// As shells and the reader of arguments have it.
const WRONG_USAGE: u8 = 2;

/// The exit code of a command that was interrupted, as shells have it for SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// Exit code 1. `text` begins in lower case and says what to do.
    pub(crate) fn new(text: impl fmt::Display) -> Failure {
        Failure { text: format!("error: {text}"), code: 1 }
    }

    /// Exit code 2: what was typed cannot be meant.
    pub(crate) fn usage(text: impl fmt::Display) -> Failure {
        Failure { code: WRONG_USAGE, ..Failure::new(text) }
    }

    /// Exit code 78. The line stands alone, since it begins with file and line as editors want it.
    pub(crate) fn configuration(line: impl fmt::Display) -> Failure {
        Failure { text: line.to_string(), code: BAD_CONFIGURATION }
    }

    /// The exit code of shells for SIGINT: nothing was done, because somebody did not want it.
    pub(crate) fn interrupted(text: impl fmt::Display) -> Failure {
        Failure { code: INTERRUPTED, ..Failure::new(text) }
    }

    /// What is wrong, without what every message begins with.
    pub(crate) fn text(&self) -> &str {
        self.text.trim_start_matches("error: ")
    }

    /// Tells the user; standard error may be closed, and then nobody is told.
    pub(crate) fn report(self) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "{}", self.text);
        ExitCode::from(self.code)
    }
}
