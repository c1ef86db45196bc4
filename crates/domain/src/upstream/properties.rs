//! What must hold for any bytes of an upstream, as JSON, beside serde_json; see `crate::properties`. Must never share a
//! rule of reading with the reader that is held to account.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::scan::{Fault, Scalar, Scan};

/// A text as a tree. Numbers that are no `u64` are all one, since nothing here reads them.
pub(super) fn scanned(text: &str) -> Option<Value> {
    let mut scan = Scan::new(text);
    let tree = tree(&mut scan).ok()?;
    scan.end().ok().map(|()| tree)
}

fn tree(scan: &mut Scan<'_>) -> Result<Value, Fault> {
    match scan.next()? {
        b'[' => {
            let mut values = Vec::new();
            scan.list(|scan| tree(scan).map(|value| values.push(value)))?;
            Ok(Value::Array(values))
        }
        b'{' => {
            let members = RefCell::new(Map::new());
            scan.object(str::to_owned, |scan, key| {
                tree(scan).map(|value| drop(members.borrow_mut().insert(key, value)))
            })?;
            Ok(Value::Object(members.into_inner()))
        }
        _ => Ok(match scan.scalar()? {
            Scalar::Null => Value::Null,
            Scalar::Bool(flag) => Value::Bool(flag),
            Scalar::Whole(number) => Value::from(number),
            Scalar::OtherNumber => other_number(),
            Scalar::Text(text) => Value::from(text),
        }),
    }
}

fn other_number() -> Value {
    Value::from(-1)
}

pub(super) fn by_serde_json(text: &str) -> Option<Value> {
    fn same(value: Value) -> Value {
        match value {
            Value::Number(number) if !number.is_u64() => other_number(),
            Value::Array(values) => values.into_iter().map(same).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(key, it)| (key, same(it))).collect()
            }
            other => other,
        }
    }
    serde_json::from_str(text).ok().map(same)
}

/// Any bytes are read as serde_json reads them: the same texts are JSON, and have the same values.
///
/// # Panics
///
/// Where this does not hold.
pub fn json_reader(data: &[u8]) {
    let text = super::list::text(data).ok();
    assert_eq!(text, std::str::from_utf8(data).ok());
    if let Some(text) = text {
        assert_eq!(scanned(text), by_serde_json(text));
    }
}
