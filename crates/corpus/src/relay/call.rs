//! One call to the new API. It must never be printed with a value.

use std::fmt;

use crate::pseudonym::{is_word, plain, segments};

#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    /// Path and query, as sent. They may contain personal data and must not be printed. Empty for a
    /// request for a token.
    pub target: String,
    /// The status; absent where no answer came, or the gateway did not wait for it.
    pub status: Option<u16>,
    pub source: Source,
    /// The `x-request-id` of the call. A gateway sends the id of the legacy request, which is also in its
    /// answer. A call that several legacy requests share has the id of the first one.
    pub request_id: Option<String>,
}

/// The source of the answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Upstream,
    /// The token endpoint of the upstream.
    Token,
    Memory,
    Recording,
    /// None: the recording has no answer.
    Missing,
}

/// Parameters whose values address a page of a list.
const PAGING: &[&str] = &["limit", "offset", "page"];
/// The values of `include`, which select a list.
const INCLUDED: &[&str] = &["Active", "All", "Archived"];

/// The words in paths of the new API. Every other segment is an id or a name.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "api", "v4", "users", "teams", "security_access_groups",
    "useradmin", "by", "username", "agentDisplayId", "groups", "skills", "queues", "permissions",
    "callbackNumbers",
];

impl Call {
    /// The request without values except those of paging: `GET /api/v4/users?limit=100&name=..`.
    pub fn shape(&self) -> String {
        match self.source {
            Source::Token => format!("{} (token)", self.method),
            _ => format!("{} {}", self.method, shape(&self.target)),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {:?} {:?})", self.shape(), self.status, self.source)
    }
}

fn shape(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut out = segments(path, |segment, named| {
        let is_shown = segment.is_empty() || WORDS.contains(&segment);
        if is_shown && named.is_none() { segment.to_owned() } else { "{..}".to_owned() }
    });
    for (k, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_number = value.bytes().all(|b| b.is_ascii_digit());
        let is_shown = match name {
            "include" => INCLUDED.contains(&value),
            _ => PAGING.contains(&name) && is_number,
        };
        out.push(if k == 0 { '?' } else { '&' });
        out.push_str(if is_word(plain(name)) { name } else { ".." });
        out.push('=');
        out.push_str(if is_shown { value } else { ".." });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_contains_paging_and_no_other_value() {
        for (target, expected) in [
            ("/api/v4/users?limit=100&offset=99", "/api/v4/users?limit=100&offset=99"),
            ("/api/v4/users?limit=1&name=Jane%20Doe", "/api/v4/users?limit=1&name=.."),
            ("/useradmin/users/by/agentDisplayId/1204", "/useradmin/users/by/agentDisplayId/{..}"),
            ("/useradmin/users/by/username/jane", "/useradmin/users/by/username/{..}"),
            (
                "/useradmin/groups/8e22b1fe-d2ea/users?limit=5000&page=1",
                "/useradmin/groups/{..}/users?limit=5000&page=1",
            ),
            ("/users?page=jane%40x", "/users?page=.."),
            ("/users?page=jane&include=jane&include=All", "/users?page=..&include=..&include=All"),
            ("/users?jane.doe=1&Jane&limit=5", "/users?..=..&..=..&limit=5"),
            ("/api/v4/jane", "/api/v4/{..}"),
            ("/api/v4/users/doe/teams", "/api/v4/users/{..}/teams"),
            ("/useradmin/users/v12/permissions/queues", "/useradmin/users/{..}/permissions/queues"),
            ("/useradmin/users/by/username/users", "/useradmin/users/by/username/{..}"),
            ("jane", "{..}"),
        ] {
            assert_eq!(shape(target), expected);
        }
    }

    #[test]
    fn printing_a_call_shows_no_value() {
        let call = Call {
            method: "GET".to_owned(),
            target: "/api/v4/users?email=jane%40example.com".to_owned(),
            status: Some(200),
            source: Source::Upstream,
            request_id: None,
        };
        assert_eq!(format!("{call:?}"), "Call(GET /api/v4/users?email=.. Some(200) Upstream)");
    }
}
