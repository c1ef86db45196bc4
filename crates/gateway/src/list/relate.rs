//! What a user's own row does not say is read beforehand and joined to it, where the upstream needs
//! that; and a list is read by a cheaper way where there is one.
//!
//! What is joined takes many calls, so it is kept for a while, and read anew in the background when
//! it is no longer fresh. Rounds and lists are bounded. A list is never answered with a part of what
//! belongs to it missing: where a round fails, the list fails.

use std::sync::Arc;
use std::time::Duration;

use domain::legacy::Lists;
use domain::listing::Listing;
use domain::related::{Needs, Related};
use domain::upstream::Shortcut;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};

use crate::cache::kept::Ages;
use crate::call::{Ask, ListCall, Listed};
use crate::caller::{Caller, Joined};
use crate::error::Error;
use crate::observe::account::SharedAccount;
use crate::observe::metrics::Metrics;

/// Rounds of listings, each named by what the ones before told.
const ROUNDS_MAX: usize = 4;

pub(crate) async fn relate<S>(
    metrics: Metrics,
    inner: S,
    mut call: ListCall,
) -> Result<Listed, BoxError>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let caller = Arc::clone(&call.caller);
    let upstream = &caller.upstream;
    let shortcut = match (&call.ask, &call.listing) {
        (Ask::Rows(rows), Listing::Users(_)) if matches!(rows.lists, Lists::Users(_)) => {
            upstream.dialect.shortcut(&rows.plan.filter, &upstream.rules)
        }
        _ => Shortcut::None,
    };
    match shortcut {
        Shortcut::None => {}
        Shortcut::Nobody => return Ok(Listed::default()),
        Shortcut::Listing(listing) => call.listing = listing,
    }
    let needs = needs(&call);
    let rules = &upstream.rules;
    if !upstream.dialect.follow_up(needs, rules, &Related::default()).is_empty() {
        let joined = related(&metrics, &inner, &call, needs).await?;
        call.account.note(|account| account.joined_pages = joined.pages);
        call.related = Arc::clone(&joined.related);
    }
    let is_one = matches!(call.listing, Listing::User(_));
    match inner.oneshot(call).await {
        // The one user asked for is not there.
        Err(error) if is_one && is_lacking(&error) => Ok(Listed::default()),
        answer => answer,
    }
}

const RECORDS: Needs = Needs { records: true, teams: true };

/// What must be known of each user for this list.
fn needs(call: &ListCall) -> Needs {
    // The roster remembers teams, since a narrowed caller sees by them.
    let teams = call.caller.visibility.needs_teams() || call.is_sighted;
    match &call.ask {
        Ask::Rows(rows) => match rows.lists {
            Lists::Users(_) => RECORDS,
            Lists::DeletedUsers(_) | Lists::Teams(_) => Needs { records: false, teams },
        },
        Ask::Groups => Needs { records: false, teams },
        Ask::Teams => Needs { records: false, teams: true },
        Ask::Items => Needs::default(),
        Ask::Look(_) => RECORDS,
    }
}

async fn related<S>(
    metrics: &Metrics,
    inner: &S,
    call: &ListCall,
    needs: Needs,
) -> Result<Arc<Joined>, Error>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let caller = &call.caller;
    let settings = caller.upstream.settings.related;
    let ages = Ages { fresh_for: settings.fresh_for, stale_max: settings.stale_max };
    // Whoever knows all there is to a record knows the teams, too.
    let is_told = caller.related(RECORDS).is_under_way(ages);
    let needs = if is_told { RECORDS } else { needs };
    let kept = caller.related(needs);
    let reading = kept.get(ages, || {
        metrics.related();
        let account = call.account.apart();
        let reading = read(inner.clone(), Arc::clone(caller), needs, account);
        let name = caller.name.clone();
        async move {
            let read = tokio::time::timeout(settings.deadline, reading).await;
            let read = read.unwrap_or(Err(Error::Deadline));
            if let Err(error) = &read {
                // Nobody may be waiting: then an old reading serves, and this is all there is to see.
                tracing::warn!(caller = name, err = error.slug(), %error, "joined listings not read");
            }
            read
        }
    });
    tokio::time::timeout_at(call.deadline, reading).await.unwrap_or(Err(Error::Deadline))
}

/// Reads all that is needed, round by round.
async fn read<S>(
    inner: S,
    caller: Arc<Caller>,
    needs: Needs,
    account: SharedAccount,
) -> Result<Joined, Error>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let upstream = &caller.upstream;
    let settings = &upstream.settings;
    let deadline = Instant::now() + settings.related.deadline;
    let mut related = Related::default();
    let (mut lists, mut pages) = (0, 0);
    for _ in 0..ROUNDS_MAX {
        let round = upstream.dialect.follow_up(needs, &upstream.rules, &related);
        if round.is_empty() {
            return Ok(Joined { related: Arc::new(related.joined()), pages });
        }
        lists += round.len();
        if lists > settings.related.lists_max {
            return Err(Error::TooManyLists { lists_max: settings.related.lists_max });
        }
        let reads: Vec<_> = round
            .into_iter()
            .map(|listing| one(inner.clone(), &caller, listing, deadline, account.apart()))
            .collect();
        let mut gaps = Gaps::default();
        let mut reads = stream::iter(reads).buffer_unordered(settings.pages_in_flight_max);
        while let Some((listing, listed)) = reads.try_next().await? {
            gaps.note(&listing, listed.is_none());
            match listed {
                Some(listed) => {
                    pages += listed.list.story.pages;
                    related.add(listing, listed.list.items);
                }
                None => {
                    // Learning that there is none took a call.
                    pages += 1;
                    related.add_lacking(listing);
                }
            }
        }
        drop(reads);
        pages += gaps.close(inner.clone(), &caller, deadline, account.apart()).await?;
    }
    // A dialect that never has enough is a mistake of ours.
    Err(Error::Internal)
}

/// How often a list is asked for again that the upstream was too busy for.
const PATIENCE: u32 = 2;
/// How long such a list waits at least: the vendor's limit resets "after a short period".
const PAUSE: Duration = Duration::from_secs(5);

/// One listing; `None` where the upstream has no such listing. Nobody waits for a single list here,
/// so a rate limit is waited out as long as there is time for all of them.
async fn one<S>(
    inner: S,
    caller: &Arc<Caller>,
    listing: Listing,
    deadline: Instant,
    account: SharedAccount,
) -> Result<(Listing, Option<Listed>), Error>
where
    S: Service<ListCall, Response = Listed, Error = BoxError> + Clone,
{
    let mut asked = 0;
    loop {
        let account = account.clone();
        let list = ListCall::new(caller, listing.clone(), Ask::Items, deadline, account);
        let error = match inner.clone().oneshot(list).await {
            Ok(listed) => return Ok((listing, Some(listed))),
            Err(error) => ours(error),
        };
        asked += 1;
        match error {
            Error::NoSuchListing => return Ok((listing, None)),
            Error::RateLimited { retry_after }
            | Error::Unavailable { retry_after }
            | Error::BreakerOpen { retry_after }
                if asked < PATIENCE && Instant::now() + retry_after.max(PAUSE) < deadline =>
            {
                tokio::time::sleep(retry_after.max(PAUSE)).await;
            }
            error => return Err(error),
        }
    }
}

/// Lists of members that were not there, by whose they are.
#[derive(Default)]
struct Gaps {
    teams: Kind,
    skills: Kind,
    of_users: Kind,
}

#[derive(Default)]
struct Kind {
    asked: u32,
    missing: Vec<Arc<str>>,
}

impl Gaps {
    fn note(&mut self, listing: &Listing, is_missing: bool) {
        let (kind, id) = match listing {
            Listing::TeamMembers(id) => (&mut self.teams, id),
            Listing::SkillMembers(id) => (&mut self.skills, id),
            Listing::OfUser(_, id) => (&mut self.of_users, id),
            _ => return,
        };
        kind.asked += 1;
        if is_missing {
            kind.missing.push(Arc::clone(id));
        }
    }

    /// Accepts a gap only where what it belongs to is gone by now: the members of a team that is
    /// still listed are not nobody. Returns the pages this took.
    async fn close<S>(
        &self,
        inner: S,
        caller: &Arc<Caller>,
        deadline: Instant,
        account: SharedAccount,
    ) -> Result<u64, Error>
    where
        S: Service<ListCall, Response = Listed, Error = BoxError> + Clone,
    {
        let contradiction = Error::RefusedCall { status: 404 };
        let mut pages = 0;
        for (kind, listing) in [(&self.teams, Listing::Teams), (&self.skills, Listing::Skills)] {
            if kind.missing.is_empty() {
                continue;
            }
            let (_, listed) =
                one(inner.clone(), caller, listing, deadline, account.clone()).await?;
            let Some(listed) = listed else { return Err(contradiction) };
            pages += listed.list.story.pages;
            let is_listed = |id: &Arc<str>| listed.list.items.iter().any(|item| *item.id == **id);
            if kind.missing.iter().any(is_listed) {
                return Err(contradiction);
            }
            tracing::warn!(
                caller = caller.name,
                lists = kind.missing.len(),
                "gone while being read"
            );
        }
        // Users come and go, but never all of them at once.
        let of_users = &self.of_users;
        if of_users.asked > 0 && of_users.missing.len() == of_users.asked as usize {
            return Err(contradiction);
        }
        Ok(pages)
    }
}

fn is_lacking(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(Error::NoSuchListing))
}

fn ours(error: BoxError) -> Error {
    error.downcast::<Error>().map_or(Error::Internal, |error| *error)
}
