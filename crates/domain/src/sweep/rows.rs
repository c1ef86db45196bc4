//! The rows of one window: keys, legacy ids and rendered bytes.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::legacy::Notes;
use crate::listing::Item;

/// A stretch of a listing to ask for. Where pages are numbered (`Paging::Numbered`), `offset` is a
/// multiple of `limit`, and the window is page `offset / limit + 1` of pages of `limit` rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows to skip.
    pub offset: u64,
    /// Rows to return at most.
    pub limit: u32,
}

impl Window {
    /// The first row behind it.
    pub(super) fn end(self) -> u64 {
        self.offset + u64::from(self.limit)
    }
}

/// The rows of one window, already rendered: row `n` is `bytes[ends[n - 1]..ends[n]]`, which is empty
/// for a row that no filter let through, and else begins with a comma.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Identity of each row.
    pub keys: Vec<u64>,
    /// Legacy id of each row.
    pub ids: Vec<u64>,
    /// Where each row's bytes end.
    pub ends: Vec<usize>,
    /// The rendered rows.
    pub bytes: Vec<u8>,
    /// The upstream's count of the whole list.
    pub total: u64,
    /// The documented keys that some row has, as [`crate::upstream::PageTail::keys`].
    pub documented: u64,
    /// Values that could only be shown imperfectly, by row; most rows have none.
    pub notes: Vec<(usize, Notes)>,
    /// The listed records that are no users, by row.
    pub items: Vec<(usize, Item<'static>)>,
}

impl Rows {
    /// Ends a row: everything appended to `bytes` since the last call is its rendering.
    pub fn push(&mut self, key: u64, id: u64) {
        self.push_noted(key, id, Notes::default());
    }

    /// Ends a row that has notes.
    pub fn push_noted(&mut self, key: u64, id: u64, notes: Notes) {
        if notes != Notes::default() {
            self.notes.push((self.keys.len(), notes));
        }
        self.keys.push(key);
        self.ids.push(id);
        self.ends.push(self.bytes.len());
    }

    /// Ends a row that is no user.
    pub fn push_item(&mut self, item: Item<'static>) {
        let key = item.key;
        self.items.push((self.keys.len(), item));
        self.push(key, key);
    }

    fn item_of(&self, row: usize) -> Option<&Item<'static>> {
        let at = self.items.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        Some(&self.items[at].1)
    }

    pub(super) fn items_of(&self, rows: &Range<usize>) -> impl Iterator<Item = Item<'static>> {
        let inside = self.items.iter().filter(|(row, _)| rows.contains(row));
        inside.map(|(_, item)| item.clone())
    }

    pub(super) fn bytes_of(&self, rows: &Range<usize>) -> Range<usize> {
        let at = |row: usize| if row == 0 { 0 } else { self.ends[row - 1] };
        at(rows.start)..at(rows.end)
    }

    pub(super) fn notes_of(&self, rows: &Range<usize>) -> Notes {
        let mut sum = Notes::default();
        for (_, notes) in self.notes.iter().filter(|(row, _)| rows.contains(row)) {
            sum.add(notes);
        }
        sum
    }

    pub(super) fn shown(&self, rows: &Range<usize>) -> u64 {
        rows.clone().filter(|row| !self.bytes_of(&(*row..*row + 1)).is_empty()).count() as u64
    }

    pub(super) fn truncate(&mut self, rows: usize) -> Vec<u64> {
        let beyond = self.keys.split_off(rows);
        self.ids.truncate(rows);
        self.ends.truncate(rows);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
        beyond
    }

    /// Drops a row that this page repeats word for word. Two different rows of one id stay, and fail
    /// the uniqueness check later.
    pub(super) fn merge_repeats(&mut self) {
        if is_strictly_sorted(&self.keys) || all_different(self.keys.iter().copied()) {
            return;
        }
        let mut first: HashMap<u64, usize> = HashMap::new();
        let mut merged = Rows { total: self.total, documented: self.documented, ..Rows::default() };
        for row in 0..self.keys.len() {
            let bytes = &self.bytes[self.bytes_of(&(row..row + 1))];
            let before = *first.entry(self.keys[row]).or_insert(row);
            let is_same = self.bytes[self.bytes_of(&(before..before + 1))] == *bytes
                && self.item_of(before) == self.item_of(row);
            if before != row && is_same {
                continue;
            }
            merged.bytes.extend_from_slice(bytes);
            if let Some(item) = self.item_of(row) {
                merged.items.push((merged.keys.len(), item.clone()));
            }
            merged.push_noted(self.keys[row], self.ids[row], self.notes_of(&(row..row + 1)));
        }
        *self = merged;
    }
}

pub(super) fn is_strictly_sorted(keys: &[u64]) -> bool {
    keys.is_sorted_by(|a, b| a < b) || keys.is_sorted_by(|a, b| a > b)
}

pub(super) fn all_different(keys: impl Iterator<Item = u64>) -> bool {
    let mut seen = HashSet::with_capacity(keys.size_hint().0);
    let mut keys = keys;
    keys.all(|key| seen.insert(key))
}
