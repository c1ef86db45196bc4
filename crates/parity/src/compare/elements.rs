//! How two lists in one field differ: as a whole, or element by element.

use std::collections::{BTreeSet, HashMap};

use corpus::node::Node;

use super::{FieldDifference, Kind};

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
        let both = || (Some(control.clone()), Some(candidate.clone()));
        let (Node::Object(of_control), Node::Object(of_candidate)) = (control, candidate) else {
            let kind = Kind::of(Some(control), Some(candidate));
            let (control, candidate) = both();
            found.push((format!("{field}[]"), kind, control, candidate));
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
                found.push((path, kind, control.cloned(), candidate.cloned()));
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
            found.push((path, kind, control, candidate));
        }
    }
    found
}
