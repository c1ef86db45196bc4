//! `[lookups]`, `[cache]` and `[roster]`: the memory between requests.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use roster::{Roster, RosterError};
use serde::Deserialize;

use crate::error::ConfigError;
use crate::value::check::{size, time};

/// `[lookups]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lookups {
    /// How long found ids are used.
    #[serde(deserialize_with = "time")]
    pub fresh_for: Duration,
    /// How long "there is none" is believed.
    #[serde(deserialize_with = "time")]
    pub negative_for: Duration,
    /// Names kept per caller.
    pub entries_max: u64,
}

impl Default for Lookups {
    fn default() -> Self {
        Lookups {
            fresh_for: Duration::from_secs(60),
            negative_for: Duration::from_secs(5),
            entries_max: 10_000,
        }
    }
}

/// `[cache]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Younger, an answer is given without asking the upstream.
    #[serde(deserialize_with = "time")]
    pub fresh_for: Duration,
    /// For so much longer it is given where the upstream fails.
    #[serde(deserialize_with = "time")]
    pub stale_if_error: Duration,
    /// Bytes of all of them together, kept pages included.
    #[serde(deserialize_with = "size")]
    pub bytes_max: u64,
    /// Whether pages are kept to ask the upstream whether they have changed; see [`Self::revalidates`].
    pub revalidate: Option<bool>,
    /// The longest that the upstream is believed that a page has not changed.
    #[serde(deserialize_with = "time")]
    pub revalidate_max: Duration,
}

impl Cache {
    /// Whether pages are kept to ask the upstream whether they have changed. If nothing is said of it, only where
    /// the upstream is asked for every answer.
    pub fn revalidates(&self) -> bool {
        self.revalidate.unwrap_or(self.fresh_for.is_zero()) && !self.revalidate_max.is_zero()
    }
}

impl Default for Cache {
    fn default() -> Self {
        Cache {
            fresh_for: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            bytes_max: 64 << 20,
            revalidate: None,
            revalidate_max: Duration::from_secs(300),
        }
    }
}

/// `[roster]` as typed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TypedRoster {
    pub(crate) file: Option<PathBuf>,
}

/// `[roster]`.
#[derive(Debug, Clone)]
pub struct RosterFile {
    /// The file.
    pub path: PathBuf,
    pub(crate) place: ConfigError,
}

impl RosterFile {
    /// Opens the roster; makes it where there is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where another file must be named, with a line as
    /// [`ConfigError`]'s; any other kind where it may work later.
    pub fn open(&self) -> io::Result<Roster> {
        Roster::open(&self.path).map_err(|error| {
            let may_pass = matches!(
                error,
                RosterError::Busy
                    | RosterError::Sqlite(_)
                    | RosterError::Disk(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            );
            if may_pass {
                return io::Error::other(format!("roster.file: {error}"));
            }
            let line = ConfigError { what: error.to_string(), ..self.place.clone() };
            io::Error::new(io::ErrorKind::InvalidInput, line)
        })
    }
}
