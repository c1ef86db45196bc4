//! Keeps each scope's users in memory, so that comparing a sweep does not read the file. Must never be
//! trusted after another connection has written.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

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
    /// For the fingerprints of many users.
    pub(crate) fn writer(&self) -> Prints<'_> {
        Prints { key: &self.0, record: Record::default() }
    }
}

/// Makes fingerprints, each comparable only with others of the same [`Fingerprints`].
pub(crate) struct Prints<'a> {
    key: &'a RandomState,
    record: Record,
}

impl Prints<'_> {
    /// The fingerprint of everything except the id.
    pub(crate) fn of(&mut self, sighting: &Sighting) -> u64 {
        let mut hasher = self.key.build_hasher();
        // At once: for a record's dozen short texts, the hash's own steps would take three times as long.
        hasher.write(self.record.of(sighting));
        hasher.finish()
    }
}

/// A user's record as bytes. Must differ for any two records that differ.
#[derive(Default)]
struct Record(Vec<u8>);

impl Record {
    fn of(&mut self, sighting: &Sighting) -> &[u8] {
        let Sighting { id: _, name, group, teams, supervised_teams, is_deleted } = sighting;
        self.0.clear();
        self.put(name.as_deref());
        self.put(group.as_ref().map(|(id, _)| id.as_str()));
        self.put(group.as_ref().and_then(|(_, name)| name.as_deref()));
        for list in [teams, supervised_teams] {
            list.iter().for_each(|team| self.put(Some(team)));
            self.put(None);
        }
        self.0.push(u8::from(*is_deleted));
        &self.0
    }

    /// Zero for no text, otherwise its length and one, in one byte or, behind 255, in eight.
    fn put(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.0.push(0) };
        match u8::try_from(text.len()) {
            Ok(length @ ..254) => self.0.push(length + 1),
            _ => {
                self.0.push(u8::MAX);
                self.0.extend(text.len().to_le_bytes());
            }
        }
        self.0.extend(text.as_bytes());
    }
}

/// What is kept of each scope, for [`USERS_MAX`] users in all.
#[derive(Debug)]
pub(crate) struct Shelf<V> {
    users: usize,
    scopes: HashMap<Scope, (usize, V)>,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self { users: 0, scopes: HashMap::new() }
    }
}

impl<V> Shelf<V> {
    pub(crate) fn get(&self, scope: &Scope) -> Option<&V> {
        self.scopes.get(scope).map(|(_, value)| value)
    }

    pub(crate) fn take(&mut self, scope: &Scope) -> Option<V> {
        let (users, value) = self.scopes.remove(scope)?;
        self.users -= users;
        Some(value)
    }

    pub(crate) fn put(&mut self, scope: &Scope, users: usize, value: V) {
        self.take(scope);
        if self.users + users > USERS_MAX {
            self.clear();
        }
        self.users += users;
        self.scopes.insert(scope.clone(), (users, value));
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The entries of each scope, ascending by id.
#[derive(Debug, Default)]
pub(crate) struct Mirrors {
    /// SQLite's version number of the file when all scopes here were read.
    data_version: i64,
    scopes: Shelf<Vec<Entry>>,
}

impl Mirrors {
    /// Takes out the entries of a scope, unless another connection has written since. After a commit
    /// [`Mirrors::put`] puts them back; after a failure they stay out, and the file is read again.
    pub(crate) fn take(&mut self, scope: &Scope, data_version: i64) -> Option<Vec<Entry>> {
        if self.data_version != data_version {
            self.scopes.clear();
            self.data_version = data_version;
        }
        self.scopes.take(scope)
    }

    /// Puts in the entries that the file now has for a scope.
    pub(crate) fn put(&mut self, scope: &Scope, entries: Vec<Entry>) {
        self.scopes.put(scope, entries.len(), entries);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Every two of these differ, some only in where one text ends and the next one begins.
    fn records() -> Vec<Sighting> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let lists: [&[&str]; 8] =
            [&[], &[""], &["", ""], &["a"], &["a", ""], &["", "a"], &["a", "a"], &["\u{2}a"]];
        let long = ["b".repeat(253), "b".repeat(254), "b".repeat(255), "b".repeat(300)];
        let names = [None, Some(""), Some("a"), Some("\0"), Some("\u{1}"), Some("\u{2}a")];
        let names: Vec<_> =
            names.into_iter().chain(long.iter().map(|it| Some(it.as_str()))).collect();
        let groups = [
            None,
            Some(("", None)),
            Some(("", Some(""))),
            Some(("a", None)),
            Some(("", Some("a"))),
        ];
        let mut all = Vec::new();
        for name in &names {
            for group in groups {
                for teams in lists {
                    for supervised_teams in lists {
                        for is_deleted in [false, true] {
                            all.push(Sighting {
                                id: 1,
                                name: name.map(str::to_owned),
                                group: group
                                    .map(|(id, name)| (id.to_owned(), name.map(str::to_owned))),
                                teams: owned(teams),
                                supervised_teams: owned(supervised_teams),
                                is_deleted,
                            });
                        }
                    }
                }
            }
        }
        all
    }

    #[test]
    fn a_shelf_counts_its_users_and_drops_all_before_it_holds_too_many() {
        let scope = |caller: usize| Scope { caller: caller.to_string(), upstream: String::new() };
        let mut shelf = Shelf::default();
        shelf.put(&scope(1), USERS_MAX - 2, "one");
        shelf.put(&scope(2), 2, "two");
        // In place of itself: not counted twice.
        shelf.put(&scope(2), 2, "again");
        assert_eq!((shelf.get(&scope(1)), shelf.get(&scope(2))), (Some(&"one"), Some(&"again")));
        assert_eq!((shelf.take(&scope(2)), shelf.take(&scope(2))), (Some("again"), None));
        shelf.put(&scope(3), 2, "three");
        shelf.put(&scope(4), 1, "four");
        assert_eq!([1, 3, 4].map(|it| shelf.get(&scope(it)).copied()), [None, None, Some("four")]);
        shelf.put(&scope(5), USERS_MAX + 1, "larger than all");
        shelf.put(&scope(6), 1, "six");
        assert_eq!([4, 5, 6].map(|it| shelf.get(&scope(it)).copied()), [None, None, Some("six")]);
    }

    #[test]
    fn records_that_differ_are_different_bytes_and_fingerprints() {
        let (records, fingerprints) = (records(), Fingerprints::default());
        let (mut record, mut prints) = (Record::default(), fingerprints.writer());
        let bytes: HashSet<_> = records.iter().map(|it| record.of(it).to_vec()).collect();
        assert_eq!(bytes.len(), records.len());
        let first: HashSet<_> = records.iter().map(|it| prints.of(it)).collect();
        assert_eq!(first.len(), records.len());
        let other = Fingerprints::default();
        assert!(!first.contains(&other.writer().of(&records[0])), "the key is always the same");
        assert_eq!(first, records.iter().map(|it| fingerprints.writer().of(it)).collect());
    }
}
