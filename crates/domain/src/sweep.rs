//! A sweep: reading one paged list whole, while it changes, or not at all.
//!
//! Pure bookkeeping. The driver asks [`Sweep::next`] which windows to read, reads them in any order
//! and hands back what it got with [`Sweep::put`], until the sweep is done or has failed.
//!
//! **Why no row gets lost.** Windows overlap (`windows.rs`). Two neighbouring pages are joined only
//! at a row that both hold (`join.rs`). While rows keep their relative order, every row that lived
//! throughout lies between two joints, and so in the page between them; nothing lies there twice.
//! The list starts at offset 0 and ends with a page that was not full. A list sorted by id keeps its
//! order by nature. Any other order may move, so such a list counts only when two whole readings in
//! a row show the same rows in the same order.
//!
//! **Never:** a list with a hole, a row twice, or an end that was not seen.

mod join;
mod outcome;
mod rows;
mod windows;

use std::hash::{DefaultHasher, Hash, Hasher};

use join::{Chain, chain};
pub use outcome::{DoubleRead, Failure, Limits, List, Next, Paging, Story};
pub use rows::{Rows, Window};
use rows::{all_different, is_strictly_sorted};
use windows::Windows;

const ROUNDS_MAX: u32 = 3;
const READINGS_MAX: u32 = 3;
const LOOKS_BEHIND_MAX: u32 = 8;
/// Fewer rows may be sorted by chance, and say nothing about how the upstream sorts.
const ORDER_ROWS_MIN: usize = 8;

#[derive(Debug)]
struct Slot {
    window: Window,
    is_asked: bool,
    rows: Option<Rows>,
    /// Keys beyond the window's limit, which must be the next page's.
    beyond: Vec<u64>,
    /// Pages the sweep had read by then; tells which of two slots is the later one.
    read_at: u64,
}

impl Slot {
    fn new(window: Window) -> Self {
        Slot { window, is_asked: false, rows: None, beyond: Vec::new(), read_at: 0 }
    }

    fn is_short(&self) -> bool {
        self.keys().len() < self.window.limit as usize
    }

    fn keys(&self) -> &[u64] {
        self.rows.as_ref().map_or(&[], |rows| &rows.keys)
    }
}

/// The reading of one list; see the module.
#[derive(Debug)]
pub struct Sweep {
    limits: Limits,
    windows: Windows,
    slots: Vec<Slot>,
    rounds: u32,
    has_restarted: bool,
    has_rechecked: bool,
    has_doubted_cap: bool,
    /// Rows behind which nothing was found.
    end_seen_at: Option<u64>,
    looks_behind: u32,
    /// Hash of the first reading of every page before the restart.
    fingerprint: Option<u64>,
    /// Hash of the last whole reading, where two must agree.
    reading: Option<u64>,
    readings: u32,
    failed: Option<Failure>,
    found: Option<Rows>,
    story: Story,
}

impl Sweep {
    /// A sweep that has read nothing.
    pub fn new(limits: Limits) -> Self {
        let windows = Windows { paging: limits.paging, page_rows: limits.page_rows_max.max(2) };
        Sweep {
            limits,
            windows,
            slots: vec![Slot::new(windows.first())],
            rounds: 0,
            has_restarted: false,
            has_rechecked: false,
            has_doubted_cap: false,
            end_seen_at: None,
            looks_behind: 0,
            fingerprint: None,
            reading: None,
            readings: 0,
            failed: None,
            found: None,
            story: Story { paging_proven: limits.paging_proven, ..Story::default() },
        }
    }

    /// How far it has come; what a failed list has cost.
    pub fn story(&self) -> Story {
        self.story
    }

    /// How many more pages there are at least that nobody was asked for yet, as far as the counts tell
    /// that were read. Pages that are read again are not in it.
    pub fn pages_left(&self) -> u64 {
        let planned = self.slots.iter().filter(|slot| !slot.is_asked).count() as u64;
        let totals = self.slots.iter().filter_map(|slot| Some(slot.rows.as_ref()?.total));
        let end = self.slots.last().map_or(0, |last| last.window.end());
        let beyond = totals.max().unwrap_or(0).saturating_sub(end);
        planned + beyond.div_ceil(self.windows.step())
    }

    /// What to do now, with room for at most `room` more windows in flight.
    pub fn next(&mut self, room: usize) -> Next {
        loop {
            if let Some(found) = self.found.take() {
                return Next::Done(self.just(found));
            }
            if let Some(failure) = self.failed {
                return Next::Failed(failure);
            }
            let mut windows = Vec::new();
            for slot in self.slots.iter_mut().filter(|slot| !slot.is_asked).take(room) {
                slot.is_asked = true;
                windows.push(slot.window);
            }
            if !windows.is_empty() || self.slots.iter().any(|slot| slot.rows.is_none()) {
                return Next::Read(windows);
            }
            if let Some(list) = self.judge() {
                return Next::Done(list);
            }
        }
    }

    /// Takes what a window gave. Windows nobody waits for any more are ignored.
    pub fn put(&mut self, window: Window, mut rows: Rows) {
        self.story.pages += 1;
        if rows.total > self.limits.rows_max {
            self.failed = Some(Failure::TooLarge { rows_max: self.limits.rows_max });
            return;
        }
        let waits = |slot: &Slot| slot.window == window && slot.is_asked && slot.rows.is_none();
        let Some(index) = self.slots.iter().position(waits) else { return };
        rows.merge_repeats();
        if self.limits.stop_at_first && rows.shown(&(0..rows.keys.len())) == 1 {
            self.found = Some(rows);
            return;
        }
        let beyond = rows.truncate(rows.keys.len().min(window.limit as usize));
        let reach = self.windows.reach();
        let mut neighbours = (index.saturating_sub(reach)..=index + reach).chain([0]);
        if neighbours.any(|other| self.repeats(window, &rows, other)) {
            self.failed = Some(Failure::PagingBroken);
        }
        self.slots[index].beyond = beyond;
        self.slots[index].read_at = self.story.pages;
        self.slots[index].rows = Some(rows);
    }

    /// Whether a page begins with the very rows of another that stands far from it: the upstream
    /// ignores offsets or page numbers, or repeats a page for ever.
    fn repeats(&self, window: Window, rows: &Rows, other: usize) -> bool {
        let Some(other) = self.slots.get(other) else { return false };
        let Some(seen) = &other.rows else { return false };
        // What an upstream that looks at the limit alone would show in both.
        let limit = window.limit.min(other.window.limit) as usize;
        let head = |rows: &Rows| rows.keys.len().min(limit);
        self.windows.are_apart(window, other.window)
            && rows.keys.len() >= 2
            && seen.total == rows.total
            && seen.keys[..head(seen)] == rows.keys[..head(rows)]
    }

    /// All windows are read: a list, or another step towards one.
    fn judge(&mut self) -> Option<List> {
        if self.fits_a_lower_cap() || self.grows_to_total() {
            return None;
        }
        if !self.overflow_is_honest() {
            self.failed = Some(Failure::PageOverflow);
            return None;
        }
        let chain = match chain(&self.slots) {
            Ok(chain) => chain,
            Err(broken) => {
                self.repair(&broken);
                return None;
            }
        };
        if !self.slots[chain.last].is_short() {
            self.grow(self.slots[chain.last].window.end());
            return None;
        }
        self.accept(chain)
    }

    /// The first page is short of its total: the upstream may allow fewer rows per page than asked.
    fn fits_a_lower_cap(&mut self) -> bool {
        let [first] = self.slots.as_slice() else { return false };
        let (Some(rows), true) = (&first.rows, first.window == self.windows.first()) else {
            return false;
        };
        let seen = rows.keys.len() as u32;
        if seen < 2 || seen >= first.window.limit || u64::from(seen) >= rows.total {
            return false;
        }
        if std::mem::replace(&mut self.has_doubted_cap, true) {
            self.windows.page_rows = seen;
            self.slots[0].window.limit = seen;
        } else {
            // A slip would make every later page as small: asked once more before it is believed.
            self.slots[0] = Slot::new(self.windows.first());
        }
        true
    }

    /// Adds the windows up to the total the first page told; one at a time until offsets are proven.
    fn grows_to_total(&mut self) -> bool {
        let total = self.slots.iter().filter_map(|slot| Some(slot.rows.as_ref()?.total)).max();
        let (Some(total), Some(last)) = (total, self.slots.last()) else { return false };
        let mut end = last.window.end();
        if total <= end || self.slots[0].keys().is_empty() {
            return false;
        }
        if self.slots.len() > 1 && !self.story.paging_proven {
            // The second page was read alone; it must join before more are asked for.
            match chain(&self.slots) {
                Ok(_) => self.story.paging_proven = true,
                Err(_) => return false,
            }
        }
        while let Some(window) = self.grow(end) {
            end = window.end();
            if !self.story.paging_proven || end >= total {
                break;
            }
        }
        true
    }

    /// Adds the window that follows the last one, which ends before row `end`.
    fn grow(&mut self, end: u64) -> Option<Window> {
        let window = self.windows.after(end, &|window| self.is_slot(window));
        let rows_max = self.limits.rows_max;
        if window.is_none_or(|window| window.offset >= rows_max) {
            // Without a window the pages are too small to reach beyond this row.
            let rows_max = if window.is_none() { end } else { rows_max };
            self.failed = Some(Failure::TooLarge { rows_max });
        }
        self.slots.extend(window.map(Slot::new));
        window
    }

    fn is_slot(&self, window: Window) -> bool {
        self.slots.iter().any(|slot| slot.window == window)
    }

    /// Rows beyond a window's limit must be the rows the next window shows at their place.
    fn overflow_is_honest(&self) -> bool {
        let is_honest = |pair: &[Slot]| self.windows.overflow_is_honest(&pair[0], &pair[1]);
        self.slots.windows(2).all(is_honest)
    }

    /// Reads an empty page again, a bridge over each broken seam, then the whole list once, then
    /// gives up.
    fn repair(&mut self, broken: &[usize]) {
        if self.rounds == 0 {
            self.note_fingerprint();
        }
        if self.failed.is_some() {
            return;
        }
        if self.rounds == ROUNDS_MAX {
            return self.restart_once(Failure::Unstable);
        }
        // From the back, so that positions in front stay right.
        for left in broken.iter().rev() {
            self.story.seams_repaired += 1;
            let is_empty = |slot: &usize| self.slots[*slot].keys().is_empty();
            match [*left, left + 1].into_iter().find(is_empty) {
                // Most likely a slip: the same window again, before anything else is tried.
                Some(empty) if self.rounds == 0 => {
                    self.slots[empty] = Slot::new(self.slots[empty].window);
                }
                _ => {
                    let (one, other) = (&self.slots[*left], &self.slots[left + 1]);
                    let Some(bridge) = self.windows.over_seam(one, other, self.rounds) else {
                        return self.restart_once(Failure::Unstable);
                    };
                    self.slots.insert(left + 1, Slot::new(bridge));
                }
            }
        }
        self.rounds += 1;
    }

    /// Remembers what the pages were. Where a second attempt shows the very same pages, nothing is
    /// moving: the upstream contradicts itself, and waiting will not help.
    fn note_fingerprint(&mut self) {
        let mut hasher = DefaultHasher::new();
        for slot in &self.slots {
            slot.keys().hash(&mut hasher);
        }
        let now = hasher.finish();
        if self.fingerprint.replace(now) == Some(now) {
            self.failed = Some(self.contradiction());
        }
    }

    /// What pages that hold still get wrong.
    fn contradiction(&self) -> Failure {
        // The last page is short by nature.
        let before_last = self.slots.split_last().map_or(&[][..], |(_, before)| before);
        if self.slots.iter().any(|slot| !all_different(slot.keys().iter().copied())) {
            Failure::IdCollision
        } else if before_last.iter().any(Slot::is_short) {
            Failure::TotalMismatch
        } else {
            Failure::PagingBroken
        }
    }

    fn restart_once(&mut self, failure: Failure) {
        if self.failed.is_some() {
            return;
        }
        if self.has_restarted {
            self.failed = Some(failure);
            return;
        }
        self.has_restarted = true;
        self.restart();
    }

    fn restart(&mut self) {
        self.story.restarts += 1;
        self.rounds = 0;
        self.has_rechecked = false;
        self.end_seen_at = None;
        self.looks_behind = 0;
        self.slots = vec![Slot::new(self.windows.first())];
    }

    /// The pages join from offset 0 to a page that was not full. Checks that no row stands in it
    /// twice, the count, and the order.
    fn accept(&mut self, chain: Chain) -> Option<List> {
        let keys: Vec<u64> = chain
            .parts
            .iter()
            .flat_map(|(slot, rows)| self.slots[*slot].keys()[rows.clone()].iter().copied())
            .collect();
        if keys.len() as u64 > self.limits.rows_max {
            self.failed = Some(Failure::TooLarge { rows_max: self.limits.rows_max });
            return None;
        }
        let is_sorted = is_strictly_sorted(&keys);
        if !is_sorted && !all_different(keys.iter().copied()) {
            self.note_fingerprint();
            self.restart_once(Failure::Unstable);
            return None;
        }
        if !self.count_is_right(keys.len() as u64, &chain) {
            return None;
        }
        let must_repeat = match self.limits.double_read {
            DoubleRead::Auto => !is_sorted || keys.len() < ORDER_ROWS_MIN,
            DoubleRead::Always => true,
            DoubleRead::Never => false,
        };
        if self.slots.len() > 1 && must_repeat && !self.reading_is_confirmed(&keys) {
            return None;
        }
        let ids = chain.parts.iter().flat_map(|(slot, rows)| {
            self.slots[*slot].rows.iter().flat_map(|all| all.ids[rows.clone()].iter().copied())
        });
        let ids: Vec<u64> = ids.collect();
        if ids != keys && !all_different(ids.into_iter()) {
            self.failed = Some(Failure::IdCollision);
            return None;
        }
        Some(self.assemble(chain))
    }

    /// Whether the count agrees, or was wrong twice while the pages themselves are beyond doubt.
    fn count_is_right(&mut self, rows: u64, chain: &Chain) -> bool {
        let totals = || self.slots.iter().filter_map(|slot| Some(slot.rows.as_ref()?.total));
        let (least, most) = (totals().min().unwrap_or(0), totals().max().unwrap_or(0));
        if least == rows && most == rows {
            return true;
        }
        if rows > 0 && rows < most && self.end_seen_at != Some(rows) {
            self.look_behind_the_end(rows, chain);
            return false;
        }
        // Totals that differ tell of a list that changed; the joints have proven the rest.
        if least != most {
            return true;
        }
        if !self.has_rechecked {
            self.has_rechecked = true;
            for index in [0, chain.last] {
                self.slots[index] = Slot::new(self.slots[index].window);
            }
            return false;
        }
        if rows == 0 {
            self.failed = Some(Failure::TotalMismatch);
            return false;
        }
        self.story.total_mismatch = true;
        true
    }

    /// Fewer rows than counted: the last page may be short because it was cut, not because the list
    /// ends. What lies behind its last row tells: nothing, or rows to be joined like any others.
    fn look_behind_the_end(&mut self, rows: u64, chain: &Chain) {
        if self.looks_behind == LOOKS_BEHIND_MAX {
            return self.restart_once(Failure::Unstable);
        }
        self.looks_behind += 1;
        self.end_seen_at = Some(rows);
        let last = &self.slots[chain.last];
        let end = last.window.offset + last.keys().len() as u64;
        match self.windows.behind(end, &|window| self.is_slot(window)) {
            Some(window) => self.slots.insert(chain.last + 1, Slot::new(window)),
            None => self.restart_once(Failure::Unstable),
        }
    }

    fn reading_is_confirmed(&mut self, keys: &[u64]) -> bool {
        let mut hasher = DefaultHasher::new();
        keys.hash(&mut hasher);
        let now = hasher.finish();
        self.readings += 1;
        if self.reading.replace(now) == Some(now) {
            return true;
        }
        if self.readings > READINGS_MAX {
            self.failed = Some(Failure::Unstable);
        } else {
            // Another reading of a list that holds still looks the same; that is no contradiction.
            self.fingerprint = None;
            self.restart();
        }
        false
    }

    fn assemble(&mut self, chain: Chain) -> List {
        let mut list = List { story: self.story, ..List::default() };
        list.story.paging_proven |= chain.parts.len() > 1;
        for (slot, rows) in chain.parts {
            let Some(page) = self.slots[slot].rows.take() else { continue };
            list.story.notes.add(&page.notes_of(&rows));
            list.rows += page.shown(&rows);
            list.items.extend(page.items_of(&rows));
            let bytes = page.bytes_of(&rows);
            if !bytes.is_empty() {
                list.parts.push((page.bytes, bytes));
            }
        }
        list
    }

    fn just(&self, page: Rows) -> List {
        let rows = 0..page.keys.len();
        let mut list = List { story: self.story, ..List::default() };
        list.story.notes = page.notes_of(&rows);
        list.rows = page.shown(&rows);
        list.items = page.items_of(&rows).collect();
        let bytes = page.bytes_of(&rows);
        list.parts.push((page.bytes, bytes));
        list
    }
}
