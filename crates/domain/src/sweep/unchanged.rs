//! Pages that the upstream says have not changed since they were last read. Their rows are those of the earlier
//! reading, and are joined, counted and compared like any others.
//!
//! A tag may lie: the page has changed, and its tag has not. Then pages of two times may not fit together. So a list
//! of which any seam or count is in doubt is read anew, every page of it, before anything is repaired.
//! **Never:** a repair, or a failure, that an unchanged page may have caused.

use std::sync::Arc;

use super::reading::Reading;
use super::{Cap, Failure, Rows, Sweep, Window};

impl Sweep {
    /// Whether the rows of an earlier reading will do for a page that has not changed.
    pub fn trusts_unchanged(&self) -> bool {
        !self.distrusts_unchanged && !self.is_in_doubt()
    }

    /// Takes what a window gave in an earlier reading, since the upstream says that it has not changed. It is of no
    /// use if every page has to be read by now.
    pub fn put_unchanged(&mut self, window: Window, rows: impl Into<Arc<Rows>>) {
        self.story.pages += 1;
        self.story.pages_unchanged += 1;
        if !self.distrusts_unchanged {
            self.place(window, rows.into());
        }
    }

    /// Whether rows of an earlier reading are still taken.
    pub fn takes_unchanged(&self) -> bool {
        !self.distrusts_unchanged
    }

    /// Why the list cannot be had. Begins anew first if unchanged pages may be the cause of that or of any doubt.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        self.doubt_unchanged_pages();
        self.failed
    }

    fn doubt_unchanged_pages(&mut self) {
        let may_be_the_cause = self.story.pages_unchanged > 0 && !self.distrusts_unchanged;
        if may_be_the_cause && self.is_in_doubt() {
            self.distrust_unchanged();
        }
    }

    /// Begins anew, with every page to be read. The pages that were read still count as a cost.
    pub fn distrust_unchanged(&mut self) {
        self.distrusts_unchanged = true;
        self.failed = None;
        self.cap = Cap::Unknown;
        self.windows.page_rows = self.limits.page_rows_max.max(2);
        (self.has_restarted, self.fingerprint) = (false, None);
        (self.whole_readings, self.last_whole) = (0, None);
        (self.story.total_mismatch, self.story.hidden_rows) = (false, 0);
        self.story.restarts += 1;
        self.shown.clear();
        self.is_expecting = false;
        self.reading = Reading::new(self.windows.first());
    }

    /// Whether the pages so far do not make a list by themselves.
    fn is_in_doubt(&self) -> bool {
        let Reading { rounds, has_rechecked, looks_behind, doubts, .. } = &self.reading;
        self.failed.is_some()
            || self.has_restarted
            || self.cap != Cap::Unknown
            || *rounds > 0
            || *has_rechecked
            || *looks_behind > 0
            || *doubts > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DoubleRead, Limits, List, Next, Paging};
    use super::*;

    fn sweep() -> Sweep {
        Sweep::new(Limits {
            paging: Paging::Offset,
            page_rows_max: 10,
            rows_max: 1_000,
            double_read: DoubleRead::Auto,
            paging_proven: true,
            stop_at_first: false,
        })
    }

    fn page(ids: &[u64], window: Window) -> Rows {
        let mut rows = Rows { total: ids.len() as u64, ..Rows::default() };
        for id in ids.iter().skip(window.offset as usize).take(window.limit as usize) {
            rows.bytes.extend_from_slice(format!(",{id}").as_bytes());
            rows.push(*id, *id);
        }
        rows
    }

    /// Reads a list whose pages at these offsets are those of `before`, as long as such pages will do. Returns the
    /// windows that were asked for, too.
    fn read(
        now: &[u64],
        before: &[u64],
        unchanged: &[u64],
    ) -> (Result<List, Failure>, Sweep, Vec<Window>) {
        let (mut sweep, mut asked) = (sweep(), Vec::new());
        for _ in 0..100 {
            let windows = match sweep.next(8) {
                Next::Done(list) => return (Ok(list), sweep, asked),
                Next::Failed(failure) => return (Err(failure), sweep, asked),
                Next::Read(windows) => windows,
            };
            let may_be_old = sweep.trusts_unchanged();
            for window in windows {
                let is_unchanged = may_be_old && unchanged.contains(&window.offset);
                match is_unchanged {
                    true => sweep.put_unchanged(window, page(before, window)),
                    false => sweep.put(window, page(now, window)),
                }
                asked.push(window);
            }
        }
        unreachable!("it has no end")
    }

    fn shown(list: &List) -> Vec<u64> {
        let text = list.parts.iter().flat_map(|part| part.to_vec());
        let text = String::from_utf8(text.collect()).unwrap();
        text.split(',').skip(1).map(|id| id.parse().unwrap()).collect()
    }

    #[test]
    fn unchanged_pages_are_joined_with_others_and_counted() {
        let ids: Vec<u64> = (1..=50).collect();
        let (list, sweep, _) = read(&ids, &ids, &[0, 9, 27]);
        let list = list.unwrap();
        assert_eq!((shown(&list), list.story.pages_unchanged), (ids, 3));
        assert_eq!((list.story.restarts, sweep.trusts_unchanged()), (0, true));
    }

    #[test]
    fn a_list_that_does_not_fit_with_its_unchanged_pages_is_read_anew() {
        let before: Vec<u64> = (1..=60).collect();
        let now: Vec<u64> = before.iter().copied().filter(|id| !(2..=20).contains(id)).collect();
        for unchanged in [&[9][..], &[18], &[9, 18, 27], &[0], &[0, 27]] {
            let (list, sweep, asked) = read(&now, &before, unchanged);
            let list = list.unwrap();
            assert_eq!(shown(&list), now, "{unchanged:?}");
            assert!(!sweep.trusts_unchanged() && list.story.restarts >= 1, "{unchanged:?}");
            // No window over a seam was asked for: those of a whole reading begin nine rows apart.
            assert!(asked.iter().all(|window| window.offset.is_multiple_of(9)), "{asked:?}");
        }
    }

    #[test]
    fn a_failure_is_told_only_of_pages_that_were_read() {
        // The pages contradict themselves, whether they are read or not.
        let twice: Vec<u64> = (1..=20).chain(5..=24).collect();
        let (list, sweep, _) = read(&twice, &twice, &[0, 9, 18, 27, 36]);
        assert!(list.is_err() && !sweep.trusts_unchanged());
        // The earlier ones were of a list that is too large.
        let large: Vec<u64> = (1..=2_000).collect();
        let now: Vec<u64> = (1..=30).collect();
        let (list, ..) = read(&now, &large, &[0]);
        assert_eq!(shown(&list.unwrap()), now);
    }
}
