//! JSON exactly as it was written: members keep their order, and numbers, null, empty and absent are
//! all distinct.
//!
//! `serde_json::Value` forgets the order of members and the second of two members with one name, so no
//! comparison may go through it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Number;

/// A JSON value. `1` and `1.0` are different numbers, and a member may occur twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// An object, in the order of the text.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Reads JSON text.
    ///
    /// # Errors
    /// Where the text is not JSON, or has a whole number that 64 bits cannot hold exactly: two of these
    /// could look equal. The error contains a position and no text.
    pub fn parse(text: &[u8]) -> Result<Node, NotJson> {
        if let Some(at) = inexact_number(text) {
            return Err(NotJson { at });
        }
        serde_json::from_slice(text).map_err(|error| NotJson { at: error.column() })
    }

    /// A member of an object; `None` means absent, which is not `null`.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Object(members) => {
                members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Node]> {
        match self {
            Node::List(list) => Some(list),
            _ => None,
        }
    }

    /// The kind of the value, as JSON calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "boolean",
            Node::Number(_) => "number",
            Node::Text(_) => "string",
            Node::List(_) => "array",
            Node::Object(_) => "object",
        }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The position of the first whole number that would be rounded.
fn inexact_number(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = end_of_string(text, at),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                let length = text[at..].iter().take_while(is_part).count();
                if !is_exact(&text[at..at + length]) {
                    return Some(at);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// The position behind a string that begins at `from`.
fn end_of_string(text: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Whether 64 bits hold the number exactly, or it is not a whole number.
fn is_exact(number: &[u8]) -> bool {
    let text = std::str::from_utf8(number).unwrap_or_default();
    let is_whole = !text.contains(['.', 'e', 'E']);
    !is_whole || text.parse::<u64>().is_ok() || text.parse::<i64>().is_ok()
}

impl From<&str> for Node {
    fn from(text: &str) -> Node {
        Node::Text(text.to_owned())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON, or a number that is too long, at column {at}")]
pub struct NotJson {
    /// Where reading stopped.
    pub at: usize,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Node, D::Error> {
        struct NodeVisitor;
        impl<'de> Visitor<'de> for NodeVisitor {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Number(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
            }
            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(node) = seq.next_element()? {
                    list.push(node);
                }
                Ok(Node::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Node::Object(members))
            }
        }
        de.deserialize_any(NodeVisitor)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Null => ser.serialize_unit(),
            Node::Bool(value) => ser.serialize_bool(*value),
            Node::Number(number) => number.serialize(ser),
            Node::Text(text) => ser.serialize_str(text),
            Node::List(list) => ser.collect_seq(list),
            Node::Object(members) => {
                let mut map = ser.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_exactly_or_refused() {
        for text in ["18446744073709551615", "-9223372036854775808", "0.1234567890123456"] {
            assert_eq!(Node::parse(text.as_bytes()).unwrap().to_json(), text);
        }
        let long =
            ["18446744073709551616", "-9223372036854775809", "[0,{\"a\":123456789012345678901}]"];
        for text in long {
            assert!(Node::parse(text.as_bytes()).is_err(), "{text}");
        }
        let text = r#"{"a":"\\\"123456789012345678901","b\\":"\\"}"#;
        assert!(Node::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn members_are_written_in_the_order_in_which_they_were_read() {
        let text = r#"{"b":1,"a":[1.0,null,"é\"",{}],"b":-2}"#;
        assert_eq!(Node::parse(text.as_bytes()).unwrap().to_json(), text);
    }

    #[test]
    fn values_that_look_alike_are_distinct() {
        let all = ["1", "1.0", "\"1\"", "null", "\"\"", "[]", "{}", "false", "0"];
        for (k, one) in all.iter().enumerate() {
            for other in &all[k + 1..] {
                assert_ne!(Node::parse(one.as_bytes()), Node::parse(other.as_bytes()));
            }
        }
    }
}
