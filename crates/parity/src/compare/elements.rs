//! How two lists in one field differ: as wholes, or element by element.

use std::collections::{BTreeSet, HashMap};

use corpus::node::Node;

use super::{Found, Kind};

/// What each list has that the other has not, as often as it has more of it.
pub(super) fn parted<'a>(one: &'a [Node], other: &'a [Node]) -> (Vec<&'a Node>, Vec<&'a Node>) {
    // Two values are the same if their texts are.
    let mut right: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, node) in other.iter().enumerate().rev() {
        right.entry(node.to_json()).or_default().push(place);
    }
    let has = |right: &mut HashMap<String, Vec<usize>>, node: &Node| {
        right.get_mut(&node.to_json()).is_some_and(|places| places.pop().is_some())
    };
    let left = one.iter().filter(|node| !has(&mut right, node)).collect();
    let mut places: Vec<usize> = right.into_values().flatten().collect();
    places.sort_unstable();
    (left, places.into_iter().map(|place| &other[place]).collect())
}

/// So many elements are put beside each other; of more, only that they differ is told.
pub(super) const BESIDE_MAX: usize = 64;

/// Beside each element the one of the other side that is most like it: where elements stand in
/// another order as well, the first beside the first would tell of differences that are none.
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
        // Of several the first.
        let places = (0..left.len()).rev();
        let Some(place) = places.max_by_key(|place| likeness(one, left[*place])) else { break };
        pairs.push((*one, left.remove(place)));
    }
    pairs
}

/// Elements that differ, member by member where they are objects.
pub(super) fn elements(field: &str, control: &[&Node], candidate: &[&Node]) -> Vec<Found> {
    let mut found = Vec::new();
    for (one, other) in beside(control, candidate) {
        let (Node::Object(of_one), Node::Object(of_other)) = (one, other) else {
            let kind = if one.kind() == other.kind() { Kind::Value } else { Kind::Type };
            found.push((format!("{field}[]"), kind, Some((*one).clone()), Some((*other).clone())));
            continue;
        };
        let before = found.len();
        let mut seen = BTreeSet::new();
        for (name, _) in of_one.iter().chain(of_other) {
            if !seen.insert(name.as_str()) {
                continue;
            }
            let (a, b) = (one.get(name), other.get(name));
            if a != b {
                let kind = match (a, b) {
                    (Some(a), Some(b)) if a.kind() == b.kind() => Kind::Value,
                    (Some(_), Some(_)) => Kind::Type,
                    _ => Kind::Absent,
                };
                found.push((format!("{field}[].{name}"), kind, a.cloned(), b.cloned()));
            }
        }
        if found.len() == before {
            let path = format!("{field}[]");
            // A member that stands twice is more than another order.
            let is_in = |all: &[(String, Node)], one| all.iter().filter(|o| *o == one).count();
            let is_order = of_one.len() == of_other.len()
                && of_one.iter().all(|one| is_in(of_one, one) == is_in(of_other, one));
            let kind = if is_order { Kind::Order } else { Kind::Value };
            found.push((path, kind, Some((*one).clone()), Some((*other).clone())));
        }
    }
    found
}
