//! Keeps each scope's users in memory, so that comparing a sweep does not read the file. Must never be
//! trusted after another connection has written.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::shapes::{Scope, Sighting};

/// Users of all scopes kept in memory, at 40 bytes each. If one more scope exceeds this, the others are
/// dropped and read again when needed.
const USERS_MAX: usize = 1_000_000;

/// A user who is absent from this many consecutive observations has vanished.
pub(crate) const VANISHED_AFTER: u8 = 2;

/// A remembered user, without the details that only a list needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) fingerprint: u64,
    pub(crate) absences: u8,
    /// The latest end of the sweeps that saw the user; `None`: the latest end of the scope's sweeps.
    pub(crate) seen_until: Option<u64>,
}

impl Entry {
    pub(crate) fn has_vanished(&self) -> bool {
        self.absences >= VANISHED_AFTER
    }
}

/// Detects changed users by a keyed hash. Two different records have the same hash with a chance of 1 in
/// 2^64, which cannot be improved without the key.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(RandomState);

impl Fingerprints {
    /// The fingerprint of everything except the id. Comparable only with others of this object.
    pub(crate) fn of(&self, sighting: &Sighting) -> u64 {
        let Sighting { id: _, name, group, teams, supervised_teams, is_deleted } = sighting;
        self.0.hash_one((name, group, teams, supervised_teams, is_deleted))
    }
}

/// The entries of each scope, ascending by id.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    /// SQLite's version number of the file when all scopes here were read.
    data_version: i64,
    scopes: HashMap<Scope, Vec<Entry>>,
}

impl Mirrors {
    /// Takes out the entries of a scope, unless another connection has written since. After a commit
    /// [`Mirrors::put`] puts them back; after a failure they stay out, and the file is read again.
    pub(crate) fn take(&mut self, scope: &Scope, data_version: i64) -> Option<Vec<Entry>> {
        if self.data_version != data_version {
            self.scopes.clear();
            self.data_version = data_version;
        }
        self.scopes.remove(scope)
    }

    /// Puts in the entries that the file now has for a scope.
    pub(crate) fn put(&mut self, scope: &Scope, entries: Vec<Entry>) {
        let others: usize = self.scopes.values().map(Vec::len).sum();
        if others + entries.len() > USERS_MAX {
            self.scopes.clear();
        }
        self.scopes.insert(scope.clone(), entries);
    }
}
