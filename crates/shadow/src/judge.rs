//! The judge that finds the differences between two answers to one question. This crate fetches both
//! answers and counts the differences. It must never compare answers itself or keep a value.

use std::fmt;

use bytes::Bytes;
use domain::quirks::Quirks;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use report::Cause;

/// Finds differences on a blocking thread. It must not wait for anything, must give equal results for equal
/// answers, and must hold only a few differences in memory at once.
pub trait Judge: fmt::Debug + Send + Sync {
    /// Gives the differences to `listener`, and ends where the listener says so.
    fn judge(
        &self,
        question: &Question<'_>,
        control: &Reply,
        candidate: &Reply,
        listener: &mut dyn Listener,
    );
}

/// Receives the differences.
pub trait Listener {
    fn found(&mut self, one: Difference);
    /// Whether to continue; asked before each record.
    fn goes_on(&self) -> bool;
}

/// A question without its values.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub endpoint: &'static str,
    /// The dialect of the caller's upstream.
    pub dialect: &'static str,
    /// Filters that had a value.
    pub filters: &'a [&'static str],
    /// Whether the caller sees only some users. Control shows all that the legacy key may see.
    pub is_narrowed: bool,
    /// The configured time zone of users whose upstream has none.
    pub timezone: Option<&'a str>,
    /// The settings of candidate's answer.
    pub quirks: &'a Quirks,
}

/// One side's whole answer, not compressed.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    /// Only `content-type`.
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// An answer of candidate.
    pub fn json(status: u16, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        Reply { status, headers, body }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// The path of a field, such as `timezone`, or `$status`; never a value.
    pub field: String,
    /// A word, such as `value`.
    pub kind: &'static str,
    /// `None` where one pair of answers does not decide it.
    pub cause: Option<Cause>,
    /// Control's value; only an HMAC of it is kept.
    pub control: Vec<u8>,
    /// Candidate's value; only an HMAC of it is kept.
    pub candidate: Vec<u8>,
    /// The id of the record, where the difference is in one; only an HMAC of it is kept.
    pub record: Option<String>,
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Difference({}, {}, {})", self.field, self.kind, word(self.cause))
    }
}

impl Difference {
    /// Whether control may show another value at the next reading. Another form and a missing member differ
    /// from every value, and parts of the whole answer do not change by themselves.
    pub(crate) fn may_be_noise(&self) -> bool {
        let is_null = self.control == b"null" || self.candidate == b"null";
        (self.kind == "value" || self.kind == "type" && is_null) && self.record.is_some()
    }
}

/// The word for a cause.
pub(crate) fn word(cause: Option<Cause>) -> &'static str {
    cause.map_or(Cause::UNDECIDED, Cause::as_str)
}

/// Whether a difference with this cause is a fault, or may be one.
pub(crate) fn is_unexplained(cause: Option<Cause>) -> bool {
    cause.is_none_or(Cause::is_unexplained)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn difference(field: &str, record: &str, cause: Option<Cause>) -> Difference {
        let (field, record) = (field.to_owned(), Some(record.to_owned()));
        let (control, candidate) = (b"a".to_vec(), b"b".to_vec());
        Difference { field, kind: "value", cause, control, candidate, record }
    }

    #[test]
    fn no_value_is_printed() {
        let found = Difference {
            control: b"canary".to_vec(),
            ..difference("f", "canary", Some(Cause::Bug))
        };
        let reply =
            Reply { status: 200, headers: HeaderMap::new(), body: Bytes::from_static(b"canary") };
        let text = format!("{found:?} {reply:?}");
        assert_eq!(text, "Difference(f, value, bug) Reply(200, 6 bytes)");
    }
}
