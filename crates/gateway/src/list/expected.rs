//! What a caller's last lists let the next ones expect: their length, and whether the upstream's tags can be believed.
//! Must never say anything of a list that was read in several attempts, nor say it twice: a list that does not end as expected is
//! followed by one of which nothing is expected.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::listing::{Listing, Which};
use domain::sweep::Sweep;
use tokio::time::Instant;

use crate::layer::call::ListCall;
use crate::line::upstream::Upstream;

/// A kind of whole list. Its pages hold more where several questions share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    users: Which,
    is_shared: bool,
}

impl Kind {
    /// The kind of a list; `None` if it is not read whole. A filter that the upstream does not have is one of a
    /// shared list.
    pub(super) fn of(call: &ListCall, upstream: &Upstream) -> Option<Kind> {
        let Listing::Users(users) = call.listing else { return None };
        let is_shared = call.audience.is_some();
        let is_whole = is_shared || call.ask.is_of_all();
        // A list that is refused for its pace would never be read, and so be refused for ever.
        let is_paced = upstream.settings.requests_per_minute_max.is_some();
        (is_whole && !is_paced && !call.wants_one()).then_some(Kind { users, is_shared })
    }
}

/// A list that ended well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// All its rows.
    pub(super) rows: u64,
    /// The bytes of its largest page, rendered.
    pub(super) page_bytes: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lengths(Mutex<HashMap<Kind, Expected>>);

impl Lengths {
    /// Takes the expectation out; the list puts it back if it ends well.
    pub(super) fn take(&self, kind: Option<Kind>) -> Option<Expected> {
        self.lengths().remove(&kind?)
    }

    /// Remembers a list that ended well.
    pub(super) fn put(&self, kind: Option<Kind>, list: Expected) {
        if let Some(kind) = kind {
            self.lengths().insert(kind, list);
        }
    }

    fn lengths(&self) -> MutexGuard<'_, HashMap<Kind, Expected>> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the upstream is believed that a page has not changed. It is not for a while after a list of such pages was
/// in doubt: each list would be read twice if its count is always wrong.
#[derive(Debug)]
pub(crate) struct Tags {
    distrusted_until: Mutex<Option<Instant>>,
    /// How long that lasts.
    distrusted_for: Duration,
}

impl Tags {
    pub(crate) fn new(distrusted_for: Duration) -> Self {
        Tags { distrusted_until: Mutex::default(), distrusted_for }
    }

    pub(super) fn are_distrusted(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Takes note of a list that has ended.
    pub(super) fn note(&self, sweep: &Sweep) {
        if !sweep.takes_unchanged() {
            *self.until() = Some(Instant::now() + self.distrusted_for);
        }
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        // Plain data, valid after any panic.
        self.distrusted_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
