//! What was asked of the new API. Must never show a value where it is printed.

use std::fmt;

/// One request to the new API.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Path and query, as sent: personal data, for comparing and never for printing. Empty for a
    /// request for a token.
    pub target: String,
    /// The status; absent where no answer came, or nobody waited for it.
    pub status: Option<u16>,
    /// Who answered.
    pub source: Source,
    /// The `x-request-id` that came with it. A gateway sends the id of the request it works for, the
    /// one that stands in its answer too; work that several requests share has the first one's.
    pub request_id: Option<String>,
}

/// Who answered a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream.
    Upstream,
    /// The upstream's token endpoint.
    Token,
    /// The relay, from memory.
    Memory,
    /// The recording.
    Recording,
    /// Nobody: the recording has no answer.
    Missing,
}

/// Parameters whose values say where in a list a page is, or which list it is.
const SHOWN: &[&str] = &["limit", "offset", "page", "include"];

impl Call {
    /// The request without any value but those of paging: `GET /api/v4/users?limit=100&name=..`.
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

/// Path and query without values. A segment of a path is a word, or it is somebody's or something's.
fn shape(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut out = String::with_capacity(target.len());
    let mut before = "";
    for (k, segment) in path.split('/').enumerate() {
        let is_version = segment.starts_with('v') && segment[1..].parse::<u8>().is_ok();
        let is_word = segment.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let is_named = matches!(before, "username" | "agentDisplayId");
        if k > 0 {
            out.push('/');
        }
        out.push_str(if (is_version || is_word) && !is_named { segment } else { "{..}" });
        before = segment;
    }
    for (k, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_number = value.bytes().all(|b| b.is_ascii_alphanumeric());
        out.push(if k == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(if SHOWN.contains(&name) && is_number { value } else { ".." });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_holds_paging_and_no_other_value() {
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
        ] {
            assert_eq!(shape(target), expected);
        }
    }

    #[test]
    fn a_call_that_is_printed_shows_no_value() {
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
