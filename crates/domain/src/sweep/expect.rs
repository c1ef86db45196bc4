//! A list that is expected to be as long as it was: all its pages are asked for at once, instead of after
//! the first one. What the first page says overrides what was expected.
//!
//! **Never:** an expectation that changes how pages are joined or counted, or where the list ends.

use super::reading::Reading;
use super::{Cap, Failure, Sweep, Window};

impl Sweep {
    /// The least number of pages still to be asked for, by the counts that were read. Pages that are
    /// read again are not in it.
    pub fn pages_left(&self) -> u64 {
        self.reading.pages_left(self.windows)
    }

    /// Asks for the pages of so many rows at once, if the upstream has shown that it honours offsets.
    pub fn expecting(mut self, rows: u64) -> Self {
        if !self.story.paging_proven {
            return self;
        }
        let mut end = self.windows.first().end();
        while end < rows.min(self.limits.rows_max) {
            match self.grow(end) {
                Some(window) => end = window.end(),
                None => break,
            }
        }
        if self.failed.take().is_some() {
            self.reading = Reading::new(self.windows.first());
        }
        self.is_expecting = self.reading.slots.len() > 1;
        self
    }

    /// Whether pages were asked for that the first one has not confirmed yet.
    pub fn is_expecting(&self) -> bool {
        self.is_expecting
    }

    /// Whether other pages came before the first one. Only that one tells whether they belong to the list, so no more are
    /// asked for until it is there.
    pub(super) fn waits_for_first(&self) -> bool {
        self.is_expecting && self.story.pages > 0
    }

    /// Begins anew with the first page alone. The pages that were read still count as a cost.
    pub fn expect_nothing(&mut self) {
        self.is_expecting = false;
        self.reading = Reading::new(self.windows.first());
    }

    /// Whether a window is still waited for.
    pub fn awaits(&self, window: Window) -> bool {
        self.reading.waiting_for(window).is_some()
    }

    /// Whether the next list of this kind may be expected to be as long as this one: all its pages were as
    /// large as they may be, and none had to be read for another attempt.
    pub fn was_regular(&self) -> bool {
        self.cap == Cap::Unknown && self.story.restarts == 0 && self.story.paging_proven
    }

    /// The first page has come: drops the windows that the list does not reach, and adds those that it needs.
    pub(super) fn confirm(&mut self, total: u64) {
        self.is_expecting = false;
        let first = &self.reading.slots[0];
        if first.is_short() && (first.sent as u64) < total {
            // Perhaps the upstream gives fewer rows per page now, and every other page is too far on.
            self.reading.slots.truncate(1);
            return;
        }
        let pairs = self.reading.slots.windows(2);
        let needed = pairs.take_while(|pair| pair[0].window.end() < total).count();
        self.reading.slots.truncate(1 + needed);
        let mut read = 1..self.reading.slots.len();
        if read.any(|index| self.reading.repeats(self.windows, index)) {
            self.failed = Some(Failure::PagingBroken);
        }
        self.grows_to_total();
    }
}
