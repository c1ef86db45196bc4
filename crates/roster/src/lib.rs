//! Remembers the users of each caller, so that deleted users can be listed even if the upstream has no list of them:
//! in one SQLite file, or in a PostgreSQL database that replicas share.
//!
//! The crate knows ids, names, groups and teams. It must never know an endpoint or a dialect, read a
//! clock, delete a remembered user, or show one scope's users to another. What it keeps is personal
//! data, and no error repeats any of it.
//!
//! **Sweeps.** The roster records complete readings of all users. A user who is missing from two
//! consecutive sweeps has *vanished*; a single sweep may have been read at a bad moment. `tally.rs`
//! says when two sweeps are consecutive, and which sweep is not believed.
//!
//! **Clocks.** A file goes by the clock of its machine, which the caller tells. A database goes by its own clock at
//! both ends of a sweep: with clocks seconds apart, overlapping sweeps of two replicas would look consecutive.
//!
//! **Durability.** If a call returned `Ok`, its result survives a crash of the process and of the
//! machine, as far as the database is configured to keep what it has committed.

mod error;
mod file;
mod mirror;
mod postgres;
mod shapes;
mod sqlite;
mod store;
mod tally;
mod whole;

use std::path::Path;
use std::time::Duration;

pub use error::RosterError;
pub use postgres::PostgresRoster;
pub use postgres::examine::{Database, examine};
pub use postgres::setup::{BadPostgres, Password, PostgresSetup, password_text};
pub use shapes::{Changes, Counts, Former, ImportCounts, Scope, Sighting, Started, Sweep};
pub use sqlite::FileRoster;
pub use whole::WholeScope;

/// How long [`Roster::tell`] waits for a database.
const TELL_MAX: Duration = Duration::from_secs(2);

/// An open roster. Clones share it. Its methods need a runtime of tokio.
#[derive(Debug, Clone)]
pub enum Roster {
    /// In a file, which is read and written on threads that may wait.
    File(FileRoster),
    /// In a database.
    Postgres(PostgresRoster),
}

impl Roster {
    /// Opens the file, as [`FileRoster::open`]. This blocks.
    ///
    /// # Errors
    ///
    /// As [`FileRoster::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RosterError> {
        FileRoster::open(path).map(Roster::File)
    }

    /// A roster in a database. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`BadPostgres`] if the setup cannot be meant.
    pub fn postgres(setup: &PostgresSetup) -> Result<Self, BadPostgres> {
        PostgresRoster::new(setup).map(Roster::Postgres)
    }

    /// Makes or updates the tables of a database, and checks them. A file was checked when it was opened.
    ///
    /// # Errors
    ///
    /// [`RosterError::is_lasting`] tells whether trying again later can help.
    pub async fn prepare(&self) -> Result<(), RosterError> {
        match self {
            Roster::File(_) => Ok(()),
            Roster::Postgres(roster) => roster.prepare().await,
        }
    }

    /// To be called before the first page of a reading is requested. `own` is the time here, in milliseconds since
    /// 1970; only a file goes by it. If the database does not tell its time, no absence in the sweep will count.
    pub async fn begin(&self, own: u64) -> Started {
        match self {
            Roster::File(_) => Started(Some(own)),
            Roster::Postgres(roster) => roster.begin().await,
        }
    }

    /// Records a complete, unfiltered sweep, as [`FileRoster::record`]; `own` is the time here after its last page.
    /// Once it has begun, it is done even if nobody waits for it any more. In a database a process records one sweep
    /// of a scope at a time; this waits for its turn.
    ///
    /// # Errors
    ///
    /// Nothing was recorded, with the exception that [`RosterError`] names.
    pub async fn record(
        &self,
        scope: &Scope,
        started: Started,
        own: u64,
        sightings: Vec<Sighting>,
    ) -> Result<Changes, RosterError> {
        match self {
            Roster::File(file) => {
                let scope = scope.clone();
                // A sweep without a start shows who was seen, and no absence in it counts.
                let sweep = Sweep { started: started.0.unwrap_or(u64::MAX), ended: own };
                blocking(file, move |file| file.record(&scope, &sweep, &sightings)).await
            }
            Roster::Postgres(roster) => roster.record(scope, started, sightings, None).await,
        }
    }

    /// As [`Roster::record`], for one whose own answer does not depend on it. Nobody waits for a database longer than
    /// two seconds; the sweep is recorded all the same, if it can be. While another sweep of the scope is recorded,
    /// this one is not, and nothing has changed.
    ///
    /// # Errors
    ///
    /// As [`Roster::record`]; after [`RosterError::Slow`] it may still be recorded.
    pub async fn tell(
        &self,
        scope: &Scope,
        started: Started,
        own: u64,
        sightings: Vec<Sighting>,
    ) -> Result<Changes, RosterError> {
        match self {
            Roster::File(_) => self.record(scope, started, own, sightings).await,
            Roster::Postgres(roster) => {
                roster.record(scope, started, sightings, Some(TELL_MAX)).await
            }
        }
    }

    /// Adds a baseline, as [`FileRoster::import`].
    ///
    /// # Errors
    ///
    /// Nothing was imported, with the exception that [`RosterError`] names.
    pub async fn import(
        &self,
        scope: &Scope,
        rows: Vec<(u64, Option<String>)>,
    ) -> Result<ImportCounts, RosterError> {
        match self {
            Roster::File(file) => {
                let scope = scope.clone();
                blocking(file, move |file| file.import(&scope, &rows)).await
            }
            Roster::Postgres(roster) => roster.import(scope, &rows).await,
        }
    }

    /// All vanished and imported users, as [`FileRoster::former`].
    ///
    /// # Errors
    ///
    /// If they cannot all be told.
    pub async fn former(&self, scope: &Scope) -> Result<Vec<Former>, RosterError> {
        match self {
            Roster::File(file) => {
                let scope = scope.clone();
                blocking(file, move |file| file.former(&scope)).await
            }
            Roster::Postgres(roster) => roster.former(scope).await,
        }
    }

    /// The numbers of remembered users of a scope; all zero for an unknown one.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn counts(&self, scope: &Scope) -> Result<Counts, RosterError> {
        match self {
            Roster::File(file) => {
                let scope = scope.clone();
                blocking(file, move |file| file.counts(&scope)).await
            }
            Roster::Postgres(roster) => roster.counts(scope).await,
        }
    }

    /// The numbers of all scopes together. Those of a database may be a minute old.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn totals(&self) -> Result<Counts, RosterError> {
        match self {
            Roster::File(file) => blocking(file, FileRoster::totals).await,
            Roster::Postgres(roster) => roster.totals().await,
        }
    }

    /// Every scope with a recorded sweep or import, by caller and upstream.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub async fn scopes(&self) -> Result<Vec<Scope>, RosterError> {
        match self {
            Roster::File(file) => blocking(file, FileRoster::scopes).await,
            Roster::Postgres(roster) => roster.scopes().await,
        }
    }

    /// Everything of every scope, to be moved elsewhere.
    ///
    /// # Errors
    ///
    /// If it cannot all be read.
    pub async fn whole(&self) -> Result<Vec<WholeScope>, RosterError> {
        match self {
            Roster::File(file) => blocking(file, FileRoster::whole).await,
            Roster::Postgres(roster) => roster.whole().await,
        }
    }

    /// Takes over everything of another roster, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`RosterError::NotEmpty`] if anything is remembered here already.
    pub async fn fill(&self, all: Vec<WholeScope>) -> Result<(), RosterError> {
        match self {
            Roster::File(file) => blocking(file, move |file| file.fill(&all)).await,
            Roster::Postgres(roster) => roster.fill(&all).await,
        }
    }
}

/// Does something with the file on a thread that may wait. It is done even if nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    file: &FileRoster,
    work: impl FnOnce(&FileRoster) -> Result<T, RosterError> + Send + 'static,
) -> Result<T, RosterError> {
    let file = file.clone();
    match tokio::task::spawn_blocking(move || work(&file)).await {
        Ok(done) => done,
        Err(_) => Err(RosterError::Interrupted),
    }
}
