//! The names of all users. A name must never be shown, wherever it stands.

use std::collections::HashSet;

/// Names in lower case.
#[derive(Clone, Default)]
pub(super) struct People(HashSet<Box<str>>);

/// The most words of a text that may begin or end a person's name.
const WORDS_MAX: usize = 32;

impl People {
    pub(super) fn note(&mut self, name: &str) {
        if !name.is_empty() {
            self.0.insert(name.to_lowercase().into());
        }
    }

    /// Whether a text or one of its joined parts is a name, or contains a name of several words.
    pub(super) fn are_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let is_name = |part: &str| self.0.contains(part);
        if self.0.is_empty() {
            return false;
        }
        // A name may stand over a comma, as in `Doe, Jane`, and in any part of a long list.
        self.begin_in(&text) || text.split(", ").any(|part| is_name(part) || self.begin_in(part))
    }

    /// Whether a text is a name, or contains one of several words among its first words.
    fn begin_in(&self, text: &str) -> bool {
        let is_name = |part: &str| self.0.contains(part);
        if is_name(text) {
            return true;
        }
        // The places where a word may begin, and where one may end.
        let is_border = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let places = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
        let begins = places().filter(|at| is_border(text[..*at].chars().next_back()));
        let ends = places().filter(|at| is_border(text[*at..].chars().next()));
        let ends: Vec<usize> = ends.take(WORDS_MAX).collect();
        begins.take(WORDS_MAX).any(|from| {
            let parts = ends.iter().filter(|to| **to > from).map(|to| &text[from..*to]);
            parts.filter(|part| part.contains(' ')).any(is_name)
        })
    }
}
