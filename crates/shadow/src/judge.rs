//! Who says what differs between two answers to one question. Nothing is compared in this crate: it
//! brings both answers, counts what it is told, and keeps no value.

use std::fmt;

use bytes::Bytes;
use domain::quirks::Quirks;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// Compares. Called on a thread that may work for long; must not wait for anything, must say the same of
/// the same answers, and must hold little of what differs at once.
pub trait Judge: fmt::Debug + Send + Sync {
    /// Tells what differs between what control and candidate answered to one question, and ends where
    /// it is told to.
    fn judge(
        &self,
        question: &Question<'_>,
        control: &Reply,
        candidate: &Reply,
        listener: &mut dyn Listener,
    );
}

/// Who is told what differs.
pub trait Listener {
    /// One thing that differs.
    fn found(&mut self, one: Difference);
    /// Whether the rest is still wanted; asked before each record.
    fn goes_on(&self) -> bool;
}

/// What was asked, without a value of it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The legacy endpoint.
    pub endpoint: &'static str,
    /// What the caller's upstream speaks.
    pub dialect: &'static str,
    /// Filters that had a value.
    pub filters: &'a [&'static str],
    /// Whether the caller sees some users only; control shows it what its legacy key shows.
    pub is_narrowed: bool,
    /// The settings that the candidate's answer was written with.
    pub quirks: &'a Quirks,
}

/// One side's whole answer, in no coding.
#[derive(Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Headers that matter: `content-type`.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// An answer of candidate, as a judge sees it.
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

/// One thing that differs.
#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: the path of a field, such as `timezone`, or `$status`; never a value.
    pub field: String,
    /// How, in a word.
    pub kind: &'static str,
    /// Why.
    pub cause: Cause,
    /// Control's value; only an HMAC of it is kept.
    pub control: Vec<u8>,
    /// Candidate's value; only an HMAC of it is kept.
    pub candidate: Vec<u8>,
    /// Which record, where it is one's; only an HMAC of it is kept.
    pub record: Option<String>,
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Difference({}, {}, {})", self.field, self.kind, self.cause.as_str())
    }
}

/// Why something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The ledger says that it must.
    DeclaredLoss,
    /// Another setting would make it equal.
    Quirk,
    /// The same in another order.
    Order,
    /// It changed between the two answers.
    Race,
    /// It differs between two answers of control, too.
    Noise,
    /// The two sides hold different data.
    UpstreamData,
    /// Nothing explains it.
    Bug,
}

impl Cause {
    /// All of them, in order.
    pub const ALL: [Cause; 7] = [
        Cause::DeclaredLoss,
        Cause::Quirk,
        Cause::Order,
        Cause::Race,
        Cause::Noise,
        Cause::UpstreamData,
        Cause::Bug,
    ];

    /// The word in metrics and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::DeclaredLoss => "declared_loss",
            Cause::Quirk => "quirk",
            Cause::Order => "order",
            Cause::Race => "race",
            Cause::Noise => "noise",
            Cause::UpstreamData => "upstream_data",
            Cause::Bug => "bug",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(field: &str, record: &str, cause: Cause) -> Difference {
        let (field, record) = (field.to_owned(), Some(record.to_owned()));
        let (control, candidate) = (b"a".to_vec(), b"b".to_vec());
        Difference { field, kind: "value", cause, control, candidate, record }
    }

    #[test]
    fn no_value_is_printed() {
        let found =
            Difference { control: b"canary".to_vec(), ..difference("f", "canary", Cause::Bug) };
        let reply =
            Reply { status: 200, headers: HeaderMap::new(), body: Bytes::from_static(b"canary") };
        let text = format!("{found:?} {reply:?}");
        assert_eq!(text, "Difference(f, value, bug) Reply(200, 6 bytes)");
    }
}
