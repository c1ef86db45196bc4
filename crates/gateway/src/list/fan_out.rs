//! One list from many pages: whole and consistent, or an error. What is read, in which order and
//! when it is whole, the sweep decides (`domain::sweep`); here it is driven, many pages at a time.
//!
//! A list of more than one page waits for its turn among the caller's long lists, first come, first served, and
//! for room among the bytes that lists may hold: so lists end one after another instead of all together never.
//! It waits when its first page has told how many there are, or before that page if it is expected to have more.
//!
//! The first error drops every page still in flight. Once the first page has told how many there are, a
//! list that cannot be read in time at the upstream's pace is refused, before it has cost any more.
//!
//! A whole list is expected to be as long as the caller's last one (`expected.rs`), and its pages are asked for
//! without waiting for the first. Must never fail because of what was expected.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use domain::sweep::{Failure, Limits, List, Next, Rows, Story, Sweep, Window};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use limits::{Admission, Full, Holding, Share, Shed, may_stay};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::expected::{Expected, Kind, Lengths, Tags};
use super::narrow::{is_of_page, narrow};
use crate::error::Error;
use crate::layer::call::{
    Ask, Askers, Found, ListCall, Listed, PageCall, PageRead, RowsAsk, no_room,
};
use crate::layer::outlet::Oversize;
use crate::layer::{Answering, Around, Below};
use crate::line::pace::Pace;
use crate::line::pause::Pause;
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct FanOut {
    pub(crate) upstream: Arc<Upstream>,
    /// A list that must wait for it may come too late.
    pub(crate) pause: Arc<Pause>,
    /// All pages of a list must have places in it.
    pub(crate) pace: Option<Arc<Pace>>,
    /// The turns of the caller's long lists.
    pub(crate) turns: Arc<Admission>,
    /// The caller's share of the bytes that lists may hold.
    pub(crate) share: Share,
    /// How long a list waits for room.
    pub(crate) wait_max: Duration,
    /// Of the caller's last whole lists.
    pub(crate) lengths: Lengths,
    /// Whether pages may be unchanged.
    pub(crate) tags: Tags,
    pub(crate) metrics: Metrics,
}

/// A page that works again after this time did not fail for good; and clients that ask again at once come
/// first.
const SEARCH_AFTER: Duration = Duration::from_secs(2);

impl<S: Below<PageCall, PageRead>> Around<S, ListCall> for FanOut {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, call: ListCall) -> Answering<'a, Listed> {
        match Self::outlet(&call) {
            None => Box::pin(self.whole(inner, call)),
            Some(outlet) => Box::pin(self.handed_out(inner, call, outlet)),
        }
    }
}

impl FanOut {
    async fn whole<S: Below<PageCall, PageRead>>(
        &self,
        inner: &S,
        call: ListCall,
    ) -> Result<Listed, Error> {
        let upstream = &self.upstream;
        let pages_max = upstream.settings.pages_in_flight_max;
        let sweep = Sweep::new(self.limits(&call));
        let kind = Kind::of(&call, upstream);
        let expected = self.lengths.take(kind);
        let mut sweep = sweep.expecting(expected.map_or(0, |list| list.rows));
        self.share.admits().map_err(|full| self.refused(full))?;
        let distrusts = call.is_read_anew || self.tags.are_distrusted();
        let call = Arc::new(call);
        let ask = |window, is_read_anew| {
            inner.ask(PageCall { list: Arc::clone(&call), window, is_read_anew })
        };
        let mut in_flight = InFlight::default();
        let (mut found, mut held, mut long) = (Found::default(), 0, None::<Long>);
        let (mut restarts, mut page_bytes, mut fitting) = (0, 0, None);
        if sweep.is_expecting() {
            long = Some(Box::pin(self.turn(&call, held)).await?);
        }
        loop {
            if let (Some(audience), Some(long)) = (&call.audience, &mut long) {
                self.lighten(audience, &mut sweep, &mut long.holding);
            }
            let may_go_on = match &long {
                None => sweep.story().pages == 0,
                Some(long) => long.holding.has_room().is_ok(),
            };
            // Pages that come back at the same time may not hold more than the questions may together.
            let at_once = match (&call.audience, &long) {
                (Some(_), Some(long)) => {
                    let known =
                        expected.filter(|_| sweep.is_expecting()).map(|list| list.page_bytes);
                    let page_bytes = page_bytes.max(known.unwrap_or_default());
                    pages_max.min(long.holding.fits(page_bytes).max(1))
                }
                _ => pages_max,
            };
            let free = if may_go_on { at_once.saturating_sub(in_flight.len()) } else { 0 };
            let next = sweep.next(free);
            let is_read_anew = distrusts || !sweep.trusts_unchanged();
            let mut alone = None;
            match next {
                Next::Done(list) => {
                    self.tags.note(&sweep);
                    if list.story.paging_proven {
                        upstream.set_paging_proven(true);
                    }
                    self.note(&call, list.story);
                    if sweep.was_regular() {
                        self.lengths.put(kind, Expected { rows: list.read, page_bytes });
                    }
                    let holding = long.map(|long| Arc::new(long.holding.ended()));
                    return Ok(Listed { list, found, holding, ..Listed::default() });
                }
                Next::Failed(failure) => {
                    self.tags.note(&sweep);
                    if failure == Failure::PagingBroken {
                        upstream.set_paging_proven(false);
                    }
                    self.note(&call, sweep.story());
                    return Err(Error::List(failure));
                }
                Next::Read(windows) => {
                    // Most pages are read alone, without a set of pages in flight.
                    if let (true, [window]) = (in_flight.is_empty(), windows.as_slice()) {
                        alone = Some(*window);
                    }
                    for window in windows.into_iter().filter(|_| alone.is_none()) {
                        in_flight.push(Page { window, read: ask(window, is_read_anew) });
                    }
                }
            }
            // A sweep that begins anew has dropped its pages.
            if let Some(long) = &mut long
                && sweep.story().restarts > restarts
            {
                restarts = sweep.story().restarts;
                long.holding.shrink(0);
                found = Found::default();
            }
            let next = match alone {
                Some(window) => Some((window, ask(window, is_read_anew).await)),
                None => in_flight.next().await,
            };
            if let Some((window, read)) = next {
                let read = match read {
                    Ok(read) => read,
                    // The list may have become too short for this page: nothing is expected of it any more.
                    Err(error)
                        if sweep.is_expecting() && window.offset > 0 && is_of_page(&error) =>
                    {
                        in_flight.clear();
                        sweep.expect_nothing();
                        found = Found::default();
                        if let Some(long) = &mut long {
                            long.holding.shrink(0);
                        }
                        continue;
                    }
                    // The count of an unchanged page may have been too large for this one.
                    Err(Error::RefusedCall { .. })
                        if sweep.story().pages_unchanged > 0 && sweep.takes_unchanged() =>
                    {
                        in_flight.clear();
                        sweep.distrust_unchanged();
                        found = Found::default();
                        continue;
                    }
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
                        self.tags.note(&sweep);
                        self.note(&call, sweep.story());
                        drop(in_flight);
                        let reads_others = sweep.story().pages > 0;
                        self.name(inner, &call, window, &error, reads_others).await;
                        return Err(error);
                    }
                };
                if read.is_unchanged && !sweep.takes_unchanged() {
                    // It was asked for before the list was in doubt.
                    sweep.put_unchanged(window, read.rows);
                    continue;
                }
                found.extend(read.found);
                let rows = read.rows;
                let is_refused = match call.oversize {
                    Some(Oversize::Refused { bytes_max }) => {
                        Self::is_oversize(window, &rows, bytes_max)
                    }
                    _ => false,
                };
                let bytes = rows.held();
                page_bytes = page_bytes.max(bytes);
                match &mut long {
                    Some(long) => long.holding.grow(bytes),
                    None => held += bytes,
                }
                if let Some(audience) = &call.audience {
                    self.tell_found(audience, &rows, sweep.story());
                }
                let was_expecting = sweep.is_expecting();
                match read.is_unchanged {
                    true => sweep.put_unchanged(window, rows),
                    false => sweep.put(window, rows),
                }
                if is_refused {
                    self.note(&call, sweep.story());
                    return Err(Error::Oversize);
                }
                if was_expecting && !sweep.is_expecting() {
                    // The list may be too short for some pages: those are waited for no more, and hold nothing.
                    in_flight.keep(|page| sweep.awaits(page.window));
                    if let Some(long) = &mut long {
                        long.holding.shrink(sweep.keep_views(|_| true));
                    }
                }
                if self.pace.is_some() {
                    // Boxed, so that lists without a pace stay small.
                    Box::pin(self.fits(&call, sweep.pages_left(), &mut fitting))
                        .await
                        .inspect_err(|_| self.note(&call, sweep.story()))?;
                }
                if call.audience.as_ref().is_some_and(|audience| audience.is_deserted()) {
                    self.note(&call, sweep.story());
                    return Ok(Listed::default());
                }
            } else if let Some(long) = &long {
                Box::pin(self.room(&call, long))
                    .await
                    .inspect_err(|_| self.note(&call, sweep.story()))?;
            } else {
                // Boxed, so that lists of one page stay small.
                let turn = Box::pin(self.turn(&call, held)).await;
                long = Some(turn.inspect_err(|_| self.note(&call, sweep.story()))?);
            }
        }
    }
}

/// A page that is being read.
pub(super) struct Page<'a> {
    pub(super) window: Window,
    pub(super) read: Answering<'a, PageRead>,
}

impl Future for Page<'_> {
    type Output = (Window, Result<PageRead, Error>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.read.as_mut().poll(cx).map(|read| (self.window, read))
    }
}

/// The pages that are read at the same time. The set is made when there are several.
#[derive(Default)]
struct InFlight<'a>(Option<FuturesUnordered<Page<'a>>>);

impl<'a> InFlight<'a> {
    fn len(&self) -> usize {
        self.0.as_ref().map_or(0, FuturesUnordered::len)
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn push(&mut self, page: Page<'a>) {
        self.0.get_or_insert_default().push(page);
    }

    /// The next page that is there; `None` if none is on its way.
    async fn next(&mut self) -> Option<(Window, Result<PageRead, Error>)> {
        self.0.as_mut()?.next().await
    }

    fn keep(&mut self, is_needed: impl Fn(&Page<'a>) -> bool) {
        let all = self.0.take().into_iter().flatten();
        self.0 = Some(all.filter(is_needed).collect());
    }

    fn clear(&mut self) {
        self.0 = None;
    }
}

/// A list of more than one page.
pub(super) struct Long {
    _turn: Option<OwnedSemaphorePermit>,
    pub(super) holding: Holding,
}

impl FanOut {
    pub(super) fn limits(&self, call: &ListCall) -> Limits {
        let (upstream, settings) = (&self.upstream, &self.upstream.settings);
        Limits {
            paging: upstream.dialect.paging(),
            page_rows_max: settings.page_rows_max,
            rows_max: settings.rows_max,
            double_read: settings.double_read,
            paging_proven: upstream.is_paging_proven(),
            stop_at_first: call.audience.is_none() && call.wants_one(),
        }
    }

    /// The turn of a list that holds so many bytes already.
    pub(super) async fn turn(&self, call: &ListCall, held: usize) -> Result<Long, Error> {
        // Readings that questions share have theirs already; background requests never queue. What is joined
        // and looked up is waited for by many, and only a few of its lists are read at a time.
        let is_of_all = matches!(call.ask, Ask::Items | Ask::Groups);
        let needs_turn = call.audience.is_none() && !call.behalf.is_background && !is_of_all;
        let holding = self.share.holding(held);
        let mut turn = if needs_turn { self.turns.try_enter() } else { None };
        if needs_turn && turn.is_none() {
            // It keeps its bytes while it waits.
            holding.has_room().map_err(|full| self.refused(full))?;
            turn = Some(self.turns.enter().await.map_err(|_| self.refused(Full::Own))?);
        }
        Ok(Long { _turn: turn, holding: holding.begun() })
    }

    /// Waits until the list may grow.
    pub(super) async fn room(&self, call: &ListCall, long: &Long) -> Result<(), Error> {
        let wait_max = if call.behalf.is_background { Duration::ZERO } else { self.wait_max };
        match (timeout(wait_max, long.holding.room()).await, long.holding.has_room()) {
            (Err(_), Err(full)) => Err(self.refused(full)),
            _ => Ok(()),
        }
    }

    pub(super) fn refused(&self, full: Full) -> Error {
        self.metrics.shed(match full {
            Full::Own => Shed::Tenant,
            Full::All => Shed::Memory,
        });
        no_room(full)
    }

    /// Answers the questions whose one row is on this page.
    fn tell_found(&self, audience: &Askers, page: &Rows, before: Story) {
        let seeks_one = !audience.all(|ask| !ask.wants_one());
        if !seeks_one || page.total > self.upstream.settings.rows_max {
            return;
        }
        let story = Story { pages: before.pages + 1, ..before };
        audience.tell_some(|seat, ask: &RowsAsk, _| {
            let list = ask.wants_one().then(|| List::of_one(page, seat as u32, story))??;
            Some(Ok(Listed { list, ..Listed::default() }))
        });
    }

    /// Where the questions together hold too much, refuses those that hold most, and drops their rows.
    fn lighten(&self, audience: &Askers, sweep: &mut Sweep, holding: &mut Holding) {
        let Some(bytes_max) = holding.excess() else { return };
        let waits = Vec::from_iter(audience.questions().iter().map(Option::is_some));
        let mut held = sweep.held_by(waits.len());
        let has_left = held.iter().zip(&waits).any(|(held, waits)| *held > 0 && !waits);
        held.iter_mut().zip(&waits).filter(|(_, waits)| !**waits).for_each(|(held, _)| *held = 0);
        let may_stay = may_stay(&held, bytes_max);
        if !has_left && may_stay.iter().all(|stays| *stays) {
            return;
        }
        let is_in = |seats: &[bool], seat: usize| seats.get(seat).copied().unwrap_or_default();
        let stays = |seat| is_in(&may_stay, seat);
        audience.tell_some(|seat, _, _| (!stays(seat)).then(|| Err(self.refused(Full::Own))));
        let is_kept = |view| is_in(&waits, view as usize) && stays(view as usize);
        holding.shrink(sweep.keep_views(is_kept));
    }

    /// Whether the pages that are left can be had in time, as far as is known now. `fitting` are those that a pace
    /// of all replicas was asked about already.
    pub(super) async fn fits(
        &self,
        call: &ListCall,
        left: u64,
        fitting: &mut Option<u64>,
    ) -> Result<(), Error> {
        let Some(pace) = &self.pace else { return Ok(()) };
        // The one row may stand on any page.
        if left == 0 || call.wants_one() || fitting.is_some_and(|known| left <= known) {
            return Ok(());
        }
        if pace.is_far() {
            *fitting = Some(left);
        }
        if call.behalf.is_background {
            // What is left has places at once, or clients wait behind it.
            let places = pace.look(Instant::now(), Duration::ZERO).await;
            // The look may have taken longer than that.
            let soon = Instant::now() + Duration::from_millis(1);
            return places.admits(left, soon).map_err(|_| Error::Overloaded);
        }
        let start = self.pause.until().unwrap_or_else(Instant::now);
        let limited = |retry_after| Error::RateLimited { retry_after };
        let places = pace.look(start, Duration::from_secs(1)).await;
        let Some(audience) = &call.audience else {
            return places.admits(left, call.deadline).map_err(limited);
        };
        // Of those who share it some have less time left.
        let first = audience.deadlines().map_or(call.deadline, |(first, _)| first);
        if places.admits(left, first).is_err() {
            audience.tell_some(|_, ask, deadline| {
                let fits = if ask.wants_one() { Ok(()) } else { places.admits(left, deadline) };
                fits.err().map(|retry_after| Err(limited(retry_after)))
            });
        }
        Ok(())
    }

    /// Tells which page cannot be read, and which of its rows. Where `reads_others` does not hold, the
    /// upstream may fail as a whole, and is not asked any more for that.
    pub(super) async fn name<S: Below<PageCall, PageRead>>(
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
        // A list that is sent meanwhile ends now: the search must not hold its answer.
        let list = ListCall { oversize: None, ..call.clone() };
        let upstream = Arc::clone(&self.upstream);
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
    pub(super) fn note(&self, call: &ListCall, story: Story) {
        self.metrics.list(&story);
        call.behalf.account.note(|account| account.story = story);
    }
}
