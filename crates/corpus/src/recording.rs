//! A corpus: legacy answers and the exchanges with the new API that belong to them, in one file, with a
//! pseudonym for every person. With it a validation can be repeated offline when the legacy API is gone.
//!
//! The file is JSON lines: a header, bodies (each once, however often it was answered), exchanges that
//! name their body by its digest, and a last line with counts and a digest of all lines before it. The
//! reader trusts nothing before that last line was read and agrees.
//!
//! A corpus belongs to one caller, because another key may see other users. It must never contain a
//! credential: requests are written without headers, exchanges for tokens are left out, and a body is
//! written only if it is JSON.

mod control;
mod line;
mod reader;
mod rebuild;
mod replay;
mod writer;

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

pub use control::{ByPart, Recorded, Recording};
pub use reader::Corpus;
pub use replay::Replay;
pub use writer::{Summary, Writer};

/// The format that this version writes, and the newest one that it reads.
pub const FORMAT: u32 = 1;
/// The ending of a corpus that is still being written.
pub const UNFINISHED: &str = "part";

/// The first line of a corpus. It is written without pseudonyms, so it must contain no person and no key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of Tieline that recorded it.
    pub version: String,
    pub dialect: String,
    /// When the recording began, RFC 3339 in UTC.
    pub recorded_at: String,
    /// A description of the recording.
    pub what: String,
    /// Settings that the replay needs, by name. A value about a person, such as a dictionary of caller
    /// ids, must have been replaced by the same pseudonyms.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// Why a corpus cannot be written or read. It contains no text of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorpusError {
    #[error("the corpus cannot be read or written: {0}")]
    Io(io::ErrorKind),
    /// The first line is not the header of a corpus.
    #[error("this is no corpus of Tieline")]
    Foreign,
    #[error("the corpus has format {found}, this version reads formats up to {FORMAT}")]
    Newer { found: u32 },
    /// The last line is missing.
    #[error("the corpus ends early: its recording was not finished, or the file was cut")]
    Unfinished,
    #[error("line {line} of the corpus is not what was recorded: the file was edited or damaged")]
    Edited {
        /// The line, from 1.
        line: u64,
    },
    #[error("line {line} of the corpus is longer than {bytes_max} bytes")]
    TooLong { line: u64, bytes_max: u64 },
    #[error("the pages of one list in the corpus have more than {bytes_max} bytes")]
    ListTooLong { bytes_max: usize },
    /// The path belongs to no legacy endpoint, and may contain a key.
    #[error("only answers of known legacy lists are recorded")]
    NoEndpoint,
    #[error("the recording is finished")]
    Finished,
}

impl From<io::Error> for CorpusError {
    fn from(error: io::Error) -> CorpusError {
        CorpusError::Io(error.kind())
    }
}

impl From<CorpusError> for io::Error {
    fn from(error: CorpusError) -> io::Error {
        match error {
            CorpusError::Io(kind) => kind.into(),
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
