//! What a user's own row does not say is read beforehand and joined to it, where the upstream needs
//! that; and a list is read by a cheaper way where there is one.
//!
//! What is joined takes many calls, so it is kept for a while, and read anew in the background when
//! it is no longer fresh. Rounds and lists are bounded. A list is never answered with a part of what
//! belongs to it missing: where a round fails, the list fails.

use std::sync::Arc;

use domain::legacy::Lists;
use domain::listing::Listing;
use domain::related::{Needs, Related};
use domain::upstream::Shortcut;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};

use crate::call::{Ask, ListCall, Listed, SharedAccount};
use crate::caller::{Caller, Joined};
use crate::error::Error;
use crate::kept::Ages;
use crate::metrics::Metrics;

/// Rounds of listings, each named by what the ones before told.
const ROUNDS_MAX: usize = 4;

/// From so many lists on, all of them missing is no accident.
const LACKING_MIN: u32 = 3;

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
        Ask::Survey(_) => RECORDS,
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
    if let Some(joined) = caller.related(RECORDS).fresh(ages) {
        return Ok(joined);
    }
    let kept = caller.related(needs);
    let reading = kept.get(ages, || {
        metrics.related();
        let reading = read(inner.clone(), Arc::clone(caller), needs, call.account.apart());
        async move {
            let read = tokio::time::timeout(settings.deadline, reading).await;
            read.unwrap_or(Err(Error::Deadline))
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
            .map(|listing| {
                let list = ListCall::new(
                    &caller,
                    listing.clone(),
                    Ask::Items,
                    deadline,
                    // What is kept belongs to all who use it, not to the account of one.
                    account.apart(),
                );
                let read = inner.clone().oneshot(list);
                async move {
                    match read.await {
                        Ok(listed) => Ok((listing, Some(listed))),
                        Err(error) if is_lacking(&error) => Ok((listing, None)),
                        Err(error) => Err(error),
                    }
                }
            })
            .collect();
        let (mut members, mut lacking) = (0, 0);
        let mut reads = stream::iter(reads).buffer_unordered(settings.pages_in_flight_max);
        while let Some((listing, listed)) = reads.try_next().await.map_err(ours)? {
            if is_of_something(&listing) {
                members += 1;
                lacking += u32::from(listed.is_none());
            }
            match listed {
                Some(listed) => {
                    pages += listed.list.story.pages;
                    related.add(listing, listed.found.items);
                }
                None => {
                    // Learning that there is none took a call.
                    pages += 1;
                    related.add_lacking(listing);
                }
            }
        }
        // One team may be gone by now; that all of them are means that the path is another.
        if members >= LACKING_MIN && lacking == members {
            return Err(Error::RefusedCall { status: 404 });
        }
    }
    // A dialect that never has enough is a mistake of ours.
    Err(Error::Internal)
}

/// Whether a listing is one of many of its kind, such as the members of one team.
fn is_of_something(listing: &Listing) -> bool {
    matches!(listing, Listing::TeamMembers(_) | Listing::SkillMembers(_) | Listing::OfUser(..))
}

fn is_lacking(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(Error::NoSuchListing))
}

fn ours(error: BoxError) -> Error {
    error.downcast::<Error>().map_or(Error::Internal, |error| *error)
}
