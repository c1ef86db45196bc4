//! Pages of one caller as they were rendered, each under the tag that the upstream gave it. A page is shown again
//! only after the upstream has said, to this caller's key, that it has not changed.
//!
//! Must never show a page to another caller, after a refusal, or under another view or other joined data than those
//! it was rendered for. A tag is never taken for longer than `cache.revalidate_max`, since it may lie.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use domain::listing::Listing;
use domain::related::Related;
use domain::sweep::Rows;
use http::header::{CACHE_CONTROL, ETAG};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::layer::call::{Ask, Found, ListCall, PageRead, RowsAsk};
use crate::layer::outlet::Oversize;

/// The longest tag that is kept. Usual ones have less than 70 bytes.
const TAG_BYTES_MAX: usize = 256;

/// What a page costs beside its rows.
const ENTRY_BYTES: usize = 512;

/// Everything that decides what is made of a page. The rest is the same for all of a caller's pages: its upstream,
/// its rules, what it may see.
#[derive(Debug, Clone)]
pub(crate) struct PageQuestion {
    target: PathAndQuery,
    listing: Listing,
    view: View,
    for_roster: bool,
    /// What is joined to its rows; `None` where nothing is.
    related: Option<Weak<Related>>,
    /// How often everything had been forgotten by then.
    generation: u64,
}

/// What the rows are read for.
#[derive(Debug, Clone, PartialEq)]
enum View {
    Rows(Arc<RowsAsk>),
    Groups,
    Teams,
    Items,
}

impl View {
    /// `None` where a page is read for several questions, or for what nobody asks twice.
    fn of(call: &ListCall) -> Option<View> {
        if call.audience.as_ref().is_some_and(|audience| audience.len() > 1) {
            return None;
        }
        match &call.ask {
            Ask::Rows(rows) => Some(View::Rows(Arc::clone(rows))),
            Ask::Groups => Some(View::Groups),
            Ask::Teams => Some(View::Teams),
            Ask::Items => Some(View::Items),
            Ask::Look(_) | Ask::Find(_) => None,
        }
    }

    fn filter(&self) -> Option<&RowsAsk> {
        match self {
            View::Rows(rows) => Some(rows),
            View::Groups | View::Teams | View::Items => None,
        }
    }
}

impl PartialEq for PageQuestion {
    fn eq(&self, other: &Self) -> bool {
        let same_related = match (&self.related, &other.related) {
            (None, None) => true,
            // A weak pointer keeps the address from being used again.
            (Some(one), Some(other)) => one.ptr_eq(other),
            _ => false,
        };
        same_related
            && self.generation == other.generation
            && self.target == other.target
            && self.listing == other.listing
            && self.for_roster == other.for_roster
            && self.view == other.view
    }
}

impl Eq for PageQuestion {}

impl Hash for PageQuestion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.as_str().hash(state);
        self.generation.hash(state);
        self.view.filter().map(|ask| &ask.plan.filter).hash(state);
    }
}

/// A page that was read whole.
#[derive(Debug)]
pub(crate) struct KeptPage {
    /// As it came.
    pub(crate) tag: HeaderValue,
    rows: Arc<Rows>,
    found: Found,
    at: Instant,
    bytes: usize,
}

impl KeptPage {
    /// The page, as if it had been read now.
    pub(crate) fn again(&self) -> PageRead {
        let rows = Arc::clone(&self.rows);
        PageRead { rows, found: self.found.clone(), is_unchanged: true }
    }
}

type Kept = moka::sync::Cache<PageQuestion, Arc<KeptPage>>;

/// See the module.
pub(crate) struct Pages {
    /// Made with the first page: most upstreams send no tags.
    kept: OnceLock<Kept>,
    bytes_max: u64,
    /// The longest that a tag is believed.
    trusted_for: Duration,
    /// Counts up when everything is forgotten. What was asked for before is neither kept nor shown then.
    generation: AtomicU64,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages")
    }
}

impl Pages {
    /// An empty store of so many bytes.
    pub(crate) fn new(bytes_max: u64, trusted_for: Duration) -> Arc<Self> {
        let (kept, generation) = (OnceLock::new(), AtomicU64::new(0));
        Arc::new(Pages { kept, bytes_max, trusted_for, generation })
    }

    /// What is kept of a page of this list; `None` where nothing can be. Background requests neither use nor
    /// push out what is kept for clients.
    pub(crate) fn question(
        &self,
        call: &ListCall,
        target: &PathAndQuery,
        generation: u64,
    ) -> Option<PageQuestion> {
        // Nor are pages kept of a list that is too large to be.
        if call.behalf.is_background || matches!(call.oversize, Some(Oversize::Streamed(_))) {
            return None;
        }
        let view = View::of(call)?;
        let related = (!call.related.is_empty()).then(|| Arc::downgrade(&call.related));
        let (listing, for_roster) = (call.listing.clone(), call.for_roster);
        Some(PageQuestion {
            target: target.clone(),
            listing,
            view,
            for_roster,
            related,
            generation,
        })
    }

    /// The page that is kept, if its tag may still be believed.
    pub(crate) fn get(&self, question: &PageQuestion) -> Option<Arc<KeptPage>> {
        let page = self.kept.get()?.get(question)?;
        (page.at.elapsed() < self.trusted_for).then_some(page)
    }

    /// Whether a page was ever kept.
    pub(crate) fn has_any(&self) -> bool {
        self.kept.get().is_some()
    }

    /// How often everything was forgotten.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether nothing was forgotten since the question was asked.
    pub(crate) fn is_current(&self, question: &PageQuestion) -> bool {
        self.generation() == question.generation
    }

    /// Keeps a page of a body of so many bytes.
    pub(crate) fn put(
        &self,
        question: PageQuestion,
        tag: HeaderValue,
        read: &PageRead,
        body: usize,
    ) {
        let rows = Arc::clone(&read.rows);
        // What was found beside the rows is a part of what the body says.
        let beside = if read.found.is_empty() { 0 } else { body };
        let filter = question.view.filter().map_or(0, |ask| ask.plan.filter.bytes());
        let bytes = rows.held() + beside + filter + question.target.as_str().len() + tag.len();
        let (found, at, bytes) = (read.found.clone(), Instant::now(), bytes + ENTRY_BYTES);
        let page = Arc::new(KeptPage { tag, rows, found, at, bytes });
        let kept = self.kept.get_or_init(|| self.empty());
        kept.insert(question, page);
        // What is too much goes now, not when somebody next asks.
        kept.run_pending_tasks();
    }

    /// Forgets a page that has no tag any more.
    pub(crate) fn remove(&self, question: &PageQuestion) {
        if let Some(kept) = self.kept.get() {
            kept.invalidate(question);
        }
    }

    /// Forgets everything, and what is being read too: the upstream refused this caller.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.drop_kept();
    }

    /// Drops what is kept, for its memory.
    pub(crate) fn drop_kept(&self) {
        if let Some(kept) = self.kept.get() {
            kept.invalidate_all();
            // It would otherwise be dropped when somebody next asks.
            kept.run_pending_tasks();
        }
    }

    fn empty(&self) -> Kept {
        let weigh =
            |_: &PageQuestion, page: &Arc<KeptPage>| u32::try_from(page.bytes).unwrap_or(u32::MAX);
        moka::sync::Cache::builder()
            .max_capacity(self.bytes_max)
            .weigher(weigh)
            .time_to_live(self.trusted_for.max(Duration::from_millis(1)))
            .build()
    }
}

/// The tag of an answer that may be kept: the only one, in the form of the standard. What is in another form, such
/// as `*`, could mean any page.
pub(crate) fn tag(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut tags = headers.get_all(ETAG).iter();
    let (tag, None) = (tags.next()?, tags.next()) else { return None };
    let quoted = tag.as_bytes().strip_prefix(b"W/").unwrap_or(tag.as_bytes());
    let opaque = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let is_plain = |byte: &u8| *byte > b' ' && *byte != b'"' && *byte != 0x7f;
    let may_be_kept = !headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let words = value.as_bytes().split(|byte| *byte == b',');
        words.map(<[u8]>::trim_ascii).any(|word| word.eq_ignore_ascii_case(b"no-store"))
    });
    (may_be_kept && tag.len() <= TAG_BYTES_MAX && opaque.iter().all(is_plain)).then(|| tag.clone())
}

#[cfg(test)]
mod tests;
