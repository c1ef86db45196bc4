//! Which values of settings fit each answer of control, whether candidate agrees or not. A setting explains
//! a difference only if its value fits every other answer as well.

use std::collections::{BTreeSet, HashSet};

use corpus::ask::Reply;
use serde::{Deserialize, Serialize};

use super::whole::invalid_key;
use super::{BODY_PARAMETERS, KnownEndpoint, SettingKey, quoted};
use crate::filter::{limiting, ways};
use crate::list::List;
use crate::scenario::{Group, Scenario};

/// The values of a setting that fit an answer of control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    pub key: SettingKey,
    /// The values that fit, as TOML. An answer that no value fits is no vote.
    pub values: BTreeSet<String>,
    /// How many records support it; one for an answer as a whole.
    pub count: u64,
}

/// The votes of an answer of control. `list` is the answer if it is a list.
pub(crate) fn votes(
    scenario: &Scenario,
    known: &KnownEndpoint,
    control: &Reply,
    list: Option<&List<'_>>,
) -> Vec<Vote> {
    let endpoint = scenario.endpoint;
    let table = format!("legacy.{}", endpoint.name);
    let vote = |table: &str, name: &str, values: BTreeSet<String>| {
        let key = SettingKey { table: table.to_owned(), name: name.to_owned() };
        Vote { key, values, count: 1 }
    };
    let mut all = Vec::new();
    if scenario.group == Group::BadKey
        && let Some(value) = invalid_key(control)
    {
        all.push(vote(&table, "invalid_key", BTreeSet::from([value])));
    }
    let Some(list) = list.filter(|_| endpoint.lists_users()) else { return all };
    if list.is_as_set() {
        all.push(vote(&table, "envelope", BTreeSet::from([quoted(&list.envelope.name())])));
    }
    let filters = limiting(&scenario.filters);
    if filters.is_empty() {
        return all;
    }
    let listed: HashSet<String> = list.keys.iter().cloned().collect();
    if scenario.ask.written.is_body() {
        let is_everybody = listed.len() == known.control.rows.len();
        let value = quoted(if is_everybody { "ignore" } else { "read" });
        all.push(vote("legacy", BODY_PARAMETERS, BTreeSet::from([value])));
    }
    let fit = ways(endpoint, &known.control, &filters, &listed);
    for (place, (filter, _)) in filters.iter().enumerate() {
        let values: BTreeSet<String> = fit.iter().map(|ways| quoted(ways[place])).collect();
        if !values.is_empty() && filter != "id" {
            all.push(vote(&format!("{table}.filters"), filter, values));
        }
    }
    all
}

impl KnownEndpoint {
    /// Notes a vote for the modes of a filter.
    pub(crate) fn note_vote(&mut self, vote: &Vote) {
        if !vote.key.table.ends_with(".filters") {
            return;
        }
        match self.ways.get_mut(&vote.key.name) {
            Some(ways) => ways.retain(|way| vote.values.contains(way)),
            None => {
                self.ways.insert(vote.key.name.clone(), vote.values.clone());
            }
        }
    }
}
