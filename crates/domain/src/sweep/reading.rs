//! One reading of a list: the windows asked for, and what each gave. A sweep that starts again drops
//! the reading and everything in it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::join::Chain;
use super::outcome::Failure;
use super::rows::{Rows, Window, all_different_in};
use super::windows::Windows;

/// A window and its rows, once they are read.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) window: Window,
    is_asked: bool,
    pub(super) rows: Option<Arc<Rows>>,
    /// Rows that came, repeated ones included.
    pub(super) sent: usize,
    /// Keys beyond the window's limit, which must be the next page's.
    pub(super) beyond: Vec<u64>,
    /// Pages the sweep had read by then; tells which of two slots is the later one.
    pub(super) read_at: u64,
}

impl Slot {
    pub(super) fn new(window: Window) -> Self {
        Slot { window, is_asked: false, rows: None, sent: 0, beyond: Vec::new(), read_at: 0 }
    }

    pub(super) fn is_short(&self) -> bool {
        self.keys().len() < self.window.limit as usize
    }

    pub(super) fn keys(&self) -> &[u64] {
        self.rows.as_ref().map_or(&[], |rows| &rows.keys)
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) slots: Vec<Slot>,
    /// Rounds of repairs.
    pub(super) rounds: u32,
    /// Whether the first and the last page were read again because of the count.
    pub(super) has_rechecked: bool,
    /// Rows behind which nothing was found.
    pub(super) end_seen_at: Option<u64>,
    pub(super) looks_behind: u32,
    /// How often windows were doubted and replaced, and the rows that those had shown.
    pub(super) doubts: u32,
    pub(super) shown: Vec<u64>,
}

impl Reading {
    pub(super) fn new(first: Window) -> Self {
        Reading {
            slots: vec![Slot::new(first)],
            rounds: 0,
            has_rechecked: false,
            end_seen_at: None,
            looks_behind: 0,
            doubts: 0,
            shown: Vec::new(),
        }
    }

    /// The windows to ask for next, at most `room` of them.
    pub(super) fn ask(&mut self, room: usize) -> Vec<Window> {
        let mut windows = Vec::new();
        for slot in self.slots.iter_mut().filter(|slot| !slot.is_asked).take(room) {
            slot.is_asked = true;
            windows.push(slot.window);
        }
        windows
    }

    pub(super) fn is_incomplete(&self) -> bool {
        self.slots.iter().any(|slot| slot.rows.is_none())
    }

    /// The slot that waits for this window.
    pub(super) fn waiting_for(&self, window: Window) -> Option<usize> {
        let waits = |slot: &Slot| slot.window == window && slot.is_asked && slot.rows.is_none();
        self.slots.iter().position(waits)
    }

    pub(super) fn has(&self, window: Window) -> bool {
        self.slots.iter().any(|slot| slot.window == window)
    }

    /// What the upstream counted, page by page.
    pub(super) fn totals(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().filter_map(|slot| Some(slot.rows.as_ref()?.total))
    }

    /// Pages that were not asked for yet, those beyond the last window included.
    pub(super) fn pages_left(&self, windows: Windows) -> u64 {
        let planned = self.slots.iter().filter(|slot| !slot.is_asked).count() as u64;
        let end = self.slots.last().map_or(0, |last| last.window.end());
        let beyond = self.totals().max().unwrap_or(0).saturating_sub(end);
        planned + beyond.div_ceil(windows.step())
    }

    /// Whether a page begins with the very rows of another that stands far from it: the upstream
    /// ignores offsets or page numbers, or repeats a page for ever.
    pub(super) fn repeats(&self, windows: Windows, index: usize) -> bool {
        let Some(Slot { window, rows: Some(rows), .. }) = self.slots.get(index) else {
            return false;
        };
        let is_the_same = |other: usize| {
            let Some(other) = self.slots.get(other) else { return false };
            let Some(seen) = &other.rows else { return false };
            // What an upstream that looks at the limit alone would show in both.
            let limit = window.limit.min(other.window.limit) as usize;
            let head = |rows: &Rows| rows.keys.len().min(limit);
            windows.are_apart(*window, other.window)
                && rows.keys.len() >= 2
                && seen.total == rows.total
                && seen.keys[..head(seen)] == rows.keys[..head(rows)]
        };
        let reach = windows.reach();
        (index.saturating_sub(reach)..=index + reach).chain([0]).any(is_the_same)
    }

    /// Rows beyond a window's limit must be the rows the next window shows at their place.
    pub(super) fn overflow_is_honest(&self, windows: Windows) -> bool {
        self.slots.windows(2).all(|pair| windows.overflow_is_honest(&pair[0], &pair[1]))
    }

    /// A hash of all pages.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for slot in &self.slots {
            slot.keys().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The rows that any window showed, of those that stand and those that were replaced.
    pub(super) fn all_shown(&self) -> impl Iterator<Item = &u64> {
        self.shown.iter().chain(self.slots.iter().flat_map(Slot::keys))
    }

    /// What pages that hold still get wrong.
    pub(super) fn contradiction(&self) -> Failure {
        // The last page is short by nature.
        let before_last = self.slots.split_last().map_or(&[][..], |(_, before)| before);
        if self.slots.iter().any(|slot| !all_different_in(slot.keys())) {
            Failure::IdCollision
        } else if before_last.iter().any(Slot::is_short) {
            Failure::TotalMismatch
        } else {
            Failure::PagingBroken
        }
    }

    /// The keys of the joined rows, in order. Long lists have many, so nobody copies them.
    pub(super) fn keys(&self, chain: &Chain) -> impl Iterator<Item = u64> {
        let keys = |(slot, rows): &(usize, Range<usize>)| &self.slots[*slot].keys()[rows.clone()];
        chain.parts.iter().flat_map(keys).copied()
    }

    /// The legacy ids of the joined rows, in order; `None` where each is its row's key.
    pub(super) fn ids(&self, chain: &Chain) -> Option<impl Iterator<Item = u64> + Clone> {
        let pages = || chain.parts.iter().map(|(slot, rows)| (&self.slots[*slot], rows));
        let ids = |slot: &Slot| slot.rows.as_ref().is_some_and(|rows| !rows.ids.is_empty());
        if !pages().any(|(slot, _)| ids(slot)) {
            return None;
        }
        let ids = pages().flat_map(|(slot, rows)| match &slot.rows {
            Some(all) if !all.ids.is_empty() => &all.ids[rows.clone()],
            _ => &slot.keys()[rows.clone()],
        });
        Some(ids.copied())
    }
}
