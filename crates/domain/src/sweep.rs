//! A sweep: one paged list read whole while it changes, or an error.
//!
//! Pure bookkeeping. The driver asks [`Sweep::next`] which windows to read, reads them in any order
//! and hands back their rows with [`Sweep::put`], until the sweep is done or has failed.
//!
//! **Why no row gets lost.** Windows overlap (`windows.rs`). Two neighbouring pages are joined only
//! at a row that both hold (`join.rs`). While rows keep their relative order, every row that lived
//! throughout lies between two joints, and so in the page between them; nothing lies there twice.
//! The list starts at offset 0 and ends with a page that was not full. A list sorted by id keeps its
//! order by nature. Rows in any other order may move, so such a list is accepted only when two whole
//! readings in a row show the same rows in the same order.
//!
//! **Why no row stays hidden.** Where the upstream counts more rows than it showed, and goes on doing so, the
//! pages that may lack one are read through other windows (`doubt.rs`). What those show is joined. Only a row
//! that every window hides is taken for one that is not to be seen.
//!
//! **Never:** a list with a hole, a row twice, or an end that was not seen.

mod doubt;
mod expect;
mod handed;
mod join;
mod outcome;
mod reading;
mod rows;
mod shared;
mod unchanged;
mod windows;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use join::{Chain, chain};
pub use outcome::{DoubleRead, Failure, Limits, List, Next, Paging, Part, Story};
use reading::{Reading, Slot};
pub use rows::{Rows, Shown, Window};
use rows::{all_different, is_strictly_sorted};
use windows::Windows;

const ROUNDS_MAX: u32 = 3;
const READINGS_MAX: u32 = 3;
const LOOKS_BEHIND_MAX: u32 = 8;
/// How often a doubted page is read through other windows, each time through shorter ones.
const DOUBTS_MAX: u32 = 2;
/// Fewer rows may be sorted by chance; they do not show how the upstream sorts.
const ORDER_ROWS_MIN: u64 = 8;

/// What is known of an upstream that may give fewer rows per page than it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cap {
    /// No page was short yet.
    Unknown,
    /// The first page was short once.
    Doubted,
    /// It was as short twice: so many rows are asked for now.
    Lower,
    /// Fewer rows came than even then were asked for, so there is none.
    None,
}

/// The reading of one list; see the module.
#[derive(Debug)]
pub struct Sweep {
    limits: Limits,
    windows: Windows,
    /// Ends with a restart; all else here survives it.
    reading: Reading,
    has_restarted: bool,
    /// Whether the upstream gives fewer rows per page than it is asked for.
    cap: Cap,
    /// Hash of the first pages of the reading before the restart.
    fingerprint: Option<u64>,
    /// Whole readings, where two must agree, and the hash of the last.
    whole_readings: u32,
    last_whole: Option<u64>,
    /// What the reading before the restart showed, if it was in doubt.
    shown: Vec<u64>,
    failed: Option<Failure>,
    found: Option<Arc<Rows>>,
    /// Where rows are handed out while the list is read.
    handed: Option<handed::Handed>,
    /// Whether pages were asked for before the first one told how many there are.
    is_expecting: bool,
    /// Whether unchanged pages gave a list that was in doubt, so that every page has to be read.
    distrusts_unchanged: bool,
    story: Story,
}

impl Sweep {
    /// A sweep that has read nothing.
    pub fn new(limits: Limits) -> Self {
        let windows = Windows { paging: limits.paging, page_rows: limits.page_rows_max.max(2) };
        Sweep {
            limits,
            windows,
            reading: Reading::new(windows.first()),
            has_restarted: false,
            cap: Cap::Unknown,
            fingerprint: None,
            whole_readings: 0,
            last_whole: None,
            shown: Vec::new(),
            failed: None,
            found: None,
            handed: None,
            is_expecting: false,
            distrusts_unchanged: false,
            story: Story { paging_proven: limits.paging_proven, ..Story::default() },
        }
    }

    /// The story so far, which also tells the cost of a list that failed.
    pub fn story(&self) -> Story {
        self.story
    }

    /// What to do now, with room for at most `room` more windows in flight.
    pub fn next(&mut self, room: usize) -> Next {
        loop {
            if let Some(found) = self.found.take() {
                return Next::Done(self.just(found));
            }
            if let Some(failure) = self.failure() {
                return Next::Failed(failure);
            }
            let windows = if self.waits_for_first() { Vec::new() } else { self.reading.ask(room) };
            if !windows.is_empty() || self.reading.is_incomplete() {
                return Next::Read(windows);
            }
            if let Some(list) = self.judge() {
                return Next::Done(list);
            }
        }
    }

    /// Takes what a window gave. A window that is no longer waited for is ignored.
    pub fn put(&mut self, window: Window, rows: impl Into<Arc<Rows>>) {
        self.story.pages += 1;
        self.place(window, rows.into());
    }

    fn place(&mut self, window: Window, rows: Arc<Rows>) {
        if rows.total > self.limits.rows_max {
            self.failed = Some(Failure::TooLarge { rows_max: self.limits.rows_max });
            return;
        }
        let Some(index) = self.reading.waiting_for(window) else { return };
        let sent = rows.keys.len();
        let mut rows = rows.without_repeats();
        if self.limits.stop_at_first && rows.shown.len() == 1 {
            self.found = Some(rows);
            return;
        }
        let beyond = Rows::cut(&mut rows, window.limit as usize);
        let total = rows.total;
        let slot = &mut self.reading.slots[index];
        slot.beyond = beyond;
        slot.sent = sent;
        slot.read_at = self.story.pages;
        slot.rows = Some(rows);
        if index == 0 && self.is_expecting {
            self.confirm(total);
        }
        // What lies beyond the list's end may be anything.
        if !self.is_expecting && self.reading.repeats(self.windows, index) {
            self.failed = Some(Failure::PagingBroken);
        }
    }

    /// All windows are read: a list, or another step towards one.
    fn judge(&mut self) -> Option<List> {
        if self.fits_a_lower_cap() || self.grows_to_total() {
            return None;
        }
        if !self.reading.overflow_is_honest(self.windows) {
            self.failed = Some(Failure::PageOverflow);
            return None;
        }
        let chain = match chain(&self.reading.slots) {
            Ok(chain) => chain,
            Err(broken) => {
                self.repair(&broken);
                return None;
            }
        };
        if !self.reading.slots[chain.last].is_short() {
            self.grow(self.reading.slots[chain.last].window.end());
            return None;
        }
        self.accept(chain)
    }

    /// The first page is short of its total: the upstream may allow fewer rows per page than asked.
    fn fits_a_lower_cap(&mut self) -> bool {
        let first = &self.reading.slots[0];
        let (Some(rows), true) = (&first.rows, first.window == self.windows.first()) else {
            return false;
        };
        let seen = rows.keys.len() as u32;
        // A page with a row twice is no smaller for it.
        if seen >= first.window.limit || first.sent as u64 >= rows.total {
            return false;
        }
        match self.cap {
            Cap::Unknown | Cap::Doubted if seen < 2 || self.reading.slots.len() > 1 => false,
            // A slip would make every later page as small: asked once more before it is believed.
            Cap::Unknown => {
                self.cap = Cap::Doubted;
                self.reading.shown.extend(&rows.keys);
                self.reading.slots[0] = Slot::new(self.windows.first());
                true
            }
            Cap::Doubted => {
                self.cap = Cap::Lower;
                self.reading.shown.extend(&rows.keys);
                self.windows.page_rows = seen;
                self.reading.slots[0].window.limit = seen;
                true
            }
            // So many rows were asked for now, and fewer came: the page is short for another reason.
            Cap::Lower => {
                self.cap = Cap::None;
                self.windows.page_rows = self.limits.page_rows_max.max(2);
                (self.has_restarted, self.fingerprint) = (false, None);
                self.restart();
                true
            }
            Cap::None => false,
        }
    }

    /// Adds the windows up to the total of the first page, one at a time until offsets are proven.
    fn grows_to_total(&mut self) -> bool {
        let (Some(total), Some(last)) = (self.reading.totals().max(), self.reading.slots.last())
        else {
            return false;
        };
        let mut end = last.window.end();
        if total <= end || self.reading.slots[0].keys().is_empty() {
            return false;
        }
        if self.reading.slots.len() > 1 && !self.story.paging_proven {
            // The second page was read alone; it must join before more are asked for.
            match chain(&self.reading.slots) {
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
        let window = self.windows.after(end, &|window| self.reading.has(window));
        let rows_max = self.limits.rows_max;
        if window.is_none_or(|window| window.offset >= rows_max) {
            // Without a window, pages are too small to reach beyond this row.
            let rows_max = if window.is_none() { end } else { rows_max };
            self.failed = Some(Failure::TooLarge { rows_max });
        }
        self.reading.slots.extend(window.map(Slot::new));
        window
    }

    /// Reads an empty page again, a bridge over each broken seam, then the whole list once, then
    /// gives up.
    fn repair(&mut self, broken: &[usize]) {
        if self.reading.rounds == 0 {
            self.note_fingerprint();
        }
        if self.failed.is_some() {
            return;
        }
        if self.reading.rounds == ROUNDS_MAX {
            return self.restart_once(Failure::Unstable);
        }
        // From the back, so that positions in front stay right.
        for left in broken.iter().rev() {
            self.story.seams_repaired += 1;
            let is_empty = |slot: &usize| self.reading.slots[*slot].keys().is_empty();
            match [*left, left + 1].into_iter().find(is_empty) {
                // Most likely a slip: the same window again, before anything else is tried.
                Some(empty) if self.reading.rounds == 0 => {
                    self.reading.slots[empty] = Slot::new(self.reading.slots[empty].window);
                }
                _ => {
                    let (one, other) = (&self.reading.slots[*left], &self.reading.slots[left + 1]);
                    let Some(bridge) = self.windows.over_seam(one, other, self.reading.rounds)
                    else {
                        return self.restart_once(Failure::Unstable);
                    };
                    self.reading.slots.insert(left + 1, Slot::new(bridge));
                }
            }
        }
        self.reading.rounds += 1;
    }

    /// Remembers what the pages were. Where a second attempt shows the very same pages, nothing is
    /// moving: the upstream contradicts itself, and waiting will not help.
    fn note_fingerprint(&mut self) {
        let now = self.reading.fingerprint();
        if self.fingerprint.replace(now) == Some(now) {
            self.failed = Some(self.reading.contradiction());
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
        if self.has_handed_out() {
            self.failed = Some(Failure::Unstable);
            return;
        }
        self.story.restarts += 1;
        // The next reading counts anew.
        (self.story.total_mismatch, self.story.hidden_rows) = (false, 0);
        if self.reading.doubts > 0 {
            self.shown.extend(self.reading.all_shown());
        }
        self.reading = Reading::new(self.windows.first());
    }

    /// The pages join from offset 0 to a page that was not full. Checks that no row stands in it
    /// twice, the count, and the order.
    fn accept(&mut self, chain: Chain) -> Option<List> {
        let rows = chain.rows();
        if rows > self.limits.rows_max {
            self.failed = Some(Failure::TooLarge { rows_max: self.limits.rows_max });
            return None;
        }
        let is_sorted = is_strictly_sorted(|| self.reading.keys(&chain));
        if !is_sorted && !all_different(self.reading.keys(&chain), rows) {
            self.note_fingerprint();
            self.restart_once(Failure::Unstable);
            return None;
        }
        if !self.count_is_right(rows, &chain) {
            return None;
        }
        if self.lacks_a_shown_row(&chain) {
            self.restart_once(Failure::Unstable);
            return None;
        }
        let must_repeat = match self.limits.double_read {
            DoubleRead::Auto => !is_sorted || rows < ORDER_ROWS_MIN,
            DoubleRead::Always => true,
            DoubleRead::Never => false,
        };
        if self.reading.slots.len() > 1 && must_repeat && !self.reading_is_confirmed(&chain) {
            return None;
        }
        let keys = || self.reading.keys(&chain);
        let ids = self.reading.ids(&chain).filter(|ids| !ids.clone().eq(keys()));
        if ids.is_some_and(|ids| !all_different(ids, rows)) {
            self.failed = Some(Failure::IdCollision);
            return None;
        }
        self.assemble(chain)
    }

    /// Whether the count agrees, or was wrong twice while the pages themselves are beyond doubt.
    fn count_is_right(&mut self, rows: u64, chain: &Chain) -> bool {
        let totals = || self.reading.totals();
        let (least, most) = (totals().min().unwrap_or(0), totals().max().unwrap_or(0));
        if least == rows && most == rows {
            return true;
        }
        if rows > 0 && rows < most && self.reading.end_seen_at != Some(rows) {
            self.look_behind_the_end(rows, chain);
            return false;
        }
        // Totals that differ tell of a list that changed; the joints have proven the rest.
        if least != most && least <= rows {
            return true;
        }
        if !self.reading.has_rechecked {
            self.reading.has_rechecked = true;
            let done = self.pages_handed_out();
            for index in [0, chain.last].into_iter().filter(|index| *index >= done) {
                self.reading.slots[index] = Slot::new(self.reading.slots[index].window);
            }
            return false;
        }
        // What was handed out cannot be read through other windows.
        if rows == 0 || (rows < least && self.has_handed_out()) {
            self.failed = Some(Failure::TotalMismatch);
            return false;
        }
        if rows < least {
            if self.read_otherwise(chain, least) {
                return false;
            }
            if doubt::contradicts_itself(&self.reading.slots, chain, least) {
                self.restart_once(Failure::Unstable);
                return false;
            }
        }
        self.story.total_mismatch = true;
        self.story.hidden_rows = least.saturating_sub(rows);
        true
    }

    /// Puts other windows in place of those that may lack rows; false where none is left to try.
    fn read_otherwise(&mut self, chain: &Chain, total: u64) -> bool {
        if self.reading.doubts == DOUBTS_MAX {
            return false;
        }
        self.reading.doubts += 1;
        let mut has_other_windows = false;
        // From the back, so that positions in front stay right.
        for slots in doubt::doubtful(&self.reading.slots, chain, total).into_iter().rev() {
            let doubted = &self.reading.slots[slots.clone()];
            let others = self.windows.across(doubted, total, &|window| self.reading.has(window));
            if others.is_empty() {
                continue;
            }
            has_other_windows = true;
            // What was shown once must be shown by the other windows, too.
            self.reading.shown.extend(doubted.iter().flat_map(Slot::keys));
            self.reading.slots.splice(slots, others.into_iter().map(Slot::new));
        }
        has_other_windows
    }

    /// Whether a row is not among the joined ones although some window showed it: one that stands, one that
    /// was replaced, or, where rows are taken for hidden, one of the reading before.
    fn lacks_a_shown_row(&self, joined: &Chain) -> bool {
        let is_doubted = self.reading.doubts > 0 || !self.reading.shown.is_empty();
        if !is_doubted && self.shown.is_empty() {
            return false;
        }
        let joined: HashSet<u64> = self.reading.keys(joined).collect();
        let before = self.shown.iter().filter(|_| self.story.hidden_rows > 0);
        before.chain(self.reading.all_shown()).any(|row| !joined.contains(row))
    }

    /// There are fewer rows than counted: the last page may be short because it was cut, not because
    /// the list ends. A window behind its last row tells which: it is empty, or its rows are joined
    /// like any others.
    fn look_behind_the_end(&mut self, rows: u64, chain: &Chain) {
        if self.reading.looks_behind == LOOKS_BEHIND_MAX {
            return self.restart_once(Failure::Unstable);
        }
        self.reading.looks_behind += 1;
        self.reading.end_seen_at = Some(rows);
        let last = &self.reading.slots[chain.last];
        let end = last.window.offset + last.keys().len() as u64;
        match self.windows.behind(end, &|window| self.reading.has(window)) {
            Some(window) => self.reading.slots.insert(chain.last + 1, Slot::new(window)),
            None => self.restart_once(Failure::Unstable),
        }
    }

    /// Whether two whole readings in a row show the same rows in the same order.
    fn reading_is_confirmed(&mut self, joined: &Chain) -> bool {
        let mut hasher = DefaultHasher::new();
        self.reading.keys(joined).for_each(|key| key.hash(&mut hasher));
        let now = hasher.finish();
        self.whole_readings += 1;
        if self.last_whole.replace(now) == Some(now) {
            return true;
        }
        if self.whole_readings > READINGS_MAX {
            self.failed = Some(Failure::Unstable);
        } else {
            // Another reading of a list that holds still looks the same; that is no contradiction.
            self.fingerprint = None;
            self.restart();
        }
        false
    }

    fn just(&self, page: Arc<Rows>) -> List {
        let rows = 0..page.keys.len();
        let mut list = List { story: self.story, ..List::default() };
        list.add(page, rows);
        list
    }
}
