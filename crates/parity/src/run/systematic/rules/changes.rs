//! Changes of a text that programs often make, each with its words. They must be pure: the same text always gives
//! the same text.

use crate::letters::{
    as_windows, composed, decomposed, is_hidden, mended, plain, replaced, spelled,
};

pub(super) type Change = fn(&str) -> String;

/// Changes of a text, and the words for each.
pub(super) const CHANGES: &[(&str, Change)] = &[
    ("trims", |text| text.trim().to_owned()),
    ("trims the beginning of", |text| text.trim_start().to_owned()),
    ("trims the end of", |text| text.trim_end().to_owned()),
    ("joins spaces in", |text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
    ("doubles spaces in", |text| text.replace(' ', "  ")),
    ("removes spaces from", |text| replaced(text, char::is_whitespace, "")),
    ("writes in small letters", str::to_lowercase),
    ("writes in capitals", str::to_uppercase),
    ("writes the domain in small letters", |text| match text.rsplit_once('@') {
        Some((user, domain)) => format!("{user}@{}", domain.to_lowercase()),
        None => text.to_owned(),
    }),
    ("writes words with a capital", |text| words(text, capital)),
    ("writes the first letter as a capital", |text| {
        let mut letters = text.chars();
        letters.next().map_or(String::new(), |first| {
            first.to_uppercase().collect::<String>() + letters.as_str()
        })
    }),
    ("writes only the first letter as a capital", capital),
    ("unescapes HTML in", unescaped),
    ("removes tags from", without_tags),
    ("writes line breaks as tags in", |text| lines(text, "<br />")),
    ("writes line breaks as tags in", |text| lines(text, "<br>")),
    ("writes line breaks as tags in", |text| text.replace("\r\n", "\n").replace('\n', "<br />\n")),
    ("writes line breaks in one way in", |text| text.replace("\r\n", "\n")),
    ("joins lines of", |text| lines(text, " ")),
    ("joins lines of", |text| lines(text, "")),
    ("writes tabs as spaces in", |text| text.replace('\t', " ")),
    ("writes tabs and lines as spaces in", |text| lines(&text.replace('\t', " "), " ")),
    ("removes control characters from", |text| replaced(text, char::is_control, "")),
    ("writes control characters as spaces in", |text| replaced(text, char::is_control, " ")),
    ("removes invisible characters from", |text| replaced(text, is_hidden, "")),
    ("writes characters above the basic plane as question marks in", |text| {
        replaced(text, is_astral, "?")
    }),
    ("writes characters above the basic plane as question marks in", |text| {
        replaced(text, is_astral, "??")
    }),
    ("writes characters above the basic plane as question marks in", |text| {
        replaced(text, is_astral, "????")
    }),
    ("writes characters above the basic plane as unknown in", |text| {
        replaced(text, is_astral, "\u{fffd}")
    }),
    ("removes characters above the basic plane from", |text| replaced(text, is_astral, "")),
    ("cuts characters above the basic plane from", |text| {
        text.chars().take_while(|c| !is_astral(*c)).collect()
    }),
    ("writes what is not Latin-1 as question marks in", |text| {
        replaced(text, |c| u32::from(c) > 0xff, "?")
    }),
    ("removes what is not Latin-1 from", |text| replaced(text, |c| u32::from(c) > 0xff, "")),
    ("writes what is not ASCII as question marks in", |text| {
        replaced(text, |c| !c.is_ascii(), "?")
    }),
    ("writes bytes that are not ASCII as question marks in", |text| {
        let of = |byte: u8| if byte.is_ascii() { char::from(byte) } else { '?' };
        text.bytes().map(of).collect()
    }),
    ("writes what is not ASCII as unknown in", |text| {
        replaced(text, |c| !c.is_ascii(), "\u{fffd}")
    }),
    ("removes what is not ASCII from", |text| replaced(text, |c| !c.is_ascii(), "")),
    ("removes accents from", plain),
    ("spells in ASCII", spelled),
    ("spells in ASCII, with question marks,", |text| {
        replaced(&spelled(text), |c| !c.is_ascii(), "?")
    }),
    ("spells in ASCII, without other letters,", |text| {
        replaced(&spelled(text), |c| !c.is_ascii(), "")
    }),
    ("decomposes accents in", decomposed),
    ("composes accents in", composed),
    ("reads UTF-8 as Latin-1 in", |text| text.bytes().map(char::from).collect()),
    ("reads UTF-8 as Windows-1252 in", as_windows),
    ("reads Latin-1 as UTF-8 in", |text| mended(text).unwrap_or_else(|| text.to_owned())),
    ("unescapes URLs in", |text| unescaped_url(text, false)),
    ("unescapes forms in", |text| unescaped_url(text, true)),
    ("escapes for JSON", |text| {
        let text = serde_json::to_string(text).unwrap_or_default();
        text.trim_start_matches('"').strip_suffix('"').unwrap_or(&text).to_owned()
    }),
    ("escapes letters for JSON in", |text| {
        let unit = |unit: u16| match char::from_u32(unit.into()) {
            Some(c) if c.is_ascii() => c.to_string(),
            _ => format!("\\u{unit:04x}"),
        };
        text.encode_utf16().map(unit).collect()
    }),
    ("escapes letters for HTML in", |text| {
        let of = |c: char| match c.is_ascii() {
            true => c.to_string(),
            false => format!("&#{};", u32::from(c)),
        };
        text.chars().map(of).collect()
    }),
    ("escapes tags for JSON in", |text| {
        text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
    }),
    ("puts slashes before quotes in", |text| {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\'', "\\'")
    }),
    ("puts slashes before quotes in", |text| text.replace('\\', "\\\\").replace('"', "\\\"")),
    ("doubles quotes in", |text| text.replace('\'', "''")),
    ("doubles quotes in", |text| text.replace('"', "\"\"")),
    ("removes quotes from", |text| replaced(text, |c| matches!(c, '"' | '\''), "")),
    ("removes slashes from", |text| {
        text.replace("\\\\", "\0").replace('\\', "").replace('\0', "\\")
    }),
    ("removes zeros in front of", |text| text.trim_start_matches('0').to_owned()),
    ("removes zeros in front of", |text| match text.trim_start_matches('0') {
        "" if !text.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    }),
    ("removes a plus in front of", |text| text.trim_start_matches('+').to_owned()),
    ("puts a plus in front of", |text| format!("+{text}")),
    ("keeps the digits of", |text| replaced(text, |c| !c.is_ascii_digit(), "")),
    ("removes the digits of", |text| replaced(text, |c| c.is_ascii_digit(), "")),
    ("removes signs from", |text| replaced(text, |c| !c.is_alphanumeric() && c != ' ', "")),
    ("cuts the tag of the address", |text| match text.split_once('@') {
        Some((user, domain)) => format!("{}@{domain}", user.split('+').next().unwrap_or(user)),
        None => text.to_owned(),
    }),
    ("removes dots before the domain of", |text| match text.split_once('@') {
        Some((user, domain)) => format!("{}@{domain}", user.replace('.', "")),
        None => text.to_owned(),
    }),
    ("puts the last name first in", |text| match text.rsplit_once(' ') {
        Some((first, last)) => format!("{last} {first}"),
        None => text.to_owned(),
    }),
    ("puts the last name first in", |text| match text.rsplit_once(' ') {
        Some((first, last)) => format!("{last}, {first}"),
        None => text.to_owned(),
    }),
    ("puts the first word last in", |text| match text.split_once(' ') {
        Some((first, rest)) => format!("{rest} {first}"),
        None => text.to_owned(),
    }),
    ("puts the first word last in", |text| match text.split_once(' ') {
        Some((first, rest)) => format!("{rest}, {first}"),
        None => text.to_owned(),
    }),
    ("writes as a number", |text| format!("{text}.0")),
    ("removes brackets from", |text| {
        match text.strip_suffix(')').and_then(|t| t.rsplit_once('(')) {
            Some((before, _)) => before.trim_end().to_owned(),
            None => text.to_owned(),
        }
    }),
    ("hides letters of", |text| replaced(text, char::is_alphanumeric, "*")),
    ("hides letters of", |text| "*".repeat(text.chars().count())),
];

fn is_astral(c: char) -> bool {
    u32::from(c) > 0xffff
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().collect::<String>() + &letters.as_str().to_lowercase()
    })
}

fn words(text: &str, each: fn(&str) -> String) -> String {
    text.split(' ').map(each).collect::<Vec<_>>().join(" ")
}

fn lines(text: &str, by: &str) -> String {
    text.replace("\r\n", "\n").replace(['\n', '\r'], by)
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

pub(super) fn unescaped_url(text: &str, is_form: bool) -> String {
    let text = if is_form { text.replace('+', " ") } else { text.to_owned() };
    let (mut bytes, all) = (Vec::new(), text.as_bytes());
    let mut at = 0;
    while at < all.len() {
        let digits = all.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| all[at] == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                at += 3;
            }
            None => {
                bytes.push(all[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or(text)
}

pub(super) fn unescaped(text: &str) -> String {
    let quotes =
        ["&quot;", "&#34;"].iter().fold(text.to_owned(), |text, one| text.replace(one, "\""));
    let apostrophes = ["&#39;", "&#039;", "&#x27;", "&apos;"];
    let text = apostrophes.iter().fold(quotes, |text, one| text.replace(one, "'"));
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
