//! A list whose rows are handed out while it is read. A page's rows go as soon as the page behind it holds the row
//! that joins the two, and only their keys stay, so that the whole list is judged at its end like any other.
//!
//! **Never:** rows handed out twice or in another order than the judged list has them. A list that would have to be
//! read again after rows were handed out has failed.

use std::cmp::Ordering;
use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

use super::join::{Chain, joint};
use super::outcome::{DoubleRead, Failure, List, Part};
use super::rows::Rows;
use super::{ROUNDS_MAX, Sweep};

/// What was handed out.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// All but the rows themselves, which are gone.
    list: List,
    /// The slots that are done, and the rows of each.
    parts: Vec<(usize, Range<usize>)>,
    /// Where the rows begin that count of the slot behind them.
    start: usize,
    /// Where the last page begins whose seam was read again.
    repaired: Option<u64>,
    /// The last key, and how the keys are sorted.
    last: Option<u64>,
    order: Option<Ordering>,
}

impl Sweep {
    /// The same sweep, whose rows are handed out by [`Self::hand_out`].
    pub fn handing_out(mut self) -> Self {
        self.handed = Some(Handed::default());
        self
    }

    /// How many pages were handed out.
    pub(super) fn pages_handed_out(&self) -> usize {
        self.handed.as_ref().map_or(0, |handed| handed.parts.len())
    }

    /// Whether any page was handed out.
    pub(super) fn has_handed_out(&self) -> bool {
        self.pages_handed_out() > 0
    }

    /// How many pages are held that were not handed out yet.
    pub fn pages_held(&self) -> usize {
        let rest = self.reading.slots.iter().skip(self.pages_handed_out());
        rest.filter(|slot| slot.rows.is_some()).count()
    }

    /// About how many bytes are held: those pages, and the keys of the rows that were handed out.
    pub fn bytes_held(&self) -> usize {
        let rest = self.reading.slots.iter().skip(self.pages_handed_out());
        let keys = self.handed.as_ref().map_or(0, |handed| handed.list.read as usize);
        rest.filter_map(|slot| slot.rows.as_ref()).map(|rows| rows.held()).sum::<usize>()
            + keys * size_of::<u64>()
    }

    /// The rows that are beyond doubt by now, in order. A seam that disagrees is read again at once.
    pub fn hand_out(&mut self) -> Vec<Part> {
        while self.failed.is_none() && self.hand_out_one() {}
        self.handed.as_mut().map(|handed| take(&mut handed.list.parts)).unwrap_or_default()
    }

    /// Hands out the first page that is not done; false if that cannot be done yet.
    fn hand_out_one(&mut self) -> bool {
        let Some(handed) = &mut self.handed else { return false };
        let at = handed.parts.len();
        let Some([left, right]) = self.reading.slots.get(at..at + 2) else { return false };
        if left.rows.is_none() || right.rows.is_none() {
            return false;
        }
        if right.keys().is_empty() && left.is_short() {
            // It may be the end, which is judged when all pages are there.
            return false;
        }
        let Some((end, start)) = joint(left.keys(), handed.start, right.keys()) else {
            // Each page has rounds of its own, and the pages that are read over its seam have those left of it.
            if handed.repaired.is_none_or(|before| before < right.window.offset) {
                handed.repaired = Some(right.window.offset);
                self.reading.rounds = 0;
            }
            if self.reading.rounds == ROUNDS_MAX {
                self.failed = Some(Failure::Unstable);
            } else {
                self.repair(&[at]);
            }
            return false;
        };
        let rows = handed.start..end;
        let may_move = self.limits.double_read != DoubleRead::Never;
        if may_move && !handed.is_in_order(&left.keys()[rows.clone()]) {
            self.failed = Some(Failure::Unstable);
            return false;
        }
        let Some(page) = self.reading.slots[at].rows.take() else { return false };
        let (keys, ids) = (page.keys.clone(), page.ids.clone());
        let rest = Rows { keys, ids, total: page.total, ..Rows::default() };
        handed.list.add(page, rows.clone());
        handed.parts.push((at, rows));
        handed.start = start;
        self.reading.slots[at].rows = Some(Arc::new(rest));
        true
    }

    /// The list that these pages make, or what is left of it if rows were handed out.
    pub(super) fn assemble(&mut self, chain: Chain) -> Option<List> {
        let Handed { mut list, parts: done, .. } = self.handed.take().unwrap_or_default();
        if chain.parts.get(..done.len()) != Some(&done[..]) {
            self.failed = Some(Failure::Unstable);
            return None;
        }
        let notes = list.story.notes;
        list.story = self.story;
        list.story.notes = notes;
        list.story.paging_proven |= chain.parts.len() > 1;
        for (slot, rows) in chain.parts.into_iter().skip(done.len()) {
            if let Some(page) = self.reading.slots[slot].rows.take() {
                list.add(page, rows);
            }
        }
        Some(list)
    }
}

impl Handed {
    /// Whether these keys go on as those before them: rising or falling.
    fn is_in_order(&mut self, keys: &[u64]) -> bool {
        for key in keys {
            if let Some(last) = self.last.replace(*key) {
                let now = key.cmp(&last);
                if now == Ordering::Equal || *self.order.get_or_insert(now) != now {
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Limits, Next, Paging, Window};

    const LIMITS: Limits = Limits {
        paging: Paging::Offset,
        page_rows_max: 10,
        rows_max: 1000,
        double_read: DoubleRead::Auto,
        paging_proven: true,
        stop_at_first: false,
    };

    /// What a list of these ids shows in a window.
    fn page(ids: &[u64], window: Window) -> Rows {
        let mut rows = Rows { total: ids.len() as u64, ..Rows::default() };
        for id in ids.iter().skip(window.offset as usize).take(window.limit as usize) {
            rows.bytes.extend_from_slice(format!(",{id}").as_bytes());
            rows.push(*id, *id);
        }
        rows
    }

    /// Reads a list that is `ids(page)` when so many pages were read. Returns what was handed out, and the end.
    fn read(ids: impl Fn(u64) -> Vec<u64>) -> (String, Result<String, Failure>) {
        let mut sweep = Sweep::new(LIMITS).handing_out();
        let (mut handed, mut read) = (String::new(), 0);
        let text = |parts: Vec<Part>| -> String {
            parts.iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect()
        };
        loop {
            // Where a seam is read again, the page over it comes before any other.
            let room = if sweep.pages_held() > 3 { 1 } else { 3 };
            match sweep.next(room) {
                Next::Read(windows) => {
                    // The last one asked for comes first.
                    for window in windows.into_iter().rev() {
                        sweep.put(window, page(&ids(read), window));
                        read += 1;
                        handed += &text(sweep.hand_out());
                        let held = sweep.pages_held();
                        assert!(held <= 6 + ROUNDS_MAX as usize, "{held} pages held");
                    }
                }
                Next::Done(list) => {
                    let rows = list.rows;
                    let rest = text(list.parts);
                    let shown = handed.matches(',').count() + rest.matches(',').count();
                    assert_eq!(shown as u64, rows);
                    return (handed, Ok(rest));
                }
                Next::Failed(failure) => return (handed, Err(failure)),
            }
        }
    }

    fn text(ids: impl Iterator<Item = u64>) -> String {
        ids.map(|id| format!(",{id}")).collect()
    }

    #[test]
    fn rows_are_handed_out_once_and_in_order_and_the_last_page_comes_with_the_end() {
        for rows in [1, 9, 10, 11, 99, 100, 101, 500] {
            let (handed, rest) = read(|_| (0..rows).collect());
            assert_eq!(handed.clone() + &rest.unwrap(), text(0..rows));
            let last = handed.matches(',').count() as u64;
            assert!(rows - last <= 10, "{last} of {rows} rows were handed out");
        }
    }

    #[test]
    fn a_list_that_loses_rows_meanwhile_is_joined_over_its_seams() {
        // The row that two pages share is gone, and everybody behind it moved up.
        let (handed, rest) = read(|read| (0..300).filter(|id| read < 5 || *id != 50).collect());
        let all = handed + &rest.unwrap();
        for id in (0..300).filter(|id| *id != 50) {
            assert!(all.contains(&format!(",{id},")) || all.ends_with(",299"), "{id}");
        }
        let ids: Vec<u64> = all.split(',').skip(1).map(|id| id.parse().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{all}");
        assert!(ids.len() >= 299, "{} rows", ids.len());
    }

    #[test]
    fn a_list_that_would_be_read_again_has_failed_once_rows_were_handed_out() {
        // In no order: it may be had only by reading it twice.
        let shuffled = |id: u64| id * 37 % 101;
        let (handed, end) = read(|_| (0..101).map(shuffled).collect());
        assert_eq!((handed.as_str(), end), ("", Err(Failure::Unstable)));
        let late = |id: u64| if id < 50 { id } else { 1000 - id * 7 % 101 };
        let (handed, end) = read(|_| (0..101).map(late).collect());
        assert!(handed.starts_with(",0,1,2"), "{handed}");
        assert_eq!(end, Err(Failure::Unstable));
        // A row that comes twice.
        let twice = |id: u64| if id == 60 { 20 } else { id };
        assert!(read(|_| (0..101).map(twice).collect()).1.is_err());
        // Another list altogether, from the tenth page on.
        let other = |read: u64| (0..300).map(|id| if read < 10 { id } else { id + 5000 }).collect();
        assert!(read(other).1.is_err());
    }
}
