//! The vocabulary of changes: what is done to the fields and rows of a list. Every change leaves the
//! order of members as it is, unless it changes that order.

use std::collections::BTreeMap;

use corpus::node::Node;
use simulator::Simulator;

use crate::mutate::{Asked, Change, Reply};

/// Members of an object, to be changed.
pub fn members(node: &mut Node) -> Option<&mut Vec<(String, Node)>> {
    match node {
        Node::Object(members) => Some(members),
        _ => None,
    }
}

/// A member's value, to be changed.
pub fn member<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    members(node)?.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The number in `id`, 0 where there is none.
pub fn id(row: &Node) -> u64 {
    match row.get("id") {
        Some(Node::Number(number)) => number.as_u64().unwrap_or(0),
        Some(Node::Text(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// Whole lists are changed as lists of rows.
pub fn rows(edit: impl Fn(&Asked, &mut Vec<Node>) + Send + Sync + 'static) -> Change {
    Change::answer(edit_rows(edit))
}

/// The same, to be put behind another change.
pub fn edit_rows(
    edit: impl Fn(&Asked, &mut Vec<Node>) + Send + Sync + 'static,
) -> impl Fn(&Asked, &mut Reply) + Send + Sync + 'static {
    move |asked, reply| {
        if let Some(mut rows) = reply.rows() {
            edit(asked, &mut rows);
            reply.set_rows(rows);
        }
    }
}

/// Every row is changed by itself.
pub fn each(edit: impl Fn(&mut Node) + Send + Sync + 'static) -> Change {
    rows(move |_, rows| rows.iter_mut().for_each(&edit))
}

/// A field is changed wherever it stands.
pub fn field(
    name: &'static str,
    edit: impl Fn(&mut Node, &Asked) + Send + Sync + 'static,
) -> Change {
    rows(move |asked, rows| {
        for row in rows {
            if let Some(value) = member(row, name) {
                edit(value, asked);
            }
        }
    })
}

/// The texts of a field are changed.
pub fn text(name: &'static str, edit: impl Fn(&str) -> String + Send + Sync + 'static) -> Change {
    field(name, move |value, _| {
        if let Node::Text(text) = value {
            *text = edit(text);
        }
    })
}

/// A field is set to what is made of its row; `None` leaves it as it is.
pub fn set(
    name: &'static str,
    make: impl Fn(&Node, &Asked) -> Option<Node> + Send + Sync + 'static,
) -> Change {
    rows(move |asked, rows| {
        for row in rows {
            let made = make(row, asked);
            if let (Some(made), Some(value)) = (made, member(row, name)) {
                *value = made;
            }
        }
    })
}

/// The parts of a joined list are changed.
pub fn parts(
    name: &'static str,
    edit: impl Fn(&mut Vec<String>) + Send + Sync + 'static,
) -> Change {
    text(name, move |joined| {
        let mut parts: Vec<String> = joined.split(", ").map(str::to_owned).collect();
        edit(&mut parts);
        parts.join(", ")
    })
}

/// The elements of an array are changed.
pub fn list(name: &'static str, edit: impl Fn(&mut Vec<Node>) + Send + Sync + 'static) -> Change {
    field(name, move |value, _| {
        if let Node::List(list) = value {
            edit(list);
        }
    })
}

/// A member of each element of an array is changed.
pub fn inside(
    name: &'static str,
    of: &'static str,
    edit: impl Fn(&mut Node) + Send + Sync + 'static,
) -> Change {
    list(name, move |list| list.iter_mut().filter_map(|one| member(one, of)).for_each(&edit))
}

/// A filter is passed on under no name that anybody knows.
pub fn without_filter(name: &'static str) -> Change {
    Change::asked(move |asked| {
        let brackets = format!("filter[{name}]");
        asked.query.retain(|(key, _)| key != name && *key != brackets);
    })
}

/// A filter is passed on with another value.
pub fn filter_value(
    name: &'static str,
    edit: impl Fn(&str) -> String + Send + Sync + 'static,
) -> Change {
    Change::asked(move |asked| {
        let brackets = format!("filter[{name}]");
        for (key, value) in &mut asked.query {
            if key == name || *key == brackets {
                *value = edit(value);
            }
        }
    })
}

/// Another rule decides a filter: the whole list is asked for, and rows that fit are kept. `rule`
/// gets the value of a record and the value that is wanted.
pub fn filter_by(
    name: &'static str,
    rule: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
) -> Change {
    Change::asked(move |asked| {
        if asked.filter(name).is_some_and(|value| !value.is_empty()) {
            asked.take_filters();
        }
    })
    .and(edit_rows(move |asked, rows| {
        let Some(wanted) = asked.filter(name).filter(|value| !value.is_empty()) else { return };
        rows.retain(|row| {
            let value = match row.get(name) {
                Some(Node::Text(text)) => text.clone(),
                Some(Node::Number(number)) => number.to_string(),
                _ => return false,
            };
            rule(&value, wanted)
        });
    }))
}

/// Something that happens once, after the whole list was read for the `nth` time.
pub fn once_after_whole(nth: u64, happens: impl Fn() + Send + Sync + 'static) -> Change {
    once_after(Asked::is_whole, nth, happens)
}

/// Something that happens once, after the `nth` answer to a request of a kind.
pub fn once_after(
    is_it: impl Fn(&Asked) -> bool + Send + Sync + 'static,
    nth: u64,
    happens: impl Fn() + Send + Sync + 'static,
) -> Change {
    let seen = std::sync::atomic::AtomicU64::new(0);
    Change::answer(move |asked, reply| {
        if is_it(asked) && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == nth {
            happens();
            // Counted as a change: the answer that was given is the last of its kind.
            reply.set_header("x-changed", "behind");
        }
    })
}

/// What is told of users by id, from the data behind both sides.
pub fn of_users<T>(
    vendor: &Simulator,
    tell: impl Fn(&simulator::User) -> Option<T>,
) -> BTreeMap<u64, T> {
    vendor.records().iter().filter_map(|user| Some((user.id, tell(user)?))).collect()
}
