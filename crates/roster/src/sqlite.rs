//! A roster in one SQLite file. Must never block a thread of the runtime: async code calls it on a thread that may wait.
//!
//! **Several processes** on one machine may have the file open; it needs a local file system. If the
//! file is removed or replaced while it is open, the next call notices and fails.
//!
//! All methods block, for up to five seconds if another process holds the lock.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::RosterError;
use crate::file::{self, Place};
use crate::mirror::{Fingerprints, Mirrors};
use crate::shapes::{Changes, Counts, Former, ImportCounts, Scope, Sighting, Sweep};
use crate::store::{self, ScopeRow};
use crate::tally::{self, Edit, ScopeState};
use crate::whole::WholeScope;

/// An open roster in a file. Clones share it; any thread that may wait may use it.
#[derive(Clone)]
pub struct FileRoster {
    inner: Arc<Inner>,
}

struct Inner {
    // Dropped first: the last connection to close removes the log, and this one cannot write.
    reader: Mutex<Connection>,
    writer: Mutex<Writer>,
    place: Place,
    fingerprints: Fingerprints,
}

struct Writer {
    connection: Connection,
    mirrors: Mirrors,
}

impl FileRoster {
    /// Opens the roster in this file, or creates one if there is no file or an empty one. Only the
    /// owner can read and write a new file. The folder must exist.
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

    /// Records a complete, unfiltered sweep, all of it or nothing.
    ///
    /// The users in it are present, with the given details. Remembered users who are not in it are
    /// absent. Only changed rows are written. If an id has several sightings, the last one counts.
    /// Never pass a filtered or partial reading: all other users would count as absent.
    ///
    /// If more than half of more than ten users (without vanished ones) are missing, the sweep is
    /// [`Changes::suspicious`]: its users are recorded, but no absence counts. The third such sweep
    /// in a row is believed; overlapping ones count as one.
    ///
    /// Times recorded by a clock that was more than an hour ahead are corrected, see
    /// [`Changes::clock_was_ahead`].
    pub fn record(
        &self,
        scope: &Scope,
        sweep: &Sweep,
        sightings: &[Sighting],
    ) -> Result<Changes, RosterError> {
        // Before the lock, because this takes longest if nothing changed, and needs no lock.
        let fingerprints = &self.inner.fingerprints;
        let seen = tally::by_id(sightings, fingerprints);
        let mut writer = self.writer()?;
        let Writer { connection, mirrors } = &mut *writer;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Within the transaction, because from here on no other process can write.
        let mirrored = mirrors.take(scope, file::number(&transaction, "data_version")?);
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

    /// Adds a baseline, all of it or nothing: ids and names of users who were deleted before the first
    /// sweep. Imported ids stay even if a later import lacks them or a sweep sees them alive. If an id
    /// has several rows, the last one counts.
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

    /// All vanished and imported users, ascending by id. A user who is both appears once, with the
    /// last seen details and both marks. An imported user may be alive by now; the roster does not say.
    pub fn former(&self, scope: &Scope) -> Result<Vec<Former>, RosterError> {
        self.read(scope, |transaction, row, _| store::former(transaction, row))
    }

    /// The same as [`FileRoster::former`], for a backup of data that cannot be read again.
    pub fn export(&self, scope: &Scope) -> Result<Vec<Former>, RosterError> {
        self.former(scope)
    }

    /// Every scope with a recorded sweep or import, by caller and upstream.
    pub fn scopes(&self) -> Result<Vec<Scope>, RosterError> {
        store::scopes(&*self.reader()?)
    }

    /// The numbers of remembered users of a scope; all zero for an unknown one.
    pub fn counts(&self, scope: &Scope) -> Result<Counts, RosterError> {
        self.read(scope, store::counts)
    }

    /// The numbers of all scopes together.
    pub fn totals(&self) -> Result<Counts, RosterError> {
        let mut all = Counts::default();
        for scope in self.scopes()? {
            let Counts { remembered, deleted, vanished, imported, last_sweep_ended } =
                self.counts(&scope)?;
            all.remembered += remembered;
            all.deleted += deleted;
            all.vanished += vanished;
            all.imported += imported;
            all.last_sweep_ended = all.last_sweep_ended.max(last_sweep_ended);
        }
        Ok(all)
    }

    /// Everything of every scope, by caller and upstream, to be moved elsewhere.
    pub fn whole(&self) -> Result<Vec<WholeScope>, RosterError> {
        let mut reader = self.reader()?;
        let transaction = reader.transaction()?;
        let mut all = Vec::new();
        for scope in store::scopes(&transaction)? {
            all.extend(store::whole(&transaction, &scope)?);
        }
        Ok(all)
    }

    /// The same of one scope, for checks.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    #[doc(hidden)]
    pub fn whole_of(&self, scope: &Scope) -> Result<Option<WholeScope>, RosterError> {
        let mut reader = self.reader()?;
        let transaction = reader.transaction()?;
        store::whole(&transaction, scope)
    }

    /// Takes over everything of another roster, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`RosterError::NotEmpty`] if anything is remembered here already.
    pub fn fill(&self, all: &[WholeScope]) -> Result<(), RosterError> {
        let mut writer = self.writer()?;
        let transaction =
            writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !store::scopes(&transaction)?.is_empty() {
            return Err(RosterError::NotEmpty);
        }
        for WholeScope { scope, state, users, imported } in all {
            let (row, _) = store::find_or_add_scope(&transaction, scope)?;
            let edits: Vec<_> =
                users.iter().map(|(user, marks)| Edit::Whole(user, *marks)).collect();
            store::write_users(&transaction, row, &edits)?;
            store::write_state(&transaction, row, *state)?;
            store::write_imported(
                &transaction,
                row,
                imported.iter().map(|(id, name)| (*id, name)),
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Reads one consistent state of a scope; returns the default if there is no such scope.
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
        // A transaction interrupted by a panic was rolled back when it was dropped.
        let reader = self.inner.reader.lock().unwrap_or_else(PoisonError::into_inner);
        self.inner.place.check()?;
        Ok(reader)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, RosterError> {
        let writer = self.inner.writer.lock().unwrap_or_else(|poisoned| {
            let mut writer = poisoned.into_inner();
            writer.mirrors = Mirrors::default();
            writer
        });
        self.inner.place.check()?;
        Ok(writer)
    }
}

impl fmt::Debug for FileRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRoster").finish_non_exhaustive()
    }
}
