//! What is kept in memory of each scope, so that a sweep is compared without reading the file. Must
//! never be trusted after another connection has written.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::shapes::{Scope, Sighting};
use crate::tally::VANISHED_AFTER;

/// How many users of all scopes together are kept in memory, at 40 bytes each. A scope beyond that
/// drops the others, which are then read again.
const USERS_MAX: usize = 1_000_000;

/// A remembered user, without what is only needed to list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    pub(crate) fingerprint: u64,
    pub(crate) absences: u8,
    /// The latest end of the sweeps that saw the user; `None`: that of all sweeps of the scope.
    pub(crate) seen_until: Option<u64>,
}

impl Entry {
    pub(crate) fn has_vanished(&self) -> bool {
        self.absences >= VANISHED_AFTER
    }
}

/// Tells whether a user changed, by a keyed hash: two different records have the same one by a
/// chance of 1 in 2^64, which nobody can improve without the key.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(RandomState);

impl Fingerprints {
    /// The fingerprint of everything but the id. Comparable with others of this object only.
    pub(crate) fn of(&self, sighting: &Sighting) -> u64 {
        let Sighting { id: _, name, group, teams, supervised_teams, is_deleted } = sighting;
        self.0.hash_one((name, group, teams, supervised_teams, is_deleted))
    }
}

/// The entries of each scope, ascending by id.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    /// SQLite's number for the state of the file that all scopes here were read in.
    data_version: i64,
    scopes: HashMap<Scope, Vec<Entry>>,
}

impl Mirrors {
    /// Takes out what is known of a scope, unless another connection has written since. The entries
    /// come back by [`Mirrors::put`] after a commit; after a failure they stay out, and the file is
    /// read again.
    pub(crate) fn take(&mut self, scope: &Scope, data_version: i64) -> Option<Vec<Entry>> {
        if self.data_version != data_version {
            self.scopes.clear();
            self.data_version = data_version;
        }
        self.scopes.remove(scope)
    }

    /// Puts in what the file now holds of a scope.
    pub(crate) fn put(&mut self, scope: &Scope, entries: Vec<Entry>) {
        let others: usize = self.scopes.values().map(Vec::len).sum();
        if others + entries.len() > USERS_MAX {
            self.scopes.clear();
        }
        self.scopes.insert(scope.clone(), entries);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.scopes.clear();
    }
}
