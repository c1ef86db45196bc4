//! Different questions of one caller that the upstream can only answer with the same whole list share one
//! reading of it: a filter by id, time zone or caller id costs a list of all users, whatever its value.
//!
//! Only so many readings run at a time as the caller's places upstream can feed. Questions that come while
//! these run wait for the next reading, and it answers all of them, each with its own rows. A question that
//! comes after the first page was asked for waits for the reading after that one. Must never answer a question
//! from pages that were asked for before the question, nor let one wait longer than it would alone.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::legacy::Lists;
use domain::listing::Listing;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use limits::whose::{self, Working};
use limits::{Admission, LOOK_INTERVAL, Shed};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::layer::call::{Ask, Askers, Found, ListCall, Listed, RowsAsk};
use crate::layer::{Answering, Around, Below};
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct Gather {
    pub(crate) upstream: Arc<Upstream>,
    /// The turns of the caller's long lists.
    pub(crate) turns: Arc<Admission>,
    pub(crate) open: Open,
    /// How long before its deadline a question gives up that waits for a turn.
    pub(crate) wait_max: Duration,
    pub(crate) metrics: Metrics,
}

/// The pages that questions share: what is listed, and what kind of records is made of it, since that
/// decides what is joined.
type Pages = (Listing, Discriminant<Lists>);

/// The last reading of each kind, which questions join until it begins.
#[derive(Clone, Default)]
pub(crate) struct Open(Arc<Mutex<HashMap<Pages, Arc<Askers>>>>);

impl Open {
    fn readings(&self) -> MutexGuard<'_, HashMap<Pages, Arc<Askers>>> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Gather {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, call: ListCall) -> Answering<'a, Listed> {
        match self.shared(&call) {
            None => inner.ask(call),
            Some((pages, ask)) => Box::pin(self.gathered(inner, call, pages, ask)),
        }
    }
}

impl Gather {
    async fn gathered<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: ListCall,
        pages: Pages,
        ask: Arc<RowsAsk>,
    ) -> Result<Listed, Error> {
        let (joined, account) = {
            let readings = self.open.readings();
            let open = readings.get(&pages);
            let joined = open.and_then(|audience| audience.join(&ask, call.deadline));
            (joined, call.behalf.account.clone())
        };
        let answer = match joined {
            Some(told) => told.await,
            None => {
                let audience = Arc::<Askers>::default();
                // Nobody else has it yet, so it has not begun.
                let told = audience.join(&ask, call.deadline).ok_or(Error::Internal)?;
                self.open.readings().insert(pages.clone(), Arc::clone(&audience));
                let end = End { open: self.open.clone(), pages, audience: Arc::clone(&audience) };
                let work = self.reading(inner.clone(), call, end).boxed();
                let work = whose::of_the_same(work);
                let mut lead = Lead { work: Some(work), audience };
                match select(pin!(told), pin!(lead.take_further())).await {
                    Either::Left((answer, _)) => answer,
                    Either::Right(((), told)) => told.await,
                }
            }
        };
        if let Ok(Ok(listed)) = &answer {
            account.note(|account| account.story = listed.list.story);
        }
        // The end of a reading answers all.
        answer.unwrap_or(Err(Error::Internal))
    }

    /// What a call shares with others; `None` where it has its pages to itself.
    fn shared(&self, call: &ListCall) -> Option<(Pages, Arc<RowsAsk>)> {
        let Ask::Rows(ask) = &call.ask else { return None };
        // Whom the roster is told of is found by one reading, and background requests wait for nobody.
        let is_alone = call.for_roster
            || call.is_read_anew
            || call.behalf.is_background
            || call.behalf.wants_failed_rows
            || call.oversize.is_some();
        if is_alone || !matches!(call.listing, Listing::Users(_)) {
            return None;
        }
        let dialect = self.upstream.dialect;
        let is_filtered = dialect.is_filtered(&call.listing, &ask.plan.filter);
        (!is_filtered).then(|| ((call.listing.clone(), discriminant(&ask.lists)), Arc::clone(ask)))
    }

    /// Reads a list, when it is its turn, and answers all who ask for it by then.
    fn reading<S: Below<ListCall, Listed>>(
        &self,
        inner: S,
        mut call: ListCall,
        end: End,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let (turns, wait_max) = (Arc::clone(&self.turns), self.wait_max);
        let metrics = self.metrics.clone();
        async move {
            let audience = &end.audience;
            let mut since = None;
            let listed = async {
                let _turn = turn(&turns, audience, wait_max, &metrics).await?;
                // A page that is asked for from now on is no older than any question.
                audience.begin();
                since = Some(Instant::now());
                // Each is waited for until its own deadline; the pages are, until the last of these.
                call.deadline = audience.deadlines().map_or(call.deadline, |(_, last)| last);
                call.audience = Some(Arc::clone(audience));
                inner.ask(call).await
            };
            match listed.await {
                Ok(Listed { list, joined_pages, holding, .. }) => {
                    for (seat, list) in list.split(audience.len()).into_iter().enumerate() {
                        let (found, holding) = (Found::default(), holding.clone());
                        let counts = None;
                        let listed = Listed { list, found, joined_pages, counts, holding, since };
                        audience.tell(seat, Ok(listed));
                    }
                }
                Err(error) => audience.tell_all(|| Err(error.clone())),
            }
        }
    }
}

/// A turn for those who share a reading. Each of them waits for it as long as it would alone, and is told then.
async fn turn(
    turns: &Admission,
    audience: &Askers,
    wait_max: Duration,
    metrics: &Metrics,
) -> Result<OwnedSemaphorePermit, Error> {
    let refused = || {
        metrics.shed(Shed::Tenant);
        Error::TenantLimit
    };
    let mut turn = pin!(turns.wait());
    // Where nobody waits any more, nobody can join either.
    while !audience.is_deserted() {
        let Some(next) = audience.tell_late(wait_max, || Err(refused())) else { continue };
        // Those who join meanwhile may have less time.
        let next = next.min(Instant::now() + LOOK_INTERVAL);
        if let Ok(turn) = timeout_at(next, &mut turn).await {
            return turn.map_err(|_| refused());
        }
    }
    Err(Error::TenantLimit)
}

/// Ends a reading, however it ended.
struct End {
    open: Open,
    pages: Pages,
    audience: Arc<Askers>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut readings = self.open.readings();
        if readings.get(&self.pages).is_some_and(|open| Arc::ptr_eq(open, &self.audience)) {
            readings.remove(&self.pages);
        }
        drop(readings);
        // Nobody, unless the reading panicked.
        self.audience.tell_all(|| Err(Error::Internal));
    }
}

/// The work of a reading, which the question that began it takes further. When that one has its answer or
/// leaves, the work goes on by itself as long as anybody else waits.
struct Lead {
    work: Option<Working<BoxFuture<'static, ()>>>,
    audience: Arc<Askers>,
}

impl Lead {
    async fn take_further(&mut self) {
        if let Some(work) = &mut self.work {
            work.await;
        }
        self.work = None;
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let Some(work) = self.work.take().filter(|_| !self.audience.is_deserted()) else { return };
        let audience = Arc::clone(&self.audience);
        // Without a runtime the process is about to end.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                select(work, pin!(audience.deserted())).await;
            });
        }
    }
}
