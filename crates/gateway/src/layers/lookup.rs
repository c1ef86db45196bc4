//! A group's name becomes its ids, by reading the caller's users: v4 documents no list of groups.
//!
//! Found ids are kept per caller for a while, "there is none" for a shorter while. The reading runs
//! in a task of its own that no client's leaving can cancel (moka's single flight gives up, and in
//! the end panics, when its leaders are cancelled); clients only wait for it. An unknown name is
//! the empty list, never everyone: [`Resolved`] has no third way.

use std::sync::Arc;
use std::time::Duration;

use domain::plan::{GroupName, Resolved};
use domain::sweep::List;
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};

use crate::call::{Ask, Call, ListCall, Listed, RowsAsk, SharedAccount};
use crate::caller::{Caller, FoundGroups};
use crate::error::Error;
use crate::metrics::Metrics;

/// What a look-up needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    /// The youngest age at which found ids are doubted.
    pub(crate) doubt_after: Duration,
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
    let found = find(&settings, &inner, &call.caller, &name).await?;
    let list = ask(&inner, &call, found.ids.clone()).await?;
    // Ids that lead to nobody may be dead: the group was deleted, renamed or made anew. They are
    // looked up again, unless that was done a moment ago.
    let is_doubtful = list.rows == 0
        && !found.ids.is_empty()
        && asked_at.duration_since(found.at) >= settings.doubt_after;
    if !is_doubtful {
        return Ok(list);
    }
    settings.metrics.lookup("doubted");
    // Only what was doubted is dropped: somebody may have looked it up anew in the meantime.
    let (groups, key) = (call.caller.groups(), name.cache_key());
    if groups.get(&key).await.is_some_and(|kept| Arc::ptr_eq(&kept, &found)) {
        groups.invalidate(&key).await;
    }
    let again = find(&settings, &inner, &call.caller, &name).await?;
    if again.ids == found.ids { Ok(list) } else { ask(&inner, &call, again.ids.clone()).await }
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
    let rows = RowsAsk { endpoint: call.endpoint, quirks: call.quirks.clone(), plan };
    let list = ListCall {
        caller: call.caller.clone(),
        ask: Ask::Rows(Arc::new(rows)),
        deadline: call.deadline,
        account: call.account.clone(),
    };
    Ok(inner.clone().oneshot(list).await?.list)
}

async fn find<S>(
    settings: &Settings,
    inner: &S,
    caller: &Arc<Caller>,
    name: &GroupName,
) -> Result<Arc<FoundGroups>, BoxError>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let key = name.cache_key();
    if let Some(found) = caller.groups().get(&key).await {
        settings.metrics.lookup("hit");
        return Ok(found);
    }
    settings.metrics.lookup("miss");
    let list = ListCall {
        caller: Arc::clone(caller),
        ask: Ask::Groups(name.clone()),
        deadline: Instant::now() + settings.deadline,
        // A look-up belongs to all who wait for it, not to the account of one.
        account: SharedAccount::default(),
    };
    let groups = caller.groups().clone();
    let inner = inner.clone();
    let deadline = settings.deadline;
    let reading = async move {
        let listed = tokio::time::timeout(deadline, inner.oneshot(list));
        let listed = listed.await.map_err(|_| Error::Deadline)?;
        let listed = listed.map_err(|error| match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(_) => Error::Internal,
        })?;
        Ok::<_, Error>(Arc::new(FoundGroups { ids: listed.groups, at: Instant::now() }))
    };
    let reading = tokio::spawn(async move { groups.try_get_with(key, reading).await });
    match reading.await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err((*error).clone().into()),
        Err(_) => Err(Error::Internal.into()),
    }
}
