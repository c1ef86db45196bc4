//! What a user's own row does not say is read beforehand and joined to it, where the upstream needs
//! that; and a list is read by a cheaper way where there is one.
//!
//! What is joined takes many calls, so it is kept for a while, and read anew in the background when
//! it is no longer fresh. Rounds and lists are bounded. A list is never answered with a part of what
//! belongs to it missing: where a round fails, the list fails.

use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::legacy::Lists;
use domain::listing::Listing;
use domain::related::{Needs, Related};
use domain::upstream::Shortcut;
use domain::visibility::Visibility;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use limits::{Aged, Ages, Kept};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::Error;
use crate::layer::call::{Ask, Behalf, ListCall, Listed};
use crate::layer::{Answering, Around, Below};
use crate::line::Joins;
use crate::line::upstream::Upstream;
use crate::line::values::{Stored, Values, Wanted};
use crate::list::progress::{Part, Progress};
use crate::observe::metrics::Metrics;

/// Rounds of listings, each named by what the ones before told.
const ROUNDS_MAX: usize = 4;

/// See the module.
pub(crate) struct Relate {
    /// The caller's name, for the log.
    pub(crate) caller: Arc<str>,
    /// What it sees.
    pub(crate) visibility: Visibility,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) joined: Arc<JoinedLists>,
    /// The joined listings of other replicas, where there are some.
    pub(crate) values: Option<Arc<Values>>,
    /// How long a request may take.
    pub(crate) request_deadline: Duration,
    pub(crate) metrics: Metrics,
}

/// What is joined to one caller's user rows, by what was needed.
#[derive(Debug, Default)]
pub(crate) struct JoinedLists {
    kept: Mutex<HashMap<Needs, Arc<Kept<Joined, Error>>>>,
    /// How far the first readings are.
    progress: Arc<Progress>,
}

impl JoinedLists {
    fn of(&self, needs: Needs) -> Arc<Kept<Joined, Error>> {
        let mut lists = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lists.entry(needs).or_default())
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Joins for JoinedLists {
    fn known(&self) -> Vec<(Duration, u64)> {
        let lists = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lists.values().filter_map(|kept| kept.known(Duration::MAX));
        known.map(|(joined, age)| (age, joined.pages)).collect()
    }

    fn first_reading(&self) -> Option<(usize, usize)> {
        self.progress.now()
    }
}

/// What is joined to user rows, and what it cost to read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Joined {
    #[serde(serialize_with = "write", deserialize_with = "read")]
    related: Arc<Related>,
    pages: u64,
}

fn write<S: Serializer>(related: &Related, serializer: S) -> Result<S::Ok, S::Error> {
    related.serialize(serializer)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Related>, D::Error> {
    Related::deserialize(deserializer).map(Arc::new)
}

impl Stored for Joined {
    type Writer = Option<Vec<u8>>;

    fn writer(&self, bytes_max: usize) -> Self::Writer {
        serde_json::to_vec(self).ok().filter(|body| body.len() <= bytes_max)
    }

    fn read(body: Vec<u8>, _: Duration) -> Option<Self> {
        serde_json::from_slice(&body).ok()
    }
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Relate {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, mut call: ListCall) -> Answering<'a, Listed> {
        let (dialect, rules) = (self.upstream.dialect, &self.upstream.rules);
        let shortcut = match (&call.ask, &call.listing) {
            (Ask::Rows(rows), Listing::Users(_)) if matches!(rows.lists, Lists::Users(_)) => {
                dialect.shortcut(&rows.plan.filter, rules)
            }
            _ => Shortcut::None,
        };
        match shortcut {
            Shortcut::None => {}
            Shortcut::Nobody => return Box::pin(ready(Ok(Listed::default()))),
            Shortcut::Listing(listing) => call.listing = listing,
        }
        let needs = self.needs(&call);
        let is_joined = !dialect.follow_up(needs, rules, &Related::default()).is_empty();
        match (is_joined, &call.listing) {
            (false, listing) if !matches!(listing, Listing::User(_)) => inner.ask(call),
            _ => Box::pin(self.listed(inner, call, is_joined.then_some(needs))),
        }
    }
}

impl Relate {
    async fn listed<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        mut call: ListCall,
        needs: Option<Needs>,
    ) -> Result<Listed, Error> {
        let mut joined_pages = 0;
        if let Some(needs) = needs {
            let joined = self.related(inner, &call, needs).await?;
            joined_pages = joined.pages;
            call.behalf.account.note(|account| account.joined_pages = joined_pages);
            call.related = Arc::clone(&joined.related);
        }
        let is_one = matches!(call.listing, Listing::User(_));
        match inner.ask(call).await {
            Ok(listed) => Ok(Listed { joined_pages, ..listed }),
            // The one user asked for is not there.
            Err(Error::NoSuchListing) if is_one => Ok(Listed { joined_pages, ..Listed::default() }),
            Err(error) => Err(error),
        }
    }
}

const RECORDS: Needs = Needs { records: true, teams: true };

impl Relate {
    /// What must be known of each user for this list.
    fn needs(&self, call: &ListCall) -> Needs {
        // The roster remembers teams, since a narrowed caller sees by them.
        let teams = self.visibility.needs_teams() || call.for_roster;
        match &call.ask {
            Ask::Rows(rows) => match rows.lists {
                Lists::Users(record) if record.needs_other_lists() => RECORDS,
                _ => Needs { records: false, teams },
            },
            Ask::Find(_) => Needs { records: false, teams },
            Ask::Groups => Needs { records: false, teams },
            Ask::Teams => Needs { records: false, teams: true },
            Ask::Items => Needs::default(),
            Ask::Look(_) => RECORDS,
        }
    }

    async fn related<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: &ListCall,
        needs: Needs,
    ) -> Result<Arc<Joined>, Error> {
        let settings = self.upstream.settings.related;
        let ages = Ages { fresh_for: settings.fresh_for, stale_max: settings.stale_max };
        // A reading for whole records knows the teams, too.
        let is_known = self.joined.of(RECORDS).is_under_way(ages);
        let needs = if is_known { RECORDS } else { needs };
        let kept = self.joined.of(needs);
        // Who looks whether the upstream can be read must read it.
        let values = self.values.as_ref().filter(|_| !call.behalf.wants_failed_rows);
        // A later one goes on in the background, while the one before serves. Asked here: the reading begins under the
        // lock of what is kept.
        let is_first = kept.known(ages.stale_max).is_none();
        let read = |fresh_for| {
            let reading = Reading {
                progress: is_first.then(|| Arc::clone(&self.joined.progress)),
                inner: inner.clone(),
                caller: Arc::clone(&self.caller),
                upstream: Arc::clone(&self.upstream),
                deadline: Instant::now() + settings.deadline,
                request_deadline: Instant::now() + self.request_deadline,
                behalf: call.behalf.apart(),
                metrics: self.metrics.clone(),
            };
            let values = values.cloned();
            async move {
                let read = match values {
                    None => timeout(settings.deadline, reading.here(needs)).await,
                    Some(values) => {
                        let read = reading.shared(needs, &values, fresh_for);
                        Box::pin(timeout(settings.deadline, read)).await
                    }
                };
                let read = read.unwrap_or(Err(Error::Deadline));
                if let Err(error) = &read {
                    let (caller, err) = (&*reading.caller, error.slug());
                    // Nobody may be waiting: then an old reading serves, and this is all there is to see.
                    tracing::warn!(caller, err, %error, "joined listings not read");
                }
                read
            }
        };
        let Some(_) = &values else {
            let reading = kept.get(ages, || read(ages.fresh_for));
            return timeout_at(call.deadline, reading).await.unwrap_or(Err(Error::Deadline));
        };
        // While there is nothing, another replica's serves that is as old as one here might be ...
        let oldest =
            if kept.known(ages.stale_max).is_some() { ages.fresh_for } else { ages.stale_max };
        let reading = kept.get(ages, || read(oldest));
        let joined = timeout_at(call.deadline, reading).await.unwrap_or(Err(Error::Deadline))?;
        // ... and is read anew meanwhile, as one here is.
        if kept.known(ages.fresh_for).is_none() && kept.known(ages.stale_max).is_some() {
            drop(kept.get(ages, || read(ages.fresh_for)).now_or_never());
        }
        Ok(joined)
    }
}

/// One reading of what is joined. It is not part of any request.
struct Reading<S> {
    inner: S,
    caller: Arc<str>,
    upstream: Arc<Upstream>,
    deadline: Instant,
    /// The end of the request that it began with.
    request_deadline: Instant,
    behalf: Behalf,
    /// Where it is told how far it is, if there was none before it.
    progress: Option<Arc<Progress>>,
    metrics: Metrics,
}

impl<S> Reading<S> {
    /// What is asked of the others. A request waits for it, so that half of its time is all that may pass before it is
    /// read here, however long a reading may take.
    fn wanted<'a>(&self, words: &'a [u8], fresh_for: Duration) -> Wanted<'a> {
        let keep_for = self.upstream.settings.related.stale_max;
        let deadline = self.deadline.min(self.request_deadline);
        Wanted { kind: "joined", words, fresh_for, keep_for, deadline }
    }
}

impl<S: Below<ListCall, Listed>> Reading<S> {
    /// What another replica has or reads just now, if it is no older than that; else it is read here, for all.
    async fn shared(
        &self,
        needs: Needs,
        values: &Values,
        fresh_for: Duration,
    ) -> Result<Aged<Joined>, Error> {
        let words = [u8::from(needs.records), u8::from(needs.teams)];
        let wanted = self.wanted(&words, fresh_for);
        Ok(values.read(wanted, self.read(needs)).await?.into())
    }

    async fn here(&self, needs: Needs) -> Result<Aged<Joined>, Error> {
        Ok(self.read(needs).await?.into())
    }

    /// Reads all that is needed, round by round.
    async fn read(&self, needs: Needs) -> Result<Joined, Error> {
        self.metrics.related();
        let upstream = &self.upstream;
        let settings = &upstream.settings;
        let mut related = Related::default();
        let (mut lists, mut pages) = (0, 0);
        let mut progress = self.progress.as_deref().map(Progress::begin);
        for _ in 0..ROUNDS_MAX {
            let round = upstream.dialect.follow_up(needs, &upstream.rules, &related);
            if round.is_empty() {
                return Ok(Joined { related: Arc::new(related.joined()), pages });
            }
            lists += round.len();
            if lists > settings.related.lists_max {
                return Err(Error::TooManyLists { lists_max: settings.related.lists_max });
            }
            if let Some(progress) = &mut progress {
                progress.round(round.len());
            }
            let reads: Vec<_> = round.into_iter().map(|listing| self.one(listing)).collect();
            let mut gaps = Gaps::default();
            let mut reads = stream::iter(reads).buffer_unordered(settings.pages_in_flight_max);
            while let Some((listing, listed)) = reads.try_next().await? {
                if let Some((read, known)) = progress.as_mut().and_then(Part::step) {
                    let (caller, upstream) = (&*self.caller, &*self.upstream.name);
                    tracing::info!(caller, upstream, read, known, "joined listings are being read");
                }
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
            pages += self.close(&gaps).await?;
        }
        // A dialect that never has enough is a mistake of ours.
        Err(Error::Internal)
    }

    /// One listing; `None` where the upstream has no such listing. Nobody waits for a single list here,
    /// so a rate limit is waited out as long as there is time for all of them.
    async fn one(&self, listing: Listing) -> Result<(Listing, Option<Listed>), Error> {
        let mut asked = 0;
        loop {
            let behalf = self.behalf.clone();
            let list = ListCall::new(listing.clone(), Ask::Items, self.deadline, behalf);
            let error = match self.inner.ask(list).await {
                Ok(listed) => return Ok((listing, Some(listed))),
                Err(error) => error,
            };
            asked += 1;
            match error {
                Error::NoSuchListing => return Ok((listing, None)),
                Error::RateLimited { retry_after }
                | Error::Unavailable { retry_after }
                | Error::BreakerOpen { retry_after }
                    if asked < PATIENCE
                        && Instant::now() + retry_after.max(PAUSE) < self.deadline =>
                {
                    tokio::time::sleep(retry_after.max(PAUSE)).await;
                }
                // Other lists leave no room at this moment.
                Error::TenantLimit | Error::Overloaded
                    if asked < PATIENCE && Instant::now() + PAUSE < self.deadline =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                error => return Err(error),
            }
        }
    }

    /// Accepts a gap only where what it belongs to is gone by now: the members of a team that is still
    /// listed are not nobody. Returns the pages this took.
    async fn close(&self, gaps: &Gaps) -> Result<u64, Error> {
        let contradiction = Error::RefusedCall { status: 404 };
        let mut pages = 0;
        for (kind, listing) in [(&gaps.teams, Listing::Teams), (&gaps.skills, Listing::Skills)] {
            if kind.missing.is_empty() {
                continue;
            }
            let (_, listed) = self.one(listing).await?;
            let Some(listed) = listed else { return Err(contradiction) };
            pages += listed.list.story.pages;
            let is_listed = |id: &Arc<str>| listed.list.items.iter().any(|item| *item.id == **id);
            if kind.missing.iter().any(is_listed) {
                return Err(contradiction);
            }
            let (caller, lists) = (&*self.caller, kind.missing.len());
            tracing::warn!(caller, lists, "gone while being read");
        }
        // Users come and go, but never all of them at once.
        let of_users = &gaps.of_users;
        if of_users.asked > 0 && of_users.missing.len() == of_users.asked as usize {
            return Err(contradiction);
        }
        Ok(pages)
    }
}

/// How often a list is asked for again that the upstream was too busy for.
const PATIENCE: u32 = 2;
/// How long such a list waits at least: the vendor's limit resets "after a short period".
const PAUSE: Duration = Duration::from_secs(5);

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_listings_are_the_same_at_another_replica() {
        let text = r#"{"related":{"teams_of":{"7":[{"id":1,"name":"One"},{"id":"b","name":null}]},
            "supervised_teams_of":{},"queues_of":{},"skills_of":{"7":[{"name":"A","level":3}]},
            "caller_ids":{"c":{"id":"c","name":"Main"}}},"pages":78}"#;
        let joined = <Joined as Stored>::read(text.into(), Duration::ZERO).unwrap();
        assert_eq!((joined.pages, joined.related.teams_of(7).len()), (78, 2));
        let body = joined.writer(1 << 20).unwrap();
        let again = <Joined as Stored>::read(body, Duration::ZERO).unwrap();
        assert_eq!(again.pages, 78);
        assert_eq!(again.related.teams_of(7), joined.related.teams_of(7));
        assert_eq!(again.related.skills_of(7), joined.related.skills_of(7));
        assert_eq!(again.related.caller_id("c"), joined.related.caller_id("c"));
        assert_eq!(joined.writer(10), None, "too large to be shared");
    }

    #[tokio::test(start_paused = true)]
    async fn another_replica_is_waited_for_within_the_time_of_a_request() {
        let text = "[upstream.one]\ndialect = \"voiso-v4\"\nbase_url = \"http://127.0.0.1:9\"\n\
                    [[caller]]\nname = \"crm\"\nlegacy_key = { env = \"LEGACY\" }\nupstream = \"one\"\n\
                    upstream_key = { env = \"V4\" }\nsees = \"everything\"\n";
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-key")));
        let config = settings::Config::parse(text, "t.toml", &env).unwrap();
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        for (reading, request, waits) in [(120, 25, 25), (10, 25, 10)] {
            let reading = Reading {
                inner: (),
                caller: "crm".into(),
                upstream: Arc::new(Upstream::new("one", &config.upstreams["one"])),
                deadline: now + reading * second,
                request_deadline: now + request * second,
                behalf: Behalf::background(),
                progress: None,
                metrics: Metrics::new().unwrap(),
            };
            assert_eq!(reading.wanted(&[], second).deadline, now + waits * second);
        }
    }
}
