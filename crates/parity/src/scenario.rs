//! The questions: the whole list of every endpoint, every filter with values from the data, pairs of
//! filters, values that no record has, odd characters, and keys that do not exist.
//!
//! The same data gives the same questions with the same names, so that an interrupted run can be resumed.

mod pages;
mod rare;

use std::collections::{BTreeMap, HashSet};

use corpus::Corpus;
use corpus::ask::{Ask, KeyPlace, Written};
use corpus::endpoint::Endpoint;
use corpus::pseudonym::plain;
use corpus::spelling::spellings;
use sha2::{Digest, Sha256};

use crate::filter::{Index, Values};

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
    /// One page of a list that has pages.
    Page,
    /// A plain question in a form that only some clients use: another spelling of the path, filters in
    /// the body. Where control refuses the form, nothing is compared.
    Written,
    /// A form that no page prints, so that nobody knows how the legacy API reads it. Where candidate lists just
    /// those who fit every filter, nothing is compared.
    Unprinted,
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
            Group::Page => "page",
            Group::Written => "other form",
            Group::Unprinted => "form that no page prints",
            Group::BadKey => "bad key",
        }
    }
}

/// One question for both sides.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, unique among the questions.
    pub id: String,
    pub endpoint: &'static Endpoint,
    pub group: Group,
    pub ask: Ask,
    /// Its filters, with the names of the endpoint.
    pub filters: Vec<(String, String)>,
    /// The whole value, where a filter asks for the beginning of one.
    pub whole: Option<String>,
}

impl Scenario {
    fn new(endpoint: &'static Endpoint, group: Group, id: &str, filters: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let filters: Vec<_> = filters.iter().map(owned).collect();
        let whole = endpoint.whole.iter().map(owned);
        let query = whole.chain(filters.iter().cloned()).collect();
        let (path, key) = (endpoint.path.to_owned(), endpoint.key);
        let ask = Ask { path, query, key, written: Written::Plain };
        let id = format!("{}/{id}", endpoint.name);
        Scenario { id, endpoint, group, ask, filters, whole: None }
    }

    /// The whole list of an endpoint.
    pub fn all(endpoint: &'static Endpoint) -> Scenario {
        Scenario::new(endpoint, Group::All, "all", &[])
    }

    /// The name with a digest of the request, so that no value is shown.
    pub fn fingerprint(&self) -> String {
        let target = self.ask.target("");
        let digest = Sha256::digest(format!("{:?} {target} {:?}", self.ask.key, self.ask.body()));
        format!("{}#{}", self.id, corpus::hex(&digest[..8]))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// How many values of each filter are taken from the data.
    pub values_per_filter: usize,
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
    let mut making = Making { endpoint, control, seed, all: Vec::new() };
    if let Some(path) = endpoint.other_path {
        path.clone_into(&mut making.add(Group::All, "all/other path", &[]).ask.path);
    }
    if endpoint.lists_users() {
        making.filters(extent);
        if extent.pairs {
            making.pairs();
        }
        making.rare();
    }
    for filter in endpoint.filters {
        making.ignored(&format!("empty {filter}"), &[(filter, "")]);
    }
    making.ignored("other parameter", &[("no_such_parameter", "1")]);
    if endpoint.has_pages() {
        making.pages();
    } else {
        making.ignored("paging", &[("page", "2"), ("per_page", "1")]);
    }
    making.written();
    // A path without its key is another path.
    let missing = (endpoint.key != KeyPlace::Path).then_some(("missing", KeyPlace::Missing));
    for (name, place) in missing.into_iter().chain([("wrong", endpoint.key.wrong())]) {
        making.add(Group::BadKey, &format!("key/{name}"), &[]).ask.key = place;
    }
    // Two rules may make the same request, which is asked once.
    let mut asked = HashSet::new();
    making.all.retain(|scenario| asked.insert(scenario.ask.clone()));
    making.all
}

/// The most records that are tried for a crossed pair of filters.
const CROSSED_MAX: usize = 32;

/// The questions to an endpoint while they are made.
struct Making<'a> {
    endpoint: &'static Endpoint,
    control: &'a Index,
    seed: u64,
    all: Vec<Scenario>,
}

impl Making<'_> {
    fn add(&mut self, group: Group, id: &str, filters: &[(&str, &str)]) -> &mut Scenario {
        self.all.push(Scenario::new(self.endpoint, group, id, filters));
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    fn ignored(&mut self, name: &str, filters: &[(&str, &str)]) {
        self.add(Group::Ignored, &format!("ignored/{name}"), filters).filters.clear();
    }

    fn filters(&mut self, extent: Extent) {
        for (place, filter) in self.endpoint.filters.iter().enumerate() {
            let values = sample(self.control, place, extent.values_per_filter, self.seed);
            for (number, value) in values.iter().enumerate() {
                let is_bracketed = self.endpoint.bracketed && number == 1;
                let id = format!("filter/{filter}/{}", number + 1);
                let scenario = self.add(Group::Filter, &id, &[(filter, value)]);
                if is_bracketed {
                    scenario.ask.query = vec![(format!("filter[{filter}]"), value.clone())];
                }
            }
            self.spellings(place, filter);
            let unknown = if *filter == "id" { "999999999" } else { NOBODY };
            self.add(Group::Unknown, &format!("unknown/{filter}"), &[(filter, unknown)]);
            let odd = ODD[place % ODD.len()];
            self.add(Group::Odd, &format!("odd/{filter}"), &[(filter, odd)]);
        }
        for (number, odd) in ODD.iter().enumerate() {
            self.add(Group::Odd, &format!("odd/{}", number + 1), &[("name", odd)]);
        }
    }

    /// One question, with a filter where there is one so that answers are short, in every other form.
    fn written(&mut self) {
        let endpoint = self.endpoint;
        let named = endpoint.filters.iter().position(|filter| *filter == "name");
        let value = |place| sample(self.control, place, 1, self.seed).pop();
        let value = named.map(|place| value(place).unwrap_or_else(|| NOBODY.to_owned()));
        let filters: Vec<_> = value.iter().map(|value| ("name", value.as_str())).collect();
        for (name, path) in spellings(endpoint.path) {
            self.add(Group::Written, &format!("written/{name}"), &filters).ask.path = path;
        }
        let beside = self.add(Group::Written, "written/key beside Basic", &filters);
        beside.ask.written = Written::BesideBasic;
        if endpoint.key != KeyPlace::Path {
            beside.ask.key = KeyPlace::Query;
        }
        let (Some(place), Some(value)) = (named, &value) else { return };
        let indexed = self.add(Group::Written, "written/name[0]", &filters);
        indexed.ask.query = vec![("name[0]".to_owned(), value.clone())];
        for (name, written) in [("JSON", Written::Json), ("form", Written::Form)] {
            let id = format!("written/{name} in the body");
            self.add(Group::Written, &id, &filters).ask.written = written;
        }
        let mut values = distinct(self.control, place).into_keys().filter(|one| !one.is_ascii());
        let accented = values.next().unwrap_or(ODD[5]).to_owned();
        let id = "written/letters that are not escaped";
        self.add(Group::Written, id, &[("name", &accented)]).ask.written = Written::Raw;
    }

    /// A value in capitals, and the beginning of a value.
    fn spellings(&mut self, place: usize, filter: &str) {
        if filter == "id" {
            return;
        }
        let values = distinct(self.control, place);
        let of = |wanted: &dyn Fn(&str) -> bool| {
            let fit = values.keys().filter(|value| wanted(value));
            fit.min_by_key(|value| rank(self.seed, value)).map(|value| (*value).to_owned())
        };
        let in_capitals = |value: &str| value.is_ascii() && value.to_uppercase() != value;
        let is_long = |value: &str| value.is_ascii() && value.len() >= 4 && value.trim() == value;
        let (small, long) = (of(&in_capitals), of(&is_long));
        if let Some(value) = small {
            let id = format!("spelling/{filter}/capitals");
            self.add(Group::Spelling, &id, &[(filter, &value.to_uppercase())]);
        }
        let Some(whole) = long else { return };
        let beginning = whole[..whole.len() - 1].trim_end();
        if !values.contains_key(beginning) {
            let id = format!("spelling/{filter}/beginning");
            let scenario = self.add(Group::Spelling, &id, &[(filter, beginning)]);
            scenario.whole = Some(whole.clone());
        }
    }

    fn pairs(&mut self) {
        let (seed, filters) = (self.seed, self.endpoint.filters);
        let mut rows: Vec<_> = self.control.rows.iter().collect();
        rows.sort_by_cached_key(|(key, _)| rank(seed, key));
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        let values = |place: usize| rows.iter().filter_map(move |row| shown(row, place));
        for (first, one) in filters.iter().enumerate() {
            for (second, other) in filters.iter().enumerate().skip(first + 1) {
                let mut all = rows.iter();
                let both = all.find_map(|row| Some((shown(row, first)?, shown(row, second)?)));
                if let Some((a, b)) = both {
                    let name = format!("pair/{one}+{other}");
                    self.add(Group::Pair, &name, &[(one, a), (other, b)]);
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
                    let name = format!("crossed/{one}+{other}");
                    self.add(Group::Pair, &name, &[(one, a), (other, b)]);
                }
            }
        }
        if let Some(row) = rows.iter().max_by_key(|row| row.iter().flatten().count()) {
            let with_value =
                |(place, filter): (usize, &&'static str)| Some((*filter, shown(row, place)?));
            let filters: Vec<_> = filters.iter().enumerate().filter_map(with_value).collect();
            self.add(Group::Pair, "pair/all", &filters);
        }
    }
}

/// A value that is not blank.
fn shown(row: &Values, place: usize) -> Option<&str> {
    row.get(place)?.as_deref().filter(|value| !value.trim().is_empty())
}

/// Whether a filter may find a value in any mode.
fn may_find(filter: &str, value: &str, wanted: &str) -> bool {
    match filter {
        "id" => value == wanted,
        _ => value.to_lowercase().contains(&wanted.to_lowercase()),
    }
}

/// The values of a filter, and how many records have each.
fn distinct(control: &Index, place: usize) -> BTreeMap<&str, u64> {
    let mut values: BTreeMap<&str, u64> = BTreeMap::new();
    for value in control.rows.values().filter_map(|row| shown(row, place)) {
        *values.entry(value).or_default() += 1;
    }
    values
}

/// The most frequent value, one with odd characters, and others in a random but repeatable order.
fn sample(control: &Index, place: usize, count: usize, seed: u64) -> Vec<String> {
    let values = distinct(control, place);
    let most = values.iter().max_by_key(|(value, count)| (**count, rank(seed, value)));
    let is_odd = |value: &&&str| !value.chars().all(|c| c.is_ascii_alphanumeric());
    let odd = values.keys().filter(is_odd).min_by_key(|value| rank(seed, value));
    let mut rest: Vec<&&str> = values.keys().collect();
    rest.sort_by_cached_key(|value| rank(seed, value));
    let mut picked: Vec<&&str> =
        most.map(|(value, _)| value).into_iter().chain(odd).chain(rest).collect();
    let mut seen = HashSet::new();
    picked.retain(|value| seen.insert(**value));
    picked.into_iter().take(count).map(|value| (*value).to_owned()).collect()
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

/// The questions of a recording, except the whole lists, which every run asks.
pub fn recorded(corpus: &Corpus) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (number, ask) in corpus.asks().iter().enumerate() {
        let Some(endpoint) = Endpoint::at(&ask.path) else { continue };
        let mut scenario = Scenario::all(endpoint);
        if scenario.ask == *ask {
            continue;
        }
        let filters = ask.query.iter();
        let filters = filters.map(|(name, value)| (plain(name).to_owned(), value.clone()));
        let known = filters
            .filter(|(name, value)| endpoint.filters.contains(&name.as_str()) && !value.is_empty());
        scenario.filters = known.collect();
        scenario.group = match (ask.key, scenario.filters.len(), ask.query.len()) {
            (key, _, _) if !key.is_right() => Group::BadKey,
            _ if is_unprinted(ask, endpoint) => Group::Unprinted,
            _ if is_written(ask, endpoint) => Group::Written,
            _ if endpoint.has_pages() => Group::Page,
            (_, 0, 0) => Group::All,
            (_, 0, _) => Group::Ignored,
            (_, 1, _) => Group::Filter,
            _ => Group::Pair,
        };
        scenario.id = format!("{}/recorded/{number}", endpoint.name);
        scenario.ask = ask.clone();
        all.push(scenario);
    }
    all
}

/// Whether a recorded question has a form that no page prints: a filter in brackets where the endpoint has none, or
/// one filter with two values.
fn is_unprinted(ask: &Ask, endpoint: &Endpoint) -> bool {
    let is_bracketed = |(name, _): &(String, String)| name.starts_with("filter[");
    let is_other = |place: usize, (name, value): &(String, String)| {
        ask.query[..place].iter().any(|(before, other)| before == name && other != value)
    };
    !endpoint.bracketed && ask.query.iter().any(is_bracketed)
        || ask.query.iter().enumerate().any(|(place, pair)| is_other(place, pair))
}

/// Whether a recorded question has a form that only some clients use.
fn is_written(ask: &Ask, endpoint: &Endpoint) -> bool {
    let is_bracketed = |name: &str| endpoint.bracketed && name.starts_with("filter[");
    let is_printed = ask.path == endpoint.path || endpoint.other_path == Some(&ask.path);
    !is_printed
        || !ask.written.is_plain()
        || ask.key != endpoint.key
        || ask.query.iter().any(|(name, _)| name.ends_with(']') && !is_bracketed(name))
        || ask
            .query
            .iter()
            .enumerate()
            .any(|(place, (name, _))| ask.query[..place].iter().any(|(before, _)| before == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::predicted;
    use crate::knowledge::Settings;
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
        assert_eq!(count(Group::Written), 12, "however many records there are");
        assert_eq!(count(Group::Unprinted), 2, "brackets, and one filter with two values");
        let is_of_deleted = |one: &&Scenario| one.filters == [("id".to_owned(), "77".to_owned())];
        assert_eq!(all.iter().filter(is_of_deleted).count(), 0);
        let index = Index { deleted: Some("77".to_owned()), ..index(endpoint) };
        let all = questions(endpoint, &index, Extent::default(), 7);
        assert_eq!(all.iter().filter(is_of_deleted).count(), 1, "a deleted user");
    }

    #[test]
    fn losing_a_filter_of_a_crossed_pair_lists_records() {
        let endpoint = &ENDPOINTS[0];
        let index = index(endpoint);
        let all = questions(endpoint, &index, Extent::default(), 7);
        let exact = Settings::default();
        let crossed = all.iter().filter(|one| one.id.contains("/crossed/"));
        assert_eq!(crossed.clone().count(), 6);
        for scenario in crossed {
            let listed =
                |filters: &[(String, String)]| predicted(endpoint, &index, filters, &exact).len();
            assert_eq!(listed(&scenario.filters), 0, "{}", scenario.id);
            assert_ne!(listed(&scenario.filters[..1]), 0, "{}", scenario.id);
            assert_ne!(listed(&scenario.filters[1..]), 0, "{}", scenario.id);
        }
    }
}
