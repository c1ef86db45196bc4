//! Whole lists of users that are hard to believe. One that lacks more than half of what the caller's last list
//! had is read once more: an upstream that loses its users for a moment, and counts none, must not make a client
//! delete everybody. One in which no user has a documented field shows that the vendor changed its schema.
//!
//! Must never doubt a list that a client narrowed: neither its length nor its rows say anything about the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::listing::{Listing, Which};
use domain::sweep::Story;
use domain::upstream::{SchemaError, SchemaKind};
use settings::ShrunkList;

use crate::error::Error;
use crate::layer::call::{ListCall, Listed};
use crate::layer::outlet::Oversize;
use crate::layer::{Answering, Around, Below};
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;

/// Lists of so few rows come and go.
const ROWS_MIN: u64 = 10;
/// Between the two readings.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Plausible {
    /// The caller's name, for the log.
    pub(crate) caller: Arc<str>,
    pub(crate) upstream: Arc<Upstream>,
    /// Rows of the caller's last list, by which users it had.
    pub(crate) last: Mutex<HashMap<Which, u64>>,
    pub(crate) metrics: Metrics,
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Plausible {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, call: ListCall) -> Answering<'a, Listed> {
        match call.listing {
            Listing::Users(which) if call.ask.is_of_all() => {
                Box::pin(self.judged(inner, call, which))
            }
            _ => inner.ask(call),
        }
    }
}

impl Plausible {
    async fn judged<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: ListCall,
        which: Which,
    ) -> Result<Listed, Error> {
        let first = inner.ask(call.clone()).await?;
        let listed = match self.had_far_more(which, first.list.read) {
            Some(_) if is_sent(&call) => {
                // What was sent cannot be read once more. The next list is compared with this one.
                self.metrics.list_shrunk();
                if self.upstream.settings.shrunk_list == ShrunkList::Believe {
                    self.note(which, first.list.read);
                }
                return Err(Error::ListShrunk);
            }
            Some(before) => {
                // Only what it cost is kept of it.
                let story = first.list.story;
                drop(first);
                self.again(inner, &call, which, before, story).await?
            }
            None => first,
        };
        self.note(which, listed.list.read);
        self.has_all_fields(&listed)?;
        Ok(listed)
    }
}

/// Whether rows of the list went to the client already.
fn is_sent(call: &ListCall) -> bool {
    matches!(&call.oversize, Some(Oversize::Streamed(outlet)) if outlet.has_begun())
}

impl Plausible {
    /// Reads a list once more that had `before` rows and lacks more than half of them.
    async fn again<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: &ListCall,
        which: Which,
        before: u64,
        first: Story,
    ) -> Result<Listed, Error> {
        tokio::time::sleep(PAUSE).await;
        // Also the pages that an upstream says have not changed: this may be where it is wrong.
        let mut listed = inner.ask(ListCall { is_read_anew: true, ..call.clone() }).await?;
        listed.list.story.add(&first);
        call.behalf.account.note(|account| account.story = listed.list.story);
        let rows = listed.list.read;
        if self.had_far_more(which, rows).is_none() {
            return Ok(listed);
        }
        self.metrics.list_shrunk();
        let (caller, upstream) = (&*self.caller, self.upstream.name.as_str());
        tracing::warn!(caller, upstream, before, rows, "the list of users lost more than half");
        match self.upstream.settings.shrunk_list {
            ShrunkList::Believe => Ok(listed),
            ShrunkList::Refuse => Err(Error::ListShrunk),
        }
    }

    /// The rows of the last list, where this one has less than half of them.
    fn had_far_more(&self, which: Which, rows: u64) -> Option<u64> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&which).copied().filter(|last| *last > ROWS_MIN && rows < last.div_ceil(2))
    }

    fn note(&self, which: Which, rows: u64) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(which, rows);
    }

    /// Whether some user has each documented field, be it null.
    fn has_all_fields(&self, listed: &Listed) -> Result<(), Error> {
        let (upstream, dialect) = (&self.upstream, self.upstream.dialect);
        let absent = listed.absent_keys(dialect);
        if absent.is_empty() {
            return Ok(());
        }
        self.metrics.absent_fields(absent.len());
        if upstream.due_for_absence() {
            let (upstream, fields) = (upstream.name.as_str(), absent.join(","));
            tracing::warn!(upstream, %fields, "no user of the upstream has a documented field");
        }
        let is_missed = |key: &&&str| {
            dialect.vital_keys().contains(*key)
                && !upstream.settings.absent_fields.iter().any(|absent| absent == **key)
        };
        match absent.iter().find(is_missed) {
            None => Ok(()),
            Some(key) => {
                let error =
                    SchemaError { path: format!("users[].{key}"), kind: SchemaKind::BadSchema };
                Err(Error::Schema { dialect: dialect.name(), listing: "users", error })
            }
        }
    }
}
