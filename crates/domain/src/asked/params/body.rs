//! The parameters in a request's body, as Rails reads them: a JSON object, or a form. Must never hold more
//! than a few times the bytes of the body.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{Given, Params};

/// Below a longer name nothing is read: no filter has one.
const NAME_BYTES_MAX: usize = 64;

impl Params {
    /// Reads a form. Its bytes may be in any encoding; see [`Params::parse`].
    pub fn of_form(bytes: &[u8]) -> Self {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Params::parse(text);
        }
        let mut escaped = String::with_capacity(bytes.len());
        for byte in bytes {
            match byte.is_ascii() {
                true => escaped.push(char::from(*byte)),
                false => escaped.push_str(&format!("%{byte:02X}")),
            }
        }
        Params::parse(&escaped)
    }

    /// Reads JSON: the members of an object, with those of objects and lists within it as
    /// `filter[name]` and `name[]`. JSON of another kind has no parameters. `null` is an empty value.
    ///
    /// # Errors
    /// `None` where it is no JSON.
    pub fn of_json(bytes: &[u8]) -> Option<Self> {
        let mut params = Params::default();
        if bytes.trim_ascii().is_empty() {
            return Some(params);
        }
        if let Value::Object(members) = serde_json::from_slice(bytes).ok()? {
            for (name, value) in members {
                params.add(name, value);
            }
        }
        Some(params)
    }

    /// The same where nothing may be said twice: an object in which no member is repeated, or no bytes at all.
    ///
    /// # Errors
    /// What else there is.
    pub fn of_json_once(bytes: &[u8]) -> Result<Self, BadJson> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Params::default());
        }
        let repeats = Cell::new(false);
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = Once(&repeats).deserialize(&mut json).and_then(|()| json.end());
        if repeats.get() {
            return Err(BadJson::Repeated);
        }
        let is_object = bytes.trim_ascii_start().starts_with(b"{");
        read.ok().filter(|()| is_object).ok_or(BadJson::NoObject)?;
        Params::of_json(bytes).ok_or(BadJson::NoObject)
    }

    fn add(&mut self, name: String, value: Value) {
        let is_short = name.len() <= NAME_BYTES_MAX;
        let value = match value {
            Value::Array(items) if is_short && !items.is_empty() => {
                let name = format!("{name}[]");
                return items.into_iter().for_each(|item| self.add(name.clone(), item));
            }
            Value::Object(members) if is_short && !members.is_empty() => {
                let inner = |key: String| format!("{name}[{key}]");
                return members.into_iter().for_each(|(key, value)| self.add(inner(key), value));
            }
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        };
        self.left.push(Given { name, value, is_text: true });
    }
}

/// Why JSON is refused where nothing may be said twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadJson {
    /// It is no JSON, or no object.
    NoObject,
    /// A member of an object stands there twice.
    Repeated,
}

/// Goes through JSON and tells whether an object in it has a member twice.
#[derive(Clone, Copy)]
struct Once<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                self.0.set(true);
                return Err(A::Error::custom("a member stands there twice"));
            }
            members.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_object_has_the_parameters_that_its_query_would_have() {
        let json = br#"{"name":"Jos\u00e9","id":7,"filter":{"sag":"Sales","x":{"y":1}},
            "extension":["1","2"],"email":null,"caller_id":[],"is":true}"#;
        let mut params = Params::of_json(json).unwrap();
        assert_eq!(params.take_filter("name"), ["Jos\u{e9}"]);
        assert_eq!(params.take_filter("id"), ["7"]);
        assert_eq!(params.take_filter("sag"), ["Sales"]);
        assert_eq!(params.take_filter("extension"), ["1", "2"]);
        assert!(params.take_filter("email").is_empty());
        assert_eq!(params.finish(), ["caller_id", "email", "filter[x][y]", "is"]);
    }

    #[test]
    fn other_json_has_no_parameters_and_other_bytes_are_no_json() {
        for empty in ["", " \r\n", "[]", "[{\"name\":\"a\"}]", "7", "null", "{}"] {
            let params = Params::of_json(empty.as_bytes()).unwrap();
            assert!(params.finish().is_empty(), "{empty}");
        }
        for broken in ["{", "name=a", "{\"name\":\"a\"} x", "{'name':'a'}"] {
            assert!(Params::of_json(broken.as_bytes()).is_none(), "{broken}");
        }
        assert!(Params::of_json(b"{\"name\":\"\xe9\"}").is_none());
    }

    #[test]
    fn where_nothing_may_be_said_twice_a_repeated_member_is_refused() {
        for repeated in [
            r#"{"agent":"1","agent":"2"}"#,
            r#"{"agent":"1","\u0061gent":"1"}"#,
            r#"{"x":[{"y":1.5,"y":null}]}"#,
        ] {
            let read = Params::of_json_once(repeated.as_bytes());
            assert_eq!(read.unwrap_err(), BadJson::Repeated, "{repeated}");
        }
        for other in ["[]", "7", "null", "\"x\"", "{", "{} x", "{'a':1}"] {
            let read = Params::of_json_once(other.as_bytes());
            assert_eq!(read.unwrap_err(), BadJson::NoObject, "{other}");
        }
        let once = br#" {"agent":"1","number":-7,"x":{"y":[true,null,1.5]},"z":{"y":18446744073709551615}}"#;
        let mut params = Params::of_json_once(once).unwrap();
        assert_eq!(params.take_filter("agent"), ["1"]);
        assert!(Params::of_json_once(b" ").unwrap().finish().is_empty());
    }

    #[test]
    fn deep_names_take_little_memory() {
        let json = format!("{{\"{}\":{{\"{}\":[[{}1]]}}}}", "a".repeat(60), "b", "1,".repeat(9000));
        let params = Params::of_json(json.as_bytes()).unwrap();
        let bytes: usize = params.left.iter().map(|given| given.name.len()).sum();
        assert!(params.left.len() <= 9001 && bytes <= 9001 * 80, "{bytes}");
    }

    #[test]
    fn a_form_in_latin_1_fits_nobody() {
        let mut params = Params::of_form(b"name=Jos\xe9&email=a%40b");
        assert_eq!(params.take_filter("email"), ["a@b"]);
        assert!(!params.has_unreadable());
        assert_eq!(params.take_filter("name"), ["Jos\u{fffd}"]);
        assert!(params.has_unreadable());
    }
}
