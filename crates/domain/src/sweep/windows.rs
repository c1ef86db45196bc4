//! Which windows to read: the next one, one behind the end, one over a broken seam.
//!
//! Two windows are of use to each other only if both hold the rows on either side of the place where
//! they meet. Where a list is paged by offset, the next window simply begins a row early. A page
//! number allows only windows whose offset is a multiple of their limit, and two of one limit never
//! overlap; so a window of *another* limit, a bridge, is laid over the row where two pages meet.
//!
//! **Never:** a window that the upstream's paging cannot express. Row `r` and the row before it
//! stand on one page of `m` rows only if `m` does not divide `r`, so pages of very few rows cannot
//! be joined everywhere: pages of 4 not at row 12, pages of 7 not at row 420, pages of 23 not at row
//! 5,354,228,880. There the answer is "no such window".

use super::{Paging, Slot, Window};

/// Rows of the bridge that is planned between two pages. About half of them are how far rows may
/// shift between two reads without a repair.
const BRIDGE_ROWS_MAX: u32 = 200;

/// The windows that an upstream's paging allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) paging: Paging,
    /// Rows the upstream gives at most.
    pub(super) page_rows: u32,
}

impl Windows {
    /// The window every list begins with.
    pub(super) fn first(self) -> Window {
        Window { offset: 0, limit: self.page_rows }
    }

    /// The window to follow one that ends before row `end`: it holds `end` and the row before.
    pub(super) fn after(self, end: u64, is_read: &dyn Fn(Window) -> bool) -> Option<Window> {
        let limit = self.page_rows;
        match self.paging {
            Paging::Offset => Some(Window { offset: end.saturating_sub(1), limit }),
            Paging::Numbered => {
                let into = end % u64::from(limit);
                let page = Window { offset: end - into, limit };
                if into > 0 && !is_read(page) {
                    return Some(page);
                }
                // Either a page ends here; or the page was read and came short, and would again.
                fresh_around(end, limit.min(BRIDGE_ROWS_MAX), is_read)
            }
        }
    }

    /// The most rows by which a window goes farther than the one before it.
    pub(super) fn step(self) -> u64 {
        match self.paging {
            Paging::Offset => u64::from(self.page_rows).saturating_sub(1).max(1),
            Paging::Numbered => u64::from(self.page_rows).max(1),
        }
    }

    /// A window that shows whether there are rows from `end` on.
    pub(super) fn behind(self, end: u64, is_read: &dyn Fn(Window) -> bool) -> Option<Window> {
        let limit = self.page_rows;
        match self.paging {
            Paging::Offset => Some(Window { offset: end, limit }),
            Paging::Numbered => fresh_around(end, limit.min(BRIDGE_ROWS_MAX), is_read),
        }
    }

    /// A window over the seam between two pages, in the given round of repairs.
    pub(super) fn over_seam(self, left: &Slot, right: &Slot, round: u32) -> Option<Window> {
        let rows = u64::from(self.page_rows);
        let left_end = left.window.offset + left.keys().len() as u64;
        let right_start = right.window.offset;
        match self.paging {
            // In its middle first, then leaning to each side.
            Paging::Offset => {
                let offset = match round {
                    0 => left_end.min(right_start + 1).saturating_sub(rows / 2),
                    1 => right_start.saturating_sub(rows * 3 / 4),
                    _ => left_end.saturating_sub(rows / 4),
                };
                Some(Window { offset, limit: self.page_rows })
            }
            // Rows have shifted farther than the bridge reached, so each round reaches farther: over
            // the edge of the page that was read last, because its offsets are the truest.
            Paging::Numbered => {
                let edge = if right.read_at > left.read_at { right_start } else { left_end };
                let limit_max = match round {
                    0 => BRIDGE_ROWS_MAX.max(self.page_rows / 4),
                    1 => BRIDGE_ROWS_MAX.max(self.page_rows / 2),
                    _ => self.page_rows,
                };
                around(edge, limit_max.min(self.page_rows), &|_| false)
            }
        }
    }

    /// How many slots away a page of the same limit stands.
    pub(super) fn reach(self) -> usize {
        match self.paging {
            Paging::Offset => 1,
            Paging::Numbered => 2,
        }
    }

    /// Whether two windows are so far apart that the first rows of one cannot be the first of the
    /// other, however the list has shifted meanwhile.
    pub(super) fn are_apart(self, one: Window, other: Window) -> bool {
        let least = (one.limit.min(other.limit) - 1).max(self.page_rows / 2);
        one.offset.abs_diff(other.offset) >= u64::from(least)
    }

    /// Whether rows beyond the limit of `left` are what `right` shows at their place.
    pub(super) fn overflow_is_honest(self, left: &Slot, right: &Slot) -> bool {
        let (end, start) = (left.window.end(), right.window.offset);
        let agrees = |from: u64| {
            let next = right.keys().iter().skip(usize::try_from(from).unwrap_or(usize::MAX));
            left.beyond.iter().zip(next).all(|(beyond, next)| beyond == next)
        };
        match self.paging {
            Paging::Offset => start + 1 != end || agrees(1),
            // An upstream that takes the limit for something else numbers its pages differently,
            // too: without a row that proves otherwise, nothing it sends stands where it should.
            Paging::Numbered => {
                let shown = start + right.keys().len() as u64;
                left.beyond.is_empty() || (start <= end && end < shown && agrees(end - start))
            }
        }
    }
}

/// As `around`; a window that was not read yet, if there is one.
fn fresh_around(row: u64, limit_max: u32, is_read: &dyn Fn(Window) -> bool) -> Option<Window> {
    around(row, limit_max, is_read).or_else(|| around(row, limit_max, &|_| false))
}

/// Of the pages of 2 to `limit_max` rows, the one that reaches farthest to both sides of `row`.
fn around(row: u64, limit_max: u32, is_excluded: &dyn Fn(Window) -> bool) -> Option<Window> {
    let (mut best, mut best_room) = (None, 0);
    for limit in 2..=limit_max {
        let before = row % u64::from(limit);
        let room = before.min(u64::from(limit) - before);
        let window = Window { offset: row - before, limit };
        if room > best_room && !is_excluded(window) {
            (best, best_room) = (Some(window), room);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sweep::Rows;

    fn numbered(page_rows: u32) -> Windows {
        Windows { paging: Paging::Numbered, page_rows }
    }

    fn slot(window: Window, rows: u32, read_at: u64) -> Slot {
        let mut slot = Slot::new(window);
        let keys = (0..u64::from(rows)).map(|row| window.offset + row).collect();
        slot.rows = Some(Rows { keys, ..Rows::default() }.into());
        slot.read_at = read_at;
        slot
    }

    fn room(window: Window, row: u64) -> u64 {
        (row - window.offset).min(window.end() - row)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_window_around_a_row_holds_it_and_the_row_before(
            row in 1..10_000_000_u64,
            limit_max in 2..6000_u32,
        ) {
            let possible = (2..=limit_max).any(|limit| row % u64::from(limit) != 0);
            let window = around(row, limit_max, &|_| false);
            prop_assert_eq!(window.is_some(), possible);
            // lcm(1..=20) is 232,792,560.
            prop_assert!(possible || limit_max < 20);
            if let Some(window) = window {
                prop_assert_eq!(window.offset % u64::from(window.limit), 0);
                prop_assert!(window.limit <= limit_max);
                prop_assert!(window.offset < row && row < window.end());
            }
        }

        #[test]
        fn the_bridge_between_two_pages_reaches_far_to_both_sides(
            page in 1..2000_u64,
            page_rows in 100..=5000_u32,
        ) {
            let end = page * u64::from(page_rows);
            let bridge = numbered(page_rows).after(end, &|_| false).unwrap();
            prop_assert!(bridge.limit <= BRIDGE_ROWS_MAX && bridge.limit < page_rows);
            prop_assert!(room(bridge, end) >= 25, "{:?} over {}", bridge, end);
            // Then comes the page that begins there.
            let next = numbered(page_rows).after(bridge.end(), &|_| false);
            prop_assert_eq!(next, Some(Window { offset: end, limit: page_rows }));
        }

        #[test]
        fn every_numbered_window_is_a_page(
            end in 1..100_000_u64,
            page_rows in 13..6000_u32,
            page in 0..20_u64,
            rows in 0..6000_u32,
            round in 0..3_u32,
            left_is_later: bool,
        ) {
            let windows = numbered(page_rows);
            let left = Window { offset: page * u64::from(page_rows), limit: page_rows };
            let right = windows.after(left.end(), &|_| false).unwrap();
            let found = [
                windows.after(end, &|_| false),
                windows.after(end, &|window| window.limit == page_rows),
                windows.behind(end, &|_| false),
                windows.over_seam(
                    &slot(left, rows.min(page_rows), u64::from(left_is_later)),
                    &slot(right, right.limit, 0),
                    round,
                ),
            ];
            for window in found.into_iter().flatten() {
                prop_assert_eq!(window.offset % u64::from(window.limit), 0);
                prop_assert!((2..=page_rows).contains(&window.limit));
            }
        }
    }

    #[test]
    fn pages_of_few_rows_cannot_be_joined_everywhere() {
        assert_eq!(around(12, 4, &|_| false), None);
        assert_eq!(around(12, 5, &|_| false), Some(Window { offset: 10, limit: 5 }));
        assert_eq!(around(0, 5000, &|_| false), None);
    }

    #[test]
    fn each_round_of_repairs_reaches_farther() {
        let windows = numbered(5000);
        let left = slot(Window { offset: 0, limit: 5000 }, 5000, 0);
        let bridge = windows.after(5000, &|_| false).unwrap();
        let right = slot(bridge, bridge.limit, 1);
        let mut before = room(bridge, 5000);
        for round in 0..3 {
            let wider = windows.over_seam(&left, &right, round).unwrap();
            let now = room(wider, bridge.offset);
            assert!(now > before * 3 / 2, "{wider:?}");
            before = now;
        }
    }

    #[test]
    fn a_window_is_read_again_only_where_there_is_no_other() {
        let windows = numbered(100);
        let page = Window { offset: 100, limit: 100 };
        assert_eq!(windows.after(150, &|_| false), Some(page));
        let other = windows.after(150, &|window| window == page).unwrap();
        assert!(other != page && other.offset < 150 && 150 < other.end());
        assert!(windows.behind(150, &|_| true).is_some());
    }
}
