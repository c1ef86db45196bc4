//! The words of a sweep: its limits, next steps, lists and failures.

use std::ops::{Deref, Range};
use std::sync::Arc;

use super::rows::{Rows, Shown, Window};
use crate::legacy::Notes;
use crate::listing::Item;

/// When a list that is not sorted by id is read twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubleRead {
    /// When its ids are neither ascending nor descending.
    #[default]
    Auto,
    /// Every list of more than one page.
    Always,
    /// Never: rows that move while the list is read may be lost.
    Never,
}

/// How an upstream is asked for a part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// By the number of rows to skip: windows begin anywhere.
    Offset,
    /// By the number of the page: page `p` of `limit` rows begins at row `(p - 1) * limit`, so every
    /// window's offset is a multiple of its limit.
    Numbered,
}

impl Paging {
    /// Rows that a page should have at least; [`Limits::page_rows_max`] says why.
    pub fn page_rows_min(self) -> u32 {
        match self {
            Paging::Offset => 2,
            Paging::Numbered => 20,
        }
    }
}

/// Limits of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How windows may lie.
    pub paging: Paging,
    /// Rows per window, at least 2. Numbered pages should have 20 or more: pages of fewer rows cannot
    /// be joined everywhere, and a list that reaches such a row is too large.
    pub page_rows_max: u32,
    /// Rows per list.
    pub rows_max: u64,
    /// When to read twice.
    pub double_read: DoubleRead,
    /// Whether the upstream has shown that it honours offsets. If not, the second window is read
    /// alone, so that two requests reveal an upstream that ignores them.
    pub paging_proven: bool,
    /// Whether the first shown row is enough.
    pub stop_at_first: bool,
}

/// The next step.
#[derive(Debug)]
pub enum Next {
    /// Read these windows; more may be in flight. Empty: wait for one in flight.
    Read(Vec<Window>),
    /// The list is whole.
    Done(List),
    /// The list cannot be had.
    Failed(Failure),
}

/// Rendered rows that stand one behind the other in one buffer. It is never copied: it is the buffer of a page,
/// unless the rows come from elsewhere.
#[derive(Debug)]
pub struct Part {
    text: Text,
    range: Range<usize>,
}

#[derive(Debug)]
enum Text {
    Own(Vec<u8>),
    /// A page that others hold as well.
    Shared(Arc<Rows>),
}

impl Part {
    /// Rows that are in no page. Each begins with a comma.
    pub fn of(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Part { text: Text::Own(bytes), range }
    }

    /// These bytes of a page. Nothing else of it is kept, unless others hold it.
    fn of_page(page: Arc<Rows>, range: Range<usize>) -> Self {
        let text = match Arc::try_unwrap(page) {
            Ok(page) => Text::Own(page.bytes),
            Err(page) => Text::Shared(page),
        };
        Part { text, range }
    }

    /// How many bytes the buffer keeps in memory.
    pub fn buffer_bytes(&self) -> usize {
        match &self.text {
            Text::Own(bytes) => bytes.capacity(),
            Text::Shared(page) => page.bytes.capacity(),
        }
    }

    /// The buffer that it has to itself, and where its rows are in it.
    ///
    /// # Errors
    ///
    /// The part as it was, if others hold its buffer as well.
    pub fn into_buffer(self) -> Result<(Vec<u8>, Range<usize>), Part> {
        match self.text {
            Text::Own(bytes) => Ok((bytes, self.range)),
            Text::Shared(_) => Err(self),
        }
    }
}

impl Deref for Part {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let buffer = match &self.text {
            Text::Own(bytes) => bytes,
            Text::Shared(page) => &page.bytes,
        };
        buffer.get(self.range.clone()).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A whole list.
#[derive(Debug, Default)]
pub struct List {
    /// Rendered bytes in order; every shown row begins with a comma.
    pub parts: Vec<Part>,
    /// Rows shown.
    pub rows: u64,
    /// Where several questions share the list: what each of its rows is shown to, with its bytes, in order.
    pub views: Vec<(u32, usize)>,
    /// The notes of each question that shares the list.
    pub notes: Vec<(u32, Notes)>,
    /// Rows read, shown or not.
    pub read: u64,
    /// The documented keys that some row has, as [`crate::upstream::PageTail::keys`].
    pub documented: u64,
    /// The listed records that are no users, in order.
    pub items: Vec<Item<'static>>,
    /// How it was read.
    pub story: Story,
}

impl List {
    /// Adds these rows of a page.
    pub(super) fn add(&mut self, page: Arc<Rows>, rows: Range<usize>) {
        for (_, view, notes) in page.notes_of(&rows) {
            self.story.notes.add(notes);
            if page.views > 1 {
                self.notes.push((*view, *notes));
            }
        }
        self.rows += page.shown_of(&rows).len() as u64;
        self.read += rows.len() as u64;
        self.documented |= page.documented;
        self.items.extend(page.items_of(&rows));
        if page.views > 1 {
            self.views.extend(page.views_of(&rows).map(|(view, bytes)| (view, bytes.len())));
        }
        let bytes = page.bytes_of(&rows);
        if !bytes.is_empty() {
            self.parts.push(Part::of_page(page, bytes));
        }
    }

    /// The one row that a page shows to a question; `None` where it shows none or several. A row that the page
    /// repeats is one.
    pub fn of_one(page: &Rows, view: u32, story: Story) -> Option<List> {
        let whole = 0..page.keys.len();
        let mut shown = page.shown.iter().filter(|shown| shown.view == view);
        let row = shown.next()?.row as usize;
        let (row, key) = (row..row + 1, page.keys.get(row)?);
        let mut texts = page.texts_of(&whole).filter(|(shown, _)| *shown == view);
        let (_, bytes) = texts.next()?;
        let is_repeat = |shown: &Shown| page.keys.get(shown.row as usize) == Some(key);
        if !(shown.all(is_repeat) && texts.all(|(_, repeated)| repeated == bytes)) {
            return None;
        }
        let bytes = bytes.to_vec();
        let mut list = List { rows: 1, read: page.keys.len() as u64, ..List::default() };
        list.story = Story { notes: Notes::default(), ..story };
        for (_, _, notes) in page.notes_of(&row).filter(|(_, noted, _)| *noted == view) {
            list.story.notes.add(notes);
        }
        list.parts.push(Part::of(bytes));
        Some(list)
    }

    /// The list of each of so many questions that share this one.
    pub fn split(self, views: usize) -> Vec<List> {
        if views <= 1 {
            return vec![self];
        }
        let List { parts, read, documented, story, .. } = self;
        let story = Story { notes: Notes::default(), ..story };
        let list = |_| List { read, documented, story, ..List::default() };
        let mut lists = Vec::from_iter((0..views).map(list));
        let (mut rows, mut of_page) = (self.views.into_iter(), Vec::new());
        let mut copies = vec![Vec::new(); views];
        // Page by page, and each page is dropped behind it: the lists together hold what this one did.
        for part in parts {
            let mut start = 0;
            while start < part.len()
                && let Some((view, row)) = rows.next()
            {
                of_page.push((view as usize, start..start + row));
                start += row;
                if let Some(list) = lists.get_mut(view as usize) {
                    list.rows += 1;
                }
            }
            let only = of_page.first().map(|(view, _)| *view);
            let only = only.filter(|only| of_page.iter().all(|(view, _)| view == only));
            if let Some(list) = only.and_then(|only| lists.get_mut(only)) {
                list.parts.push(part);
                of_page.clear();
                continue;
            }
            for (view, row) in of_page.drain(..) {
                if let Some(copy) = copies.get_mut(view) {
                    copy.extend_from_slice(&part[row]);
                }
            }
            for (list, copy) in
                lists.iter_mut().zip(&mut copies).filter(|(_, copy)| !copy.is_empty())
            {
                let mut copy = std::mem::take(copy);
                copy.shrink_to_fit();
                list.parts.push(Part::of(copy));
            }
        }
        for (view, notes) in self.notes {
            if let Some(list) = lists.get_mut(view as usize) {
                list.story.notes.add(&notes);
            }
        }
        lists
    }
}

/// How a list was read; for logs, metrics and explanations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Story {
    /// Pages read, all of them.
    pub pages: u64,
    /// Those of them that the upstream says have not changed since they were last read.
    pub pages_unchanged: u64,
    /// Seams that disagreed and were read again.
    pub seams_repaired: u64,
    /// Times the whole list was read again.
    pub restarts: u64,
    /// The upstream's count was wrong, twice.
    pub total_mismatch: bool,
    /// Rows that the upstream counted and no window showed.
    pub hidden_rows: u64,
    /// At least two pages joined: offsets work.
    pub paging_proven: bool,
    /// Values that could only be shown imperfectly.
    pub notes: Notes,
}

impl Story {
    /// Adds another list's, for an answer made of several.
    pub fn add(&mut self, other: &Story) {
        self.pages += other.pages;
        self.pages_unchanged += other.pages_unchanged;
        self.seams_repaired += other.seams_repaired;
        self.restarts += other.restarts;
        self.total_mismatch |= other.total_mismatch;
        self.hidden_rows += other.hidden_rows;
        self.paging_proven |= other.paging_proven;
        self.notes.add(&other.notes);
    }
}

/// Why a list cannot be had.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum Failure {
    /// It kept changing.
    #[error("the list kept changing while it was read")]
    Unstable,
    /// Pages repeat or contradict each other, and reading again changed nothing.
    #[error("the upstream's pages repeat or contradict each other")]
    PagingBroken,
    /// The count and the pages contradict each other, and reading again changed nothing.
    #[error("the upstream's count and its pages disagree")]
    TotalMismatch,
    /// A page held more rows than asked for, and they are not the next page's.
    #[error("the upstream sent more rows than it was asked for, and not the next ones")]
    PageOverflow,
    /// More rows than allowed.
    #[error("the list has more than {rows_max} rows")]
    TooLarge {
        /// The limit.
        rows_max: u64,
    },
    /// Two different users have, or would get, one legacy id.
    #[error("two users share one legacy id")]
    IdCollision,
}
