//! One list from many pages: whole and consistent, or an error. What is read, in which order and
//! when it is whole, the sweep decides (`domain::sweep`); here it is driven, so many pages at a time.
//!
//! The first error drops every page still in flight. Once the first page has told how many there are, a
//! list that cannot be read in time at the upstream's pace is refused, before it has cost any more.

use std::time::Duration;

use domain::sweep::{Failure, Limits, Next, Story, Sweep};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};

use crate::call::{Found, ListCall, Listed, PageCall, PageRead};
use crate::error::Error;
use crate::observe::metrics::Metrics;

pub(crate) async fn fan_out<S>(
    metrics: Metrics,
    inner: S,
    call: ListCall,
) -> Result<Listed, BoxError>
where
    S: Service<PageCall, Response = PageRead, Error = BoxError> + Clone,
{
    let upstream = &call.caller.upstream;
    let pages_max = upstream.settings.pages_in_flight_max;
    let mut sweep = Sweep::new(Limits {
        paging: upstream.dialect.paging(),
        page_rows_max: upstream.settings.page_rows_max,
        rows_max: upstream.settings.rows_max,
        double_read: upstream.settings.double_read,
        paging_proven: upstream.is_paging_proven(),
        stop_at_first: call.ask.wants_one(),
    });
    let mut in_flight = FuturesUnordered::new();
    let mut found = Found::default();
    loop {
        match sweep.next(pages_max.saturating_sub(in_flight.len())) {
            Next::Done(list) => {
                if list.story.paging_proven {
                    upstream.set_paging_proven(true);
                }
                note(&metrics, &call, list.story);
                return Ok(Listed { list, found });
            }
            Next::Failed(failure) => {
                if failure == Failure::PagingBroken {
                    upstream.set_paging_proven(false);
                }
                note(&metrics, &call, sweep.story());
                return Err(Error::List(failure).into());
            }
            Next::Read(windows) => {
                for window in windows {
                    let page = inner.clone().oneshot(PageCall { list: call.clone(), window });
                    in_flight.push(async move { (window, page.await) });
                }
            }
        }
        if let Some((window, read)) = in_flight.next().await {
            let read = read.inspect_err(|_| note(&metrics, &call, sweep.story()))?;
            found.extend(read.found);
            sweep.put(window, read.rows);
            fits(&call, &sweep).inspect_err(|_| note(&metrics, &call, sweep.story()))?;
        }
    }
}

/// Whether the pages that are left can be had in time, as far as is known now.
fn fits(call: &ListCall, sweep: &Sweep) -> Result<(), Error> {
    let Some(pacer) = &call.caller.upstream.pacer else { return Ok(()) };
    let left = sweep.pages_left();
    // The one row may stand on any page.
    if left == 0 || call.ask.wants_one() {
        return Ok(());
    }
    if call.account.is_background() {
        // What is left has places at once, or clients wait behind it.
        let now = Instant::now();
        let soon = now + Duration::from_millis(1);
        return pacer.admits(left, now, soon).map_err(|_| Error::Overloaded);
    }
    let start = call.caller.paused_until().unwrap_or_else(Instant::now);
    let fits = pacer.admits(left, start, call.deadline);
    fits.map_err(|retry_after| Error::RateLimited { retry_after })
}

/// Counts what a list has cost, whether it came about or not.
fn note(metrics: &Metrics, call: &ListCall, story: Story) {
    metrics.list(&story);
    call.account.note(|account| account.story = story);
}
