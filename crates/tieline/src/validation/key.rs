//! Legacy keys of the validating commands. A key must never be printed, whatever is wrong with it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::failure::Failure;

/// Where a key is found, as typed: `env:NAME`, `file:PATH`, or the key itself.
#[derive(Clone)]
pub(crate) enum KeySource {
    Env(String),
    File(PathBuf),
    Itself(String),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource")
    }
}

impl FromStr for KeySource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<KeySource, Self::Err> {
        Ok(match text.split_once(':') {
            Some(("env", name)) => KeySource::Env(name.to_owned()),
            Some(("file", path)) => KeySource::File(PathBuf::from(path)),
            _ => KeySource::Itself(text.to_owned()),
        })
    }
}

impl KeySource {
    /// The key. `flag` is named in errors.
    pub(crate) fn read(&self, flag: &str) -> Result<String, Failure> {
        let key = match self {
            KeySource::Itself(key) => key.clone(),
            KeySource::Env(name) => std::env::var(name).map_err(|_| {
                // Somebody may have typed the key itself there.
                let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
                let shown = if name.bytes().all(fits) { name.as_str() } else { "named there" };
                Failure::usage(format_args!(
                    "{flag}: the environment variable {shown} is not set, or not text"
                ))
            })?,
            KeySource::File(path) => settings::read_text(path)
                .map_err(|why| Failure::usage(format_args!("{flag}: {} {why}", path.display())))?,
        };
        let wrong = |why| Failure::usage(format_args!("{flag}: the key {why}"));
        let key = settings::key_text(&key).map_err(wrong)?;
        match key.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(key.to_owned()),
            false => Err(wrong("has a character that is not ASCII; give the key alone")),
        }
    }
}
