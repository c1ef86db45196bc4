//! The gateways that passed a question on. Each gateway that asks control adds its name, which is random in
//! every process, and so recognises its own questions. Without this, a gateway that is its own control
//! would ask itself for ever. A trail must never contain text that no gateway wrote.

use std::fmt::Write;

use domain::hex;
use http::{HeaderMap, HeaderName, HeaderValue};
use rand::RngExt;

/// The header: the names in a question; in an answer the sign that the gateway asked itself.
pub const ASKED_BY: HeaderName = HeaderName::from_static("x-tieline-asked-by");

/// A question with this many names is not passed on.
const NAMES_MAX: usize = 8;
const NAME_CHARS: usize = 16;

/// The name of a process in trails.
#[derive(Debug, Clone)]
pub struct Name(String);

impl Name {
    /// A new random name with each call.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        Name(hex::of(&rand::rng().random::<u64>().to_be_bytes()))
    }
}

/// Empty for a question of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail(String);

impl Trail {
    /// The trail of a request. Text that no gateway has written makes it empty.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(ASKED_BY).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_name = |name: &str| name.len() == NAME_CHARS && name.bytes().all(is_hex);
        let is_fit = text.len() <= NAMES_MAX * (NAME_CHARS + 1) && text.split(' ').all(is_name);
        if is_fit { Trail(text.to_owned()) } else { Trail::default() }
    }

    /// Whether this process must not pass the question on.
    pub fn is_loop(&self, name: &Name) -> bool {
        let mut names = self.0.split(' ');
        names.clone().count() >= NAMES_MAX || names.any(|known| known == name.0)
    }

    /// The header for the next request, with one more name.
    pub fn with(&self, name: &Name) -> Option<HeaderValue> {
        let mut text = self.0.clone();
        let space = if text.is_empty() { "" } else { " " };
        write!(text, "{space}{}", name.0).ok()?;
        HeaderValue::try_from(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(text: &str) -> Trail {
        let value = HeaderValue::from_str(text).unwrap();
        Trail::of(&[(ASKED_BY, value)].into_iter().collect())
    }

    #[test]
    fn a_question_that_comes_round_is_known_again_and_none_goes_on_for_ever() {
        let (ours, theirs) = (Name::new(), Name::new());
        assert_eq!(Trail::of(&HeaderMap::new()), Trail::default());
        assert!(!Trail::default().is_loop(&ours));
        let by_us = trail(Trail::default().with(&ours).unwrap().to_str().unwrap());
        assert!(by_us.is_loop(&ours) && !by_us.is_loop(&theirs), "another gateway is a control");
        let mut by_both = trail(by_us.with(&theirs).unwrap().to_str().unwrap());
        assert!(by_both.is_loop(&ours) && by_both.is_loop(&theirs));
        for _ in 2..NAMES_MAX {
            assert!(!by_both.is_loop(&Name::new()));
            by_both = trail(by_both.with(&Name::new()).unwrap().to_str().unwrap());
        }
        assert!(by_both.is_loop(&Name::new()));
        for odd in ["", "x", "0123456789abcde\u{e9}", "0123456789ABCDEF", &"0".repeat(4000)] {
            assert_eq!(trail(odd), Trail::default(), "{odd}");
        }
    }
}
