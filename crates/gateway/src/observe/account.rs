//! What is noted of one request while it is answered, for its access line, its counters and its
//! explanation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::params::NearMiss;
use domain::sweep::{Story, Window};
use shadow::Side;

use super::tally::Tally;

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Read for this request.
    Read,
    /// Read for another request that was under way.
    Shared,
    /// Read by another replica.
    Replica,
    /// Kept and fresh.
    Kept,
    /// Kept, not fresh any more, and given because the upstream failed.
    Stale,
}

impl Source {
    /// The word in headers, metrics and explanations.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Source::Read => "read",
            Source::Shared => "shared",
            Source::Replica => "replica",
            Source::Kept => "hit",
            Source::Stale => "stale",
        }
    }
}

/// How an answer comes about: layers note what they learn, `trace` alone reads it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) endpoint: Option<&'static str>,
    /// The documented legacy path without an endpoint that was asked for, by its place in
    /// [`domain::legacy::UNTRANSLATED`].
    pub(crate) untranslated: Option<usize>,
    /// Where a request without a good key comes from, as the log may name it.
    pub(crate) client: Option<Box<str>>,
    /// Its counters, and with them its name.
    pub(crate) caller: Option<Arc<Tally>>,
    /// What the caller's upstream speaks.
    pub(crate) dialect: Option<&'static str>,
    pub(crate) may_explain: bool,
    /// Filters that had a value.
    pub(crate) filters: Vec<&'static str>,
    /// Names fit for a log.
    pub(crate) ignored: Vec<String>,
    /// Those of them that look like filters.
    pub(crate) near_misses: Vec<NearMiss>,
    pub(crate) rows: u64,
    pub(crate) story: Story,
    /// Pages it once took to read what was joined to the rows.
    pub(crate) joined_pages: u64,
    pub(crate) error: Option<&'static str>,
    /// The page of the list that cannot be read, or the part of it that is known to fail.
    pub(crate) failed_page: Option<Window>,
    /// Which side answered, where either may.
    pub(crate) answered_by: Option<Side>,
    /// Whether the answer's body comes from elsewhere piece by piece; its line is written at its end.
    pub(crate) is_streamed: bool,
    /// Where a list came from.
    pub(crate) source: Option<Source>,
    /// Which configuration it is answered with.
    pub(crate) epoch: u64,
    /// Requests sent upstream on behalf of this one, those for what is kept included.
    pub(crate) upstream_calls: u64,
}

/// An account that all who answer one request share.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedAccount {
    shared: Arc<Shared>,
    /// Whether anybody will read what is noted.
    is_read: bool,
}

#[derive(Debug, Default)]
struct Shared {
    /// Boxed, since it is handed on as a whole at the end; `None` from then on.
    noted: Mutex<Option<Box<Account>>>,
    upstream_calls: AtomicU64,
}

impl SharedAccount {
    /// The account of a request that is answered with this configuration.
    pub(crate) fn new(epoch: u64) -> Self {
        let account = Box::new(Account { epoch, ..Account::default() });
        let shared = Shared { noted: Mutex::new(Some(account)), ..Shared::default() };
        SharedAccount { shared: Arc::new(shared), is_read: true }
    }

    /// Takes a note. Nothing in the house may depend on it.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Account)) {
        if self.is_read {
            // Plain data, valid after any panic.
            let mut noted = self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.as_deref_mut().map(change);
        }
    }

    /// The account of what belongs to all who use it: nobody reads it, and what it sends upstream is
    /// counted here.
    pub(crate) fn apart(&self) -> Self {
        SharedAccount { shared: Arc::clone(&self.shared), is_read: false }
    }

    /// Counts a request that is sent upstream.
    pub(crate) fn note_upstream_call(&self) {
        self.shared.upstream_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// All that was noted, for `trace`. Nothing is noted after it.
    pub(crate) fn close(&self) -> Box<Account> {
        let mut noted = self.shared.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let mut account = noted.take().unwrap_or_default();
        drop(noted);
        account.upstream_calls = self.shared.upstream_calls.load(Ordering::Relaxed);
        account
    }

    /// What was noted by now; more will be.
    pub(crate) fn so_far(&self) -> Account {
        let mut account = Account::default();
        self.note(|noted| account = noted.clone());
        account.upstream_calls = self.shared.upstream_calls.load(Ordering::Relaxed);
        account
    }

    /// Whether the answer's body comes piece by piece, so that more will be noted.
    pub(crate) fn is_streamed(&self) -> bool {
        let mut is_streamed = false;
        self.note(|noted| is_streamed = noted.is_streamed);
        is_streamed
    }
}
