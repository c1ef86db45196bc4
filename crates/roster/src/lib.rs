//! Remembers the users of each caller in one SQLite file, so that those who are gone can still be
//! listed where the upstream has no list of them.
//!
//! The crate knows ids, names, groups and teams. It must never know an endpoint or a dialect, never
//! read a clock, never delete what it remembers, and never show one scope's users to another. The
//! file holds personal data: it is made readable for its owner only, and no error repeats any of it.
//!
//! **Sweeps.** What is recorded are complete readings of all users. Whoever is missing from two
//! consecutive ones has *vanished*; a single one may have been read at a bad moment. What makes two
//! sweeps consecutive, and which one is not believed, stands in `tally.rs`.
//!
//! **Several processes** may have the file open, on one machine: a local file system is needed. Who
//! removes or replaces the file while it is open is noticed by the next call, which then fails.
//!
//! **Durability.** What a call returned `Ok` for survives a crash of the process and of the machine.
//!
//! All methods block, for up to five seconds when another process holds the lock.

mod error;
mod file;
mod mirror;
mod shapes;
mod store;
mod tally;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use error::RosterError;
use file::Place;
use mirror::{Fingerprints, Mirrors};
pub use shapes::{Changes, Counts, Former, ImportCounts, Scope, Sighting, Sweep};
use store::ScopeRow;
use tally::ScopeState;

/// An open roster. Clones share it; any thread may use it.
#[derive(Clone)]
pub struct Roster {
    inner: Arc<Inner>,
}

struct Inner {
    // Dropped first: the last connection to close tidies up the log, and this one may not write.
    reader: Mutex<Connection>,
    writer: Mutex<Writer>,
    place: Place,
    fingerprints: Fingerprints,
}

struct Writer {
    connection: Connection,
    mirrors: Mirrors,
}

impl Roster {
    /// Opens the roster in this file, or makes one where there is no file or an empty one. A new
    /// file can be read and written by its owner only; the folder must exist.
    ///
    /// # Errors
    ///
    /// [`RosterError::NotARoster`], [`RosterError::NewerSchema`] and [`RosterError::Damaged`] leave
    /// the file as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RosterError> {
        let file::Connections { reader, writer, place } = file::open(path.as_ref())?;
        let writer = Writer { connection: writer, mirrors: Mirrors::default() };
        let inner = Inner {
            reader: Mutex::new(reader),
            writer: Mutex::new(writer),
            place,
            fingerprints: Fingerprints::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Records a complete, unfiltered sweep: all or nothing of it.
    ///
    /// The users in it are present, with what it says about them; the remembered ones that are not
    /// in it are absent. Writes as many rows as changed. Of several sightings of one id the last is
    /// taken. Never give it a filtered or partial reading: it would count the rest as absent.
    ///
    /// When more than half of more than ten users (vanished ones aside) are missing, the sweep is
    /// [`Changes::suspicious`]: those in it are recorded, but no absence counts. The third such
    /// sweep in a row is believed; overlapping ones are one.
    ///
    /// What was recorded by a clock that was more than an hour ahead does not stand in the way, see
    /// [`Changes::clock_was_ahead`].
    pub fn record(
        &self,
        scope: &Scope,
        sweep: &Sweep,
        sightings: &[Sighting],
    ) -> Result<Changes, RosterError> {
        // Before the lock: this takes longest when nothing changed, and nobody need wait for it.
        let fingerprints = &self.inner.fingerprints;
        let seen = tally::by_id(sightings, fingerprints);
        let mut writer = self.writer()?;
        let Writer { connection, mirrors } = &mut *writer;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked within the transaction: from here on nobody else can write.
        let mirrored = mirrors.take(scope, store::data_version(&transaction)?);
        let (row, state) = store::find_or_add_scope(&transaction, scope)?;
        let entries = match mirrored {
            Some(entries) => entries,
            None => store::entries(&transaction, row, fingerprints)?,
        };
        let outcome = tally::tally(&entries, state, *sweep, &seen);
        store::write_users(&transaction, row, &outcome.edits)?;
        if outcome.state != state {
            store::write_state(&transaction, row, outcome.state)?;
        }
        transaction.commit()?;
        mirrors.put(scope, outcome.entries);
        Ok(outcome.changes)
    }

    /// Adds a baseline: ids and names of those already gone before the first sweep, all or nothing.
    /// Imported ids stay, also when a later import lacks them or a sweep sees them alive. Of several
    /// rows with one id the last is taken.
    pub fn import(
        &self,
        scope: &Scope,
        rows: &[(u64, Option<String>)],
    ) -> Result<ImportCounts, RosterError> {
        let rows: BTreeMap<u64, &Option<String>> =
            rows.iter().map(|(id, name)| (*id, name)).collect();
        let mut writer = self.writer()?;
        let transaction =
            writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (row, _) = store::find_or_add_scope(&transaction, scope)?;
        let before = store::imported(&transaction, row)?;
        let mut counts = ImportCounts::default();
        let changed = rows.into_iter().filter(|(id, name)| {
            let count = match before.get(id) {
                None => &mut counts.added,
                Some(known) if known != *name => &mut counts.updated,
                Some(_) => &mut counts.unchanged,
            };
            *count += 1;
            before.get(id) != Some(*name)
        });
        store::write_imported(&transaction, row, changed)?;
        transaction.commit()?;
        Ok(counts)
    }

    /// Everyone who vanished or was imported, ascending by id. Who is both appears once, with what
    /// was last seen and both marks. An imported user may be alive by now: the roster does not tell.
    pub fn former(&self, scope: &Scope) -> Result<Vec<Former>, RosterError> {
        self.read(scope, |transaction, row, _| {
            Ok(store::former(transaction, row)?.into_values().collect())
        })
    }

    /// The same as [`Roster::former`], for a copy of what cannot be had again.
    pub fn export(&self, scope: &Scope) -> Result<Vec<Former>, RosterError> {
        self.former(scope)
    }

    /// Every scope that a sweep or an import was recorded for, by caller and upstream.
    pub fn scopes(&self) -> Result<Vec<Scope>, RosterError> {
        store::scopes(&*self.reader()?)
    }

    /// How much is remembered of a scope; all zero for an unknown one.
    pub fn counts(&self, scope: &Scope) -> Result<Counts, RosterError> {
        self.read(scope, store::counts)
    }

    /// Reads one consistent state of a scope; the default when there is no such scope.
    fn read<T: Default>(
        &self,
        scope: &Scope,
        read: impl FnOnce(&Connection, ScopeRow, ScopeState) -> Result<T, RosterError>,
    ) -> Result<T, RosterError> {
        let mut reader = self.reader()?;
        let transaction: Transaction<'_> = reader.transaction()?;
        match store::find_scope(&transaction, scope)? {
            Some((row, state)) => read(&transaction, row, state),
            None => Ok(T::default()),
        }
    }

    fn reader(&self) -> Result<MutexGuard<'_, Connection>, RosterError> {
        // A transaction that a panic cut off was rolled back when it was dropped.
        let reader = self.inner.reader.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.place.check()?;
        Ok(reader)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, RosterError> {
        let writer = self.inner.writer.lock().unwrap_or_else(|poisoned| {
            let mut writer = poisoned.into_inner();
            writer.mirrors.clear();
            writer
        });
        self.inner.place.check()?;
        Ok(writer)
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").finish_non_exhaustive()
    }
}
