//! The text of a key, wherever it is read from: a file, a variable, standard input.
//!
//! A key that was copied with something around it is refused at the start: as a legacy key it would
//! match no client, as an upstream's key it would be refused there. Must never show any of it.

/// How long a key may be, in bytes.
pub const KEY_BYTES_MAX: usize = 8 * 1024;

/// The key in a text, without the white space around it.
///
/// # Errors
/// The fault of the text, and the text to give instead. The words come behind a name: "`NAME`
/// begins with ..". They show no part of the text.
pub fn key_text(text: &str) -> Result<&str, &'static str> {
    if text.starts_with('\u{feff}') {
        return Err("begins with a byte order mark; save the key as UTF-8 without one");
    }
    let key = text.trim();
    let mut words = key.split_whitespace();
    let first = words.next().unwrap_or_default();
    if first.is_empty() {
        return Err("is empty");
    }
    if key.starts_with(is_quote) || key.ends_with(is_quote) {
        return Err("has a quote at its begin or end; give the key without quotes");
    }
    if is_scheme(first, words.clone().next().is_some()) {
        return Err("begins with the word of a header, such as \"Bearer\"; give the key alone");
    }
    if key.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return Err("has a second line; give the key alone, on one line");
    }
    if words.next().is_some() {
        return Err("has white space inside; give the key alone");
    }
    if key.contains(is_invisible) {
        return Err("has an invisible character, such as a zero-width space; type the key anew");
    }
    if key.len() > KEY_BYTES_MAX {
        return Err("is longer than any key; give the key alone");
    }
    Ok(key)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}')
}

/// Whether the first word of a text is a scheme, which stands in front of a key in a header.
fn is_scheme(first: &str, has_more: bool) -> bool {
    let first = first.to_ascii_lowercase();
    let is_word = has_more && ["basic", "token"].contains(&&*first);
    is_word
        || first == "bearer"
        || first.starts_with("bearer:")
        || first.starts_with("authorization:")
}

/// Control characters, and characters without any width of their own.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_visible_word_and_white_space_around_it_is_dropped() {
        for good in [
            "k",
            " k\r\n",
            "\tabc-DEF_1.~+/=\n\n",
            "id:secret",
            "sch\u{fc}ssel",
            "bearer-7",
            "token",
        ] {
            assert_eq!(key_text(good), Ok(good.trim()), "{good:?}");
        }
        for (bad, told) in [
            ("", "empty"),
            (" \r\n", "empty"),
            ("\u{feff}key", "byte order mark"),
            ("\u{feff}", "byte order mark"),
            ("\"key\"\n", "quote"),
            ("'key'", "quote"),
            ("\u{201c}key\u{201d}", "quote"),
            ("key\"", "quote"),
            ("`key`", "quote"),
            ("Bearer key", "Bearer"),
            ("bearer\tkey\n", "Bearer"),
            ("Bearer", "Bearer"),
            ("Bearer:key", "Bearer"),
            ("Basic a2V5", "Bearer"),
            ("Authorization: Bearer key", "Bearer"),
            ("key\n# of March", "second line"),
            ("key\r\nkey2\r\n", "second line"),
            ("key\rkey2", "second line"),
            ("key key", "white space"),
            ("key\u{a0}key", "white space"),
            ("k\u{200b}ey", "invisible"),
            ("key\u{200d}", "invisible"),
            ("\u{2060}key", "invisible"),
            ("key\u{feff}", "invisible"),
            ("k\0ey", "invisible"),
            ("k\u{ad}ey", "invisible"),
            ("k\u{202e}ey", "invisible"),
        ] {
            let why = key_text(bad).unwrap_err();
            assert!(why.contains(told), "{bad:?}: {why}");
        }
        let longest = "x".repeat(KEY_BYTES_MAX);
        assert_eq!(key_text(&longest), Ok(&*longest));
        assert!(key_text(&(longest + "x")).is_err());
    }
}
