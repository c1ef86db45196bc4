//! Changes that programs often make to values: trimming, escaping, cutting, another encoding or form.
//! [`signatures`] names each one that turns a value of candidate into control's. Equal signatures of two
//! users are a rule. [`told`] is the part of a signature for a report: it must never hold a value of a user.

use corpus::node::Node;

use crate::letters::{
    as_windows, composed, decomposed, is_hidden, mended, plain, replaced, spelled,
};

type Change = fn(&str) -> String;

/// Ends the words of a signature. Behind it stand values that tell one signature from others.
const KEY: char = '\0';

/// Signs that words may name, as they tell nothing about a user.
const SIGNS: &str = " -_.,;:/\\|+*#@&'\"()[]{}<>=!?";

/// The words of a signature.
pub(super) fn told(signature: &str) -> &str {
    signature.split(KEY).next().unwrap_or_default()
}

fn sign_told(sign: char) -> String {
    if SIGNS.contains(sign) { format!("the sign {sign:?}") } else { "a sign".to_owned() }
}

/// Changes of a text, and the words for each.
const CHANGES: &[(&str, Change)] = &[
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
    ("escapes for URLs", |text| escaped(text, "%20")),
    ("escapes for forms", |text| escaped(text, "+")),
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

fn escaped(text: &str, space: &str) -> String {
    let mut shown = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => shown.push_str(space),
            b'-' | b'.' | b'_' | b'~' | b'*' | b'@' => shown.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => shown.push(char::from(byte)),
            byte => shown.push_str(&format!("%{byte:02X}")),
        }
    }
    shown
}

fn unescaped_url(text: &str, is_form: bool) -> String {
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

fn unescaped(text: &str) -> String {
    let quotes =
        ["&quot;", "&#34;"].iter().fold(text.to_owned(), |text, one| text.replace(one, "\""));
    let apostrophes = ["&#39;", "&#039;", "&#x27;", "&apos;"];
    let text = apostrophes.iter().fold(quotes, |text, one| text.replace(one, "'"));
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// A text as programs escape it for HTML, once or twice: each has another way for quotes.
fn is_escaped(candidate: &str, control: &str) -> bool {
    candidate.contains(['&', '<', '>', '"', '\''])
        && control.contains('&')
        && (unescaped(control) == *candidate || unescaped(&unescaped(control)) == *candidate)
}

/// Separators in the place of a comma and a space.
const SEPARATORS: [&str; 10] = [",", ";", "; ", " ", "|", " | ", "/", " / ", "\n", " and "];

/// The names of all changes that turn candidate's value into control's. `is_joined` tells that a text is
/// a list.
pub(super) fn signatures(candidate: &Node, control: &Node, is_joined: bool) -> Vec<String> {
    match (candidate, control) {
        (Node::Text(one), Node::Text(other)) => {
            let mut all = of_texts(one, other);
            if is_joined && one.contains(", ") {
                all.extend(of_parts(one, other));
            }
            all
        }
        (Node::Null, Node::Text(text)) => {
            let words = ["null", "nil", "none", "n/a", "-", "undefined", "nan", "0", "unknown"];
            let is_word = words.contains(&text.to_lowercase().as_str());
            is_word.then(|| "writes a word for nothing".to_owned()).into_iter().collect()
        }
        (Node::Null, Node::Number(number)) if number.as_u64() == Some(0) => {
            vec!["writes 0 for nothing".to_owned()]
        }
        (Node::Number(one), Node::Number(other)) => of_numbers(one, other),
        (Node::Number(number), Node::Text(text)) => of_texts(&number.to_string(), text),
        _ => Vec::new(),
    }
}

fn of_texts(candidate: &str, control: &str) -> Vec<String> {
    let found = CHANGES.iter().filter(|(_, change)| change(candidate) == control);
    let mut all: Vec<String> = found.map(|(name, _)| (*name).to_owned()).collect();
    if is_escaped(candidate, control) {
        all.push("escapes HTML in".to_owned());
    }
    all.extend(cut(candidate, control));
    all.extend(replacement(candidate, control));
    all
}

fn of_parts(candidate: &str, control: &str) -> Vec<String> {
    let mut all: Vec<String> = SEPARATORS
        .into_iter()
        .filter(|separator| candidate.replace(", ", separator) == control)
        .map(|_| "separates parts in another way in".to_owned())
        .collect();
    let each = |change: &Change| {
        let parts: Vec<String> = candidate.split(", ").map(change).collect();
        parts.join(", ") == control
    };
    let found = CHANGES.iter().filter(|(_, change)| each(change));
    all.extend(found.map(|(name, _)| format!("{name} each part of")));
    let parts: Vec<&str> = candidate.split(", ").collect();
    let others: Vec<&str> = control.split(", ").collect();
    if parts.len() == others.len() {
        let escaped = |(one, other): (&&str, &&str)| one == other || is_escaped(one, other);
        if parts.iter().zip(&others).all(escaped) {
            all.push("escapes HTML in".to_owned());
        }
        let cuts = parts.iter().zip(&others).filter(|(one, other)| one != other);
        let lengths: Vec<usize> = cuts
            .map(|(one, other)| if one.starts_with(other) { other.chars().count() } else { 0 })
            .collect();
        if let [first, rest @ ..] = &lengths[..]
            && *first > 0
            && rest.iter().all(|one| one == first)
        {
            all.push(format!("cuts at {first} characters the parts of"));
        }
    }
    all
}

/// How control's text is a stretch of candidate's: where it is cut, or by which sign.
fn cut(candidate: &str, control: &str) -> Vec<String> {
    let mut all = Vec::new();
    let bare = control.strip_suffix("...").or_else(|| control.strip_suffix('…'));
    for (shown, end) in [(Some(control), ""), (bare, " and puts dots at the end of")] {
        let Some(shown) = shown.filter(|shown| !shown.is_empty()) else { continue };
        let Some(rest) = candidate.strip_prefix(shown) else { continue };
        let (characters, bytes) = (control.chars().count(), control.len());
        all.push(format!("cuts at {characters} characters{end}"));
        if bytes != characters {
            all.push(format!("cuts at {bytes} bytes{end}"));
            // A cut within a character leaves fewer bytes.
            let next = rest.chars().next().map_or(0, char::len_utf8);
            all.extend(
                (bytes + 1..bytes + next).map(|bytes| format!("cuts at {bytes} bytes{end}")),
            );
        } else if let Some(next) = rest.chars().next().filter(|c| !c.is_ascii()) {
            let most = bytes + next.len_utf8();
            all.extend((bytes..most).map(|bytes| format!("cuts at {bytes} bytes{end}")));
        }
        if rest.chars().count() == 1 && end.is_empty() {
            all.push("cuts the last character of".to_owned());
        }
        if let Some(sign) = rest.chars().next().filter(|c| !c.is_alphanumeric()) {
            all.push(format!("cuts at {}{end}{KEY}{sign}", sign_told(sign)));
        }
    }
    if let Some(rest) = candidate.strip_suffix(control).filter(|_| !control.is_empty()) {
        let sign = rest.chars().next_back().filter(|c| !c.is_alphanumeric());
        all.extend(
            sign.map(|sign| format!("keeps what is behind {} of{KEY}{sign}", sign_told(sign))),
        );
        all.push(format!("keeps the last {} characters of", control.chars().count()));
    }
    all
}

/// One sign that is replaced or removed wherever it stands, and not only at one end.
fn replacement(candidate: &str, control: &str) -> Option<String> {
    let (one, other): (Vec<char>, Vec<char>) =
        (candidate.chars().collect(), control.chars().collect());
    let before = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let sign = *one.get(before).filter(|c| !c.is_alphanumeric())?;
    if before == 0 || before + 1 == one.len() {
        return None;
    }
    let most = other.len().saturating_sub(before).min(8);
    let by = (0..=most).find_map(|length| {
        let by: String = other.get(before..before + length)?.iter().collect();
        (candidate.replace(sign, &by) == control).then_some(by)
    })?;
    let written = match by.chars().next() {
        None => "nothing".to_owned(),
        Some(one) if one.len_utf8() == by.len() => sign_told(one),
        Some(_) => "another text".to_owned(),
    };
    Some(format!("writes {written} for {} in{KEY}{sign}{by}", sign_told(sign)))
}

fn of_numbers(candidate: &serde_json::Number, control: &serde_json::Number) -> Vec<String> {
    let mut all = Vec::new();
    let (Some(one), Some(other)) = (candidate.as_u64(), control.as_u64()) else { return all };
    let mut note = |is_it: bool, name: &str| {
        if is_it {
            all.push(name.to_owned());
        }
    };
    let float = one as f64;
    note(float as u64 == other, "rounds");
    note(f64::from(one as f32) as u64 == other, "rounds");
    for power in [10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        note(one / power * power == other, "rounds");
        note(one.saturating_add(power / 2) / power * power == other, "rounds");
    }
    note(u64::from(one as u32) == other || one & 0x7fff_ffff == other, "cuts to 32 bits");
    note(other == 0x7fff_ffff || other == 0xffff_ffff, "cuts to 32 bits");
    note(one / 10 == other, "removes the last digit of");
    for factor in [2, 10, 20, 100] {
        note(one.checked_mul(factor) == Some(other), &format!("multiplies by {factor}"));
        note(other.checked_mul(factor) == Some(one), &format!("divides by {factor}"));
    }
    if one.abs_diff(other) == 1 {
        note(true, if one < other { "adds 1 to" } else { "subtracts 1 from" });
    }
    note(other == 0, "writes 0 for");
    note(one > other, &format!("{BOUND} in{KEY}{other}"));
    all
}

/// How the signature begins that a larger number of control would disprove.
pub(super) const BOUND: &str = "has nothing above one number";

/// Whether a change is only where a value is cut, which other changes may explain better.
pub(super) fn is_cut(signature: &str) -> bool {
    signature.starts_with("cuts at")
        || signature.starts_with("cuts the last")
        || signature.starts_with("keeps")
}

/// What control's value lacks at one end; empty where it is not cut.
pub(super) fn removed<'a>(candidate: &'a Node, control: &Node) -> &'a str {
    let (Some(one), Some(other)) = (candidate.text(), control.text()) else { return "" };
    one.strip_prefix(other).or_else(|| one.strip_suffix(other)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_changes_of_values_are_recognised() {
        for (candidate, control) in [
            (" Jane ", "Jane"),
            ("Jane  Doe", "Jane Doe"),
            ("O'Brien & <Sons>", "O&#39;Brien &amp; &lt;Sons&gt;"),
            ("O'Brien & <Sons>", "O&#039;Brien &amp;amp; &lt;Sons&gt;"),
            ("a &lt; b", "a < b"),
            ("Jane", "JANE"),
            ("Jane Doe", "Jane D"),
            ("Max 🎧", "Max ?"),
            ("Zoë", "ZoÃ«"),
            ("Zoë", "Zoe\u{308}"),
            ("Zoe\u{308}", "Zoë"),
            ("Šmit", "Smit"),
            ("007", "7"),
            ("a+ops@x.example", "a@x.example"),
            ("a@x.example", "x.example"),
            ("Jane Doe-Roe", "Jane Doe_Roe"),
        ] {
            let all = signatures(&Node::from(candidate), &Node::from(control), false);
            assert!(!all.is_empty(), "{candidate:?} {control:?}");
        }
        for (candidate, control) in [("7, 8, 9", "7,8,9"), ("a, b", "A, B"), ("abc, abd", "ab, ab")]
        {
            let all = signatures(&Node::from(candidate), &Node::from(control), true);
            assert!(!all.is_empty(), "{candidate:?} {control:?}");
        }
        for (candidate, control) in [("Jane", "Joan"), ("Jane.", "Jane"), ("1234", "5678")] {
            let all = signatures(&Node::from(candidate), &Node::from(control), false);
            let is_rule = all.iter().any(|one| !one.starts_with("cuts"));
            assert!(!is_rule || candidate.ends_with('.'), "{candidate:?} {control:?} {all:?}");
        }
    }

    #[test]
    fn the_words_of_a_rule_hold_no_value_of_a_user() {
        let of = |one: &str, other: &str| signatures(&Node::from(one), &Node::from(other), false);
        for all in [
            of("a b", "a77b"),
            of("a\u{e000}b", "a7b"),
            of("a\u{e000}b", "a"),
            of("a\u{e000}b", "b"),
            signatures(&Node::Number(9.into()), &Node::Number(7.into()), false),
        ] {
            let is_value = |c| "7\u{e000}\0".contains(c);
            assert!(
                !all.is_empty() && !all.iter().any(|one| told(one).contains(is_value)),
                "{all:?}"
            );
        }
        assert_eq!(of("a b", "a_b"), ["writes the sign '_' for the sign ' ' in\0 _"]);
        assert_ne!(of("a b", "a12b"), of("a b", "a34b"), "they are two rules");
    }
}
