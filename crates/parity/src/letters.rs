//! Letters with accents, and what encodings and programs make of them.

/// An accent, letters that have it, and the same letters without it.
const ACCENTS: &[(char, &str, &str)] = &[
    ('\u{300}', "ÀÈÌÒÙàèìòùǸǹ", "AEIOUaeiouNn"),
    ('\u{301}', "ÁÉÍÓÚÝáéíóúýĆćĹĺŃńŔŕŚśŹź", "AEIOUYaeiouyCcLlNnRrSsZz"),
    ('\u{302}', "ÂÊÎÔÛâêîôûĈĉĜĝĤĥĴĵŜŝŴŵŶŷ", "AEIOUaeiouCcGgHhJjSsWwYy"),
    ('\u{303}', "ÃÑÕãñõĨĩŨũ", "ANOanoIiUu"),
    ('\u{304}', "ĀāĒēĪīŌōŪū", "AaEeIiOoUu"),
    ('\u{306}', "ĂăĔĕĞğĬĭŎŏŬŭйЙ", "AaEeGgIiOoUuиИ"),
    ('\u{307}', "ĊċĖėĠġİŻż", "CcEeGgIZz"),
    ('\u{308}', "ÄËÏÖÜäëïöüÿŸёЁ", "AEIOUaeiouyYеЕ"),
    ('\u{30a}', "ÅåŮů", "AaUu"),
    ('\u{30b}', "ŐőŰű", "OoUu"),
    ('\u{30c}', "ČčĎďĚěŇňŘřŠšŤťŽž", "CcDdEeNnRrSsTtZz"),
    ('\u{327}', "ÇçĢģĶķĻļŅņŖŗŞşŢţ", "CcGgKkLlNnRrSsTt"),
    ('\u{328}', "ĄąĘęĮįŲų", "AaEeIiUu"),
];

/// Letters that are written with others where they cannot be written.
const SPELLED: &[(char, &str)] = &[
    ('ł', "l"),
    ('Ł', "L"),
    ('ø', "o"),
    ('Ø', "O"),
    ('đ', "d"),
    ('Đ', "D"),
    ('ı', "i"),
    ('ß', "ss"),
    ('ẞ', "SS"),
    ('æ', "ae"),
    ('Æ', "AE"),
    ('œ', "oe"),
    ('Œ', "OE"),
    ('ð', "d"),
    ('þ', "th"),
    ('‘', "'"),
    ('’', "'"),
    ('“', "\""),
    ('”', "\""),
    ('–', "-"),
    ('—', "-"),
    ('…', "..."),
    ('\u{a0}', " "),
];

fn parted(letter: char) -> Option<(char, char)> {
    ACCENTS.iter().find_map(|(accent, with, without)| {
        let place = with.chars().position(|one| one == letter)?;
        Some((without.chars().nth(place)?, *accent))
    })
}

/// Every accent stands behind its letter, as in NFD.
pub(crate) fn decomposed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match parted(c) {
            Some((letter, accent)) => shown.extend([letter, accent]),
            None => shown.push(c),
        }
    }
    shown
}

/// Every accent is part of its letter, as in NFC.
pub(crate) fn composed(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let row = ACCENTS.iter().find(|(accent, _, _)| *accent == c);
        let last = shown.chars().last();
        let letter = row.zip(last).and_then(|((_, with, without), last)| {
            with.chars().nth(without.chars().position(|one| one == last)?)
        });
        match letter {
            Some(letter) => {
                shown.pop();
                shown.push(letter);
            }
            None => shown.push(c),
        }
    }
    shown
}

/// Letters without accents.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .map(|c| parted(c).map_or(c, |(letter, _)| letter))
        .collect()
}

/// The same, and other letters and signs in ASCII where they have a usual spelling.
pub(crate) fn spelled(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match SPELLED.iter().find(|(letter, _)| *letter == c) {
            Some((_, spelling)) => shown.push_str(spelling),
            None => shown.push(c),
        }
    }
    shown
}

/// The characters of Windows-1252 from 0x80 to 0x9F.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// UTF-8 read as Windows-1252.
pub(crate) fn as_windows(text: &str) -> String {
    let of = |byte: u8| match byte {
        0x80..=0x9f => WINDOWS.chars().nth(usize::from(byte - 0x80)).unwrap_or('\u{fffd}'),
        byte => char::from(byte),
    };
    text.bytes().map(of).collect()
}

/// UTF-8 that was read as Latin-1, read as UTF-8 again.
pub(crate) fn mended(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// Characters that are replaced, all that are like this.
pub(crate) fn replaced(text: &str, is_it: impl Fn(char) -> bool, by: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_it(c) { shown.push_str(by) } else { shown.push(c) }
    }
    shown
}

/// Whether a character is invisible.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// JSON in which half an emoji can be read: the escape of a surrogate without its other half becomes the text
/// of that escape. `None` where every escape stands for a character.
pub(crate) fn halves_shown(json: &str) -> Option<String> {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut shown, mut rest, mut at) = (String::new(), 0, 0);
    while at < json.len() {
        if json.as_bytes()[at] != b'\\' {
            at += 1;
            continue;
        }
        let is_whole = match unit(at) {
            Some(0xd800..=0xdbff) => matches!(unit(at + 6), Some(0xdc00..=0xdfff)),
            Some(0xdc00..=0xdfff) => false,
            _ => {
                at += 2;
                continue;
            }
        };
        if is_whole {
            at += 12;
            continue;
        }
        shown.push_str(&json[rest..at]);
        shown.push('\\');
        (rest, at) = (at, at + 6);
    }
    (rest > 0 || !shown.is_empty()).then(|| shown + &json[rest..])
}

/// Whether the second text is the first one, cut within a character: it ends in half an emoji as
/// [`halves_shown`] has it, or in signs for bytes that are no text.
pub(crate) fn is_cut_within(whole: &str, cut: &str) -> bool {
    let end = cut.len().saturating_sub(6);
    let half = cut.get(end..).and_then(|end| end.strip_prefix("\\u"));
    let is_half = |digits: &str| {
        matches!(u16::from_str_radix(digits, 16), Ok(0xd800..=0xdfff)) && digits.len() == 4
    };
    let (before, is_cut) = match half.filter(|digits| is_half(digits)) {
        Some(_) => (&cut[..end], true),
        None => (cut.trim_end_matches('\u{fffd}'), cut.ends_with('\u{fffd}')),
    };
    let next = whole.strip_prefix(before).and_then(|rest| rest.chars().next());
    is_cut && next.is_some_and(|next| !next.is_ascii() && next != '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_emoji_is_read_as_the_text_of_its_escape() {
        let of = |json: &str| halves_shown(json);
        assert_eq!(of(r#""Max \ud83c""#).as_deref(), Some(r#""Max \\ud83c""#));
        assert_eq!(of(r#""\udfa7 \ud83cx""#).as_deref(), Some(r#""\\udfa7 \\ud83cx""#));
        for whole in [r#""Max \ud83c\udfa7""#, r#""Max \\ud83c""#, r#""Max \u00eb""#, "\"Max\""] {
            assert_eq!(of(whole), None, "{whole}");
        }
    }

    #[test]
    fn a_text_is_cut_within_a_character_or_it_is_not() {
        for (whole, cut, is_it) in [
            ("Max 🎧 Ray", "Max \\ud83c", true),
            ("Max 🎧 Ray", "Max \u{fffd}", true),
            ("Zoë", "Zo\u{fffd}", true),
            ("Max 🎧 Ray", "Max ", false),
            ("Max Ray", "Max \u{fffd}", false),
            ("Max 🎧 Ray", "Mix \u{fffd}", false),
            ("Max 🎧", "Max \\u00eb", false),
        ] {
            assert_eq!(is_cut_within(whole, cut), is_it, "{whole:?} {cut:?}");
        }
    }
}
