//! What a configuration becomes when it goes to work: callers, upstreams, pools, caches, counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roster::Roster;
use transport::client::{Client, ClientSettings};

use crate::answers::Answers;
use crate::caller::{Caller, Callers, GroupCache, Upstream};
use crate::config::{Config, Lookups, RosterFile};
use crate::metrics::Metrics;
use crate::spans::Exporter;

/// Everything the stack and the admin pages share.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) metrics: Metrics,
    pub(crate) roster: Option<Roster>,
    pub(crate) exporter: Exporter,
    /// Counts the configurations since the start, from 1.
    pub(crate) epoch: u64,
}

/// Unused upstream connections are closed before the upstream's own keep-alive time (usually 60 s or
/// more) makes using one a race.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

impl State {
    pub(crate) fn new(config: Config, exporter: Exporter) -> Result<Self, std::io::Error> {
        let metrics = Metrics::new().map_err(std::io::Error::other)?;
        let roster = config.roster.as_ref().map(RosterFile::open).transpose()?;
        Ok(State::with(config, metrics, roster, exporter, 1))
    }

    /// The state of a new configuration: counters go on, and so does the roster where it is the same
    /// file. Callers, caches and connections begin anew.
    pub(crate) fn renewed(&self, config: Config) -> Result<Self, std::io::Error> {
        let path = |config: &Config| config.roster.as_ref().map(|file| file.path.clone());
        let roster = match path(&config) == path(&self.config) {
            true => self.roster.clone(),
            false => config.roster.as_ref().map(RosterFile::open).transpose()?,
        };
        let (metrics, exporter) = (self.metrics.clone(), self.exporter.clone());
        Ok(State::with(config, metrics, roster, exporter, self.epoch + 1))
    }

    fn with(
        config: Config,
        metrics: Metrics,
        roster: Option<Roster>,
        exporter: Exporter,
        epoch: u64,
    ) -> Self {
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
        // A fair share each, so that one caller's many questions do not push out another's answers.
        let share_of_cache = config.cache.bytes_max / config.callers.len().max(1) as u64;
        let codings = config.server.compression.len();
        let callers = config.callers.iter().filter_map(|caller| {
            let (upstream, client) = upstreams.get(&caller.upstream)?;
            // A client, so a connection pool, of each caller's own.
            let client = Client::new(client);
            let groups = groups(&config.lookups);
            let answers = Answers::new(config.cache.freshness, share_of_cache, codings);
            let at_work = Caller::new(caller, Arc::clone(upstream), client, groups, answers);
            Some((caller.digest, Arc::new(at_work)))
        });
        let callers = Arc::new(Callers::new(callers.collect()));
        State { config: Arc::new(config), callers, metrics, roster, exporter, epoch }
    }
}

fn groups(lookups: &Lookups) -> GroupCache {
    GroupCache::builder().max_capacity(1).time_to_live(lookups.fresh_for).build()
}
