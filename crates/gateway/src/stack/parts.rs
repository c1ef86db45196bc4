//! What one caller's line is built of. Must never do anything: `start.rs` fills it, and the recipe uses it.

use std::sync::Arc;

use commons::Commons;
use limits::Share;
use roster::Roster;
use settings::Config;
use transport::client::{Client, StreamClient};

use crate::cache::answers::Answers;
use crate::cache::pages::Pages;
use crate::line::pace::Pace;
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;
use crate::observe::spans::Exporter;

/// See the module.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) caller: &'a settings::Caller,
    pub(crate) upstream: &'a Arc<Upstream>,
    /// Connections of the caller's own.
    pub(crate) client: Client,
    /// Connections for calls that are placed.
    pub(crate) placing: StreamClient,
    /// Places for answers of the caller's own.
    pub(crate) answers: Arc<Answers>,
    /// The caller's own pages that may be unchanged when they are asked for again.
    pub(crate) pages: Option<Arc<Pages>>,
    /// What the caller's lists may hold.
    pub(crate) share: Share,
    pub(crate) roster: Option<Roster>,
    /// At which pace the caller's requests are sent, where there is one.
    pub(crate) pace: Option<Arc<Pace>>,
    /// What replicas share, where there are several.
    pub(crate) commons: Option<&'a Commons>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) exporter: &'a Exporter,
}
