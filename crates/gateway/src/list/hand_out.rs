//! A list that is sent while it is read: rows go to the client as soon as they are beyond doubt, and the list
//! is judged whole before its answer may end. Must never ask for pages while the client takes none, nor hold more
//! pages than may be in flight and as many beside them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use domain::sweep::{DoubleRead, Failure, Next, Rows, Sweep, Window};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::fan_out::{FanOut, Page};
use crate::error::Error;
use crate::layer::Below;
use crate::layer::call::{Ask, Found, ListCall, Listed, PageCall, PageRead};
use crate::layer::outlet::{Left, Outlet, Oversize};
use crate::layer::rope;

impl FanOut {
    /// Where the rows of a list go that is sent while it is read.
    pub(super) fn outlet(call: &ListCall) -> Option<Arc<Outlet>> {
        match (&call.oversize, &call.ask) {
            (Some(Oversize::Streamed(outlet)), Ask::Rows(_)) => Some(Arc::clone(outlet)),
            _ => None,
        }
    }

    /// Whether the answer will be larger than may be buffered, by the list's first page. `bytes_max` is the
    /// limit, if there is one.
    pub(super) fn is_oversize(window: Window, page: &Rows, bytes_max: u64) -> bool {
        let (rows, bytes) = (page.keys.len() as u64, page.bytes.len() as u64);
        window.offset == 0 && rows > 0 && page.total.saturating_mul(bytes) / rows > bytes_max
    }

    /// Whether a list may be sent in one go, by its first page: pages are full, rows keep their order, and
    /// nothing says that they may move.
    fn may_go(&self, window: Window, page: &Rows) -> bool {
        let keys = &page.keys;
        let is_sorted = keys.is_sorted_by(|a, b| a < b) || keys.is_sorted_by(|a, b| a > b);
        let holds_still = match self.upstream.settings.double_read {
            DoubleRead::Auto => is_sorted,
            DoubleRead::Always => false,
            DoubleRead::Never => true,
        };
        holds_still && keys.len() >= window.limit as usize
    }

    /// Reads a list and sends it meanwhile. What it gives back has the rows that are not sent yet.
    pub(super) async fn handed_out<S: Below<PageCall, PageRead>>(
        &self,
        inner: &S,
        call: ListCall,
        outlet: Arc<Outlet>,
    ) -> Result<Listed, Error> {
        let pages_max = self.upstream.settings.pages_in_flight_max;
        let mut sweep = Sweep::new(self.limits(&call)).handing_out();
        self.share.admits().map_err(|full| self.refused(full))?;
        let call = Arc::new(call);
        // What is sent cannot be doubted later, as pages may be that an upstream says have not changed.
        let ask =
            |window| inner.ask(PageCall { list: Arc::clone(&call), window, is_read_anew: true });
        let mut in_flight = FuturesUnordered::new();
        let mut long = Box::pin(self.turn(&call, 0)).await?;
        // Never the oldest list, which goes on where there is no room: it may wait for its client.
        long.holding = long.holding.ended();
        let mut fitting = None;
        let (mut found, mut ready) = (Found::default(), VecDeque::<Bytes>::new());
        loop {
            let is_idle = ready.is_empty() && in_flight.is_empty();
            if is_idle && long.holding.has_room().is_err() {
                Box::pin(self.room(&call, &long)).await?;
            }
            let free = match ready.is_empty() && long.holding.has_room().is_ok() {
                true if sweep.pages_held() <= pages_max => {
                    pages_max.saturating_sub(in_flight.len())
                }
                // The page that all others wait for.
                true => usize::from(is_idle),
                false => 0,
            };
            match sweep.next(free) {
                Next::Done(list) => {
                    for rows in ready {
                        let room = outlet.room().await;
                        self.taken(room, &call, &sweep)?.put(rows);
                    }
                    if list.story.paging_proven {
                        self.upstream.set_paging_proven(true);
                    }
                    self.note(&call, list.story);
                    let holding = Some(Arc::new(long.holding.ended()));
                    return Ok(Listed { list, found, holding, ..Listed::default() });
                }
                // Nothing of it was sent, so it can be read in another way.
                Next::Failed(_) if !outlet.has_begun() => {
                    outlet.refuse();
                    self.note(&call, sweep.story());
                    return Err(Error::Oversize);
                }
                Next::Failed(failure) => {
                    if failure == Failure::PagingBroken {
                        self.upstream.set_paging_proven(false);
                    }
                    self.note(&call, sweep.story());
                    return Err(Error::List(failure));
                }
                Next::Read(windows) => {
                    let pages =
                        windows.into_iter().map(|window| Page { window, read: ask(window) });
                    in_flight.extend(pages);
                }
            }
            if ready.is_empty() && in_flight.is_empty() {
                // Another list has taken the room.
                continue;
            }
            let (window, read) = tokio::select! {
                biased;
                () = outlet.left() => return self.taken(Err(Left), &call, &sweep),
                room = outlet.room(), if !ready.is_empty() => {
                    let room = self.taken(room, &call, &sweep)?;
                    room.put(ready.pop_front().unwrap_or_default());
                    long.holding.set(ready.iter().map(Bytes::len).sum::<usize>() + sweep.bytes_held());
                    continue;
                }
                // Pages that were asked for come in, also while the client takes nothing.
                Some(page) = in_flight.next() => page,
            };
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    self.note(&call, sweep.story());
                    drop(in_flight);
                    let reads_others = sweep.story().pages > 0;
                    self.name(inner, &call, window, &error, reads_others).await;
                    return Err(error);
                }
            };
            found.extend(read.found);
            let page = read.rows;
            if sweep.story().pages == 0 {
                let is_unfit = !self.may_go(window, &page);
                if is_unfit {
                    outlet.refuse();
                }
                if is_unfit || !Self::is_oversize(window, &page, outlet.bytes_max) {
                    sweep.put(window, page);
                    self.note(&call, sweep.story());
                    return Err(Error::Oversize);
                }
            }
            sweep.put(window, page);
            self.fits(&call, sweep.pages_left(), &mut fitting)
                .await
                .inspect_err(|_| self.note(&call, sweep.story()))?;
            let parts = sweep.hand_out();
            if !parts.is_empty() {
                outlet.begin();
            }
            ready.extend(parts.into_iter().map(rope::shared));
            long.holding.set(ready.iter().map(Bytes::len).sum::<usize>() + sweep.bytes_held());
        }
    }

    /// What the list has cost is counted also if its client has left.
    fn taken<T>(&self, taken: Result<T, Left>, call: &ListCall, sweep: &Sweep) -> Result<T, Error> {
        taken.map_err(|left| {
            self.note(call, sweep.story());
            Error::from(left)
        })
    }
}
