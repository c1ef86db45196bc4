//! The settings under which the real answers agree: control is read once, candidate is tried under
//! every value of every setting, and the values that agree are counted on the records that tell the
//! values apart. What no record tells apart is said to be undecided, never guessed.
//!
//! It must never change a running configuration: what it finds is printed, for somebody to paste.

mod dictionaries;
mod enumerated;
mod found;
mod probes;

use std::collections::BTreeMap;

use corpus::ask::{Ask, Reply};
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use corpus::source::{Answering, Silence, Source};
use report::secrets::Secrets;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::compare::compare;
use crate::knowledge::{Knowledge, Settings};
use crate::list::{KeyedBy, List};
use crate::mask::Mask;
use crate::scenario::Scenario;
pub use found::{Choice, Entry, Found, Remaining};

/// Settings laid over those in force: by endpoint, as JSON in the words of the configuration. The
/// upstream's own stand under [`UPSTREAM`].
pub type Overlay = BTreeMap<String, Map<String, Value>>;

/// The upstream's table of an [`Overlay`].
pub const UPSTREAM: &str = "upstream";

/// Makes candidates under other settings.
pub trait Laboratory: Send + Sync {
    /// A candidate under an overlay. It ends when it is dropped.
    fn candidate<'a>(
        &'a self,
        overlay: &'a Overlay,
    ) -> Answering<'a, Result<Box<dyn Source>, String>>;

    /// From now on what was read of the new API is read from memory.
    fn keep_still(&self);
}

/// Why nothing could be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    /// Control does not answer.
    #[error("control does not answer {0}: {1}")]
    Control(String, Silence),
    /// Control answers something else than a list.
    #[error("control answers {1} to {0}")]
    Refused(String, u16),
    /// Candidate does not answer.
    #[error("candidate does not answer: {0}")]
    Candidate(Silence),
    /// A candidate could not be started.
    #[error("a candidate could not be started: {0}")]
    Start(String),
    /// It was interrupted.
    #[error("interrupted")]
    Interrupted,
}

/// The whole lists of one side.
pub(crate) type Lists = BTreeMap<&'static str, Reply>;

/// Everything that is read once, and what is found.
pub(crate) struct Calibration<'a> {
    control: &'a dyn Source,
    laboratory: &'a dyn Laboratory,
    knowledge: &'a Knowledge,
    endpoints: &'a [&'static Endpoint],
    seed: u64,
    lists: Lists,
    by: KeyedBy,
    found: Found,
    mask: Mask,
}

/// Finds the settings.
///
/// # Errors
/// Where a side does not answer.
pub async fn calibrate(
    control: &dyn Source,
    laboratory: &dyn Laboratory,
    knowledge: &Knowledge,
    endpoints: &[&'static Endpoint],
    seed: u64,
    cancel: &CancellationToken,
) -> Result<Found, Unable> {
    let calibration = Calibration {
        control,
        laboratory,
        knowledge,
        endpoints,
        seed,
        lists: Lists::new(),
        by: KeyedBy::Id,
        found: Found::default(),
        mask: Mask::new(Secrets::default()),
    };
    cancel.run_until_cancelled(calibration.all()).await.unwrap_or(Err(Unable::Interrupted))
}

impl Calibration<'_> {
    async fn all(mut self) -> Result<Found, Unable> {
        for endpoint in self.endpoints {
            let ask = Scenario::all(endpoint).ask;
            let reply = self.ask_control(&ask).await?;
            if reply.status != 200 || List::read(&reply.body, KeyedBy::Id).is_err() {
                return Err(Unable::Refused(ask.shape(), reply.status));
            }
            self.lists.insert(endpoint.name, reply);
        }
        let as_it_is = self.trial(&Overlay::new()).await?;
        self.laboratory.keep_still();
        self.found.before = self.remaining(&as_it_is);
        self.align(&as_it_is);
        let mut overlay = self.enumerated().await?;
        self.dictionaries(&mut overlay).await?;
        self.probes(&mut overlay).await?;
        drop(as_it_is);
        let under = self.trial(&overlay).await?;
        self.found.after = self.remaining(&under);
        self.found.overlay = overlay;
        Ok(self.found)
    }

    async fn ask_control(&mut self, ask: &Ask) -> Result<Reply, Unable> {
        self.found.control_requests += 1;
        self.control.ask(ask).await.map_err(|why| Unable::Control(ask.shape(), why))
    }

    async fn start(&self, overlay: &Overlay) -> Result<Box<dyn Source>, Unable> {
        self.laboratory.candidate(overlay).await.map_err(Unable::Start)
    }

    /// The whole lists of a candidate under an overlay.
    async fn trial(&self, overlay: &Overlay) -> Result<Lists, Unable> {
        let candidate = self.start(overlay).await?;
        let mut lists = Lists::new();
        for endpoint in self.endpoints {
            let ask = Scenario::all(endpoint).ask;
            let reply = candidate.ask(&ask).await.map_err(Unable::Candidate)?;
            lists.insert(endpoint.name, reply);
        }
        Ok(lists)
    }

    /// Whether the same people have the same numbers on both sides.
    fn align(&mut self, candidate: &Lists) {
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.lists_users()) {
            let (Some(one), Some(two)) =
                (self.lists.get(endpoint.name), candidate.get(endpoint.name))
            else {
                continue;
            };
            if KeyedBy::of(&one.body, &two.body) == KeyedBy::Email {
                self.by = KeyedBy::Email;
                let numbers = self.id_map(&one.body, &two.body);
                self.found.id_map = numbers;
                return;
            }
        }
    }

    /// Upstream id, or e-mail address where the upstream has no numbers, and the legacy id.
    fn id_map(&self, control: &[u8], candidate: &[u8]) -> Vec<(String, String)> {
        let read = |body| List::read(body, KeyedBy::Email).ok();
        let (Some(control), Some(candidate)) = (read(control), read(candidate)) else {
            return Vec::new();
        };
        let id = |list: &List<'_>, key: &str| match list.record(key)?.node().get("id")? {
            Node::Number(number) => Some(number.to_string()),
            Node::Text(text) => Some(text.clone()),
            _ => None,
        };
        let by_address = self.knowledge.dialect != "voiso-v4";
        // An address that two people share joins nobody, and neither does a placeholder.
        let is_one = |key: &&String| {
            let is_repeated = |list: &List<'_>| list.repeated.contains_key(*key);
            !key.starts_with('#') && !is_repeated(&control) && !is_repeated(&candidate)
        };
        let pairs = control.keys.iter().filter(is_one).filter_map(|key| {
            let legacy = id(&control, key)?;
            let upstream = id(&candidate, key)?;
            Some((if by_address { key.clone() } else { upstream }, legacy))
        });
        // What is no number, or would be two columns, is no line of the map.
        let is_plain = |text: &str| !text.contains([',', '"', '\r', '\n']);
        let is_line = |(upstream, legacy): &(String, String)| {
            is_plain(upstream) && legacy.bytes().all(|byte| byte.is_ascii_digit())
        };
        pairs.filter(is_line).collect()
    }

    fn keyed_by(&self, endpoint: &Endpoint) -> KeyedBy {
        if endpoint.lists_users() { self.by } else { KeyedBy::Id }
    }

    /// How much is equal, by field.
    fn remaining(&self, candidate: &Lists) -> Vec<Remaining> {
        let mut all = Vec::new();
        for endpoint in self.endpoints {
            let (Some(one), Some(two)) =
                (self.lists.get(endpoint.name), candidate.get(endpoint.name))
            else {
                continue;
            };
            let found = compare(endpoint, one, two, self.keyed_by(endpoint));
            for (field, tally) in found.tallies {
                all.push(Remaining {
                    endpoint: endpoint.name,
                    field: self.mask.name(&field),
                    compared: tally.compared,
                    differing: tally.compared - tally.matched,
                });
            }
        }
        all
    }

    fn settings(&self, endpoint: &Endpoint) -> Settings {
        self.knowledge.settings(endpoint.name)
    }
}
