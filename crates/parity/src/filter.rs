//! The values that filters look at, and the modes in which a filter compares: `exact`,
//! `case_insensitive` or `contains`.
//!
//! [`ways`] finds the comparisons under which control's answer to a question contains exactly the
//! records that its filters find in control's own data. Candidate's answers never count here.

use std::collections::{HashMap, HashSet};

use corpus::endpoint::Endpoint;
use corpus::node::Node;

use crate::knowledge::Settings;
use crate::zone;

/// The values of one record that filters look at, in the order of the endpoint's filters.
pub(crate) type Values = Box<[Option<Box<str>>]>;

/// The values of every record of one side that filters look at.
#[derive(Debug, Default)]
pub struct Index {
    /// By the record's key.
    pub rows: HashMap<String, Values>,
    /// The id of a deleted user, whom another list of this side has.
    pub deleted: Option<String>,
}

impl Index {
    pub fn note(&mut self, endpoint: &Endpoint, key: &str, record: &Node) {
        let values = endpoint.filters.iter().map(|field| match record.get(field) {
            Some(Node::Text(text)) => Some(text.as_str().into()),
            Some(Node::Number(number)) => Some(number.to_string().into()),
            _ => None,
        });
        self.rows.insert(key.to_owned(), values.collect());
    }

    /// The value of one record that a filter looks at.
    pub(crate) fn value(&self, endpoint: &Endpoint, key: &str, filter: &str) -> Option<&str> {
        let place = endpoint.filters.iter().position(|known| *known == filter)?;
        self.rows.get(key)?.get(place)?.as_deref()
    }
}

/// Whether a value fits a filter that compares in this mode.
fn fits(filter: &str, mode: &str, value: Option<&str>, wanted: &str) -> bool {
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

/// Whether a record fits every filter, under the settings in force.
pub(crate) fn fits_all(
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

/// The keys of the records that fit every filter, under the settings in force.
pub(crate) fn predicted<'a>(
    endpoint: &Endpoint,
    index: &'a Index,
    filters: &[(String, String)],
    settings: &Settings,
) -> HashSet<&'a str> {
    let fits = |key: &&str| fits_all(endpoint, index, key, filters, settings);
    index.rows.keys().map(String::as_str).filter(fits).collect()
}

/// The modes, in the words of the setting `filters`.
pub(crate) const MODES: [&str; 3] = ["exact", "case_insensitive", "contains"];

/// One mode for each filter of a question.
pub(crate) type Ways = Vec<&'static str>;

/// The filters of a question that are not empty.
pub(crate) fn limiting(filters: &[(String, String)]) -> Vec<&(String, String)> {
    filters.iter().filter(|(_, wanted)| !wanted.is_empty()).collect()
}

/// Every combination of modes under which the filters find the records that control `listed`. It is
/// empty where control filters in a way that no setting offers. Each record is read once, however
/// many combinations there are.
pub(crate) fn ways(
    endpoint: &Endpoint,
    control: &Index,
    filters: &[&(String, String)],
    listed: &HashSet<String>,
) -> Vec<Ways> {
    if !listed.iter().all(|key| control.rows.contains_key(key)) {
        return Vec::new();
    }
    // Whether each filter finds a record under each mode, and whether control lists that record.
    let mut outcomes: HashSet<(Vec<[bool; MODES.len()]>, bool)> = HashSet::new();
    for key in control.rows.keys() {
        let finds = filters.iter().map(|(filter, wanted)| {
            let value = control.value(endpoint, key, filter);
            MODES.map(|mode| fits(filter, mode, value, wanted))
        });
        outcomes.insert((finds.collect(), listed.contains(key)));
    }
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for (filter, _) in filters {
        // An id is compared as a number, in one way only.
        let count = if filter == "id" { 1 } else { MODES.len() };
        let longer = |ways: &Vec<usize>| -> Vec<Vec<usize>> {
            (0..count).map(|way| [&ways[..], &[way]].concat()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all.retain(|ways| {
        outcomes.iter().all(|(finds, is_listed)| {
            finds.iter().zip(ways).all(|(finds, way)| finds[*way]) == *is_listed
        })
    });
    all.into_iter().map(|ways| ways.into_iter().map(|way| MODES[way]).collect()).collect()
}
