//! One legacy request without its key, and one whole answer. It must never show a key.

use std::fmt;

use bytes::Bytes;

use crate::pseudonym::{is_word, plain};

/// Where a request carries its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// `?key=<key>`.
    Query,
    /// In place of `{key}` in the path.
    Path,
    /// Nowhere.
    Missing,
    /// A key that does not exist, as Bearer.
    WrongBearer,
    /// A key that does not exist, in the query.
    WrongQuery,
    /// A key that does not exist, in the path.
    WrongPath,
}

impl KeyPlace {
    /// A key that does not exist, in the same place.
    pub fn wrong(self) -> KeyPlace {
        match self {
            KeyPlace::Bearer => KeyPlace::WrongBearer,
            KeyPlace::Path => KeyPlace::WrongPath,
            _ => KeyPlace::WrongQuery,
        }
    }

    /// Whether a request shows a key that exists.
    pub fn is_right(self) -> bool {
        matches!(self, KeyPlace::Bearer | KeyPlace::Query | KeyPlace::Path)
    }
}

/// How a request is written, where some clients do not write it as the pages print it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// As the pages print it.
    #[default]
    Plain,
    /// Letters that are not ASCII stand in the query as they are.
    Raw,
    /// `Authorization: Basic` stands beside the key in the query.
    BesideBasic,
    /// The parameters are a JSON object in the body.
    Json,
    /// The parameters are a form in the body.
    Form,
}

impl Written {
    pub fn is_plain(&self) -> bool {
        *self == Written::Plain
    }

    /// Whether the parameters are in the body.
    pub fn is_body(self) -> bool {
        matches!(self, Written::Json | Written::Form)
    }
}

/// One legacy request without its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Ask {
    pub path: String,
    /// Parameters in order, not escaped.
    pub query: Vec<(String, String)>,
    pub key: KeyPlace,
    #[serde(default, skip_serializing_if = "Written::is_plain")]
    pub written: Written,
}

impl Ask {
    /// Path and query, escaped, with `key` in the path or the query where the request carries it there.
    pub fn target(&self, key: &str) -> String {
        let (in_path, key) = match self.key {
            KeyPlace::Query => (None, Some(key)),
            KeyPlace::WrongQuery => (None, Some(WRONG_KEY)),
            KeyPlace::Path => (Some(key), None),
            KeyPlace::WrongPath => (Some(WRONG_KEY), None),
            KeyPlace::Bearer | KeyPlace::Missing | KeyPlace::WrongBearer => (None, None),
        };
        // In a path a plus is no space.
        let in_path = in_path.map(|key| form(key).replace('+', "%20"));
        let path = match in_path {
            None => self.path.clone(),
            Some(key) => self.path.replace(KEY_IN_PATH, &key),
        };
        let pairs = self.query.iter().filter(|_| !self.written.is_body());
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        let escaped = |text: &str| match self.written {
            Written::Raw => text.split_inclusive(|c: char| !c.is_ascii()).map(raw).collect(),
            _ => form(text),
        };
        let query: Vec<String> = pairs
            .chain(key.map(|key| ("key", key)))
            .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
            .collect();
        match query.is_empty() {
            true => path,
            false => format!("{path}?{}", query.join("&")),
        }
    }

    /// The body and its type, where the parameters are there.
    pub fn body(&self) -> Option<(&'static str, String)> {
        match self.written {
            Written::Json => {
                let text = |value: &String| serde_json::Value::from(value.as_str());
                let members = self.query.iter().map(|(name, value)| (name.clone(), text(value)));
                let object: serde_json::Map<_, _> = members.collect();
                Some(("application/json", serde_json::Value::Object(object).to_string()))
            }
            Written::Form => {
                let pairs = self.query.iter();
                let pairs = pairs.map(|(name, value)| format!("{}={}", form(name), form(value)));
                let text = pairs.collect::<Vec<_>>().join("&");
                Some(("application/x-www-form-urlencoded", text))
            }
            Written::Plain | Written::Raw | Written::BesideBasic => None,
        }
    }

    pub fn authorization(&self, key: &str) -> Option<String> {
        if self.written == Written::BesideBasic {
            return Some(BASIC.to_owned());
        }
        match self.key {
            KeyPlace::Bearer => Some(format!("Bearer {key}")),
            KeyPlace::WrongBearer => Some(format!("Bearer {WRONG_KEY}")),
            KeyPlace::Query
            | KeyPlace::Missing
            | KeyPlace::WrongQuery
            | KeyPlace::Path
            | KeyPlace::WrongPath => None,
        }
    }

    /// The request without any value: the path, the names of parameters and the place of the key. The
    /// name of a parameter that may be a person's is left out too.
    pub fn shape(&self) -> String {
        let shown = |name| if is_word(plain(name)) { name } else { ".." };
        let mut names: Vec<String> =
            self.query.iter().map(|(name, _)| format!("{}=..", shown(name))).collect();
        if matches!(self.key, KeyPlace::Query | KeyPlace::WrongQuery) {
            names.push("key=..".to_owned());
        }
        let asked = match names.is_empty() {
            true => format!("GET {}", self.path),
            false => format!("GET {}?{}", self.path, names.join("&")),
        };
        match self.written {
            Written::Plain => asked,
            Written::Raw => asked + ", not escaped",
            Written::BesideBasic => asked + ", beside Authorization: Basic",
            Written::Json => asked + ", in a JSON body",
            Written::Form => asked + ", in a form",
        }
    }
}

/// The place of the key in a path.
const KEY_IN_PATH: &str = "{key}";

/// A text as forms and queries escape it.
fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The same, but for a last letter that is not ASCII.
fn raw(text: &str) -> String {
    let end = text.char_indices().next_back().filter(|(_, c)| !c.is_ascii());
    let (ascii, last) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    form(ascii) + last
}

/// A credential that some clients send of their own. It is no key.
const BASIC: &str = "Basic bGVnYWN5OmNsaWVudA==";

/// A key that no contact center has issued.
pub const WRONG_KEY: &str = "no-such-key-0000";

/// One whole answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// The headers that are compared; their names are in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Reply {
    /// Bodies are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_contains_no_value() {
        let ask = Ask {
            path: "/api/v3/cdr/users".to_owned(),
            query: vec![("name".to_owned(), "Jane & Co".to_owned())],
            key: KeyPlace::Query,
            written: Written::Plain,
        };
        assert_eq!(ask.shape(), "GET /api/v3/cdr/users?name=..&key=..");
        assert_eq!(ask.target("k"), "/api/v3/cdr/users?name=Jane+%26+Co&key=k");
        assert_eq!(ask.authorization("k"), None);
        let query =
            ["filter[name]", "jane.doe", "filter[Jane]"].map(|n| (n.to_owned(), n.to_owned()));
        let ask = Ask { query: query.to_vec(), key: KeyPlace::Bearer, ..ask };
        assert_eq!(ask.shape(), "GET /api/v3/cdr/users?filter[name]=..&..=..&..=..");
    }

    #[test]
    fn a_key_in_the_path_is_in_the_target_and_in_no_shape() {
        let ask = |key| Ask {
            path: "/api/v1/{key}/agents_status".to_owned(),
            query: Vec::new(),
            key,
            written: Written::Plain,
        };
        let right = ask(KeyPlace::Path);
        assert_eq!(right.target("a b/c"), "/api/v1/a%20b%2Fc/agents_status");
        assert_eq!(right.authorization("k"), None);
        assert_eq!(right.shape(), "GET /api/v1/{key}/agents_status");
        let wrong = ask(KeyPlace::Path.wrong());
        assert_eq!(wrong.target("k"), format!("/api/v1/{WRONG_KEY}/agents_status"));
        assert!(right.key.is_right() && !wrong.key.is_right());
    }

    #[test]
    fn one_request_is_written_in_several_ways() {
        let ask = |written| Ask {
            path: "/x".to_owned(),
            query: vec![("name".to_owned(), "José & Zoë 长".to_owned())],
            key: KeyPlace::Query,
            written,
        };
        let raw = ask(Written::Raw);
        assert_eq!(raw.target("k"), "/x?name=José+%26+Zoë+长&key=k");
        assert_eq!((raw.body(), raw.authorization("k")), (None, None));
        let json = ask(Written::Json);
        assert_eq!(json.target("k"), "/x?key=k");
        let body = "{\"name\":\"José & Zoë 长\"}".to_owned();
        assert_eq!(json.body(), Some(("application/json", body)));
        assert_eq!(json.shape(), "GET /x?name=..&key=.., in a JSON body");
        let (kind, body) = ask(Written::Form).body().unwrap();
        assert_eq!(kind, "application/x-www-form-urlencoded");
        assert_eq!(body, "name=Jos%C3%A9+%26+Zo%C3%AB+%E9%95%BF");
        let basic = ask(Written::BesideBasic);
        assert_eq!(basic.target("k"), ask(Written::Plain).target("k"));
        assert!(basic.authorization("k").unwrap().starts_with("Basic "));
        let plain = serde_json::to_string(&ask(Written::Plain)).unwrap();
        assert!(!plain.contains("written"), "recordings stay as they were: {plain}");
        assert_eq!(serde_json::from_str::<Ask>(&plain).unwrap(), ask(Written::Plain));
    }
}
