//! A corpus: legacy answers and the exchanges with the new API that belong to them, in one file, with
//! every person in it replaced by a pseudonym. It proves later, offline, what was compared when the
//! legacy API was still there.
//!
//! The file is JSON lines: a header, bodies (each once, however often it was answered), exchanges that
//! name their body by its digest, and a last line with counts and a digest of all lines before it.
//! Nothing of it is believed before that line was read and agrees.
//!
//! A corpus is of one caller: who asks with another key may see other users, and would be answered
//! what the first one saw. It must never hold a credential: requests are written without headers,
//! exchanges for tokens not at all, and of answers only bodies that are JSON.

mod control;
mod line;
mod reader;
mod rebuild;
mod replay;
mod writer;

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

pub use control::{Recorded, Recording};
pub use reader::Corpus;
pub use replay::Replay;
pub use writer::{Summary, Writer};

/// The format that is written here, and the newest that is read.
pub const FORMAT: u32 = 1;
/// What is behind the name of a corpus that is being written.
pub const UNFINISHED: &str = "part";

/// What a corpus says of itself. Everything in it is written as it is: no person, no key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of Tieline that recorded it.
    pub version: String,
    /// The dialect of the new API.
    pub dialect: String,
    /// When the recording began, RFC 3339 in UTC.
    pub recorded_at: String,
    /// What was recorded, in words.
    pub what: String,
    /// Settings that the replay needs, by name. What stands in them for a person, such as a dictionary
    /// of caller ids, must have gone through the same pseudonyms.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// Why a corpus cannot be written or read. Holds no text of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorpusError {
    /// The file system said no.
    #[error("the corpus cannot be read or written: {0}")]
    Io(io::ErrorKind),
    /// The first line is not that of a corpus.
    #[error("this is no corpus of Tieline")]
    Foreign,
    /// It was written by a later version.
    #[error("the corpus has format {found}, this version reads formats up to {FORMAT}")]
    Newer {
        /// The format it has.
        found: u32,
    },
    /// It has no last line.
    #[error("the corpus ends early: its recording was not finished, or the file was cut")]
    Unfinished,
    /// Something in it is not what was written.
    #[error("line {line} of the corpus is not what was recorded: the file was edited or damaged")]
    Edited {
        /// The line, from 1.
        line: u64,
    },
    /// A line is longer than any that is read.
    #[error("line {line} of the corpus is longer than {bytes_max} bytes")]
    TooLong {
        /// The line, from 1.
        line: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The pages of one list are too large to be laid out.
    #[error("the pages of one list in the corpus have more than {bytes_max} bytes")]
    ListTooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// A legacy path that no endpoint has; it may hold a key.
    #[error("only answers of the legacy endpoints of users, teams and deleted agents are recorded")]
    NoEndpoint,
    /// The recording was finished before.
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
