//! One list from many pages: whole and consistent, or an error. What is read, in which order and
//! when it is whole, the sweep decides (`domain::sweep`); here it is driven, many pages at a time.
//!
//! The first error drops every page still in flight. Once the first page has told how many there are, a
//! list that cannot be read in time at the upstream's pace is refused, before it has cost any more.

use std::sync::Arc;
use std::time::Duration;

use domain::sweep::{Failure, Limits, Next, Story, Sweep, Window};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use limits::Pause;
use tokio::time::Instant;
use tower::ServiceExt;

use super::narrow::{is_of_page, narrow};
use crate::call::{Found, ListCall, Listed, PageCall, PageRead};
use crate::error::Error;
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;
use crate::svc::{Around, Below};

/// See the module.
pub(crate) struct FanOut {
    pub(crate) upstream: Arc<Upstream>,
    /// A list that must wait for it may come too late.
    pub(crate) pause: Arc<Pause>,
    pub(crate) metrics: Metrics,
}

/// A page that works again after this time did not fail for good; and clients that ask again at once come
/// first.
const SEARCH_AFTER: Duration = Duration::from_secs(2);

impl<S: Below<PageCall, PageRead>> Around<S, ListCall> for FanOut {
    type Response = Listed;

    async fn call(&self, inner: &S, call: ListCall) -> Result<Listed, Error> {
        let (upstream, settings) = (&self.upstream, &self.upstream.settings);
        let pages_max = settings.pages_in_flight_max;
        let mut sweep = Sweep::new(Limits {
            paging: upstream.dialect.paging(),
            page_rows_max: settings.page_rows_max,
            rows_max: settings.rows_max,
            double_read: settings.double_read,
            paging_proven: upstream.is_paging_proven(),
            stop_at_first: call.ask.wants_one(),
        });
        let call = Arc::new(call);
        let mut in_flight = FuturesUnordered::new();
        let mut found = Found::default();
        loop {
            match sweep.next(pages_max.saturating_sub(in_flight.len())) {
                Next::Done(list) => {
                    if list.story.paging_proven {
                        upstream.set_paging_proven(true);
                    }
                    self.note(&call, list.story);
                    return Ok(Listed { list, found, joined_pages: 0 });
                }
                Next::Failed(failure) => {
                    if failure == Failure::PagingBroken {
                        upstream.set_paging_proven(false);
                    }
                    self.note(&call, sweep.story());
                    return Err(Error::List(failure));
                }
                Next::Read(windows) => {
                    for window in windows {
                        let page = PageCall { list: Arc::clone(&call), window };
                        let page = inner.clone().oneshot(page);
                        in_flight.push(async move { (window, page.await) });
                    }
                }
            }
            if let Some((window, read)) = in_flight.next().await {
                let mut read = match read {
                    Ok(read) => read,
                    Err(error) => {
                        // Nothing of it may be taken for a list that this place does not have.
                        let error = match error {
                            Error::NoSuchListing
                                if call.place.is_some() && sweep.story().pages > 0 =>
                            {
                                Error::RefusedCall { status: 404 }
                            }
                            error => error,
                        };
                        self.note(&call, sweep.story());
                        drop(in_flight);
                        let reads_others = sweep.story().pages > 0;
                        self.name(inner, &call, window, &error, reads_others).await;
                        return Err(error);
                    }
                };
                found.extend(read.found);
                read.rows.fit();
                sweep.put(window, read.rows);
                self.fits(&call, &sweep).inspect_err(|_| self.note(&call, sweep.story()))?;
            }
        }
    }
}

impl FanOut {
    /// Whether the pages that are left can be had in time, as far as is known now.
    fn fits(&self, call: &ListCall, sweep: &Sweep) -> Result<(), Error> {
        let Some(pacer) = &self.upstream.pacer else { return Ok(()) };
        let left = sweep.pages_left();
        // The one row may stand on any page.
        if left == 0 || call.ask.wants_one() {
            return Ok(());
        }
        if call.behalf.is_background {
            // What is left has places at once, or clients wait behind it.
            let now = Instant::now();
            let soon = now + Duration::from_millis(1);
            return pacer.admits(left, now, soon).map_err(|_| Error::Overloaded);
        }
        let start = self.pause.until().unwrap_or_else(Instant::now);
        let fits = pacer.admits(left, start, call.deadline);
        fits.map_err(|retry_after| Error::RateLimited { retry_after })
    }

    /// Tells which page cannot be read, and which of its rows. Where `reads_others` does not hold, the
    /// upstream may fail as a whole, and is not asked any more for that.
    async fn name<S: Below<PageCall, PageRead>>(
        &self,
        inner: &S,
        call: &ListCall,
        failed: Window,
        error: &Error,
        reads_others: bool,
    ) {
        if !is_of_page(error) || call.behalf.is_background {
            return;
        }
        let note = |page| call.behalf.account.note(|account| account.failed_page = Some(page));
        note(failed);
        let (upstream, list) = (Arc::clone(&self.upstream), call.clone());
        let (inner, err) = (inner.clone(), error.slug());
        let search = async move {
            let (paging, patience) = (upstream.dialect.paging(), upstream.settings.attempt_timeout);
            let found = narrow(&inner, &list, failed, paging, patience).await;
            let Window { offset, limit: rows } = found.unwrap_or(failed);
            let (upstream, listing) = (upstream.name.as_str(), list.listing.name());
            tracing::warn!(
                upstream,
                listing,
                offset,
                rows,
                err,
                "a page of the list could not be read"
            );
            found
        };
        if call.behalf.wants_failed_rows {
            search.await.into_iter().for_each(note);
        } else if reads_others && self.upstream.due_for_row_search() {
            tokio::spawn(async move {
                tokio::time::sleep(SEARCH_AFTER).await;
                search.await
            });
        }
    }

    /// Counts what a list has cost, whether it came about or not.
    fn note(&self, call: &ListCall, story: Story) {
        self.metrics.list(&story);
        call.behalf.account.note(|account| account.story = story);
    }
}
