//! What a configuration becomes when it goes to work: callers with their lines, upstreams, connections,
//! counters; and what goes on from one configuration to the next.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use commons::{Commons, Setup};
use limits::{Admission, Delays, Lifecycle, Queue, Room};
use roster::Roster;
use settings::{Config, Effect, RosterPlace};
use shadow::{Around, Counts, Results, Shadow};
use tokio::sync::Semaphore;
use transport::client::{
    Client, ClientSettings, Lookup, Reach, Resolver, ResolverSettings, StreamClient, StreamSettings,
};

use super::parts::Parts;
use crate::brownout::OfCallers;
use crate::cache::answers::{Answers, Freshness};
use crate::cache::pages::Pages;
use crate::caller::{Caller, Callers};
use crate::line::pace::{Known, Paces};
use crate::line::upstream::Upstream;
use crate::observe::groups::memory_there_is;
use crate::observe::metrics::Metrics;
use crate::observe::past::Past;
use crate::observe::tally::Tally;
use crate::state::{State, Surroundings, word};
use tokio_util::task::TaskTracker;

/// Unused upstream connections are closed before the upstream's own keep-alive time (usually 60 s or
/// more) makes using one a race.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

impl State {
    pub(crate) fn new(config: Config, surroundings: Surroundings) -> Result<Self, std::io::Error> {
        let metrics = Metrics::new().map_err(std::io::Error::other)?;
        let roster = config.roster.as_ref().map(RosterPlace::open).transpose()?;
        let admission = Arc::new(Admission::new(queue(&config.limits)));
        let room = Arc::new(Room::new(lists_bytes_max(&config.limits)));
        let (lifecycle, paces) = (Lifecycle::default(), Arc::default());
        let under_way = TaskTracker::new();
        let shadow_results = Arc::new(Results::default());
        let shadow = None;
        let commons = joined(config.commons.as_ref())?;
        let shared = Shared {
            surroundings,
            lifecycle,
            under_way,
            delays: Arc::default(),
            admission,
            room,
            paces,
            shadow,
            shadow_results,
            commons,
            past: Arc::default(),
        };
        Ok(State::with(config, metrics, roster, shared, 1))
    }

    /// The state of a new configuration: counters go on, so do places for requests where there are as
    /// many, and the roster where it is the same one. Callers, caches and connections begin anew.
    pub(crate) fn renewed(&self, config: Config) -> Result<Self, std::io::Error> {
        let is_same = match (&config.roster, &self.config.roster) {
            (Some(new), Some(old)) => new.is_same(old),
            (new, old) => new.is_none() && old.is_none(),
        };
        let roster = match is_same {
            true => self.roster.clone(),
            false => config.roster.as_ref().map(RosterPlace::open).transpose()?,
        };
        let admission = match self.admission.fits(queue(&config.limits)) {
            true => Arc::clone(&self.admission),
            false => Arc::new(Admission::new(queue(&config.limits))),
        };
        // The same servers keep their connections, and the roll its place.
        let commons = match config.commons == self.config.commons {
            true => self.commons.clone(),
            false => joined(config.commons.as_ref())?,
        };
        // One that replicas keep together belongs to them.
        let paces = match config.commons == self.config.commons {
            true => Arc::clone(&self.paces),
            false => Arc::default(),
        };
        let bytes_max = lists_bytes_max(&config.limits);
        let room = match self.room.fits(bytes_max) {
            true => Arc::clone(&self.room),
            false => Arc::new(Room::new(bytes_max)),
        };
        let shared = Shared {
            room,
            surroundings: self.surroundings.clone(),
            lifecycle: self.lifecycle.clone(),
            under_way: self.under_way.clone(),
            delays: Arc::clone(&self.delays),
            admission,
            paces,
            shadow: self.shadow.clone(),
            shadow_results: Arc::clone(&self.shadow_results),
            commons,
            past: Arc::clone(&self.past),
        };
        Ok(State::with(config, self.metrics.clone(), roster, shared, self.epoch + 1))
    }

    fn with(
        config: Config,
        metrics: Metrics,
        roster: Option<Roster>,
        shared: Shared,
        epoch: u64,
    ) -> Self {
        let Shared { surroundings, lifecycle, under_way, admission, room, shadow_results, .. } =
            shared;
        let (commons, past, delays) = (shared.commons, shared.past, shared.delays);
        let shadow_before = shared.shadow;
        let mut paces = Paces::after(&shared.paces, commons.as_ref());
        let reach = |settings| reach(settings, &surroundings.lookup, &metrics);
        let reaches = config.upstreams.iter();
        let reaches = reaches.map(|(name, settings)| (name.clone(), reach(settings)));
        let reaches: BTreeMap<String, Reach> = reaches.collect();
        let mut upstreams = BTreeMap::new();
        for (name, settings) in &config.upstreams {
            let upstream = Arc::new(Upstream::new(name, settings));
            let client = ClientSettings {
                connect_timeout: settings.connect_timeout,
                pool_idle_timeout: POOL_IDLE_TIMEOUT,
                pool_idle_max: settings.requests_in_flight_max,
                tls: settings.tls.clone(),
            };
            upstreams.insert(name.clone(), (upstream, client));
        }
        let share_max = config
            .limits
            .lists_bytes_per_caller_max(lists_bytes_max(&config.limits), config.callers.len());
        let brownouts = OfCallers::new(&config.brownouts);
        let callers = config.callers.iter().filter_map(|caller| {
            let (upstream, client) = upstreams.get(&caller.upstream)?;
            // A client, so a connection pool, of each caller's own.
            let client = Client::reaching(client, reaches.get(&caller.upstream)?);
            let (answers, pages) = kept(&config);
            let line = super::line(Parts {
                config: &config,
                caller,
                upstream,
                client,
                placing: placing(
                    config.upstreams.get(&caller.upstream)?,
                    reaches.get(&caller.upstream)?.clone(),
                ),
                answers,
                pages,
                share: room.share(share_max),
                roster: roster.clone(),
                pace: paces.of(caller, &caller.upstream, &upstream.settings),
                commons: commons.as_ref(),
                metrics: &metrics,
                exporter: &surroundings.exporter,
            });
            Some(Arc::new(Caller {
                name: caller.name.as_str().into(),
                tally: Arc::new(Tally::new(&caller.name)),
                digest: caller.digest,
                visibility: caller.sees.clone(),
                may_explain: caller.explain,
                brownouts: brownouts.of(&caller.name),
                may_call: caller.effects.contains(&Effect::Call),
                places: Semaphore::new(config.limits.requests_per_caller_max()),
                line,
            }))
        });
        let callers = Arc::new(Callers::new(callers.collect()));
        let around = Around {
            lookup: &surroundings.lookup,
            judge: surroundings.judge.clone(),
            counts: &(Arc::new(metrics.clone()) as Arc<dyn Counts>),
            lifecycle: &lifecycle,
            results: &shadow_results,
            before: shadow_before.as_deref(),
        };
        let shadow = Shadow::new(&config, around);
        let fingerprint: Arc<str> = config.fingerprint().into();
        if let Some(commons) = &commons {
            commons.describe(word(&fingerprint).as_bytes());
        }
        let (config, reaches) = (Arc::new(config), Arc::new(reaches));
        State {
            config,
            fingerprint,
            callers,
            metrics,
            roster,
            commons: commons.clone(),
            paces: Arc::new(paces.known()),
            surroundings,
            reaches,
            epoch,
            lifecycle,
            under_way,
            delays,
            admission,
            room,
            shadow,
            shadow_results,
            past,
        }
    }
}

/// Room for one caller's kept answers and pages: a fair share for each caller, so that one caller's many questions
/// do not push out what is kept for another. If answers are kept, pages have half of it.
fn kept(config: &Config) -> (Arc<Answers>, Option<Arc<Pages>>) {
    let settings::Cache { fresh_for, stale_if_error, bytes_max, .. } = config.cache;
    let share = bytes_max / config.callers.len().max(1) as u64;
    let misses_fresh_for = config.lookups.negative_for;
    let own = config.quirks.values().filter_map(|quirks| quirks.fresh_for);
    let own_fresh_for_max = own.map(|own| own.0).max().unwrap_or_default();
    let freshness = Freshness { fresh_for, stale_if_error, misses_fresh_for, own_fresh_for_max };
    let of_answers = match config.cache.revalidates() {
        false => share,
        true => freshness.room(share / 2),
    };
    let pages = config
        .cache
        .revalidates()
        .then(|| Pages::new(share - of_answers, config.cache.revalidate_max));
    let codings = config.server.compression.len();
    let readings_max = config.limits.requests_per_caller_max();
    (Answers::new(freshness, of_answers, codings, readings_max), pages)
}

/// What replicas share, where it is configured. No server is waited for.
fn joined(setup: Option<&Setup>) -> std::io::Result<Option<Commons>> {
    setup.map(Commons::shared).transpose().map_err(std::io::Error::other)
}

/// A client for calls, which uses every connection once.
fn placing(upstream: &settings::Upstream, reach: Reach) -> StreamClient {
    StreamClient::new(&StreamSettings {
        connect_timeout: upstream.connect_timeout,
        write_progress: upstream.attempt_timeout,
        pool_idle_timeout: POOL_IDLE_TIMEOUT,
        pool_idle_max: 0,
        tls: upstream.tls.clone(),
        reach,
    })
}

/// What lists may hold, all together.
fn lists_bytes_max(limits: &settings::Limits) -> u64 {
    limits.lists_bytes_max(memory_there_is(Path::new("/"), limits.memory_max))
}

/// Places for all requests, and the queue before them.
fn queue(limits: &settings::Limits) -> Queue {
    Queue {
        in_flight_max: limits.requests_in_flight_max,
        queued_max: limits.requests_queued_max,
        wait_max: limits.queue_wait_max,
    }
}

/// What goes on from one configuration to the next.
struct Shared {
    surroundings: Surroundings,
    lifecycle: Lifecycle,
    under_way: TaskTracker,
    /// How late wrong keys are answered.
    delays: Arc<Delays>,
    admission: Arc<Admission>,
    room: Arc<Room>,
    /// The paces until now.
    paces: Arc<Known>,
    /// The other side until now.
    shadow: Option<Arc<Shadow>>,
    /// What the other side was found to be.
    shadow_results: Arc<Results>,
    /// What replicas share.
    commons: Option<Commons>,
    /// What the process remembers of itself.
    past: Arc<Past>,
}

/// One resolver for each upstream, so that its callers make one look-up together.
fn reach(settings: &settings::Upstream, lookup: &Arc<dyn Lookup>, metrics: &Metrics) -> Reach {
    let metrics = metrics.clone();
    let resolver = Resolver::new(ResolverSettings {
        lookup: Arc::clone(lookup),
        // What is left is for the connection, to the last good address if there is no other.
        wait_max: settings.connect_timeout * 3 / 4,
        allow_private: settings.allow_private_addresses,
        on_failure: Arc::new(move |failure| metrics.dns_failed(failure)),
    });
    Reach { resolver, connection_age_max: settings.connection_age_max }
}
