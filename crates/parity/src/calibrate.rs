//! Finds the settings under which candidate answers like control. Control is read once, and candidate is
//! tried under every value of every setting. Only records whose answers differ between two values decide
//! between them. A setting that no record decides is reported as undecided, never guessed.
//!
//! It must never change a running configuration: it prints the settings for an operator to paste.

mod calibrated;
mod dictionaries;
mod enumerated;
mod probes;

use std::collections::{BTreeMap, BTreeSet};

use corpus::ask::{Ask, Reply};
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use corpus::source::{Answering, Silence, Source};
use report::secrets::Secrets;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::cause::DELETED_AT;
use crate::compare::{BODY, ENVELOPE, RECORDS, compare};
use crate::knowledge::{Knowledge, TWO};
use crate::list::{KeyedBy, List};
use crate::mask::Mask;
use crate::scenario::Scenario;
pub use calibrated::{Calibrated, Choice, Entry, Remaining};

/// Settings that replace those in force: by endpoint, as JSON with the names of the configuration. The
/// settings of the upstream are under [`UPSTREAM`].
pub type Overlay = BTreeMap<String, Map<String, Value>>;

/// The table of the upstream in an [`Overlay`].
pub const UPSTREAM: &str = "upstream";

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
    #[error("control does not answer {0}: {1}")]
    Control(String, Silence),
    #[error("control answers {1} to {0}")]
    Refused(String, u16),
    #[error("candidate does not answer: {0}")]
    Candidate(Silence),
    #[error("a candidate could not be started: {0}")]
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
        let before = self.differing(&as_it_is);
        drop(as_it_is);
        let mut under = self.trial(&overlay).await?;
        if self.without_spoiling(&before, &under, &mut overlay) {
            under = self.trial(&overlay).await?;
        }
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
        if endpoint.lists_users() { self.by } else { KeyedBy::Id }
    }

    /// How many values differ, by field.
    fn remaining(&self, candidate: &Lists) -> Vec<Remaining> {
        let remaining = |(endpoint, control, candidate): (&'static Endpoint, &Reply, &Reply)| {
            let compared = compare(endpoint, control, candidate, self.keyed_by(endpoint));
            compared.tallies.into_iter().map(move |(field, tally)| Remaining {
                endpoint: endpoint.name,
                field: self.mask.name(&field),
                compared: tally.compared,
                differing: tally.compared - tally.matched,
            })
        };
        self.both(candidate).flat_map(remaining).collect()
    }

    /// Every field of a record, and every part of a list, that differs.
    fn differing(&self, candidate: &Lists) -> BTreeSet<Place> {
        let of = |(endpoint, control, candidate): (&'static Endpoint, &Reply, &Reply)| {
            let compared = compare(endpoint, control, candidate, self.keyed_by(endpoint));
            let places = compared.differences.into_iter();
            places.map(move |one| (endpoint.name, one.record, one.field))
        };
        self.both(candidate).flat_map(of).collect()
    }

    /// Removes the settings under which something differs that agreed before. True if there were any.
    fn without_spoiling(
        &mut self,
        before: &BTreeSet<Place>,
        under: &Lists,
        overlay: &mut Overlay,
    ) -> bool {
        let now = self.differing(under);
        let mut spoiled: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for (endpoint, _, field) in now.difference(before) {
            *spoiled.entry((endpoint, field)).or_default() += 1;
        }
        let mut taken = Vec::new();
        for (table, settings) in overlay.iter_mut() {
            settings.retain(|name, _| {
                let against: u64 = spoiled
                    .iter()
                    .filter(|((endpoint, field), _)| {
                        (table == UPSTREAM || table == endpoint) && is_about(name, field)
                    })
                    .map(|(_, count)| count)
                    .sum();
                if against > 0 {
                    taken.push(format!("{table}.{name}: {against} values that agree would differ"));
                }
                against == 0
            });
        }
        overlay.retain(|_, settings| !settings.is_empty());
        let is_any = !taken.is_empty();
        self.found.spoiling.extend(taken);
        is_any
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

/// Whether a setting may change a field of a record, or a part of a list.
fn is_about(setting: &str, field: &str) -> bool {
    match setting {
        DELETED_AT => field == RECORDS,
        "envelope" => field.starts_with(ENVELOPE) || field == BODY,
        "timezone_names" => field == "timezone",
        "caller_id_groups" => field == "caller_id",
        "channel_types" => field == "assigned_channels",
        _ => TWO.iter().any(|two| two.setting == setting && two.fields.contains(&field)),
    }
}

/// A field of a record, or a part of a list.
type Place = (&'static str, Option<String>, String);

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
