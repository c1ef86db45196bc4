//! Ids: which of them are decimal numbers, and how the others get one.
//!
//! Legacy answers promise a JSON number. No number is ever made up: an id that is none follows the
//! configured [`IdPolicy`], and where the policy has no answer the whole list fails.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The largest id that is passed on: 2^63 - 1, the largest that a signed 64-bit client can hold.
pub const ID_MAX: u64 = i64::MAX as u64;

/// So many digits [`ID_MAX`] has; any number of as many is a `u64`.
const DIGITS_MAX: usize = 19;

/// Reads a canonical decimal id: digits only, no leading zero, at most [`ID_MAX`].
///
/// ```
/// assert_eq!(domain::id::decimal("28982"), Some(28982));
/// assert_eq!(domain::id::decimal("007"), None);
/// assert_eq!(domain::id::decimal("9223372036854775808"), None);
/// ```
pub fn decimal(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > DIGITS_MAX || (bytes[0] == b'0' && bytes.len() > 1) {
        return None;
    }
    let mut number = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    (number <= ID_MAX).then_some(number)
}

/// How an upstream id that is no decimal number becomes one.
#[derive(Debug, Clone, Default)]
pub enum IdPolicy {
    /// The list fails: no number can be shown that means anything.
    #[default]
    Fail,
    /// Ids in the map are replaced, and decimal ones outside it pass through. [`Unnumbered`] decides
    /// about the others.
    Map(Arc<IdMap>),
    /// A stable hash of the text: always the same number for the same id.
    Hash,
    /// The short id that addresses an agent, where the upstream has one.
    DisplayId,
}

/// An id policy as the configuration names it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyName {
    /// [`IdPolicy::Fail`].
    #[default]
    Fail,
    /// [`IdPolicy::Map`].
    Map,
    /// [`IdPolicy::Hash`].
    Hash,
    /// [`IdPolicy::DisplayId`].
    AgentDisplayId,
}

impl PolicyName {
    /// Every name.
    pub const ALL: [PolicyName; 4] =
        [PolicyName::Fail, PolicyName::Map, PolicyName::Hash, PolicyName::AgentDisplayId];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            PolicyName::Fail => "fail",
            PolicyName::Map => "map",
            PolicyName::Hash => "hash",
            PolicyName::AgentDisplayId => "agent_display_id",
        }
    }

    /// Whether some users may have no number under it, so that [`Unnumbered`] decides.
    pub fn has_gaps(self) -> bool {
        matches!(self, PolicyName::Map | PolicyName::AgentDisplayId)
    }

    /// The policy; `table` is what a map looks in.
    pub fn policy(self, table: IdMap) -> IdPolicy {
        match self {
            PolicyName::Fail => IdPolicy::Fail,
            PolicyName::Map => IdPolicy::Map(Arc::new(table)),
            PolicyName::Hash => IdPolicy::Hash,
            PolicyName::AgentDisplayId => IdPolicy::DisplayId,
        }
    }
}

/// The operator's table of upstream ids and legacy numbers; each stands in it once. Case does not
/// count in a UUID, and it counts in every other id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap {
    numbers: HashMap<String, u64>,
    ids: HashMap<u64, String>,
}

impl IdMap {
    /// Adds a pair; false if the table already has either side.
    pub fn add(&mut self, id: &str, number: u64) -> bool {
        let id = spelling(id);
        if self.numbers.contains_key(&*id) || self.ids.contains_key(&number) {
            return false;
        }
        self.ids.insert(number, id.clone().into_owned());
        self.numbers.insert(id.into_owned(), number);
        true
    }

    /// The legacy number of an upstream id.
    pub fn number(&self, id: &str) -> Option<u64> {
        self.numbers.get(&*spelling(id)).copied()
    }

    /// The upstream id behind a legacy number.
    pub fn id(&self, number: u64) -> Option<&str> {
        self.ids.get(&number).map(String::as_str)
    }

    /// The pairs of upstream id and legacy number, by id.
    pub fn pairs(&self) -> Vec<(&str, u64)> {
        let pairs = self.numbers.iter().map(|(id, number)| (id.as_str(), *number));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        pairs
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

/// Whether an id is spelled as a UUID.
pub(crate) fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn spelling(id: &str) -> Cow<'_, str> {
    match is_uuid(id) && id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(id.to_ascii_lowercase()),
        false => Cow::Borrowed(id),
    }
}

/// The rule for users without a number under the policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unnumbered {
    /// The whole list fails.
    #[default]
    Fail,
    /// The user gets the number of [`IdPolicy::Hash`].
    Hash,
    /// No list has the user.
    Omit,
}

impl Unnumbered {
    /// The number of the user with this upstream id, hashed like [`IdPolicy::Hash`].
    pub fn number(self, text: &str) -> Number {
        match self {
            Unnumbered::Omit => Number::LeftOut,
            Unnumbered::Hash if !text.is_empty() => Number::Is(hash52(text)),
            Unnumbered::Fail | Unnumbered::Hash => Number::Missing,
        }
    }
}

/// A user's legacy number, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// This number.
    Is(u64),
    /// None: the user is left out of the list.
    LeftOut,
    /// None: the list fails.
    Missing,
}

impl IdPolicy {
    /// The legacy number for an upstream id, or `None` where the policy has none.
    pub fn number(&self, text: &str) -> Option<u64> {
        self.number_of(text, decimal(text))
    }

    /// The same where it is known whether the id is a [`decimal`] one.
    pub(crate) fn number_of(&self, text: &str, decimal: Option<u64>) -> Option<u64> {
        match self {
            IdPolicy::Fail | IdPolicy::DisplayId => decimal,
            IdPolicy::Map(map) => map.number(text).or(decimal),
            IdPolicy::Hash => decimal.or_else(|| (!text.is_empty()).then(|| hash52(text))),
        }
    }
}

/// First 52 bits of SHA-256. Every JSON reader takes them exactly, since doubles hold integers below
/// 2^53, and the same text gives the same number for ever.
fn hash52(text: &str) -> u64 {
    first_u64(text) >> 12
}

/// First 53 bits of SHA-256, but never a number of 32 bits, so that it cannot meet a number that
/// people or systems give out by counting. Doubles hold it exactly.
pub(crate) fn hash53(text: &str) -> u64 {
    let hash = first_u64(text) >> 11;
    if is_hash53(hash) { hash } else { hash + (1 << 32) }
}

/// Whether a number may be a [`hash53`].
pub(crate) fn is_hash53(number: u64) -> bool {
    (1 << 32..1 << 53).contains(&number)
}

/// Identity of an upstream id inside one listing: the number itself, or a hash of the text.
pub fn key(text: &str) -> u64 {
    key_of(text, decimal(text))
}

/// The same where it is known whether the id is a [`decimal`] one.
pub(crate) fn key_of(text: &str, decimal: Option<u64>) -> u64 {
    decimal.unwrap_or_else(|| first_u64(text) | 1 << 63)
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
        let mut table = IdMap::default();
        assert!(table.add(uuid, 77));
        assert!(!table.add(uuid, 78) && !table.add("another", 77));
        assert_eq!(table.id(77), Some(uuid));
        let map = IdPolicy::Map(Arc::new(table));
        assert_eq!(map.number(uuid), Some(77));
        assert_eq!(map.number("12"), Some(12));
        assert_eq!(map.number("other"), None);
        let hashed = IdPolicy::Hash.number(uuid).unwrap();
        assert!(hashed < 1 << 52);
        assert_eq!(IdPolicy::Hash.number(uuid), Some(hashed));
        assert_eq!(IdPolicy::Hash.number(""), None);
    }

    #[test]
    fn a_uuid_has_no_case_in_the_table_and_any_other_id_has() {
        let mut table = IdMap::default();
        assert!(table.add("AB22B1FE-d2ea-403d-8c03-50eb21188e79", 1));
        assert!(!table.add("ab22b1fe-d2ea-403d-8c03-50eb21188e79", 2));
        assert_eq!(table.number("ab22B1FE-d2ea-403d-8c03-50eb21188e79"), Some(1));
        assert_eq!(table.id(1), Some("ab22b1fe-d2ea-403d-8c03-50eb21188e79"));
        assert!(table.add("Ann", 2) && table.add("ann", 3));
        assert_eq!((table.number("ANN"), table.len()), (None, 3));
    }

    #[test]
    fn hashes_are_no_32_bit_numbers_and_fit_a_double() {
        for n in 0..20_000_u64 {
            let hash = hash53(&format!("8e22b1fe-d2ea-403d-8c03-{n:012x}"));
            assert!(hash > u64::from(u32::MAX) && hash < 1 << 53, "{n}: {hash}");
            assert!(is_hash53(hash) && hash as f64 as u64 == hash);
        }
        // Computed elsewhere: the number of a user must never change.
        assert_eq!(hash53("8e22b1fe-d2ea-403d-8c03-50eb21188e79"), 6_629_548_191_003_854);
        assert!(is_hash53(1 << 32) && is_hash53((1 << 53) - 1));
        assert!(!is_hash53(0) && !is_hash53(u64::from(u32::MAX)) && !is_hash53(1 << 53));
    }

    #[test]
    fn users_without_a_number_fail_or_are_left_out_or_hashed() {
        let uuid = "8e22b1fe-d2ea-403d-8c03-50eb21188e79";
        assert_eq!(Unnumbered::Fail.number(uuid), Number::Missing);
        assert_eq!(Unnumbered::Omit.number(uuid), Number::LeftOut);
        assert_eq!(Unnumbered::Hash.number(uuid), Number::Is(3_314_774_095_501_927));
        assert_eq!(Unnumbered::Hash.number(""), Number::Missing);
    }

    #[test]
    fn keys_of_texts_and_numbers_never_meet() {
        assert_eq!(key("12"), 12);
        assert!(key("twelve") > ID_MAX);
    }
}
