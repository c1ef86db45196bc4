//! What a configuration becomes when it goes to work: callers, upstreams, pools, caches, counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moka::Expiry;
use transport::client::{Client, ClientSettings};

use crate::caller::{Caller, Callers, FoundGroups, Groups, Upstream};
use crate::config::{Config, Lookups};
use crate::metrics::Metrics;

/// Everything the stack and the admin pages share.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) metrics: Metrics,
}

/// Unused upstream connections are closed before the upstream's own keep-alive time (usually 60 s or
/// more) makes using one a race.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

impl State {
    pub(crate) fn new(config: Config) -> Result<Self, std::io::Error> {
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
        let callers = config.callers.iter().filter_map(|caller| {
            let (upstream, client) = upstreams.get(&caller.upstream)?;
            // A client, so a connection pool, of each caller's own.
            let client = Client::new(client);
            let groups = groups(&config.lookups);
            let at_work = Caller::new(caller, Arc::clone(upstream), client, groups);
            Some((caller.digest, Arc::new(at_work)))
        });
        let callers = Arc::new(Callers::new(callers.collect()));
        let metrics = Metrics::new().map_err(std::io::Error::other)?;
        Ok(State { config: Arc::new(config), callers, metrics })
    }
}

fn groups(lookups: &Lookups) -> Groups {
    Groups::builder()
        .max_capacity(lookups.entries_max)
        .expire_after(Fresh { found: lookups.fresh_for, none: lookups.negative_for })
        .build()
}

/// Found ids are fresh for longer than "there is none".
struct Fresh {
    found: Duration,
    none: Duration,
}

impl Expiry<String, Arc<FoundGroups>> for Fresh {
    #[expect(clippy::disallowed_types, reason = "moka's interface; the value is not read")]
    fn expire_after_create(
        &self,
        _: &String,
        found: &Arc<FoundGroups>,
        _: std::time::Instant,
    ) -> Option<Duration> {
        Some(if found.ids.is_empty() { self.none } else { self.found })
    }
}
