//! The rows of one window: keys, legacy ids and rendered bytes.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

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

/// A buffer with less room than this to spare is not worth a smaller one.
const SLACK_BYTES_MAX: usize = 4 << 10;

/// Pages of fewer rows are hardly ever one of many.
const SHORT_ROWS_MAX: usize = 50;

/// A row as one question's answer shows it. Its bytes begin where those of the one before end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The row of the page.
    pub row: u32,
    /// The question, of those that share the page.
    pub view: u32,
    /// Where its bytes end.
    pub end: u32,
}

/// The rows of one window, already rendered for one question or for several. A row that no question shows
/// costs its key alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Identity of each row.
    pub keys: Vec<u64>,
    /// Legacy id of each row; none at all where each is its key.
    pub ids: Vec<u64>,
    /// The rows that are shown, by row, then by question.
    pub shown: Vec<Shown>,
    /// How many questions share the page, if more than one.
    pub views: u32,
    /// The rendered rows; each begins with a comma.
    pub bytes: Vec<u8>,
    /// The upstream's count of the whole list.
    pub total: u64,
    /// The documented keys that some row has, as [`crate::upstream::PageTail::keys`].
    pub documented: u64,
    /// Values that could only be shown imperfectly, by row and question; most rows have none.
    pub notes: Vec<(u32, u32, Notes)>,
    /// The listed records that are no users, by row.
    pub items: Vec<(usize, Item<'static>)>,
}

impl Rows {
    /// Ends a row: everything appended to `bytes` since the last call is its rendering.
    pub fn push(&mut self, key: u64, id: u64) {
        if self.shown_until() < self.bytes.len() as u32 {
            self.show(0, Notes::default());
        }
        if key != id && self.ids.is_empty() {
            self.ids.clone_from(&self.keys);
        }
        if key != id || !self.ids.is_empty() {
            self.ids.push(id);
        }
        self.keys.push(key);
    }

    /// Where what is shown ends.
    fn shown_until(&self) -> u32 {
        self.shown.last().map_or(0, |last| last.end)
    }

    /// Ends what a question shows of the row that is not ended yet: everything appended to `bytes` since the
    /// last call.
    pub fn show(&mut self, view: u32, notes: Notes) {
        let row = self.keys.len() as u32;
        if notes != Notes::default() {
            self.notes.push((row, view, notes));
        }
        let end = self.bytes.len() as u32;
        if self.shown_until() < end {
            self.shown.push(Shown { row, view, end });
        }
    }

    /// Gives back what was set aside for rows that no question shows, or that are shorter than was expected: a
    /// page is held until its list is read, and its buffer until the client has the answer. Returns about how
    /// many bytes it holds.
    pub fn fit(&mut self) -> usize {
        let (bytes, slack) = (self.bytes.len(), self.bytes.capacity() - self.bytes.len());
        if slack > bytes || slack > SLACK_BYTES_MAX {
            self.bytes.shrink_to_fit();
        }
        // Short pages are looked at and gone.
        if self.keys.len() >= SHORT_ROWS_MAX {
            self.keys.shrink_to_fit();
            self.ids.shrink_to_fit();
            self.shown.shrink_to_fit();
            self.notes.shrink_to_fit();
        }
        self.held()
    }

    /// About how many bytes it holds.
    pub fn held(&self) -> usize {
        let items = self.items.iter().map(|(_, item)| size_of_val(item) + item.id.len() + 32);
        self.bytes.capacity()
            + (self.keys.capacity() + self.ids.capacity()) * size_of::<u64>()
            + self.shown.capacity() * size_of::<Shown>()
            + self.notes.capacity() * size_of::<(u32, u32, Notes)>()
            + items.sum::<usize>()
    }

    /// Drops what is shown to any other question than these.
    pub(super) fn keep_views(&mut self, is_kept: &impl Fn(u32) -> bool) {
        let (mut bytes, mut kept, mut from) = (Vec::new(), Vec::new(), 0);
        for shown in &self.shown {
            let end = shown.end as usize;
            if is_kept(shown.view) {
                bytes.extend_from_slice(&self.bytes[from..end]);
                kept.push(Shown { end: bytes.len() as u32, ..*shown });
            }
            from = end;
        }
        bytes.shrink_to_fit();
        kept.shrink_to_fit();
        self.notes.retain(|(_, view, _)| is_kept(*view));
        self.notes.shrink_to_fit();
        (self.bytes, self.shown) = (bytes, kept);
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

    /// Where what is shown of these rows stands in `shown`.
    fn shown_at(&self, rows: &Range<usize>) -> Range<usize> {
        // Most pages show all of their rows, to one question.
        if rows.start == 0 && rows.end == self.keys.len() {
            return 0..self.shown.len();
        }
        let at = |row: usize| self.shown.partition_point(|shown| (shown.row as usize) < row);
        at(rows.start)..at(rows.end)
    }

    fn end_before(&self, shown: usize) -> usize {
        if shown == 0 { 0 } else { self.shown[shown - 1].end as usize }
    }

    pub(super) fn shown_of(&self, rows: &Range<usize>) -> &[Shown] {
        &self.shown[self.shown_at(rows)]
    }

    /// What is shown of these rows: the question, and where its bytes are.
    pub(super) fn views_of(
        &self,
        rows: &Range<usize>,
    ) -> impl Iterator<Item = (u32, Range<usize>)> {
        let at = self.shown_at(rows);
        at.map(|at| (self.shown[at].view, self.end_before(at)..self.shown[at].end as usize))
    }

    /// The same with the bytes themselves.
    pub(super) fn texts_of(&self, rows: &Range<usize>) -> impl Iterator<Item = (u32, &[u8])> {
        self.views_of(rows).map(|(view, bytes)| (view, &self.bytes[bytes]))
    }

    pub(super) fn bytes_of(&self, rows: &Range<usize>) -> Range<usize> {
        let at = self.shown_at(rows);
        self.end_before(at.start)..self.end_before(at.end)
    }

    pub(super) fn notes_of(&self, rows: &Range<usize>) -> impl Iterator<Item = &(u32, u32, Notes)> {
        self.notes.iter().filter(|(row, ..)| rows.contains(&(*row as usize)))
    }

    fn truncate(&mut self, rows: usize) -> Vec<u64> {
        let shown = self.shown_at(&(0..rows)).end;
        let beyond = self.keys.split_off(rows);
        self.ids.truncate(rows);
        self.bytes.truncate(self.end_before(shown));
        self.shown.truncate(shown);
        beyond
    }

    /// At most so many rows, and the keys of those beyond. Others may hold the page: it is copied if it has to
    /// change, and hardly any page has to.
    pub(super) fn cut(page: &mut Arc<Rows>, rows: usize) -> Vec<u64> {
        if page.keys.len() <= rows { Vec::new() } else { Arc::make_mut(page).truncate(rows) }
    }

    /// The page without the rows that it repeats word for word. Two different rows of one id stay, and fail
    /// the uniqueness check later.
    pub(super) fn without_repeats(self: Arc<Self>) -> Arc<Self> {
        if is_strictly_sorted(|| self.keys.iter().copied()) || all_different_in(&self.keys) {
            return self;
        }
        let mut first: HashMap<u64, usize> = HashMap::new();
        let (total, documented, views) = (self.total, self.documented, self.views);
        let mut merged = Rows { total, documented, views, ..Rows::default() };
        for row in 0..self.keys.len() {
            let this = row..row + 1;
            let before = *first.entry(self.keys[row]).or_insert(row);
            // One question after another: what two of them show may look like what one shows.
            let is_same = self.texts_of(&(before..before + 1)).eq(self.texts_of(&this))
                && self.item_of(before) == self.item_of(row);
            if before != row && is_same {
                continue;
            }
            let mut notes = self.notes_of(&this).map(|(_, view, notes)| (*view, *notes)).peekable();
            for (view, bytes) in self.views_of(&this) {
                let noted = notes.next_if(|(noted, _)| *noted == view);
                merged.bytes.extend_from_slice(&self.bytes[bytes]);
                merged.show(view, noted.map(|(_, notes)| notes).unwrap_or_default());
            }
            // Of a row that is not shown.
            notes.for_each(|(view, notes)| merged.show(view, notes));
            if let Some(item) = self.item_of(row) {
                merged.items.push((merged.keys.len(), item.clone()));
            }
            merged.push(self.keys[row], self.ids.get(row).copied().unwrap_or(self.keys[row]));
        }
        Arc::new(merged)
    }
}

pub(super) fn is_strictly_sorted<K: Iterator<Item = u64>>(keys: impl Fn() -> K) -> bool {
    keys().is_sorted_by(|a, b| a < b) || keys().is_sorted_by(|a, b| a > b)
}

/// `rows` is how many keys there are: an iterator over several pages does not know.
pub(super) fn all_different(mut keys: impl Iterator<Item = u64>, rows: u64) -> bool {
    let mut seen = HashSet::with_capacity(rows as usize);
    keys.all(|key| seen.insert(key))
}

pub(super) fn all_different_in(keys: &[u64]) -> bool {
    all_different(keys.iter().copied(), keys.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{List, Part};

    /// Rows of these keys; each is shown to the questions that divide it.
    fn rows(keys: &[u64], questions: u32) -> Rows {
        let mut rows = Rows { views: questions, ..Rows::default() };
        for key in keys {
            for view in (0..questions).filter(|view| key % u64::from(view + 1) == 0) {
                rows.bytes.extend_from_slice(format!(",{key}").as_bytes());
                let notes = Notes { channel_unmapped: 1, ..Notes::default() };
                rows.show(view, if view == 1 { notes } else { Notes::default() });
            }
            rows.push(*key, *key);
        }
        rows
    }

    fn texts(lists: Vec<List>) -> Vec<(String, u64, u32)> {
        let text =
            |list: &List| -> Vec<u8> { list.parts.iter().flat_map(|part| part.to_vec()).collect() };
        let told = |list: &List| {
            (String::from_utf8(text(list)).unwrap(), list.rows, list.story.notes.channel_unmapped)
        };
        lists.iter().map(told).collect()
    }

    #[test]
    fn questions_that_share_pages_have_each_their_own_rows() {
        let mut list = List::default();
        list.add(rows(&[1, 2, 3, 4], 3).into(), 0..4);
        list.add(rows(&[4, 5, 6], 3).into(), 1..3);
        list.add(rows(&[6, 7, 9], 3).into(), 1..2);
        let expected = [(",1,2,3,4,5,6,7", 7, 0), (",2,4,6", 3, 3), (",3,6", 2, 0)];
        let expected = expected.map(|(text, rows, notes)| (text.to_owned(), rows, notes));
        assert_eq!(texts(list.split(3)), expected);
    }

    #[test]
    fn a_repeated_row_is_merged_for_every_question_that_shows_it() {
        let mut page = Arc::new(rows(&[6, 4, 6], 3)).without_repeats();
        assert_eq!(*page, rows(&[6, 4], 3));
        let others = Arc::clone(&page);
        let beyond = Rows::cut(&mut page, 1);
        let cut = Rows { notes: rows(&[6, 4], 3).notes, ..rows(&[6], 3) };
        assert_eq!((&*page, beyond), (&cut, vec![4]));
        assert_eq!(*others, rows(&[6, 4], 3), "others have the page as it was");
    }

    #[test]
    fn f13_two_rows_of_one_id_that_differ_for_some_question_are_no_repeat() {
        // The second row shows the first question what the first row shows both, and the second one nothing.
        let mut page = Rows { views: 2, ..Rows::default() };
        for texts in [&[",1", ",2"][..], &[",1,2"]] {
            for (view, text) in (0..).zip(texts) {
                page.bytes.extend_from_slice(text.as_bytes());
                page.show(view, Notes::default());
            }
            page.push(7, 7);
        }
        let before = page.clone();
        assert_eq!(*Arc::new(page).without_repeats(), before);
    }

    #[test]
    fn n01_what_a_question_shows_that_is_refused_is_given_back() {
        let mut page = rows(&[1, 2, 3, 4, 5, 6], 3);
        let held = page.fit();
        page.keep_views(&|view| view > 0);
        assert!(page.held() < held);
        let mut list = List::default();
        list.add(page.into(), 0..6);
        let expected = [("", 0, 0), (",2,4,6", 3, 3), (",3,6", 2, 0)];
        let expected = expected.map(|(text, rows, notes)| (text.to_owned(), rows, notes));
        assert_eq!(texts(list.split(3)), expected);
    }

    #[test]
    fn n01_notes_count_among_the_bytes_of_a_page() {
        let keys: Vec<u64> = (0..100).collect();
        let (mut noted, mut plain) = (rows(&keys, 2), rows(&keys, 2));
        plain.notes = Vec::new();
        let notes = noted.notes.len() * size_of::<(u32, u32, Notes)>();
        assert!(noted.fit() >= plain.fit() + notes);
    }

    #[test]
    fn a_page_gives_back_what_its_rows_did_not_need() {
        for (bytes, room, is_kept) in
            [(60_000, 64_000, true), (54_000, 60_000, false), (300, 700, false)]
        {
            let mut page = Rows { bytes: Vec::with_capacity(room), ..Rows::default() };
            page.bytes.resize(bytes, b'x');
            page.push(1, 1);
            page.fit();
            assert_eq!(page.bytes.capacity() >= room, is_kept, "{bytes} bytes in {room}");
        }
    }

    #[test]
    fn the_rows_of_a_page_that_others_hold_are_not_copied() {
        let shared = Arc::new(rows(&[1, 2, 3], 1));
        let mut list = List::default();
        list.add(Arc::clone(&shared), 1..3);
        list.add(rows(&[4], 1).into(), 0..1);
        let [first, second] = &list.parts[..] else { panic!("{:?}", list.parts) };
        assert_eq!((&first[..], &second[..]), (&b",2,3"[..], &b",4"[..]));
        assert_eq!(first.as_ptr(), shared.bytes[2..].as_ptr());
        let own = list.parts.pop().map(Part::into_buffer);
        assert!(own.is_some_and(|own| own.is_ok_and(|(_, range)| range == (0..2))));
        let shared = list.parts.pop().map(Part::into_buffer);
        assert!(shared.is_some_and(|shared| shared.is_err()));
    }

    #[test]
    fn a_row_that_no_question_shows_costs_its_key_alone() {
        let mut page = Rows { bytes: Vec::with_capacity(60_000), ..Rows::default() };
        for key in 0..100 {
            page.push(key, key);
        }
        assert!(page.fit() <= 128 * size_of::<u64>(), "{} bytes", page.fit());
        page.push(100, 7);
        assert_eq!((page.ids.len(), page.ids[99], page.ids[100]), (101, 99, 7));
    }
}
