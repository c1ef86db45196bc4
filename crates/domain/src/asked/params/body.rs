//! The parameters in a request's body, as Rails reads them: a JSON object, or a form. Must never hold more
//! than a few times the bytes of the body.

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
