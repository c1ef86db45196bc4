//! Doubts of a list that has fewer rows than its upstream counts: where rows may be missing, and which
//! other windows would show them. An upstream may lose a row of one page time and again, show a row twice
//! in place of another, or sort rows with the same sort key differently from page to page.
//!
//! **Never:** a window that was read already, in place of one that is doubted.

use std::ops::Range;

use super::join::Chain;
use super::{Paging, Slot, Window, Windows};

/// The stretches of slots that may lack rows of a list of `total` rows, in order: slots with fewer rows than
/// stand there, and those that put the row that joins them in another place than their neighbour.
pub(super) fn doubtful(slots: &[Slot], chain: &Chain, total: u64) -> Vec<Range<usize>> {
    let contradictions = contradictions(slots, chain, total);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (slot, _) in &chain.parts {
        if shortage(&slots[*slot], total) == 0 && !contradictions.contains(slot) {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.end == *slot => last.end += 1,
            _ => found.push(*slot..slot + 1),
        }
    }
    found
}

/// Whether some window contradicts another. A row that no window shows contradicts nothing.
pub(super) fn contradicts_itself(slots: &[Slot], chain: &Chain, total: u64) -> bool {
    !contradictions(slots, chain, total).is_empty()
}

fn contradictions(slots: &[Slot], chain: &Chain, total: u64) -> Vec<usize> {
    let mut found = Vec::new();
    for pair in chain.parts.windows(2) {
        let [(left, end), (right, start)] = [&pair[0], &pair[1]];
        // The row that joins the two: the last of the left part, and the one before the right part.
        let [one, other] = [(*left, end.end), (*right, start.start)].map(|(slot, behind)| {
            let least = slots[slot].window.offset + behind.saturating_sub(1) as u64;
            // It stands farther behind by as many rows as are missing before it.
            least..=least + shortage(&slots[slot], total)
        });
        if one.end() < other.start() || other.end() < one.start() {
            found.extend([*left, *right]);
        }
    }
    found
}

/// The rows that a window should have had and did not.
fn shortage(slot: &Slot, total: u64) -> u64 {
    let due = u64::from(slot.window.limit).min(total.saturating_sub(slot.window.offset));
    due.saturating_sub(slot.keys().len() as u64)
}

impl Windows {
    /// Other windows that hold all the rows of some neighbouring slots and join to what stands around them:
    /// shorter ones, which begin elsewhere. None where pages of so few rows cannot be asked for.
    pub(super) fn across(
        self,
        doubted: &[Slot],
        total: u64,
        is_read: &dyn Fn(Window) -> bool,
    ) -> Vec<Window> {
        let windows = || doubted.iter().map(|slot| slot.window);
        let limit = windows().map(|window| window.limit).max().unwrap_or(0);
        let begin = windows().map(|window| window.offset).min().unwrap_or(0);
        let end = windows().map(Window::end).max().unwrap_or(0).min(total);
        let page_rows = (limit - limit * 2 / 5).max(self.paging.page_rows_min());
        if page_rows >= limit {
            return Vec::new();
        }
        let shorter = Windows { page_rows, ..self };
        // The one row that neighbours usually share may be the one that is hidden.
        let shared = u64::from((page_rows / 8).clamp(1, 10));
        let page_at = |offset: u64| Some(Window { offset, limit: page_rows });
        let mut window = match (self.paging, begin) {
            (_, 0) => Some(shorter.first()),
            (Paging::Offset, _) => page_at(begin.saturating_sub(u64::from(page_rows / 2))),
            (Paging::Numbered, _) => shorter.after(begin, is_read),
        };
        let mut found: Vec<Window> = Vec::new();
        while let Some(next) = window {
            found.push(next);
            if next.end() >= end {
                return found;
            }
            let is_taken = |other| is_read(other) || found.contains(&other);
            window = match self.paging {
                Paging::Offset => page_at(next.end() - shared),
                Paging::Numbered => shorter.after(next.end(), &is_taken),
            };
        }
        // Pages of so few rows cannot be joined here.
        Vec::new()
    }
}
