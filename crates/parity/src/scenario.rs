//! The questions: the whole list of every endpoint, every filter with values from the data, pairs of
//! filters, values that no record has, odd characters, and keys that do not exist.
//!
//! The same data gives the same questions with the same names, so that an interrupted run can be resumed.

mod recorded;

use std::collections::{BTreeMap, HashSet};

use corpus::ask::{Ask, KeyPlace};
use corpus::endpoint::Endpoint;
use sha2::{Digest, Sha256};

use crate::filter::Index;
pub use recorded::recorded;

/// The purpose of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The whole list of an endpoint.
    All,
    /// One filter, with a value from the data.
    Filter,
    /// A value in another case, or the beginning of one, which shows how filters compare.
    Spelling,
    /// Two filters.
    Pair,
    /// A value that no record has.
    Unknown,
    /// Characters that clients often escape wrongly.
    Odd,
    /// An empty value, or an unknown parameter.
    Ignored,
    /// A key that does not exist, or no key.
    BadKey,
}

impl Group {
    /// The words in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Group::All => "whole list",
            Group::Filter => "filter",
            Group::Spelling => "other spelling",
            Group::Pair => "pair",
            Group::Unknown => "unknown value",
            Group::Odd => "odd characters",
            Group::Ignored => "ignored parameter",
            Group::BadKey => "bad key",
        }
    }
}

/// One question for both sides.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, unique among the questions.
    pub id: String,
    /// The endpoint.
    pub endpoint: &'static Endpoint,
    /// Its purpose.
    pub group: Group,
    /// The request.
    pub ask: Ask,
    /// Its filters, with the names of the endpoint.
    pub filters: Vec<(String, String)>,
    /// The whole value, where a filter asks for the beginning of one.
    pub whole: Option<String>,
}

impl Scenario {
    fn new(
        endpoint: &'static Endpoint,
        group: Group,
        id: String,
        filters: &[(&str, &str)],
    ) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let filters: Vec<_> = filters.iter().map(owned).collect();
        let ask = Ask { path: endpoint.path.to_owned(), query: filters.clone(), key: endpoint.key };
        let id = format!("{}/{id}", endpoint.name);
        Scenario { id, endpoint, group, ask, filters, whole: None }
    }

    /// The whole list of an endpoint.
    pub fn all(endpoint: &'static Endpoint) -> Scenario {
        Scenario::new(endpoint, Group::All, "all".to_owned(), &[])
    }

    /// The name with a digest of the request, so that no value is shown.
    pub fn fingerprint(&self) -> String {
        let target = self.ask.target("");
        let digest = Sha256::digest(format!("{:?} {target}", self.ask.key));
        format!("{}#{}", self.id, corpus::hex(&digest[..8]))
    }
}

/// How many questions are asked.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How many values of each filter are taken from the data.
    pub values_per_filter: usize,
    /// Whether pairs of filters are asked.
    pub pairs: bool,
}

impl Default for Extent {
    fn default() -> Self {
        Extent { values_per_filter: 3, pairs: true }
    }
}

/// A text that is no value of any record.
const NOBODY: &str = "No such value 7f3a";

/// Texts with characters that are often escaped wrongly, or that end a text early.
const ODD: [&str; 9] = [
    "a+b c",
    "100%",
    "a&name=b",
    "\"quoted\"",
    "O'Brien",
    "żółć 长 🦀",
    "a\\b/c?d#e",
    "tab\there",
    "<b>&amp;</b>",
];

/// Every question to an endpoint except the whole list, made from the values that control has there.
pub fn questions(
    endpoint: &'static Endpoint,
    control: &Index,
    extent: Extent,
    seed: u64,
) -> Vec<Scenario> {
    let mut all = Vec::new();
    if let Some(path) = endpoint.other_path {
        let mut scenario = Scenario::new(endpoint, Group::All, "all/other path".to_owned(), &[]);
        scenario.ask.path = path.to_owned();
        all.push(scenario);
    }
    if endpoint.lists_users() {
        filters(endpoint, control, extent, seed, &mut all);
        if extent.pairs {
            pairs(endpoint, control, seed, &mut all);
        }
    }
    let mut ignored = |name: String, filters: &[(&str, &str)]| {
        let mut scenario =
            Scenario::new(endpoint, Group::Ignored, format!("ignored/{name}"), filters);
        scenario.filters.clear();
        all.push(scenario);
    };
    for filter in endpoint.filters {
        ignored(format!("empty {filter}"), &[(*filter, "")]);
    }
    ignored("other parameter".to_owned(), &[("no_such_parameter", "1")]);
    ignored("paging".to_owned(), &[("page", "2"), ("per_page", "1")]);
    keys(endpoint, &mut all);
    // Two rules may make the same request, which is asked once.
    let mut asked = HashSet::new();
    all.retain(|scenario| asked.insert(scenario.ask.clone()));
    all
}

fn filters(
    endpoint: &'static Endpoint,
    control: &Index,
    extent: Extent,
    seed: u64,
    all: &mut Vec<Scenario>,
) {
    for (place, filter) in endpoint.filters.iter().enumerate() {
        let values = sample(control, place, extent.values_per_filter, seed);
        for (number, value) in values.iter().enumerate() {
            let id = format!("filter/{filter}/{}", number + 1);
            let mut scenario = Scenario::new(endpoint, Group::Filter, id, &[(filter, value)]);
            if endpoint.bracketed && number == 1 {
                scenario.ask.query = vec![(format!("filter[{filter}]"), value.clone())];
            }
            all.push(scenario);
        }
        spellings(endpoint, control, place, filter, seed, all);
        let unknown = if *filter == "id" { "999999999" } else { NOBODY };
        let id = format!("unknown/{filter}");
        all.push(Scenario::new(endpoint, Group::Unknown, id, &[(filter, unknown)]));
        let odd = ODD[place % ODD.len()];
        let id = format!("odd/{filter}");
        all.push(Scenario::new(endpoint, Group::Odd, id, &[(filter, odd)]));
    }
    for (number, odd) in ODD.iter().enumerate() {
        let id = format!("odd/{}", number + 1);
        all.push(Scenario::new(endpoint, Group::Odd, id, &[("name", odd)]));
    }
}

/// A value in capitals, and the beginning of a value.
fn spellings(
    endpoint: &'static Endpoint,
    control: &Index,
    place: usize,
    filter: &str,
    seed: u64,
    all: &mut Vec<Scenario>,
) {
    if filter == "id" {
        return;
    }
    let values = distinct(control, place);
    let of = |wanted: &dyn Fn(&str) -> bool| {
        let mut fit: Vec<&&str> = values.keys().filter(|value| wanted(value)).collect();
        fit.sort_by_cached_key(|value| rank(seed, value));
        fit.first().map(|value| (**value).to_owned())
    };
    let in_capitals = |value: &str| value.is_ascii() && value.to_uppercase() != value;
    if let Some(value) = of(&in_capitals) {
        let id = format!("spelling/{filter}/capitals");
        let value = value.to_uppercase();
        all.push(Scenario::new(endpoint, Group::Spelling, id, &[(filter, &value)]));
    }
    let is_long = |value: &str| value.is_ascii() && value.len() >= 4 && value.trim() == value;
    if let Some(whole) = of(&is_long) {
        let id = format!("spelling/{filter}/beginning");
        let beginning = whole[..whole.len() - 1].trim_end();
        if !values.contains_key(beginning) {
            let mut scenario = Scenario::new(endpoint, Group::Spelling, id, &[(filter, beginning)]);
            scenario.whole = Some(whole.clone());
            all.push(scenario);
        }
    }
}

/// The most records that are tried for a crossed pair of filters.
const CROSSED_MAX: usize = 32;

/// Every pair of filters, twice: with two values of one record, and crossed, with two values that no
/// record has together. A gateway that loses one of the two filters lists records for the crossed pair.
/// And all filters at once.
fn pairs(endpoint: &'static Endpoint, control: &Index, seed: u64, all: &mut Vec<Scenario>) {
    let mut keys: Vec<&String> = control.rows.keys().collect();
    keys.sort_by_cached_key(|key| rank(seed, key));
    let rows: Vec<_> = keys.iter().filter_map(|key| control.rows.get(*key)).collect();
    let values = |place: usize| {
        rows.iter().filter_map(move |row| {
            row.get(place)?.as_deref().filter(|value| !value.trim().is_empty())
        })
    };
    for (first, one) in endpoint.filters.iter().enumerate() {
        for (second, other) in endpoint.filters.iter().enumerate().skip(first + 1) {
            let mut add = |name: &str, a: &str, b: &str| {
                let filters = [(*one, a), (*other, b)];
                all.push(Scenario::new(endpoint, Group::Pair, name.to_owned(), &filters));
            };
            let both = rows.iter().find_map(|row| {
                let value = |place: usize| {
                    row.get(place)?.as_deref().filter(|value| !value.trim().is_empty())
                };
                Some((value(first)?, value(second)?))
            });
            if let Some((a, b)) = both {
                add(&format!("pair/{one}+{other}"), a, b);
            }
            let Some(a) = values(first).next() else { continue };
            let mut beside = HashSet::new();
            for row in &rows {
                if let (Some(Some(value)), Some(Some(b))) = (row.get(first), row.get(second))
                    && may_find(one, value, a)
                {
                    beside.insert(b.as_ref());
                }
            }
            let is_apart = |b: &&str| !beside.iter().any(|known| may_find(other, known, b));
            if let Some(b) = values(second).take(CROSSED_MAX).find(is_apart) {
                add(&format!("crossed/{one}+{other}"), a, b);
            }
        }
    }
    if let Some(row) = rows.iter().max_by_key(|row| row.iter().flatten().count()) {
        let filters: Vec<(&str, &str)> = endpoint
            .filters
            .iter()
            .zip(row.iter())
            .filter_map(|(filter, value)| Some((*filter, value.as_deref()?)))
            .filter(|(_, value)| !value.trim().is_empty())
            .collect();
        let name = "pair/all".to_owned();
        all.push(Scenario::new(endpoint, Group::Pair, name, &filters));
    }
}

/// Whether a filter may find a value in any mode.
fn may_find(filter: &str, value: &str, wanted: &str) -> bool {
    match filter {
        "id" => value == wanted,
        _ => value.to_lowercase().contains(&wanted.to_lowercase()),
    }
}

fn keys(endpoint: &'static Endpoint, all: &mut Vec<Scenario>) {
    let other = match endpoint.key {
        KeyPlace::Bearer => KeyPlace::WrongBearer,
        _ => KeyPlace::WrongQuery,
    };
    for (name, place) in [("missing", KeyPlace::Missing), ("wrong", other)] {
        let mut scenario = Scenario::new(endpoint, Group::BadKey, format!("key/{name}"), &[]);
        scenario.ask.key = place;
        all.push(scenario);
    }
}

/// The values of a filter, and how many records have each.
fn distinct(control: &Index, place: usize) -> BTreeMap<&str, u64> {
    let mut values: BTreeMap<&str, u64> = BTreeMap::new();
    for row in control.rows.values() {
        if let Some(Some(value)) = row.get(place)
            && !value.trim().is_empty()
        {
            *values.entry(value).or_default() += 1;
        }
    }
    values
}

/// The most frequent value, one with odd characters, and others in a random but repeatable order.
fn sample(control: &Index, place: usize, count: usize, seed: u64) -> Vec<String> {
    let values = distinct(control, place);
    let mut picked: Vec<String> = Vec::new();
    let most = values.iter().max_by_key(|(value, count)| (**count, rank(seed, value)));
    picked.extend(most.map(|(value, _)| (*value).to_owned()));
    let is_odd = |value: &&&str| !value.chars().all(|c| c.is_ascii_alphanumeric());
    let odd = values.keys().filter(is_odd).min_by_key(|value| rank(seed, value));
    picked.extend(odd.map(|value| (*value).to_owned()));
    let mut rest: Vec<&&str> = values.keys().collect();
    rest.sort_by_cached_key(|value| rank(seed, value));
    picked.extend(rest.into_iter().map(|value| (*value).to_owned()));
    let mut seen = std::collections::HashSet::new();
    picked.retain(|value| seen.insert(value.clone()));
    picked.truncate(count);
    picked
}

/// A rank that does not depend on the alphabet.
fn rank(seed: u64, text: &str) -> [u8; 8] {
    let mut digest = Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(text.as_bytes());
    let mut rank = [0; 8];
    rank.copy_from_slice(&digest.finalize()[..8]);
    rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::predicted;
    use corpus::endpoint::ENDPOINTS;
    use corpus::node::Node;

    fn index(endpoint: &Endpoint) -> Index {
        let mut index = Index::default();
        for id in 1..40 {
            let text = format!(
                r#"{{"id":{id},"name":"User {id}","email":"u{id}@x.example","sag":"G {}",
                "extension":null,"timezone":"Istanbul"}}"#,
                id % 3
            );
            index.note(endpoint, &id.to_string(), &Node::parse(text.as_bytes()).unwrap());
        }
        index
    }

    #[test]
    fn the_same_data_gives_the_same_questions_with_unique_names() {
        for endpoint in &ENDPOINTS {
            let index = index(endpoint);
            let all = questions(endpoint, &index, Extent::default(), 7);
            let ids: Vec<&String> = all.iter().map(|scenario| &scenario.id).collect();
            let unique: std::collections::BTreeSet<&&String> = ids.iter().collect();
            assert_eq!(unique.len(), ids.len());
            let again = questions(endpoint, &index, Extent::default(), 7);
            let print = |all: &[Scenario]| -> Vec<String> {
                all.iter().map(Scenario::fingerprint).collect()
            };
            assert_eq!(print(&all), print(&again));
        }
    }

    #[test]
    fn every_filter_and_pair_with_values_in_the_data_is_asked() {
        let endpoint = &ENDPOINTS[0];
        let all = questions(endpoint, &index(endpoint), Extent::default(), 7);
        let count = |group: Group| all.iter().filter(|one| one.group == group).count();
        // No record has an extension, a caller id or a SIP account; all have one time zone.
        assert_eq!(count(Group::Filter), 3 * 4 + 1);
        // Every pair of one record, every crossed pair without the time zone, and all filters at once.
        assert_eq!(count(Group::Pair), 5 * 4 / 2 + 4 * 3 / 2 + 1);
        assert_eq!(count(Group::Unknown), endpoint.filters.len());
        assert_eq!(count(Group::BadKey), 2);
    }

    #[test]
    fn losing_a_filter_of_a_crossed_pair_lists_records() {
        let endpoint = &ENDPOINTS[0];
        let index = index(endpoint);
        let all = questions(endpoint, &index, Extent::default(), 7);
        let exact = |_: &str| "exact".to_owned();
        let crossed = all.iter().filter(|one| one.id.contains("/crossed/"));
        assert_eq!(crossed.clone().count(), 6);
        for scenario in crossed {
            let listed =
                |filters: &[(String, String)]| predicted(endpoint, &index, filters, exact).len();
            assert_eq!(listed(&scenario.filters), 0, "{}", scenario.id);
            assert_ne!(listed(&scenario.filters[..1]), 0, "{}", scenario.id);
            assert_ne!(listed(&scenario.filters[1..]), 0, "{}", scenario.id);
        }
    }
}
