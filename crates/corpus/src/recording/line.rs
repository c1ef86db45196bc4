//! The lines of a corpus.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CorpusError, Header};
use crate::ask::Ask;
use crate::hex::{hex, unhex};

/// The digest of a body.
pub(super) type BodyId = [u8; 32];

/// The longest line that is read.
pub(super) const LINE_BYTES_MAX: u64 = 512 << 20;

/// The headers of an answer that are recorded.
const HEADERS: &[&str] =
    &["content-type", "retry-after", "www-authenticate", "cache-control", "allow"];

/// The headers of an answer that a corpus contains, each once.
pub(super) fn recorded(
    headers: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let is_new = !kept.iter().any(|(known, _)| *known == name);
        if is_new && HEADERS.contains(&name.as_str()) {
            kept.push((name, value));
        }
    }
    kept
}

#[derive(Serialize, Deserialize)]
pub(super) struct First<'a> {
    pub(super) tieline_corpus: u32,
    #[serde(flatten)]
    pub(super) header: Cow<'a, Header>,
}

/// The format of a first line. Other members may be of a later version.
#[derive(Deserialize)]
pub(super) struct Format {
    pub(super) tieline_corpus: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(flatten)]
    pub(super) asked: Asked<'a>,
    /// The number of the question that it belongs to.
    pub(super) question: u64,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    /// The digest of the body; absent where the body is empty or was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// Whether the body was left out because it was not JSON.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) left_out: bool,
}

/// A body as an exchange names it.
#[derive(Clone, Copy)]
pub(super) enum Body {
    Empty,
    LeftOut,
    Is(BodyId),
}

/// The request of an exchange.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked<'a> {
    Legacy(Cow<'a, Ask>),
    Upstream { name: Cow<'a, str>, method: Cow<'a, str>, target: Cow<'a, str> },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) bodies: u64,
    pub(super) legacy: u64,
    pub(super) upstream: u64,
    /// How many questions control did not answer.
    #[serde(default)]
    pub(super) unanswered: u64,
    /// The digest of all lines before.
    pub(super) sha256: String,
}

/// The line of a body is `BODY`, its digest, `JSON`, and the body unchanged.
const BODY: &[u8] = b"{\"body\":\"";
const JSON: &[u8] = b"\",\"json\":";
const HEX: usize = 64;

pub(super) fn digest(body: &[u8]) -> BodyId {
    Sha256::digest(body).into()
}

/// The digest that a line names.
pub(super) fn body_id(text: &str, line: u64) -> Result<BodyId, CorpusError> {
    unhex(text.as_bytes()).ok_or(CorpusError::Edited { line })
}

/// The beginning of the line of a body.
pub(super) fn body_front(id: &BodyId) -> Vec<u8> {
    [BODY, hex(id).as_bytes(), JSON].concat()
}

/// The end of the line of a body.
pub(super) const BODY_BACK: &[u8] = b"}\n";

/// The digest of the body in a line and where the body is; `None` unless the line is a whole body.
pub(super) fn read_body(line: &[u8]) -> Option<(BodyId, std::ops::Range<usize>)> {
    let id = unhex(line.strip_prefix(BODY)?.get(..HEX)?)?;
    let start = BODY.len() + HEX + JSON.len();
    let end = line.len().checked_sub(BODY_BACK.len())?;
    let is_framed = line.get(BODY.len() + HEX..start)? == JSON && line.get(end..)? == BODY_BACK;
    let json = line.get(start..end)?;
    (is_framed && digest(json) == id).then_some((id, start..end))
}

/// Whether a line claims to be that of a body.
pub(super) fn is_body(line: &[u8]) -> bool {
    line.starts_with(BODY)
}

pub(super) fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
