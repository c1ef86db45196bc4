//! `[roster]`: where users are remembered. Nothing is connected here.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use roster::{BadPostgres, Password, PostgresSetup, Roster, RosterError};
use serde::{Deserialize, Deserializer, de::Error};

use crate::error::ConfigError;
use crate::key_source::{Key, password};
use crate::reader::{Reader, field};
use crate::value::check::time;

/// `[roster]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TypedRoster {
    file: Option<PathBuf>,
    postgres: Option<String>,
    password: Option<Key>,
    ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "record_every")]
    record_every: Duration,
}

impl Default for TypedRoster {
    fn default() -> Self {
        let (file, postgres, password, ca_file) = (None, None, None, None);
        let record_every = Duration::from_secs(60);
        TypedRoster { file, postgres, password, ca_file, record_every }
    }
}

const RECORD_EVERY_MAX: Duration = Duration::from_secs(3600);

/// `[roster]`: a file, or a database.
#[derive(Debug, Clone)]
pub enum RosterPlace {
    /// In this file.
    File(RosterFile),
    /// In this database.
    Postgres(RosterDatabase),
}

/// A roster in a file.
#[derive(Debug, Clone)]
pub struct RosterFile {
    /// The file.
    pub path: PathBuf,
    place: ConfigError,
}

/// A roster in a database.
#[derive(Debug, Clone)]
pub struct RosterDatabase {
    /// The database, and how to reach it.
    pub setup: PostgresSetup,
    place: ConfigError,
}

impl TypedRoster {
    /// What it means.
    pub(crate) fn read(self, reader: &Reader<'_>) -> Result<Option<RosterPlace>, ConfigError> {
        let at = |name| field(&["roster", name]);
        let Some(address) = self.postgres else {
            for (name, is_set) in
                [("password", self.password.is_some()), ("ca_file", self.ca_file.is_some())]
            {
                if is_set {
                    return reader.refuse(&at(name), "goes with roster.postgres");
                }
            }
            return Ok(self.file.map(|file| {
                let place = reader.line(&at("file"), "");
                RosterPlace::File(RosterFile { path: reader.path(&file), place })
            }));
        };
        if self.file.is_some() {
            let what = "stands beside roster.file; a roster is in one of the two";
            return reader.refuse(&at("postgres"), what);
        }
        let authorities = match &self.ca_file {
            None => None,
            Some(file) => {
                // Names the fault of the file; the roster would only say that there is one.
                reader.client_tls(&at("ca_file"), Some(file))?;
                match std::fs::read(reader.path(file)) {
                    Ok(authorities) => Some(authorities),
                    Err(_) => return reader.refuse(&at("ca_file"), "cannot be read"),
                }
            }
        };
        let password = self
            .password
            .map(|key| password(&at("password"), &key, reader, Password::File, Password::Text));
        let setup = PostgresSetup {
            address,
            password: password.transpose()?,
            authorities,
            record_every: self.record_every,
        };
        if let Err(bad) = setup.check() {
            let name = match bad {
                BadPostgres::Authorities => "ca_file",
                _ => "postgres",
            };
            return reader.refuse(&at(name), bad.to_string());
        }
        let place = reader.line(&at("postgres"), "");
        Ok(Some(RosterPlace::Postgres(RosterDatabase { setup, place })))
    }
}

impl RosterPlace {
    /// Opens the roster: makes a file where there is none, and connects to no database yet.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where another place must be named, with a line as
    /// [`ConfigError`]'s; any other kind where it may work later.
    pub fn open(&self) -> io::Result<Roster> {
        match self {
            RosterPlace::File(file) => Roster::open(&file.path).map_err(|error| self.failed(error)),
            RosterPlace::Postgres(database) => {
                Roster::postgres(&database.setup).map_err(|error| self.line(error.to_string()))
            }
        }
    }

    /// Whether both are one roster, used in the same way.
    pub fn is_same(&self, other: &RosterPlace) -> bool {
        match (self, other) {
            (RosterPlace::File(one), RosterPlace::File(other)) => one.path == other.path,
            (RosterPlace::Postgres(one), RosterPlace::Postgres(other)) => one.setup == other.setup,
            _ => false,
        }
    }

    /// The error of a roster as that of the start: a bad configuration, or what may work later.
    pub fn failed(&self, error: RosterError) -> io::Error {
        let may_pass = match self {
            RosterPlace::File(_) => matches!(
                error,
                RosterError::Busy
                    | RosterError::Sqlite(_)
                    | RosterError::Disk(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            ),
            RosterPlace::Postgres(_) => !error.is_lasting(),
        };
        match (self, may_pass) {
            (_, false) => self.line(error.to_string()),
            (RosterPlace::File(_), true) => io::Error::other(format!("roster.file: {error}")),
            (RosterPlace::Postgres(_), true) => {
                io::Error::other(format!("roster.postgres: {error}"))
            }
        }
    }

    fn line(&self, what: String) -> io::Error {
        let place = match self {
            RosterPlace::File(file) => &file.place,
            RosterPlace::Postgres(database) => &database.place,
        };
        io::Error::new(io::ErrorKind::InvalidInput, ConfigError { what, ..place.clone() })
    }
}

fn record_every<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
    let every = time(de)?;
    match every <= RECORD_EVERY_MAX {
        true => Ok(every),
        false => Err(D::Error::custom("must be at most 1h")),
    }
}
