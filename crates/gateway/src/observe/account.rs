//! What is noted of one request while it is answered, for its access line, its counters and its
//! explanation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::sweep::Story;

use super::origin::Origin;

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Read for this request.
    Read,
    /// Read for another request that was under way.
    Shared,
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
            Source::Kept => "hit",
            Source::Stale => "stale",
        }
    }
}

/// Which side an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Control,
    Candidate,
}

impl Side {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Side::Control => "control",
            Side::Candidate => "candidate",
        }
    }
}

/// How an answer comes about: layers note what they learn, the access line tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) endpoint: Option<&'static str>,
    pub(crate) caller: Option<String>,
    /// What the caller's upstream speaks.
    pub(crate) dialect: Option<&'static str>,
    pub(crate) may_explain: bool,
    /// Filters that had a value.
    pub(crate) filters: Vec<&'static str>,
    /// Names fit for a log.
    pub(crate) ignored: Vec<String>,
    pub(crate) rows: u64,
    pub(crate) story: Story,
    /// Pages it once took to read what was joined to the rows.
    pub(crate) joined_pages: u64,
    pub(crate) error: Option<&'static str>,
    /// Which side answered, where either may.
    pub(crate) answered_by: Option<&'static str>,
    /// Whether the answer's body comes from elsewhere piece by piece; its line is written at its end.
    pub(crate) is_streamed: bool,
    /// Where a list came from.
    pub(crate) source: Option<Source>,
    /// Under which names the request is followed, here and upstream.
    pub(crate) origin: Option<Arc<Origin>>,
    /// Whether nobody waits for it: then it is in no client's way.
    pub(crate) is_background: bool,
    /// Which configuration it is answered with.
    pub(crate) epoch: u64,
    /// Requests sent upstream on behalf of this one, those for what is kept included.
    pub(crate) upstream_calls: Arc<AtomicU64>,
}

impl Account {
    pub(crate) fn upstream_calls(&self) -> u64 {
        self.upstream_calls.load(Ordering::Relaxed)
    }
}

/// An account that every layer of one request shares; it stands in the request's extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedAccount(Arc<Mutex<Account>>);

impl SharedAccount {
    pub(crate) fn note(&self, change: impl FnOnce(&mut Account)) {
        // Plain data, valid after any panic.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// An account of its own for what belongs to all who use it: only the names under which the
    /// request is followed, and the count of what is sent upstream, are those of this one.
    pub(crate) fn apart(&self) -> Self {
        let Account { origin, upstream_calls, .. } = self.read();
        SharedAccount(Arc::new(Mutex::new(Account {
            origin,
            upstream_calls,
            ..Account::default()
        })))
    }

    /// One that no client waits for. What is read for all who use it is not: see [`Self::apart`].
    pub(crate) fn background() -> Self {
        let account = SharedAccount::default();
        account.note(|account| account.is_background = true);
        account
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_background(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_background
    }

    /// Counts a request that is sent upstream.
    pub(crate) fn note_upstream_call(&self) {
        self.note(|account| _ = account.upstream_calls.fetch_add(1, Ordering::Relaxed));
    }

    /// Under which names the request is followed.
    pub(crate) fn origin(&self) -> Option<Arc<Origin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).origin.clone()
    }

    pub(crate) fn read(&self) -> Account {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
