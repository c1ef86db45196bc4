//! One request to either side, and what came back. Must never show a key.

use std::fmt;

use bytes::Bytes;

use crate::pseudonym::{is_word, plain};

/// How a request shows its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// `?key=<key>`.
    Query,
    /// Nowhere.
    Missing,
    /// A key that nobody has, as Bearer.
    WrongBearer,
    /// A key that nobody has, in the query.
    WrongQuery,
}

/// One legacy request without its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Ask {
    /// The legacy path.
    pub path: String,
    /// Parameters in order, not escaped.
    pub query: Vec<(String, String)>,
    /// Where the key goes.
    pub key: KeyPlace,
}

impl Ask {
    /// Path and query, escaped; `key` is put in where the ask wants it there.
    pub fn target(&self, key: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query);
        match self.key {
            KeyPlace::Query => query.append_pair("key", key),
            KeyPlace::WrongQuery => query.append_pair("key", WRONG_KEY),
            KeyPlace::Bearer | KeyPlace::Missing | KeyPlace::WrongBearer => &mut query,
        };
        let query = query.finish();
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }

    /// The value of `Authorization`, if there is one.
    pub fn authorization(&self, key: &str) -> Option<String> {
        match self.key {
            KeyPlace::Bearer => Some(format!("Bearer {key}")),
            KeyPlace::WrongBearer => Some(format!("Bearer {WRONG_KEY}")),
            KeyPlace::Query | KeyPlace::Missing | KeyPlace::WrongQuery => None,
        }
    }

    /// The request without any value: path, names of parameters and the place of the key. A name
    /// that may be a person's is left out too.
    pub fn shape(&self) -> String {
        let shown = |name| if is_word(plain(name)) { name } else { ".." };
        let mut names: Vec<String> =
            self.query.iter().map(|(name, _)| format!("{}=..", shown(name))).collect();
        if matches!(self.key, KeyPlace::Query | KeyPlace::WrongQuery) {
            names.push("key=..".to_owned());
        }
        match names.is_empty() {
            true => format!("GET {}", self.path),
            false => format!("GET {}?{}", self.path, names.join("&")),
        }
    }
}

/// A key that no contact center gave out.
pub const WRONG_KEY: &str = "no-such-key-0000";

/// One whole answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers that are compared, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Bytes,
}

impl Reply {
    /// A header's value.
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
    fn a_shape_holds_no_value() {
        let ask = Ask {
            path: "/api/v3/cdr/users".to_owned(),
            query: vec![("name".to_owned(), "Jane & Co".to_owned())],
            key: KeyPlace::Query,
        };
        assert_eq!(ask.shape(), "GET /api/v3/cdr/users?name=..&key=..");
        assert_eq!(ask.target("k"), "/api/v3/cdr/users?name=Jane+%26+Co&key=k");
        assert_eq!(ask.authorization("k"), None);
        let query =
            ["filter[name]", "jane.doe", "filter[Jane]"].map(|n| (n.to_owned(), n.to_owned()));
        let ask = Ask { query: query.to_vec(), key: KeyPlace::Bearer, ..ask };
        assert_eq!(ask.shape(), "GET /api/v3/cdr/users?filter[name]=..&..=..&..=..");
    }
}
