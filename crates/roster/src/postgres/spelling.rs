//! Texts as the database can keep them. It takes every character but one: NUL, which JSON may hold. Must be
//! reversible, or a user with such a name would look changed in every sweep.

use std::borrow::Cow;

const ESCAPE: char = '\u{1}';

/// The text without NUL.
pub(crate) fn stored(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut stored = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        match character {
            '\0' => stored.extend([ESCAPE, '0']),
            ESCAPE => stored.extend([ESCAPE, '1']),
            other => stored.push(other),
        }
    }
    Cow::Owned(stored)
}

/// The text that was stored.
pub(crate) fn read(stored: String) -> String {
    if !stored.contains(ESCAPE) {
        return stored;
    }
    let mut text = String::with_capacity(stored.len());
    let mut characters = stored.chars();
    while let Some(character) = characters.next() {
        match character {
            ESCAPE if characters.next() == Some('0') => text.push('\0'),
            ESCAPE => text.push(ESCAPE),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_none_holds_a_nul() {
        for text in ["", "Zoë", "\0", "a\0b\u{1}c", "\u{1}0", "\u{1}\u{1}\0\0"] {
            let kept = stored(text).into_owned();
            assert!(!kept.contains('\0'), "{text:?}");
            assert_eq!(read(kept), text);
        }
        assert!(matches!(stored("plain"), Cow::Borrowed(_)));
    }
}
