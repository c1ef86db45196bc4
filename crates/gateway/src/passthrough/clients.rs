//! Connections for what goes through: a pool for each caller and upstream, and none that two callers
//! share. An unknown caller gets connections that are used once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use limits::{Admission, Queue};
use settings::{Passthrough, Route, UnknownCallers, Upstream};
use transport::client::{Reach, StreamClient, StreamSettings};

use crate::caller::Caller;
use crate::observe::tally::Attempts;
use crate::request::base::Base;
use crate::state::State;

/// As for translated requests: shorter than an upstream's own keep-alive time.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Where requests of one caller go.
#[derive(Debug)]
pub(super) struct Target {
    /// What is counted of the upstream's attempts.
    pub(super) attempts: Attempts,
    pub(super) base: Base,
    pub(super) client: StreamClient,
}

/// One caller, or all unknown ones together.
#[derive(Debug)]
pub(super) struct Party {
    /// Its share of the places; `None` where it may have them all.
    pub(super) share: Option<Admission>,
    /// By upstream.
    targets: BTreeMap<String, Target>,
}

/// The parties there are.
#[derive(Debug)]
pub(super) struct Clients {
    of_callers: BTreeMap<Arc<str>, Party>,
    of_unknown: Party,
}

impl Clients {
    pub(super) fn new(state: &State, rules: &Passthrough) -> Self {
        let settings = &state.config.upstreams;
        let target = |name: &str, pool_idle_max: Option<usize>| {
            let upstream = settings.get(name)?;
            let reach = state.reaches.get(name)?.clone();
            Some((name.to_owned(), new_target(name, upstream, rules, reach, pool_idle_max)?))
        };
        // The queue is no longer than the share, since a request that waits here holds one of the places for
        // all requests.
        let most = rules.requests_per_caller_max;
        let share = || {
            (most < rules.requests_in_flight_max).then(|| {
                Admission::new(Queue {
                    in_flight_max: most,
                    queued_max: rules.requests_queued_max.min(most),
                    wait_max: state.config.limits.queue_wait_max,
                })
            })
        };
        let party = |targets| Party { share: share(), targets };
        let (mut of_callers, mut of_unknown) = (BTreeMap::new(), BTreeMap::new());
        for caller in state.callers.all() {
            let others = rules.upstreams().map(String::as_str);
            let names: BTreeSet<&str> =
                others.chain([caller.line.upstream.name.as_str()]).collect();
            let targets = names.into_iter().filter_map(|name| target(name, None));
            of_callers.insert(Arc::clone(&caller.name), party(targets.collect()));
        }
        if rules.unknown_callers == UnknownCallers::Forward {
            let names: BTreeSet<&str> = rules.upstreams_of_unknown().collect();
            let targets = names.into_iter().filter_map(|name| target(name, Some(0)));
            of_unknown = targets.collect();
        }
        Clients { of_callers, of_unknown: party(of_unknown) }
    }

    /// Whose request it is, and where it goes below a route.
    pub(super) fn target(
        &self,
        caller: Option<&Caller>,
        route: &Route,
    ) -> Option<(&Party, &Target)> {
        let party = match caller {
            Some(caller) => self.of_callers.get(&caller.name)?,
            None => &self.of_unknown,
        };
        let own =
            caller.map(|caller| &caller.line.upstream.name).or(route.upstream_of_unknown.as_ref());
        Some((party, party.targets.get(route.upstream.as_ref().or(own)?)?))
    }
}

fn new_target(
    name: &str,
    upstream: &Upstream,
    rules: &Passthrough,
    reach: Reach,
    pool_idle_max: Option<usize>,
) -> Option<Target> {
    let base = Base::of(&upstream.base_url)?;
    let client = StreamClient::new(&StreamSettings {
        connect_timeout: upstream.connect_timeout,
        write_progress: rules.idle_timeout_max(),
        pool_idle_timeout: POOL_IDLE_TIMEOUT,
        pool_idle_max: pool_idle_max.unwrap_or(upstream.requests_in_flight_max),
        tls: upstream.tls.clone(),
        reach,
    });
    Some(Target { attempts: Attempts::at(name), base, client })
}
