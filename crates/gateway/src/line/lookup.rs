//! A group's name becomes its ids, by reading the caller's users: v4 documents no list of groups.
//!
//! One reading tells all groups, so it serves every name; it is kept per caller for a while. A name
//! it does not have is believed unknown for a shorter while, then read for again. No
//! client that leaves cancels the reading for the others, and a caller has one reading at a time. An
//! unknown name is the empty list, never everyone: [`Resolved`] has no third way.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use domain::hub::Id;
use domain::legacy::Lists;
use domain::listing::{Listing, Which};
use domain::plan::{GroupName, Groups, Resolved};
use limits::{Aged, Kept};
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::layer::call::{Ask, Call, ListCall, Listed, RowsAsk};
use crate::layer::{Answering, Around, Below};
use crate::line::values::{Stored, Values, Wanted};
use crate::observe::metrics::Metrics;

/// One value, since reading the users tells all groups.
pub(crate) type GroupCache = Kept<KnownGroups, Error>;

/// All groups a caller sees, and since when that is known.
#[derive(Debug)]
pub(crate) struct KnownGroups {
    groups: Groups,
    at: Instant,
    /// Whether another replica read them.
    is_from_elsewhere: bool,
}

impl Stored for KnownGroups {
    type Writer = Option<Vec<u8>>;

    fn writer(&self, bytes_max: usize) -> Self::Writer {
        serde_json::to_vec(&self.groups).ok().filter(|body| body.len() <= bytes_max)
    }

    fn read(body: Vec<u8>, age: Duration) -> Option<Self> {
        let (groups, at) = (serde_json::from_slice(&body).ok()?, Instant::now().checked_sub(age)?);
        Some(KnownGroups { groups, at, is_from_elsewhere: true })
    }
}

/// See the module.
pub(crate) struct Lookup {
    /// What is known of this caller's groups.
    pub(crate) groups: GroupCache,
    /// What other replicas know of them, where there are some.
    pub(crate) values: Option<Arc<Values>>,
    /// How long it is used.
    pub(crate) fresh_for: Duration,
    /// The youngest age at which what is known is doubted.
    pub(crate) doubt_after: Duration,
    /// Groups kept.
    pub(crate) groups_max: u64,
    /// How long a look-up may take that nobody waits for any more.
    pub(crate) deadline: Duration,
    pub(crate) metrics: Metrics,
}

impl<S: Below<ListCall, Listed>> Around<S, Call> for Lookup {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, call: Call) -> Answering<'a, Listed> {
        match call.plan.group().cloned() {
            None => ask(inner, call, Vec::new()),
            Some(name) => Box::pin(self.looked_up(inner, call, name)),
        }
    }
}

impl Lookup {
    async fn looked_up<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: Call,
        name: GroupName,
    ) -> Result<Listed, Error> {
        let asked_at = Instant::now();
        let known = self.find(inner, &call, &name, None).await?;
        let ids = known.groups.ids(&name);
        let mut listed = ask(inner, call.clone(), ids.clone()).await?;
        // Ids that lead to nobody may be dead: the group was deleted, renamed or made anew. They are
        // looked up again, unless that was done a moment ago.
        let is_doubtful = listed.list.rows == 0
            && !ids.is_empty()
            && asked_at.duration_since(known.at) >= self.doubt_after;
        if !is_doubtful {
            return Ok(listed);
        }
        self.metrics.lookup("doubted");
        // It has no rows, and holds nothing while the users are read.
        listed.holding = None;
        let again = self.find(inner, &call, &name, Some(&known)).await?;
        let ids_again = again.groups.ids(&name);
        if ids_again == ids {
            return Ok(listed);
        }
        let mut again = ask(inner, call.clone(), ids_again.clone()).await?;
        if ids_again.is_empty() {
            // Nothing was read for it but the list before.
            again.list.story = listed.list.story;
            again.joined_pages = listed.joined_pages;
        }
        Ok(again)
    }
}

impl Lookup {
    /// What is known of the caller's groups, read anew where nothing is, where what is known is
    /// `doubted`, or where it lacks the name and is not quite fresh.
    async fn find<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: &Call,
        name: &GroupName,
        doubted: Option<&Arc<KnownGroups>>,
    ) -> Result<Arc<KnownGroups>, Error> {
        let known = self.groups.known(self.fresh_for);
        if let Some((known, age)) = &known {
            let has_name = !known.groups.ids(name).is_empty();
            let is_doubted = doubted.is_some_and(|doubted| Arc::ptr_eq(doubted, known));
            if !is_doubted && (has_name || *age < self.doubt_after) {
                self.metrics.lookup(if has_name { "hit" } else { "unknown" });
                return Ok(Arc::clone(known));
            }
        }
        self.metrics.lookup("miss");
        let judged = known.as_ref().map(|(known, _)| known);
        let Some(values) = &self.values else {
            let read = || self.reading(inner, call);
            return self.groups.another(judged, self.fresh_for, read).await;
        };
        let read = |judged: Option<&Arc<KnownGroups>>| {
            // What is judged is older than that, so that nothing else is taken than what was read behind it.
            let fresh_for = if judged.is_some() { self.doubt_after } else { self.fresh_for };
            let (values, reading) = (Arc::clone(values), self.reading(inner, call));
            let (keep_for, deadline) = (self.fresh_for, Instant::now() + self.deadline);
            async move {
                let (kind, words) = ("groups", &[][..]);
                let wanted = Wanted { kind, words, fresh_for, keep_for, deadline };
                Ok(Aged::from(values.read(wanted, reading).await?))
            }
        };
        let found = self.groups.another(judged, self.fresh_for, || read(judged)).await?;
        // Another replica's lack of a name is believed no longer than an own one.
        let is_lacking = found.is_from_elsewhere
            && found.groups.ids(name).is_empty()
            && found.at.elapsed() >= self.doubt_after;
        if !is_lacking {
            return Ok(found);
        }
        self.groups.another(Some(&found), self.fresh_for, || read(Some(&found))).await
    }

    /// Reads all groups. A look-up belongs to all who wait for it, not to the account of one.
    fn reading<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: &Call,
    ) -> impl Future<Output = Result<KnownGroups, Error>> + Send + use<S> {
        let (deadline, groups_max) = (self.deadline, self.groups_max);
        let (users, until) = (Listing::Users(Which::Live), Instant::now() + deadline);
        let list = ListCall::new(users, Ask::Groups, until, call.behalf.apart());
        let inner = inner.clone();
        async move {
            let listed = timeout(deadline, inner.ask(list)).await;
            let groups = listed.unwrap_or(Err(Error::Deadline))?.found.groups;
            if groups.len() as u64 > groups_max {
                return Err(Error::TooManyGroups { groups_max });
            }
            Ok(KnownGroups { groups, at: Instant::now(), is_from_elsewhere: false })
        }
    }
}

/// The list of a call, with its group's name as these ids; nobody where there are none.
fn ask<'a, S: Below<ListCall, Listed>>(
    inner: &'a S,
    call: Call,
    ids: Vec<Id<'static>>,
) -> Answering<'a, Listed> {
    let plan = match call.plan.resolve(ids) {
        Resolved::Nobody => return Box::pin(ready(Ok(Listed::default()))),
        Resolved::Ask(plan) => plan,
    };
    let lists = call.endpoint.lists();
    let listing = match lists {
        Lists::Users(_) | Lists::Call(_) => Listing::Users(Which::Live),
        Lists::DeletedUsers(_) => Listing::Users(Which::Deleted),
        Lists::Teams(_) => Listing::Teams,
        Lists::Templates(_) => Listing::Messages,
    };
    let ask = Ask::Rows(Arc::new(RowsAsk { lists, quirks: call.quirks, plan }));
    let list = ListCall::new(listing, ask, call.deadline, call.behalf);
    inner.ask(ListCall { oversize: call.oversize, ..list })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn groups_of_another_replica_are_as_old_as_they_are() {
        tokio::time::advance(Duration::from_secs(100)).await;
        let mut groups = Groups::default();
        groups.add(&Id::of("7".into()), "Sales");
        groups.add(&Id::of("seven".into()), "Sales, too");
        let known = KnownGroups { groups, at: Instant::now(), is_from_elsewhere: false };
        let body = known.writer(1 << 20).unwrap();
        let again = <KnownGroups as Stored>::read(body, Duration::from_secs(9)).unwrap();
        assert_eq!(again.groups, known.groups);
        assert_eq!(again.at.elapsed(), Duration::from_secs(9));
        assert!(again.is_from_elsewhere);
        assert_eq!(known.writer(10), None, "too large to be shared");
    }
}
