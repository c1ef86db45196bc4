//! A group's name becomes its ids, by reading the caller's users: v4 documents no list of groups.
//!
//! One reading tells all groups, so it serves every name; it is kept per caller for a while. A name
//! it does not have is believed unknown for a shorter while, then read for again. The reading runs
//! in a task of its own that no client's leaving can cancel (moka's single flight gives up, and in
//! the end panics, when its leaders are cancelled); clients only wait for it, and there is never
//! more than one a caller. An unknown name is the empty list, never everyone: [`Resolved`] has no
//! third way.

use std::sync::Arc;
use std::time::Duration;

use domain::legacy::Lists;
use domain::listing::{Listing, Which};
use domain::plan::{GroupName, Resolved};
use domain::sweep::{Failure, List};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};
use tracing::Instrument;

use crate::call::{Ask, Call, ListCall, Listed, RowsAsk};
use crate::caller::KnownGroups;
use crate::error::Error;
use crate::observe::metrics::Metrics;

/// What a look-up needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    /// The youngest age at which what is known is doubted.
    pub(crate) doubt_after: Duration,
    /// Groups kept per caller.
    pub(crate) groups_max: u64,
    /// How long a look-up may take that nobody waits for any more.
    pub(crate) deadline: Duration,
}

pub(crate) async fn lookup<S>(
    settings: Settings,
    inner: S,
    call: Call<GroupName>,
) -> Result<List, BoxError>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let Some(name) = call.plan.group().cloned() else {
        return ask(&inner, &call, Vec::new()).await;
    };
    let asked_at = Instant::now();
    let known = find(&settings, &inner, &call, &name, None).await?;
    let ids = known.groups.ids(&name);
    let list = ask(&inner, &call, ids.clone()).await?;
    // Ids that lead to nobody may be dead: the group was deleted, renamed or made anew. They are
    // looked up again, unless that was done a moment ago.
    let is_doubtful = list.rows == 0
        && !ids.is_empty()
        && asked_at.duration_since(known.at) >= settings.doubt_after;
    if !is_doubtful {
        return Ok(list);
    }
    settings.metrics.lookup("doubted");
    let again = find(&settings, &inner, &call, &name, Some(&known)).await?;
    let ids_again = again.groups.ids(&name);
    if ids_again == ids { Ok(list) } else { ask(&inner, &call, ids_again).await }
}

async fn ask<S>(
    inner: &S,
    call: &Call<GroupName>,
    ids: Vec<domain::hub::Id<'static>>,
) -> Result<List, BoxError>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone,
{
    let plan = match call.plan.clone().resolve(ids) {
        Resolved::Nobody => return Ok(List::default()),
        Resolved::Ask(plan) => *plan,
    };
    let lists = call.endpoint.lists();
    let listing = match lists {
        Lists::Users(_) => Listing::Users(Which::Live),
        Lists::DeletedUsers(_) => Listing::Users(Which::Deleted),
        Lists::Teams(_) => Listing::Teams,
    };
    let ask = Ask::Rows(Arc::new(RowsAsk { lists, quirks: call.quirks.clone(), plan }));
    let list = ListCall::new(&call.caller, listing, ask, call.deadline, call.account.clone());
    Ok(inner.clone().oneshot(list).await?.list)
}

/// What is known of the caller's groups, read anew where nothing is, where what is known is `doubted`,
/// or where it lacks the name and is not quite fresh.
async fn find<S>(
    settings: &Settings,
    inner: &S,
    call: &Call<GroupName>,
    name: &GroupName,
    doubted: Option<&Arc<KnownGroups>>,
) -> Result<Arc<KnownGroups>, BoxError>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let caller = &call.caller;
    let cache = caller.groups();
    if let Some(known) = cache.get(&()).await {
        let has_name = !known.groups.ids(name).is_empty();
        let is_doubted = doubted.is_some_and(|doubted| Arc::ptr_eq(doubted, &known));
        if !is_doubted && (has_name || known.at.elapsed() < settings.doubt_after) {
            settings.metrics.lookup(if has_name { "hit" } else { "unknown" });
            return Ok(known);
        }
        // Only what was judged is dropped: somebody may have read anew in the meantime.
        let is_still_kept = |kept: Arc<KnownGroups>| Arc::ptr_eq(&kept, &known);
        if cache.get(&()).await.is_some_and(is_still_kept) {
            cache.invalidate(&()).await;
        }
    }
    settings.metrics.lookup("miss");
    let list = ListCall::new(
        caller,
        Listing::Users(Which::Live),
        Ask::Groups,
        Instant::now() + settings.deadline,
        // A look-up belongs to all who wait for it, not to the account of one.
        call.account.apart(),
    );
    let (cache, inner, settings) = (cache.clone(), inner.clone(), settings.clone());
    let reading = async move {
        let listed = tokio::time::timeout(settings.deadline, inner.oneshot(list));
        let listed = listed.await.map_err(|_| Error::Deadline)?;
        let listed = listed.map_err(|error| match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(_) => Error::Internal,
        })?;
        let groups = listed.found.groups;
        if groups.len() as u64 > settings.groups_max {
            return Err(Error::List(Failure::TooLarge { rows_max: settings.groups_max }));
        }
        Ok(Arc::new(KnownGroups { groups, at: Instant::now() }))
    };
    let reading = async move { cache.try_get_with((), reading).await };
    match tokio::spawn(reading.in_current_span()).await {
        Ok(Ok(known)) => Ok(known),
        Ok(Err(error)) => Err((*error).clone().into()),
        Err(_) => Err(Error::Internal.into()),
    }
}
