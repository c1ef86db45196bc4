//! Everything of one configuration at work that the recipe, the admin pages and the watches share.

use std::collections::BTreeMap;
use std::sync::Arc;

use commons::Commons;
use limits::{Admission, Delays, Lifecycle, Room};
use roster::Roster;
use settings::Config;
use shadow::{Judge, Results, Shadow};
use tokio_util::task::TaskTracker;
use transport::client::{Lookup, Reach, SystemLookup};

use crate::caller::Callers;
use crate::line::pace::Known;
use crate::observe::metrics::Metrics;
use crate::observe::past::Past;
use crate::observe::spans::Spans;

/// The version that runs.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a replica says of itself to the others.
pub(crate) fn word(fingerprint: &str) -> String {
    format!("{VERSION} {fingerprint}")
}

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
    /// Of the configuration, found once.
    pub(crate) fingerprint: Arc<str>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) metrics: Metrics,
    pub(crate) roster: Option<Roster>,
    /// What replicas share, where there are several.
    pub(crate) commons: Option<Commons>,
    pub(crate) surroundings: Surroundings,
    /// The paces of its upstreams and their keys.
    pub(crate) paces: Arc<Known>,
    /// How each upstream's name becomes connections.
    pub(crate) reaches: Arc<BTreeMap<String, Reach>>,
    /// Counts the configurations since the start, from 1.
    pub(crate) epoch: u64,
    pub(crate) lifecycle: Lifecycle,
    /// Calls that are being placed, which the end of the process waits for.
    pub(crate) under_way: TaskTracker,
    /// How late wrong keys are answered.
    pub(crate) delays: Arc<Delays>,
    pub(crate) admission: Arc<Admission>,
    /// What lists may hold.
    pub(crate) room: Arc<Room>,
    /// The other side, where one is configured.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// What was found of it since the process started.
    pub(crate) shadow_results: Arc<Results>,
    /// What the process remembers of itself.
    pub(crate) past: Arc<Past>,
}
