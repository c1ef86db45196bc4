//! Simpler ways to compare than a validation: by position, and arrays as sets.
//! Both get the very answers that the validation got first. They say that two answers differ and
//! nothing else.

use std::collections::BTreeSet;

use corpus::ask::{Ask, Reply};
use serde_json::Value;

/// Whether status or JSON differ, arrays element by element. The order of members is no difference,
/// as in every JSON library.
pub(crate) fn by_position(pairs: &[(Ask, Reply, Reply)]) -> bool {
    pairs.iter().any(|(_, one, other)| one.status != other.status || read(one) != read(other))
}

/// The same with every array as a set, as `jd -set` has it.
pub(crate) fn by_set(pairs: &[(Ask, Reply, Reply)]) -> bool {
    let set = |reply: &Reply| read(reply).map(|value| as_set(&value));
    pairs.iter().any(|(_, one, other)| one.status != other.status || set(one) != set(other))
}

/// A body that is no JSON is its text.
fn read(reply: &Reply) -> Result<Value, Vec<u8>> {
    serde_json::from_slice(&reply.body).map_err(|_| reply.body.to_vec())
}

/// A text that two values share that are equal as sets.
fn as_set(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let set: BTreeSet<String> = list.iter().map(as_set).collect();
            format!("[{}]", set.into_iter().collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let members: BTreeSet<String> =
                members.iter().map(|(name, value)| format!("{name:?}:{}", as_set(value))).collect();
            format!("{{{}}}", members.into_iter().collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[test]
fn order_is_a_difference_by_position_and_none_by_set() {
    let reply =
        |body: &str| Reply { status: 200, headers: Vec::new(), body: body.to_owned().into() };
    let ask = || Ask {
        path: "/".to_owned(),
        query: Vec::new(),
        key: corpus::ask::KeyPlace::Bearer,
        written: Default::default(),
    };
    for (one, other, position, set) in [
        ("[1,2]", "[1,2]", false, false),
        ("[1,2]", "[2,1]", true, false),
        ("[1,2]", "[1,2,2]", true, false),
        ("[{\"a\":1,\"b\":[1,2]}]", "[{\"b\":[2,1],\"a\":1}]", true, false),
        ("[1]", "[\"1\"]", true, true),
        ("[1]", "[1", true, true),
    ] {
        let pairs = [(ask(), reply(one), reply(other))];
        assert_eq!((by_position(&pairs), by_set(&pairs)), (position, set), "{one} {other}");
    }
}
