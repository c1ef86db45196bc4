//! How two lists in one field differ: as a whole, or element by element.

use std::collections::{BTreeSet, HashMap};

use corpus::endpoint::Endpoint;
use corpus::node::Node;

use super::{Difference, FieldDifference, Kind};

/// The elements that only one of the two lists has. An element that one list has more often is among
/// them as often as it is missing in the other.
pub(super) fn unshared<'a>(
    control: &'a [Node],
    candidate: &'a [Node],
) -> (Vec<&'a Node>, Vec<&'a Node>) {
    // Two values are equal if their texts are.
    let mut left: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, node) in candidate.iter().enumerate().rev() {
        left.entry(node.to_json()).or_default().push(place);
    }
    let take = |left: &mut HashMap<String, Vec<usize>>, node: &Node| {
        left.get_mut(&node.to_json()).is_some_and(|places| places.pop().is_some())
    };
    let of_control = control.iter().filter(|node| !take(&mut left, node)).collect();
    let mut places: Vec<usize> = left.into_values().flatten().collect();
    places.sort_unstable();
    (of_control, places.into_iter().map(|place| &candidate[place]).collect())
}

/// The most elements that are compared one by one. Longer lists only count as different.
pub(super) const BESIDE_MAX: usize = 64;

/// Pairs each element of control with the most similar element of candidate. The order of the lists does
/// not decide, because the elements may be in another order as well.
fn beside<'a>(control: &[&'a Node], candidate: &[&'a Node]) -> Vec<(&'a Node, &'a Node)> {
    let likeness = |one: &Node, other: &Node| match (one, other) {
        (Node::Object(one), Node::Object(other)) => {
            one.iter().filter(|member| other.contains(member)).count()
        }
        _ => 0,
    };
    let mut left: Vec<&Node> = candidate.to_vec();
    let mut pairs = Vec::with_capacity(control.len());
    for one in control {
        // Of several equally similar elements the first one is taken.
        let places = (0..left.len()).rev();
        let Some(place) = places.max_by_key(|place| likeness(one, left[*place])) else { break };
        pairs.push((*one, left.remove(place)));
    }
    pairs
}

/// The differences between elements, member by member where they are objects.
pub(super) fn elements(
    field: &str,
    control: &[&Node],
    candidate: &[&Node],
) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    for (control, candidate) in beside(control, candidate) {
        let (one, other) = (control, candidate);
        let both = || (Some(control.clone()), Some(candidate.clone()));
        let (Node::Object(of_control), Node::Object(of_candidate)) = (control, candidate) else {
            let kind = Kind::of(Some(control), Some(candidate));
            let (control, candidate) = both();
            found.push((format!("{field}[]"), kind, control, candidate, None));
            continue;
        };
        let before = found.len();
        let mut seen = BTreeSet::new();
        for (name, _) in of_control.iter().chain(of_candidate) {
            if !seen.insert(name.as_str()) {
                continue;
            }
            let (control, candidate) = (control.get(name), candidate.get(name));
            if control != candidate {
                let kind = Kind::of(control, candidate);
                let path = format!("{field}[].{name}");
                let is_label = |label: &&str| {
                    let of_both = one.get(label);
                    of_both.is_some() && of_both == other.get(label)
                };
                let label = LABELS.into_iter().find(is_label);
                let part = label.and_then(|label| {
                    let node = one.get(label)?.clone();
                    Some(Box::new((format!("{field}[].{label}"), node)))
                });
                found.push((path, kind, control.cloned(), candidate.cloned(), part));
            }
        }
        if found.len() == before {
            let path = format!("{field}[]");
            // A member that occurs twice is more than another order.
            let is_in = |all: &[(String, Node)], one| all.iter().filter(|o| *o == one).count();
            let is_order = of_control.len() == of_candidate.len()
                && of_control.iter().all(|one| is_in(of_control, one) == is_in(of_candidate, one));
            let kind = if is_order { Kind::Order } else { Kind::Value };
            let (control, candidate) = both();
            found.push((path, kind, control, candidate, None));
        }
    }
    found
}

/// The members that name an element for people, the better one first.
const LABELS: [&str; 2] = ["type", "name"];

/// The parts of a joined text or a list that only one side has, as their path and values: those of control,
/// and those of candidate. Elements that are objects are told by a member that people know.
pub(crate) fn parts(
    endpoint: &Endpoint,
    difference: &Difference,
) -> Option<(String, [Vec<Node>; 2])> {
    let field = difference.field.as_str();
    if difference.kind != Kind::Value || difference.path != field {
        return None;
    }
    match (difference.control.as_ref()?, difference.candidate.as_ref()?) {
        (Node::Text(one), Node::Text(other)) if endpoint.is_joined(field) => {
            let split = |text: &str| -> Vec<Node> {
                let parts = text.split(", ").filter(|part| !part.is_empty());
                parts.map(Node::from).collect()
            };
            let (one, other) = (split(one), split(other));
            let (one, other) = unshared(&one, &other);
            let owned = |parts: Vec<&Node>| parts.into_iter().cloned().collect();
            Some((field.to_owned(), [owned(one), owned(other)]))
        }
        (Node::List(one), Node::List(other)) => {
            let (one, other) = unshared(one, other);
            let has = |label: &&str| one.iter().chain(&other).all(|node| node.get(label).is_some());
            let label = LABELS.into_iter().find(has)?;
            let named = |parts: Vec<&Node>| {
                parts.into_iter().filter_map(|node| node.get(label).cloned()).collect()
            };
            Some((format!("{field}[].{label}"), [named(one), named(other)]))
        }
        _ => None,
    }
}
