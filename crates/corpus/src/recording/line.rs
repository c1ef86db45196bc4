//! The lines of a corpus.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CorpusError, Header};
use crate::ask::Ask;
use crate::hex::{hex, unhex};

/// What tells a body.
pub(super) type BodyId = [u8; 32];

/// The longest line that is read.
pub(super) const LINE_BYTES_MAX: u64 = 512 << 20;

/// Headers of an answer that are recorded, and read again.
const HEADERS: &[&str] =
    &["content-type", "retry-after", "www-authenticate", "cache-control", "allow"];

/// Of an answer's headers those that a corpus holds, each once.
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

/// The first line.
#[derive(Serialize, Deserialize)]
pub(super) struct First<'a> {
    pub(super) tieline_corpus: u32,
    #[serde(flatten)]
    pub(super) header: Cow<'a, Header>,
}

/// The format of a first line, whatever else is in it.
#[derive(Deserialize)]
pub(super) struct Format {
    pub(super) tieline_corpus: u32,
}

/// An exchange.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(flatten)]
    pub(super) asked: Asked<'a>,
    /// During which question.
    pub(super) question: u64,
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: Vec<(String, String)>,
    /// The digest of the body; absent where it is empty or was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// The body was no JSON and is not here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) left_out: bool,
}

/// Who was asked what.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked<'a> {
    Legacy(Cow<'a, Ask>),
    Upstream { name: Cow<'a, str>, method: Cow<'a, str>, target: Cow<'a, str> },
}

/// The last line.
#[derive(Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) bodies: u64,
    pub(super) legacy: u64,
    pub(super) upstream: u64,
    /// Questions that control did not answer.
    #[serde(default)]
    pub(super) unanswered: u64,
    /// Of all lines before.
    pub(super) sha256: String,
}

/// A body's line is these, its digest, more of these, and the body as it is.
const BODY: &[u8] = b"{\"body\":\"";
const JSON: &[u8] = b"\",\"json\":";
const HEX: usize = 64;

pub(super) fn digest(body: &[u8]) -> BodyId {
    Sha256::digest(body).into()
}

/// A digest as a line names it.
pub(super) fn body_id(text: &str, line: u64) -> Result<BodyId, CorpusError> {
    unhex(text.as_bytes()).ok_or(CorpusError::Edited { line })
}

/// What stands before a body in its line.
pub(super) fn body_front(id: &BodyId) -> Vec<u8> {
    [BODY, hex(id).as_bytes(), JSON].concat()
}

/// What stands behind it.
pub(super) const BODY_BACK: &[u8] = b"}\n";

/// The digest and the place of the body in a line, if it is the line of a body that is whole.
pub(super) fn read_body(line: &[u8]) -> Option<(BodyId, std::ops::Range<usize>)> {
    let id = unhex(line.strip_prefix(BODY)?.get(..HEX)?)?;
    let start = BODY.len() + HEX + JSON.len();
    let end = line.len().checked_sub(BODY_BACK.len())?;
    let is_framed = line.get(BODY.len() + HEX..start)? == JSON && line.get(end..)? == BODY_BACK;
    let json = line.get(start..end)?;
    (is_framed && digest(json) == id).then_some((id, start..end))
}

/// Whether a line says that it is a body's.
pub(super) fn is_body(line: &[u8]) -> bool {
    line.starts_with(BODY)
}

/// A value as a line.
pub(super) fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}
