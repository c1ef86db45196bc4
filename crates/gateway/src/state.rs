//! Everything of one configuration at work that the recipe, the admin pages and the watches share.

use std::collections::BTreeMap;
use std::sync::Arc;

use limits::{Admission, Lifecycle, Room};
use roster::Roster;
use settings::Config;
use shadow::{Judge, Results, Shadow};
use tokio_util::task::TaskTracker;
use transport::client::{Lookup, Reach, SystemLookup};

use crate::caller::Callers;
use crate::observe::metrics::Metrics;
use crate::observe::spans::Spans;

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
    /// Calls that are being placed, which the end of the process waits for.
    pub(crate) under_way: TaskTracker,
    pub(crate) admission: Arc<Admission>,
    /// What lists may hold.
    pub(crate) room: Arc<Room>,
    /// The other side, where one is configured.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// What was found of it since the process started.
    pub(crate) shadow_results: Arc<Results>,
}
