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
    /// Nowhere.
    Missing,
    /// A key that does not exist, as Bearer.
    WrongBearer,
    /// A key that does not exist, in the query.
    WrongQuery,
}

impl KeyPlace {
    /// A key that does not exist, in the same place.
    pub fn wrong(self) -> KeyPlace {
        match self {
            KeyPlace::Bearer => KeyPlace::WrongBearer,
            _ => KeyPlace::WrongQuery,
        }
    }
}

/// One legacy request without its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Ask {
    pub path: String,
    /// Parameters in order, not escaped.
    pub query: Vec<(String, String)>,
    pub key: KeyPlace,
}

impl Ask {
    /// Path and query, escaped, with `key` in the query where the request carries it there.
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

    pub fn authorization(&self, key: &str) -> Option<String> {
        match self.key {
            KeyPlace::Bearer => Some(format!("Bearer {key}")),
            KeyPlace::WrongBearer => Some(format!("Bearer {WRONG_KEY}")),
            KeyPlace::Query | KeyPlace::Missing | KeyPlace::WrongQuery => None,
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
        match names.is_empty() {
            true => format!("GET {}", self.path),
            false => format!("GET {}?{}", self.path, names.join("&")),
        }
    }
}

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
