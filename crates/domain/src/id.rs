//! Ids: what counts as a decimal id, and what to do with one that does not.
//!
//! Legacy answers promise a JSON number. An id that cannot be shown as one is never guessed: it
//! follows the configured [`IdPolicy`], and where that has no answer the whole list fails.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The largest id that is passed on: 2^63 - 1, what a signed 64-bit client can hold.
pub const ID_MAX: u64 = i64::MAX as u64;

/// Reads a canonical decimal id: digits only, no leading zero, at most [`ID_MAX`].
///
/// ```
/// assert_eq!(domain::id::decimal("28982"), Some(28982));
/// assert_eq!(domain::id::decimal("007"), None);
/// assert_eq!(domain::id::decimal("9223372036854775808"), None);
/// ```
pub fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && !text.is_empty());
    if !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse::<u64>().ok().filter(|id| *id <= ID_MAX)
}

/// What happens to an upstream id that is no decimal number.
#[derive(Debug, Clone, Default)]
pub enum IdPolicy {
    /// The list fails: no number can be shown that means anything.
    #[default]
    Fail,
    /// Ids found in the map are replaced, decimal ones not in it pass through, others fail.
    Map(Arc<HashMap<String, u64>>),
    /// A stable 52-bit hash of the text: always the same number for the same id.
    Hash,
}

impl IdPolicy {
    /// The legacy number for an upstream id, or `None` where the policy has none.
    pub fn number(&self, text: &str) -> Option<u64> {
        match self {
            IdPolicy::Fail => decimal(text),
            IdPolicy::Map(map) => map.get(text).copied().or_else(|| decimal(text)),
            IdPolicy::Hash => decimal(text).or_else(|| (!text.is_empty()).then(|| hash52(text))),
        }
    }
}

/// First 52 bits of SHA-256: exact in every JSON reader (2^53 is where doubles end), stable for ever.
fn hash52(text: &str) -> u64 {
    first_u64(text) >> 12
}

/// Identity of an upstream id inside one listing: the number itself, or a hash of the text.
pub fn key(text: &str) -> u64 {
    decimal(text).unwrap_or_else(|| first_u64(text) | 1 << 63)
}

fn first_u64(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimal_ids_are_numbers() {
        for good in ["0", "5", "9007199254740993", "9223372036854775807"] {
            assert_eq!(decimal(good).map(|n| n.to_string()).as_deref(), Some(good));
        }
        for bad in ["", "007", "12a", "-1", "+5", "1.0", " 5", "9223372036854775808", "٣"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn policies_answer_or_fail_but_never_guess() {
        let uuid = "0b97ce11-4d0a-4f5e-9d3e-000000000001";
        assert_eq!(IdPolicy::Fail.number(uuid), None);
        let map = IdPolicy::Map(Arc::new(HashMap::from([(uuid.to_owned(), 77)])));
        assert_eq!(map.number(uuid), Some(77));
        assert_eq!(map.number("12"), Some(12));
        assert_eq!(map.number("other"), None);
        let hashed = IdPolicy::Hash.number(uuid).unwrap();
        assert!(hashed < 1 << 52);
        assert_eq!(IdPolicy::Hash.number(uuid), Some(hashed));
        assert_eq!(IdPolicy::Hash.number(""), None);
    }

    #[test]
    fn keys_of_texts_and_numbers_never_meet() {
        assert_eq!(key("12"), 12);
        assert!(key("twelve") > ID_MAX);
    }
}
