//! The rules that the differences of one field follow: changes of values, parts of lists that are left out or
//! renamed, and values taken from another field.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use corpus::endpoint::Endpoint;
use corpus::node::Node;

use super::rules::{BOUND, FILLS, ROUNDS, both_numbers, is_cut, removed, signatures, told};
use crate::compare::Difference;
use crate::run::records::Records;

/// The most differences of a field that rules are looked for in.
pub(super) const LOOKED_AT_MAX: usize = 1_000;
/// Up to this number of equal differences may be chance.
const CHANCE_MAX: usize = 2;
/// How many of ten occurrences make a rule.
const MOST_OF_TEN: usize = 8;
/// Numbers below this are levels and counts, of which two may be alike by chance.
const SMALL: u64 = 1_000_000;

/// A difference at its place among the differences.
pub(super) type Placed<'a> = (usize, &'a Difference);

/// What follows a rule: the places, and the rule that most of them follow.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) places: BTreeSet<usize>,
    /// Each rule, and how many records follow it.
    rules: Vec<(usize, String)>,
}

impl Learned {
    fn add(&mut self, places: &BTreeSet<usize>, rule: impl FnOnce() -> String) {
        let new = places.difference(&self.places).count();
        if new > 0 {
            self.rules.push((new, rule()));
            self.places.extend(places);
        }
    }

    /// The rule that most of the records follow.
    pub(super) fn rule(&self) -> Option<&str> {
        self.rules.iter().max_by_key(|(count, _)| *count).map(|(_, rule)| rule.as_str())
    }
}

pub(super) fn learned(
    endpoint: &Endpoint,
    field: &str,
    all: &[Placed<'_>],
    records: &Records<'_>,
) -> Learned {
    let all = &all[..all.len().min(LOOKED_AT_MAX)];
    let mut learned = Learned::default();
    by_value(endpoint, field, all, records, &mut learned);
    by_part(endpoint, field, all, records, &mut learned);
    by_other_field(endpoint, field, all, records, &mut learned);
    learned
}

fn records_of(all: &[Placed<'_>], places: &BTreeSet<usize>) -> usize {
    let of = all.iter().filter(|(place, _)| places.contains(place));
    of.map(|(_, one)| one.record.as_deref()).collect::<HashSet<_>>().len()
}

/// Calls `note` with each value that stands equal on both sides at a path within a field.
fn each_equal(field: &str, path: &str, records: &Records<'_>, mut note: impl FnMut(&Node)) {
    fn at<'a>(record: &'a Node, field: &str, path: &str) -> Vec<&'a Node> {
        let Some(value) = record.get(field) else { return Vec::new() };
        let within = path.strip_prefix(field).and_then(|rest| rest.strip_prefix("[]"));
        match (within, value.list()) {
            (None, _) => vec![value],
            (Some(member), Some(list)) => match member.strip_prefix('.') {
                Some(name) => list.iter().filter_map(|part| part.get(name)).collect(),
                None => list.iter().collect(),
            },
            (Some(_), None) => Vec::new(),
        }
    }
    for (control, candidate) in records.both() {
        let (control, candidate) = (at(&control, field, path), at(&candidate, field, path));
        candidate.into_iter().filter(|one| control.contains(one)).for_each(&mut note);
    }
}

/// Names within lists that always have one and the same other name.
fn by_name(
    field: &str,
    path: &str,
    values: &[(usize, &Node, &Node, &Difference)],
    records: &Records<'_>,
) -> Vec<BTreeSet<usize>> {
    let mut names: HashMap<&str, HashMap<&str, BTreeSet<usize>>> = HashMap::new();
    for (place, candidate, control, _) in values {
        // Levels are few, so that equal pairs of them may be chance.
        if let (Node::Text(name), Node::Text(by)) = (candidate, control) {
            names.entry(name).or_default().entry(by).or_default().insert(*place);
        }
    }
    if !names.is_empty() {
        each_equal(field, path, records, |equal| {
            equal.text().map(|name| names.remove(name));
        });
    }
    let most = names.into_values().filter_map(|of_name| {
        let all: usize = of_name.values().map(BTreeSet::len).sum();
        let most = of_name.into_values().max_by_key(BTreeSet::len)?;
        (most.len() * 10 >= all * MOST_OF_TEN).then_some(most)
    });
    most.collect()
}

/// Rules that turn candidate's value into control's, from two records on.
fn by_value(
    endpoint: &Endpoint,
    field: &str,
    all: &[Placed<'_>],
    records: &Records<'_>,
    learned: &mut Learned,
) {
    let mut paths: BTreeMap<&str, Vec<(usize, &Node, &Node, &Difference)>> = BTreeMap::new();
    for (place, one) in all {
        if let (Some(control), Some(candidate)) = (&one.control, &one.candidate) {
            paths.entry(&one.path).or_default().push((*place, candidate, control, one));
        }
    }
    for (path, values) in paths {
        let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, (_, candidate, control, _)) in values.iter().enumerate() {
            let names: BTreeSet<String> =
                signatures(candidate, control, endpoint.is_joined(path)).into_iter().collect();
            names.into_iter().for_each(|name| found.entry(name).or_default().push(at));
        }
        if path != field {
            let renamed = by_name(field, path, &values, records).into_iter();
            renamed.filter(|places| records_of(all, places) > CHANCE_MAX).for_each(|places| {
                learned.add(&places, || format!("control renames parts of {field}"))
            });
        }
        // The largest number that is equal on both sides.
        let largest = LazyCell::new(|| {
            let mut largest = 0;
            each_equal(field, path, records, |equal| {
                if let Node::Number(number) = equal {
                    largest = largest.max(number.as_u64().unwrap_or_default());
                }
            });
            largest
        });
        let equal = LazyCell::new(|| {
            let mut equal: HashSet<String> = HashSet::new();
            each_equal(field, path, records, |value| {
                equal.extend(value.text().map(str::to_owned));
            });
            equal
        });
        let is_below = |number: &Node| match number {
            Node::Number(number) => number.as_u64().is_some_and(|number| number < *largest),
            _ => false,
        };
        let mut found: Vec<(String, Vec<usize>)> = found.into_iter().collect();
        found.sort_by_key(|(name, at)| (std::cmp::Reverse(at.len()), is_cut(name)));
        for (name, at) in found {
            let of: Vec<_> = at.iter().map(|at| &values[*at]).collect();
            let places: BTreeSet<usize> = of.iter().map(|(place, ..)| *place).collect();
            let distinct: HashSet<String> = of.iter().map(|(_, one, ..)| one.to_json()).collect();
            let is_small = of.iter().any(|(_, one, ..)| match one {
                Node::Number(number) => number.as_u64().is_some_and(|number| number < SMALL),
                _ => false,
            });
            let is_chance = match is_small {
                true => distinct.len() < 2 || of.len() * 10 < values.len() * MOST_OF_TEN,
                // A text that stands at one end of several values may be in the data.
                false => {
                    let ends: HashSet<&str> =
                        of.iter().map(|(_, one, other, _)| removed(one, other)).collect();
                    let is_same = ends.len() == 1 && distinct.len() > 1;
                    is_same && ends.iter().any(|end| !end.trim().is_empty())
                }
            };
            let count = records_of(all, &places);
            // A bound of some users only is no rule of two, nor one beside other differences.
            let is_disproved = name.starts_with(BOUND)
                && (count <= CHANCE_MAX || !is_small)
                && of.iter().any(|(_, _, bound, _)| is_below(bound));
            // Users may lack in the new API what others have there.
            let is_lost = name.starts_with(FILLS)
                && (count <= CHANCE_MAX
                    || of
                        .iter()
                        .any(|(_, _, by, _)| by.text().is_some_and(|by| equal.contains(by))));
            if !is_chance && !is_disproved && !is_lost && count > 1 {
                learned.add(&places, || {
                    let shown = match (name.as_str(), of.first()) {
                        (ROUNDS, Some((_, one, other, _))) => both_numbers(one, other),
                        _ => String::new(),
                    };
                    format!("control {} {field}{shown}", told(&name))
                });
            }
        }
    }
}

/// The parts of a list, joined or not, by their names where they have some; `None` where it is no list.
fn parts(endpoint: &Endpoint, field: &str, node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Text(text) if endpoint.is_joined(field) => match text.is_empty() {
            true => Some(Vec::new()),
            false => Some(text.split(", ").map(str::to_owned).collect()),
        },
        Node::List(list) => {
            let name = |part: &Node| part.get("name").and_then(Node::text).map(str::to_owned);
            Some(list.iter().map(|part| name(part).unwrap_or_else(|| part.to_json())).collect())
        }
        _ => None,
    }
}

/// The parts that only the first list has.
fn without(one: &[String], other: &[String]) -> Vec<String> {
    let mut left: Vec<&String> = other.iter().collect();
    let mut all = Vec::new();
    for part in one {
        match left.iter().position(|known| *known == part) {
            Some(place) => drop(left.swap_remove(place)),
            None => all.push(part.clone()),
        }
    }
    all
}

/// What happens to the parts of one list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Edit {
    Lacks(String),
    Renames(String, String),
    Adds(String),
}

/// Parts that control leaves out, renames or adds, wherever they stand or wherever they stand beside others.
fn by_part(
    endpoint: &Endpoint,
    field: &str,
    all: &[Placed<'_>],
    records: &Records<'_>,
    learned: &mut Learned,
) {
    // Both whole lists of each record that differs.
    let mut lists: BTreeMap<&str, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for (_, one) in all {
        let Some(key) = one.record.as_deref() else { continue };
        let of = |record: Option<Node>| parts(endpoint, field, record?.get(field)?);
        if let (Some(control), Some(candidate)) =
            (of(records.control(key)), of(records.candidate(key)))
        {
            lists.insert(key, (candidate, control));
        }
    }
    if lists.len() < 2 {
        return;
    }
    let mut edits: BTreeMap<Edit, BTreeSet<&str>> = BTreeMap::new();
    let mut shapes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (key, (candidate, control)) in &lists {
        let (lacking, more) = (without(candidate, control), without(control, candidate));
        let pairs: Vec<Edit> = match (lacking.len(), more.len()) {
            (a, b) if a == b => {
                let both = lacking.into_iter().zip(more);
                both.map(|(one, other)| Edit::Renames(one, other)).collect()
            }
            (_, 0) => lacking.into_iter().map(Edit::Lacks).collect(),
            (0, _) => more.into_iter().map(Edit::Adds).collect(),
            _ => Vec::new(),
        };
        pairs.into_iter().for_each(|edit| {
            edits.entry(edit).or_default().insert(*key);
        });
        for shape in shapes_of(candidate, control) {
            shapes.entry(shape).or_default().insert(*key);
        }
    }
    // How many records have a part, and how many have it beside others.
    let mut has: HashMap<String, (usize, usize)> = HashMap::new();
    for (_, candidate) in records.both() {
        let list = candidate.get(field).and_then(|node| parts(endpoint, field, node));
        let list = list.unwrap_or_default();
        let is_beside = usize::from(list.len() > 1);
        for part in list.into_iter().collect::<BTreeSet<_>>() {
            let (any, beside) = has.entry(part).or_default();
            *any += 1;
            *beside += is_beside;
        }
    }
    let places_of = |keys: &BTreeSet<&str>| -> BTreeSet<usize> {
        let of = all
            .iter()
            .filter(|(_, one)| one.record.as_deref().is_some_and(|key| keys.contains(key)));
        of.map(|(place, _)| *place).collect()
    };
    for (shape, keys) in &shapes {
        if keys.len() > 1 {
            learned.add(&places_of(keys), || format!("control {shape} {field}"));
        }
    }
    for (edit, keys) in &edits {
        let count = keys.len();
        let is_most = |part: &String| {
            let (any, beside) = has.get(part).copied().unwrap_or_default();
            count * 10 >= any * MOST_OF_TEN || beside > 0 && count * 10 >= beside * MOST_OF_TEN
        };
        let (is_rule, rule) = match edit {
            Edit::Lacks(part) => (count > 1 && is_most(part), "leaves one part out of"),
            Edit::Renames(part, by) => {
                // Two users may have moved to something new while others stay with the old one.
                let is_new = count > CHANCE_MAX && !has.contains_key(by);
                // Names within lists are looked at where they differ.
                let is_always = is_most(part) && endpoint.is_joined(field);
                (count > 1 && (is_always || is_new), "renames one part of")
            }
            Edit::Adds(part) => {
                let is_only = count * 10 >= lists.len() * MOST_OF_TEN;
                (count > 2 && (is_only || !has.contains_key(part)), "adds one part to")
            }
        };
        if is_rule {
            learned.add(&places_of(keys), || format!("control {rule} {field}"));
        }
    }
}

/// How a list of control follows from candidate's by the places of its parts.
fn shapes_of(candidate: &[String], control: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    let (long, short) = (candidate.len(), control.len());
    if short < long && short > 0 {
        if candidate.starts_with(control) {
            all.push(format!("shows no more than {short} parts of"));
            if long - short == 1 {
                all.push("leaves the last part out of".to_owned());
            }
        }
        if candidate.ends_with(control) {
            all.push(format!("shows only the last {short} parts of"));
            if long - short == 1 {
                all.push("leaves the first part out of".to_owned());
            }
        }
        let unique: BTreeSet<&String> = candidate.iter().collect();
        if unique.len() == short && unique == control.iter().collect() {
            all.push("shows equal parts once in".to_owned());
        }
    }
    if short > long && long > 0 {
        let parts: BTreeSet<&String> = candidate.iter().collect();
        if parts == control.iter().collect() {
            all.push("repeats parts of".to_owned());
        }
    }
    all
}

/// Values that control takes from another field of the record.
fn by_other_field(
    endpoint: &Endpoint,
    field: &str,
    all: &[Placed<'_>],
    records: &Records<'_>,
    learned: &mut Learned,
) {
    if all.len() < 2 {
        return;
    }
    let mut found: BTreeMap<(String, &str), BTreeSet<usize>> = BTreeMap::new();
    for (place, one) in all {
        let Some(key) = one.record.as_deref() else { continue };
        let (Some(control), Some(candidate)) = (records.control(key), records.candidate(key))
        else {
            continue;
        };
        for (other, form) in taken(endpoint, field, &control, &candidate) {
            found.entry((other, form)).or_default().insert(*place);
        }
    }
    found.retain(|_, places| records_of(all, places) > 1);
    if found.is_empty() {
        return;
    }
    // Where most values are the same as the other field anyway, it tells nothing.
    let (mut equal, mut alike) = (0, BTreeMap::new());
    for (control, candidate) in records.both() {
        if control.get(field) == candidate.get(field) && !is_empty(control.get(field)) {
            equal += 1;
            for of in taken(endpoint, field, &control, &candidate) {
                *alike.entry(of).or_insert(0) += 1;
            }
        }
    }
    for ((other, form), places) in found {
        let alike = alike.get(&(other.clone(), form)).copied().unwrap_or(0);
        if alike * 5 < equal.max(1) {
            learned.add(&places, || format!("control shows {form}{other} in {field}"));
        }
    }
}

fn is_empty(value: Option<&Node>) -> bool {
    match value {
        None | Some(Node::Null) => true,
        Some(Node::Text(text)) => text.is_empty(),
        Some(Node::List(list)) => list.is_empty(),
        _ => false,
    }
}

/// The fields of candidate's record from which control's value may be taken, and how.
fn taken(
    endpoint: &Endpoint,
    field: &str,
    control: &Node,
    candidate: &Node,
) -> Vec<(String, &'static str)> {
    let (Node::Object(members), Some(shown)) = (candidate, control.get(field)) else {
        return Vec::new();
    };
    if is_empty(Some(shown)) {
        return Vec::new();
    }
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let mut all = Vec::new();
    for (name, value) in
        members.iter().filter(|(name, value)| name != field && !is_empty(Some(value)))
    {
        if let (Some(own), Some(more), Some(shown)) = (
            candidate.get(field).and_then(|own| parts(endpoint, field, own)),
            parts(endpoint, name, value),
            parts(endpoint, field, shown),
        ) {
            let set = |all: &[String]| all.iter().cloned().collect::<BTreeSet<_>>();
            let (own, more, shown) = (set(&own), set(&more), set(&shown));
            if !own.is_superset(&more) && shown == &own | &more {
                all.push((name.clone(), "also "));
            }
            if !own.is_disjoint(&more) && shown == &own - &more {
                all.push((name.clone(), "nothing of "));
            }
            if shown == more && shown != own {
                all.push((name.clone(), ""));
            }
            continue;
        }
        if value == shown {
            all.push((name.clone(), ""));
            continue;
        }
        let text = |node: &Node| match node {
            Node::Text(text) => Some(text.clone()),
            Node::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let (Some(value), Some(shown)) = (text(value), text(shown)) else { continue };
        if value == shown {
            all.push((name.clone(), "the text of "));
        } else if value.split('@').next() == Some(&shown) {
            all.push((name.clone(), "the user of "));
        } else if shown.len() > 2 && digits(&value) == shown {
            all.push((name.clone(), "the digits of "));
        }
    }
    all
}
