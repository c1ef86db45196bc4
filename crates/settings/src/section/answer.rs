//! `[answer]`: how large answers are sent.

use serde::Deserialize;

use crate::value::check::size;

/// `[answer]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answer {
    /// Whether lists are sent while they are read, if their answers are larger than `buffer_max`.
    pub stream: bool,
    /// Larger answers are streamed, where that is allowed.
    #[serde(deserialize_with = "size")]
    pub buffer_max: u64,
}

impl Default for Answer {
    fn default() -> Self {
        Answer { stream: false, buffer_max: 32 << 20 }
    }
}
