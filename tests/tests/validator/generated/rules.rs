//! Rules that change values, as programs that copy or show data often apply them. They are written apart
//! from those of the validator, so that both can be wrong in different ways.

use super::dice::Dice;

/// A rule for texts. It leaves a value as it is that it does not concern.
pub(super) type TextRule = Box<dyn Fn(&str) -> String + Send + Sync>;

fn rule(apply: impl Fn(&str) -> String + Send + Sync + 'static) -> TextRule {
    Box::new(apply)
}

fn replaced(pairs: &'static [(&'static str, &'static str)]) -> TextRule {
    rule(|text| pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)))
}

fn each(apply: impl Fn(char) -> String + Send + Sync + 'static) -> TextRule {
    rule(move |text| text.chars().map(&apply).collect())
}

/// A letter with an accent, its plain letter and the accent.
const ACCENTS: &[(char, &str, char)] = &[
    ('é', "e", '\u{301}'),
    ('è', "e", '\u{300}'),
    ('ë', "e", '\u{308}'),
    ('á', "a", '\u{301}'),
    ('à', "a", '\u{300}'),
    ('ü', "u", '\u{308}'),
    ('ö', "o", '\u{308}'),
    ('ó', "o", '\u{301}'),
    ('Ö', "O", '\u{308}'),
    ('É', "E", '\u{301}'),
    ('Ş', "S", '\u{327}'),
    ('ç', "c", '\u{327}'),
    ('Ü', "U", '\u{308}'),
    ('í', "i", '\u{301}'),
    ('ñ', "n", '\u{303}'),
    ('ã', "a", '\u{303}'),
];

fn accent(of: char) -> Option<(&'static str, char)> {
    let known = ACCENTS.iter().find(|(letter, _, _)| *letter == of);
    known.map(|(_, plain, accent)| (*plain, *accent))
}

fn capitalised(text: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| {
            first.to_uppercase().collect::<String>() + &letters.as_str().to_lowercase()
        })
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn escaped_for_urls(text: &str) -> String {
    let mut shown = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'@' => {
                shown.push(char::from(byte));
            }
            byte => shown.push_str(&format!("%{byte:02X}")),
        }
    }
    shown
}

fn without_tags(text: &str) -> String {
    let (mut shown, mut is_tag) = (String::new(), false);
    for c in text.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            c if !is_tag => shown.push(c),
            _ => {}
        }
    }
    shown
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

fn without_tag_of_address(text: &str) -> String {
    match text.split_once('@') {
        Some((local, domain)) => {
            format!("{}@{domain}", local.split('+').next().unwrap_or(local))
        }
        None => text.to_owned(),
    }
}

/// The rules that any program may have, with the words for each.
pub(super) fn texts(dice: &mut Dice) -> Vec<(String, TextRule)> {
    let length = 3 + dice.below(22) as usize;
    let bytes = 5 + dice.below(20) as usize;
    let of = |name: &str, rule: TextRule| (name.to_owned(), rule);
    vec![
        of("trimmed", rule(|text| text.trim().to_owned())),
        of("without spaces at the end", rule(|text| text.trim_end().to_owned())),
        of("without spaces in front", rule(|text| text.trim_start().to_owned())),
        of(
            "with single spaces",
            rule(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
        ),
        of("in small letters", rule(str::to_lowercase)),
        of("in capitals", rule(str::to_uppercase)),
        of("with capitals in front", rule(capitalised)),
        of(
            "escaped as Rails does",
            replaced(&[
                ("&", "&amp;"),
                ("<", "&lt;"),
                (">", "&gt;"),
                ("\"", "&quot;"),
                ("'", "&#39;"),
            ]),
        ),
        of(
            "escaped as PHP does",
            replaced(&[
                ("&", "&amp;"),
                ("<", "&lt;"),
                (">", "&gt;"),
                ("\"", "&quot;"),
                ("'", "&#039;"),
            ]),
        ),
        of(
            "escaped as Django does",
            replaced(&[
                ("&", "&amp;"),
                ("<", "&lt;"),
                (">", "&gt;"),
                ("\"", "&quot;"),
                ("'", "&#x27;"),
            ]),
        ),
        of(
            "escaped twice",
            replaced(&[
                ("&", "&amp;amp;"),
                ("<", "&amp;lt;"),
                (">", "&amp;gt;"),
                ("\"", "&amp;quot;"),
            ]),
        ),
        of("with slashes before quotes", replaced(&[("\\", "\\\\"), ("\"", "\\\""), ("'", "\\'")])),
        of("without slashes", replaced(&[("\\", "")])),
        of("with doubled apostrophes", replaced(&[("'", "''")])),
        of("without quotes", replaced(&[("\"", ""), ("'", "")])),
        of("escaped for URLs", rule(escaped_for_urls)),
        of("with spaces as plus", replaced(&[(" ", "+")])),
        of("with spaces as underscores", replaced(&[(" ", "_")])),
        of("with plus as spaces", replaced(&[("+", " ")])),
        of("without tags", rule(without_tags)),
        of("with line breaks as tags", replaced(&[("\r\n", "<br />"), ("\n", "<br />")])),
        of("in one line", replaced(&[("\r\n", " "), ("\n", " "), ("\t", " ")])),
        of(
            "without control characters",
            rule(|text| text.chars().filter(|c| !c.is_control()).collect()),
        ),
        of(
            "without invisible characters",
            rule(|text| {
                let hidden = ['\u{feff}', '\u{200d}', '\u{202e}', '\u{202c}', '\u{200b}'];
                text.chars().filter(|c| !hidden.contains(c)).collect()
            }),
        ),
        of(
            "with emoji as question marks",
            each(|c| if u32::from(c) > 0xFFFF { "?".to_owned() } else { c.to_string() }),
        ),
        of(
            "without emoji",
            rule(|text| text.chars().filter(|c| u32::from(*c) <= 0xFFFF).collect()),
        ),
        of(
            "cut at the first emoji",
            rule(|text| text.chars().take_while(|c| u32::from(*c) <= 0xFFFF).collect()),
        ),
        of(
            "in Latin-1 with question marks",
            each(|c| if u32::from(c) > 0xFF { "?".to_owned() } else { c.to_string() }),
        ),
        of(
            "in ASCII with question marks",
            each(|c| if c.is_ascii() { c.to_string() } else { "?".to_owned() }),
        ),
        of(
            "without letters that are not ASCII",
            rule(|text| text.chars().filter(char::is_ascii).collect()),
        ),
        of(
            "without accents",
            each(|c| accent(c).map_or_else(|| c.to_string(), |(plain, _)| plain.to_owned())),
        ),
        of(
            "with accents of their own",
            each(|c| {
                accent(c)
                    .map_or_else(|| c.to_string(), |(plain, accent)| format!("{plain}{accent}"))
            }),
        ),
        of("read as Latin-1", rule(|text| text.bytes().map(char::from).collect())),
        of(&format!("cut at {length} characters"), rule(move |text| cut(text, length))),
        of(
            &format!("cut at {bytes} bytes"),
            rule(move |text| {
                let mut end = bytes.min(text.len());
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text[..end].to_owned()
            }),
        ),
        of(
            &format!("cut at {length} characters with dots"),
            rule(move |text| {
                if text.chars().count() <= length {
                    text.to_owned()
                } else {
                    cut(text, length - 3) + "..."
                }
            }),
        ),
        of(
            &format!("cut at {length} units of UTF-16"),
            rule(move |text| {
                let units: Vec<u16> = text.encode_utf16().take(length).collect();
                String::from_utf16_lossy(&units)
            }),
        ),
        of("cut at the first comma", rule(|text| text.split(',').next().unwrap_or("").to_owned())),
        of("without zeros in front", rule(|text| text.trim_start_matches('0').to_owned())),
        of("without dashes", replaced(&[("-", "")])),
        of(
            "as digits only",
            rule(|text| match text.bytes().any(|byte| byte.is_ascii_digit()) {
                true => text.chars().filter(char::is_ascii_digit).collect(),
                false => text.to_owned(),
            }),
        ),
        of("without the tag of an address", rule(without_tag_of_address)),
        of(
            "with the domain alone",
            rule(|text| text.split_once('@').map_or(text, |(_, domain)| domain).to_owned()),
        ),
        of("without a domain", rule(|text| text.split('@').next().unwrap_or("").to_owned())),
        of("with two spaces", replaced(&[(" ", "  ")])),
        of("read from URLs once more", replaced(&[("%20", " "), ("+", " ")])),
        of(
            "with words in another order",
            rule(|text| match text.split_once(' ') {
                Some((first, last)) => format!("{last} {first}"),
                None => text.to_owned(),
            }),
        ),
        of(
            "with a comma between last and first name",
            rule(|text| match text.rsplit_once(' ') {
                Some((first, last)) => format!("{last}, {first}"),
                None => text.to_owned(),
            }),
        ),
        of(
            "with the first word alone",
            rule(|text| text.split(' ').next().unwrap_or("").to_owned()),
        ),
    ]
}
