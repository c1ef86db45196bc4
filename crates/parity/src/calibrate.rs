//! Finds the settings under which candidate answers like control. Control is read once, and candidate is
//! tried under every value of every setting. Only records whose answers differ between two values decide
//! between them. A setting that no record decides is reported as undecided, never guessed.
//!
//! It must never change a running configuration: it prints the settings for an operator to paste.

mod calibrated;
mod checked;
mod dictionaries;
mod enumerated;
mod probes;

use std::collections::BTreeMap;

use corpus::ask::{Ask, Reply};
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use corpus::source::{Answering, Silence, Source};
use report::secrets::Secrets;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::knowledge::Knowledge;
pub use crate::knowledge::{Overlay, UPSTREAM};
use crate::list::{KeyedBy, List, NotAList};
use crate::mask::Mask;
use crate::scenario::Scenario;
pub use calibrated::{Calibrated, Choice, Entry, Remaining};
use checked::Tried;

pub trait Laboratory: Send + Sync {
    /// A candidate under an overlay. It stops when it is dropped.
    fn candidate<'a>(
        &'a self,
        overlay: &'a Overlay,
    ) -> Answering<'a, Result<Box<dyn Source>, String>>;

    /// From now on pages of the new API that were read before come from memory.
    fn keep_still(&self);
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unable {
    #[error("the legacy API does not answer {0}: {1}")]
    Control(String, Silence),
    #[error("the legacy API answers {1} to {0}")]
    Refused(String, u16),
    #[error("the legacy API answers 200 to {shape}, and the answer {advice}", shape = .0, advice = .1.advice())]
    NoList(String, NotAList),
    #[error("Tieline does not answer: {0}")]
    Candidate(Silence),
    #[error("Tieline could not be started: {0}")]
    Start(String),
    #[error("interrupted")]
    Interrupted,
}

/// The whole lists of one side.
pub(crate) type Lists = BTreeMap<&'static str, Reply>;

pub(crate) struct Calibration<'a> {
    control: &'a dyn Source,
    laboratory: &'a dyn Laboratory,
    knowledge: &'a Knowledge,
    endpoints: &'a [&'static Endpoint],
    seed: u64,
    lists: Lists,
    by: KeyedBy,
    found: Calibrated,
    mask: Mask,
}

pub async fn calibrate(
    control: &dyn Source,
    laboratory: &dyn Laboratory,
    knowledge: &Knowledge,
    endpoints: &[&'static Endpoint],
    seed: u64,
    cancel: &CancellationToken,
) -> Result<Calibrated, Unable> {
    let calibration = Calibration {
        control,
        laboratory,
        knowledge,
        endpoints,
        seed,
        lists: Lists::new(),
        by: KeyedBy::Id,
        found: Calibrated::default(),
        mask: Mask::new(Secrets::default()),
    };
    cancel.run_until_cancelled(calibration.all()).await.unwrap_or(Err(Unable::Interrupted))
}

impl<'a> Calibration<'a> {
    async fn all(mut self) -> Result<Calibrated, Unable> {
        for endpoint in self.endpoints {
            let ask = Scenario::all(endpoint).ask;
            let reply = self.ask_control(&ask).await?;
            if reply.status != 200 {
                return Err(Unable::Refused(ask.shape(), reply.status));
            }
            if let Err(why) = List::read(&reply.body, KeyedBy::Id) {
                return Err(Unable::NoList(ask.shape(), why));
            }
            self.lists.insert(endpoint.name, reply);
        }
        let as_it_is = self.trial(&Overlay::new()).await?;
        self.laboratory.keep_still();
        self.align(&as_it_is);
        let mut overlay = self.enumerated().await?;
        self.dictionaries(&mut overlay).await?;
        let probes = self.probes(&mut overlay).await?;
        let before = Tried { lists: as_it_is, probes: self.tried(&Overlay::new(), &probes).await? };
        self.found.before = self.remaining(&before, &probes);
        let agreed = self.differing(&before, &probes);
        drop(before);
        let mut under = self.under(&overlay, &probes).await?;
        if self.without_spoiling(&agreed, &self.differing(&under, &probes), &mut overlay) {
            under = self.under(&overlay, &probes).await?;
        }
        self.found.after = self.remaining(&under, &probes);
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

    /// The whole lists of a candidate under an overlay, read once.
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

    /// Notes whether the two sides give the same people other ids, and aligns records by e-mail address then.
    fn align(&mut self, candidate: &Lists) {
        let both = self.both(candidate).find(|(endpoint, control, candidate)| {
            let by = || KeyedBy::of(&control.body, &candidate.body);
            endpoint.lists_users() && by() == KeyedBy::Email
        });
        if let Some((_, control, candidate)) = both {
            let id_map = self.id_map(&control.body, &candidate.body);
            (self.by, self.found.id_map) = (KeyedBy::Email, id_map);
        }
    }

    /// For each user the id of the upstream and the legacy id. An upstream without numeric ids is joined by
    /// e-mail address.
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
        // An address of two people joins neither, and a record without an address has none.
        let is_one = |key: &&String| {
            let is_repeated = |list: &List<'_>| list.repeated.contains_key(*key);
            !key.starts_with('#') && !is_repeated(&control) && !is_repeated(&candidate)
        };
        let pairs = control.keys.iter().filter(is_one).filter_map(|key| {
            let legacy = id(&control, key)?;
            let upstream = id(&candidate, key)?;
            Some((if by_address { key.clone() } else { upstream }, legacy))
        });
        // A legacy id must be a number, and a line of the map has just two columns.
        let is_plain = |text: &str| !text.contains([',', '"', '\r', '\n']);
        let is_line = |(upstream, legacy): &(String, String)| {
            is_plain(upstream) && legacy.bytes().all(|byte| byte.is_ascii_digit())
        };
        pairs.filter(is_line).collect()
    }

    fn keyed_by(&self, endpoint: &Endpoint) -> KeyedBy {
        if endpoint.lists_users() { self.by } else { KeyedBy::own(endpoint) }
    }

    /// Both sides' lists of each endpoint.
    fn both<'b>(
        &'b self,
        candidate: &'b Lists,
    ) -> impl Iterator<Item = (&'static Endpoint, &'b Reply, &'b Reply)> {
        let both = |endpoint: &&'static Endpoint| {
            let control = self.lists.get(endpoint.name)?;
            Some((*endpoint, control, candidate.get(endpoint.name)?))
        };
        self.endpoints.iter().filter_map(both)
    }

    /// The endpoints that list users.
    fn users(&self) -> impl Iterator<Item = &'static Endpoint> + use<'a> {
        self.endpoints.iter().copied().filter(|endpoint| endpoint.lists_users())
    }
}

/// Empties the dictionaries, so that the values of the new API are visible.
fn empty_dictionaries(settings: &mut Map<String, Value>) {
    for dictionary in ["timezone_names", "caller_id_groups", "channel_types"] {
        settings.insert(dictionary.to_owned(), Value::Object(Map::new()));
    }
}

/// Sets `key` in a table below `settings`. The printed table replaces the whole table of the configuration,
/// so a new one begins with the entries `in_force`.
pub(crate) fn insert_below(
    settings: &mut Map<String, Value>,
    table: &str,
    in_force: &BTreeMap<String, String>,
    key: &str,
    value: &str,
) {
    let known = || in_force.iter().map(|(key, value)| (key.clone(), value.clone().into()));
    let table = settings.entry(table).or_insert_with(|| Value::Object(known().collect()));
    if let Value::Object(table) = table {
        table.insert(key.to_owned(), value.into());
    }
}
