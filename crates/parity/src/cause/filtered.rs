//! Why one side lists a record under a filter and the other does not.

use std::collections::{HashMap, HashSet};

use super::modes::{MODES, Ways, limiting, ways};
use super::{Evidence, Judgement, KnownEndpoint, quoted};
use crate::compare::{Kind, RECORDS};
use crate::endpoint::Endpoint;
use crate::knowledge::Settings;
use crate::node::Node;
use crate::zone;

/// What filters look at, of one record, in the order of the endpoint's filters.
type Values = Box<[Option<Box<str>>]>;

/// Records by key.
pub type Rows = HashMap<String, Values>;

/// What filters look at, of every record of a side.
#[derive(Debug, Default)]
pub struct Index {
    /// By key.
    pub rows: Rows,
}

impl Index {
    /// Notes a record.
    pub fn note(&mut self, endpoint: &Endpoint, key: &str, record: &Node) {
        let values = endpoint.filters.iter().map(|field| match record.get(field) {
            Some(Node::Text(text)) => Some(text.as_str().into()),
            Some(Node::Number(number)) => Some(number.to_string().into()),
            _ => None,
        });
        self.rows.insert(key.to_owned(), values.collect());
    }

    pub(super) fn value(&self, endpoint: &Endpoint, key: &str, filter: &str) -> Option<&str> {
        let place = endpoint.filters.iter().position(|known| *known == filter)?;
        self.rows.get(key)?.get(place)?.as_deref()
    }
}

/// Whether a value fits a filter, under a mode.
pub(super) fn fits(filter: &str, mode: &str, value: Option<&str>, wanted: &str) -> bool {
    let Some(value) = value else { return false };
    match (filter, mode) {
        ("id", _) => {
            let is_number = !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_digit());
            is_number && wanted.parse::<u64>().ok() == value.parse().ok()
        }
        (_, "case_insensitive") => value.to_lowercase() == wanted.to_lowercase(),
        (_, "contains") => value.to_lowercase().contains(&wanted.to_lowercase()),
        ("timezone", _) => zone::id(value) == zone::id(wanted),
        _ => value == wanted,
    }
}

/// The records of a side that fit every filter, with one mode changed.
pub fn predicted<'a>(
    endpoint: &Endpoint,
    index: &'a Index,
    filters: &[(String, String)],
    mode: impl Fn(&str) -> String,
) -> HashSet<&'a str> {
    let fits_all = |key: &&str| {
        filters.iter().all(|(filter, wanted)| {
            let value = index.value(endpoint, key, filter);
            wanted.is_empty() || fits(filter, &mode(filter), value, wanted)
        })
    };
    index.rows.keys().map(String::as_str).filter(fits_all).collect()
}

impl Evidence<'_> {
    /// Judges a record that one side lists under a filter and the other does not. `listed` are the
    /// keys that control lists.
    pub fn filtered(
        &self,
        kind: Kind,
        key: &str,
        filters: &[(String, String)],
        listed: &HashSet<String>,
    ) -> Judgement {
        let Some(known) = self.known.endpoints.get(self.endpoint.name) else {
            return Judgement::bug("the whole lists are not known");
        };
        let is_in = |index: &Index| index.rows.contains_key(key);
        // Here as in the whole lists; what is missing there is no reason for being too much here.
        let in_whole = match (is_in(&known.control), is_in(&known.candidate)) {
            (true, false) => Some(Kind::Missing),
            (false, true) => Some(Kind::Extra),
            _ => None,
        };
        if let (true, Some(judgement)) = (in_whole == Some(kind), known.field(key, RECORDS)) {
            return judgement.clone();
        }
        if kind == Kind::Missing && !is_in(&known.candidate)
            || kind == Kind::Extra && !is_in(&known.control)
        {
            return Judgement::bug("a record that the whole list of the other side does not have");
        }
        let should = fits_all(self.endpoint, &known.candidate, key, filters, self.settings);
        match kind {
            Kind::Missing if should => {
                return Judgement::bug("candidate's own record fits the filter");
            }
            Kind::Extra if !should => {
                return Judgement::bug("candidate's own record does not fit the filter");
            }
            _ => {}
        }
        let other = self.mode.get_or_init(|| self.other_mode(known, filters, listed));
        if let Some(judgement) = other {
            return judgement.clone();
        }
        let differs = filters.iter().find_map(|(filter, _)| {
            let of = |index: &Index| index.value(self.endpoint, key, filter).map(str::to_owned);
            let is_other = of(&known.control) != of(&known.candidate);
            is_other.then(|| known.field(key, filter)).flatten()
        });
        match differs {
            Some(judgement) => Judgement {
                why: format!("the field that is filtered by differs: {}", judgement.why),
                ..judgement.clone()
            },
            None => Judgement::bug("control filters in a way that no setting has"),
        }
    }

    /// The setting under which control's list is just what the filter finds in control's own data.
    fn other_mode(
        &self,
        known: &KnownEndpoint,
        filters: &[(String, String)],
        listed: &HashSet<String>,
    ) -> Option<Judgement> {
        let filters = limiting(filters);
        let current: Ways =
            filters.iter().filter_map(|(filter, _)| way(self.settings.mode(filter))).collect();
        let mut fit = ways(self.endpoint, &known.control, &filters, listed);
        if fit.contains(&current) {
            // Control filters its own data just as candidate is set to.
            return None;
        }
        // What earlier answers speak against comes last, then what changes most.
        fit.sort_by_cached_key(|ways| {
            let both = filters.iter().zip(ways);
            let is_against = both.clone().any(|((filter, _), way)| {
                known.ways.get(filter).is_some_and(|fit| !fit.contains(&quoted(way)))
            });
            let changes = ways.iter().zip(&current).filter(|(one, other)| one != other).count();
            (is_against, changes)
        });
        let best = fit.first()?;
        let changed = (0..filters.len()).find(|place| current.get(*place) != best.get(*place))?;
        Some(Judgement::quirk(
            format!("{}.filters", self.table()),
            &filters[changed].0,
            quoted(best[changed]),
            "the legacy API compares this filter in another way",
        ))
    }
}

/// A way of comparing by the name that the setting gives it.
fn way(name: &str) -> Option<&'static str> {
    MODES.into_iter().find(|way| *way == name)
}

fn fits_all(
    endpoint: &Endpoint,
    index: &Index,
    key: &str,
    filters: &[(String, String)],
    settings: &Settings,
) -> bool {
    filters.iter().all(|(filter, wanted)| {
        let value = index.value(endpoint, key, filter);
        wanted.is_empty() || fits(filter, settings.mode(filter), value, wanted)
    })
}
