//! A list of users that suddenly lacks more than half of what it had is read once more: an upstream that loses
//! its users for a moment, and counts none, must not make a client delete everybody. What both readings say is
//! believed, or refused where the operator wants that.
//!
//! Must never doubt a list that a client narrowed: its length says nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::listing::{Listing, Which};
use domain::plan::UserFilter;
use settings::ShrunkList;
use tower::ServiceExt;

use crate::call::{ListCall, Listed};
use crate::error::Error;
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;
use crate::svc::{Around, Below};

/// Lists of so few rows come and go.
const ROWS_MIN: u64 = 10;
/// Between the two readings.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Shrink {
    /// The caller's name, for the log.
    pub(crate) caller: Arc<str>,
    pub(crate) upstream: Arc<Upstream>,
    /// Rows of the caller's last list, by which users it had.
    pub(crate) last: Mutex<HashMap<Which, u64>>,
    pub(crate) metrics: Metrics,
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Shrink {
    type Response = Listed;

    async fn call(&self, inner: &S, call: ListCall) -> Result<Listed, Error> {
        let is_whole = call.ask.filter().is_none_or(UserFilter::is_everyone);
        let (Listing::Users(which), true) = (&call.listing, is_whole) else {
            return inner.clone().oneshot(call).await;
        };
        let which = *which;
        let first = inner.clone().oneshot(call.clone()).await?;
        let Some(before) = self.had_far_more(which, first.list.read) else {
            self.note(which, first.list.read);
            return Ok(first);
        };
        tokio::time::sleep(PAUSE).await;
        let mut listed = inner.clone().oneshot(call.clone()).await?;
        listed.list.story.add(&first.list.story);
        let rows = listed.list.read;
        if self.had_far_more(which, rows).is_some() {
            self.metrics.list_shrunk();
            let (caller, upstream) = (&*self.caller, self.upstream.name.as_str());
            tracing::warn!(caller, upstream, before, rows, "the list of users lost more than half");
            if self.upstream.settings.shrunk_list == ShrunkList::Refuse {
                return Err(Error::ListShrunk);
            }
        }
        self.note(which, rows);
        call.behalf.account.note(|account| account.story = listed.list.story);
        Ok(listed)
    }
}

impl Shrink {
    /// The rows of the last list, where this one has less than half of them.
    fn had_far_more(&self, which: Which, rows: u64) -> Option<u64> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&which).copied().filter(|last| *last > ROWS_MIN && rows < last.div_ceil(2))
    }

    fn note(&self, which: Which, rows: u64) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(which, rows);
    }
}
