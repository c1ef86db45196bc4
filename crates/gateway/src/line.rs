//! One caller's line: what its requests pass between a plan and its answer. Each caller has its own, with
//! its own caches, key, pause and connections, so that no answer can come from another caller's. Built in
//! `stack.rs` when a configuration is put in force.

pub(crate) mod authorize;
pub(crate) mod common;
pub(crate) mod credential;
pub(crate) mod fail_fast;
pub(crate) mod key;
pub(crate) mod lookup;
pub(crate) mod pace;
pub(crate) mod pause;
pub(crate) mod placing;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod share;
pub(crate) mod upstream;
pub(crate) mod values;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use limits::Share;
use tokio::time::Instant;

use crate::cache::answers::{Answers, Given};
use crate::cache::pages::Pages;
use crate::cache::whole::Whole;
use crate::error::Error;
use crate::layer::call::{Call, ListCall, Listed};
use crate::layer::outlet::Streams;
use crate::layer::{Below, Stage};
use common::Common;
use credential::Credential;
use key::{Key, KeyState};
use pace::Pace;
use pause::Pause;
use upstream::Upstream;

/// What is known of listings that are joined to user rows.
pub(crate) trait Joins: Send + Sync {
    /// The age of each set of them that is kept, and the pages that it cost.
    fn known(&self) -> Vec<(Duration, u64)>;
    /// How many lists of the first set are read, and of how many; `None` where none is read.
    fn first_reading(&self) -> Option<(usize, usize)>;
}

/// See the module.
pub(crate) struct Line {
    pub(crate) upstream: Arc<Upstream>,
    /// What the caller shows its upstream.
    pub(crate) credential: Arc<Credential>,
    pub(crate) key: Arc<Key>,
    pub(crate) pause: Arc<Pause>,
    /// At which pace its requests are sent, where there is one.
    pub(crate) pace: Option<Arc<Pace>>,
    /// What is joined to its user rows, where something is.
    pub(crate) joined: Arc<dyn Joins>,
    /// What it shares with other replicas, where there are some.
    pub(crate) common: Option<Common>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) pages: Option<Arc<Pages>>,
    /// What its lists may hold.
    pub(crate) share: Share,
    /// How its last large lists were answered.
    pub(crate) streams: Streams,
    /// Calls that are placed for the caller; boxed, since few are.
    pub(crate) placing: Box<placing::Placing>,
    /// The whole line.
    pub(crate) calls: Stage<Call, Given>,
    /// The same below `share`.
    pub(crate) readings: Stage<Call, Listed>,
    /// The same below `lookup`.
    pub(crate) lists: Stage<ListCall, Listed>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line(to {})", self.upstream.name)
    }
}

impl Line {
    /// The answer to a call: shared, kept, or read for it.
    pub(crate) async fn call(&self, call: Call) -> Result<Given, Error> {
        self.heed();
        self.calls.ask(call).await
    }

    /// The answer to a call, read anew and kept for nobody.
    pub(crate) async fn read(&self, call: Call) -> Result<Whole, Error> {
        self.heed();
        share::read(&self.readings, call, Instant::now()).await
    }

    /// One list in hub words.
    pub(crate) async fn list(&self, list: ListCall) -> Result<Listed, Error> {
        self.heed();
        self.lists.ask(list).await
    }

    /// The answer to a call as it is read, with the rows that [`Call::oversize`] says.
    pub(crate) async fn listed(&self, call: Call) -> Result<Listed, Error> {
        self.heed();
        self.readings.ask(call).await
    }

    /// What other replicas heard is known before anything kept is shown.
    fn heed(&self) {
        if self.common.is_some() {
            self.key.heed();
        }
    }

    /// What the upstream last said to the caller's key.
    pub(crate) fn key_state(&self) -> KeyState {
        self.key.state()
    }

    /// Whether background requests may be sent now.
    pub(crate) fn is_at_ease(&self) -> bool {
        self.upstream.is_at_ease(&self.pause)
    }

    /// Drops the answers and pages that are kept, for their memory.
    pub(crate) fn drop_kept(&self) {
        self.answers.drop_kept();
        self.pages.iter().for_each(|pages| pages.drop_kept());
    }
}
