//! What a configuration becomes when it goes to work: callers, upstreams, pools, caches, counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roster::Roster;
use tokio::sync::Semaphore;
use transport::client::{
    Client, ClientSettings, Lookup, Reach, Resolver, ResolverSettings, SystemLookup,
};

use crate::cache::answers::{Answers, Freshness};
use crate::caller::{Caller, Callers, GroupCache, Share, Upstream};
use crate::config::{self, Config, Lookups, RosterFile};
use crate::limits::admission::Admission;
use crate::limits::lifecycle::Lifecycle;
use crate::observe::metrics::Metrics;
use crate::observe::spans::Spans;
use crate::shadow::{Around, Judge, Results, Shadow};

/// What a gateway uses of the world around it.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Who is asked for the addresses of upstreams' names.
    pub lookup: Arc<dyn Lookup>,
    /// Who is told of every span that is recorded.
    pub exporter: Option<Arc<dyn Spans>>,
    /// Who compares answers of the two sides; without one, none are compared.
    pub judge: Option<Arc<dyn Judge>>,
}

impl Default for Surroundings {
    /// The system's names, and nobody to tell or to compare.
    fn default() -> Self {
        Surroundings { lookup: Arc::new(SystemLookup), exporter: None, judge: None }
    }
}

/// Everything the stack and the admin pages share.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) metrics: Metrics,
    pub(crate) roster: Option<Roster>,
    pub(crate) surroundings: Surroundings,
    /// How each upstream's name becomes connections.
    pub(crate) reaches: Arc<BTreeMap<String, Reach>>,
    /// Counts the configurations since the start, from 1.
    pub(crate) epoch: u64,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) admission: Arc<Admission>,
    /// The other side, where one is configured.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// What was found of it since the process started.
    pub(crate) shadow_results: Arc<Results>,
}

/// Unused upstream connections are closed before the upstream's own keep-alive time (usually 60 s or
/// more) makes using one a race.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

impl State {
    pub(crate) fn new(config: Config, surroundings: Surroundings) -> Result<Self, std::io::Error> {
        let metrics = Metrics::new().map_err(std::io::Error::other)?;
        let roster = config.roster.as_ref().map(RosterFile::open).transpose()?;
        let admission = Arc::new(Admission::new(&config.limits));
        let (lifecycle, upstreams) = (Lifecycle::default(), BTreeMap::new());
        let shadow_results = Arc::new(Results::new());
        let shadow = None;
        let shared =
            Shared { surroundings, lifecycle, admission, upstreams, shadow, shadow_results };
        Ok(State::with(config, metrics, roster, shared, 1))
    }

    /// The state of a new configuration: counters go on, so do places for requests where there are as
    /// many, and the roster where it is the same file. Callers, caches and connections begin anew.
    pub(crate) fn renewed(&self, config: Config) -> Result<Self, std::io::Error> {
        let path = |config: &Config| config.roster.as_ref().map(|file| file.path.clone());
        let roster = match path(&config) == path(&self.config) {
            true => self.roster.clone(),
            false => config.roster.as_ref().map(RosterFile::open).transpose()?,
        };
        let admission = match self.admission.fits(&config.limits) {
            true => Arc::clone(&self.admission),
            false => Arc::new(Admission::new(&config.limits)),
        };
        let shared = Shared {
            surroundings: self.surroundings.clone(),
            lifecycle: self.lifecycle.clone(),
            admission,
            upstreams: self.callers.all().iter().map(|caller| upstream_of(caller)).collect(),
            shadow: self.shadow.clone(),
            shadow_results: Arc::clone(&self.shadow_results),
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
        let Shared { surroundings, lifecycle, admission, shadow_results, .. } = shared;
        let (before, shadow_before) = (shared.upstreams, shared.shadow);
        let reach = |settings| reach(settings, &surroundings.lookup, &metrics);
        let reaches = config.upstreams.iter();
        let reaches = reaches.map(|(name, settings)| (name.clone(), reach(settings)));
        let reaches: BTreeMap<String, Reach> = reaches.collect();
        let mut upstreams = BTreeMap::new();
        for (name, settings) in &config.upstreams {
            let before = before.get(name).map(AsRef::as_ref);
            let upstream = Arc::new(Upstream::new(name, settings, before));
            let client = ClientSettings {
                connect_timeout: settings.connect_timeout,
                pool_idle_timeout: POOL_IDLE_TIMEOUT,
                pool_idle_max: settings.requests_in_flight_max,
                tls: settings.tls.clone(),
            };
            upstreams.insert(name.clone(), (upstream, client));
        }
        // A fair share each, so that one caller's many questions do not push out another's answers.
        let share_of_cache = config.cache.bytes_max / config.callers.len().max(1) as u64;
        let codings = config.server.compression.len();
        let callers = config.callers.iter().filter_map(|caller| {
            let (upstream, client) = upstreams.get(&caller.upstream)?;
            // A client, so a connection pool, of each caller's own.
            let client = Client::reaching(client, reaches.get(&caller.upstream)?);
            let groups = groups(&config.lookups);
            let readings_max = config.limits.requests_per_caller_max;
            let config::Cache { fresh_for, stale_if_error, .. } = config.cache;
            let freshness = Freshness { fresh_for, stale_if_error };
            let answers = Answers::new(freshness, share_of_cache, codings, readings_max);
            let share = share(&config, caller);
            let at_work = Caller::new(caller, Arc::clone(upstream), client, groups, answers, share);
            Some((caller.digest, Arc::new(at_work)))
        });
        let callers = Arc::new(Callers::new(callers.collect()));
        let around = Around {
            callers: &callers,
            lookup: &surroundings.lookup,
            judge: surroundings.judge.clone(),
            metrics: &metrics,
            lifecycle: &lifecycle,
            results: &shadow_results,
            before: shadow_before.as_deref(),
        };
        let shadow = Shadow::new(&config, around);
        let (config, reaches) = (Arc::new(config), Arc::new(reaches));
        State {
            config,
            callers,
            metrics,
            roster,
            surroundings,
            reaches,
            epoch,
            lifecycle,
            admission,
            shadow,
            shadow_results,
        }
    }
}

/// What goes on from one configuration to the next.
struct Shared {
    surroundings: Surroundings,
    lifecycle: Lifecycle,
    admission: Arc<Admission>,
    /// Those that callers had until now.
    upstreams: BTreeMap<String, Arc<Upstream>>,
    /// The other side until now.
    shadow: Option<Arc<Shadow>>,
    /// What the other side was found to be.
    shadow_results: Arc<Results>,
}

fn upstream_of(caller: &Caller) -> (String, Arc<Upstream>) {
    (caller.upstream.name.clone(), Arc::clone(&caller.upstream))
}

/// What one caller may have of what all of them share. Where an upstream has several callers, none has
/// more than half of its places, so that no crowd of one caller's pages stands before the others'.
fn share(config: &Config, caller: &config::Caller) -> Share {
    let of_all = config.upstreams.get(&caller.upstream).map_or(1, |up| up.requests_in_flight_max);
    let callers = config.callers.iter().filter(|other| other.upstream == caller.upstream).count();
    let of_upstream = if callers > 1 { of_all.div_ceil(2) } else { of_all };
    Share {
        requests: Semaphore::new(config.limits.requests_per_caller_max),
        upstream: Semaphore::new(of_upstream),
    }
}

/// One resolver for each upstream, so that its callers make one look-up together.
fn reach(settings: &config::Upstream, lookup: &Arc<dyn Lookup>, metrics: &Metrics) -> Reach {
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

fn groups(lookups: &Lookups) -> GroupCache {
    GroupCache::builder().max_capacity(1).time_to_live(lookups.fresh_for).build()
}
