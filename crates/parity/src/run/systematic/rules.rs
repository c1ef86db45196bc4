//! Changes that programs often make to values: trimming, escaping, cutting, another encoding or form.
//! [`signatures`] names each one that turns a value of candidate into control's. Equal signatures of two
//! users are a rule. [`told`] is the part of a signature for a report: it must never hold a value of a user.

mod changes;

use std::collections::BTreeSet;

use corpus::node::Node;

use crate::cause::forms::is_word_for_nothing;
use changes::{CHANGES, unescaped, unescaped_url};

/// Ends the words of a signature. Behind it stand values that tell one signature from others.
const KEY: char = '\0';

/// Signs that words may name, as they tell nothing about a user.
const SIGNS: &str = " -_.,;:/\\|+*#@&'\"()[]{}<>=!?";

/// How a signature begins that holds for each part of a list.
const PART_BY_PART: &str = "part by part ";

/// The words of a signature.
pub(super) fn told(signature: &str) -> &str {
    signature.split(KEY).next().unwrap_or_default()
}

fn sign_told(sign: char) -> String {
    if SIGNS.contains(sign) { format!("the sign {sign:?}") } else { "a sign".to_owned() }
}

/// A text as programs escape it for HTML, once or twice: each has another way for quotes.
fn is_escaped(candidate: &str, control: &str) -> bool {
    candidate.contains(['&', '<', '>', '"', '\''])
        && control.contains('&')
        && (unescaped(control) == *candidate || unescaped(&unescaped(control)) == *candidate)
}

/// A text as programs escape it for URLs or forms: each leaves other signs as they are.
fn is_url_escaped(candidate: &str, control: &str) -> bool {
    control.contains('%')
        && [true, false].into_iter().any(|is_form| unescaped_url(control, is_form) == candidate)
}

/// Separators in the place of a comma and a space.
const SEPARATORS: [&str; 10] = [",", ";", "; ", " ", "|", " | ", "/", " / ", "\n", " and "];

/// The names of all changes that turn candidate's value into control's. `is_joined` tells that a text is
/// a list.
pub(super) fn signatures(candidate: &Node, control: &Node, is_joined: bool) -> Vec<String> {
    match (candidate, control) {
        (Node::Text(one), Node::Text(other)) => {
            let mut all = of_texts(one, other);
            if is_joined {
                all.extend(of_parts(one, other));
            }
            all
        }
        // A single word for nothing has its own reason.
        (Node::Null, Node::Text(text)) if matches!(text.as_str(), "0" | "unknown" | "Unknown") => {
            vec!["writes a word for nothing in".to_owned()]
        }
        (Node::Null, Node::Text(text)) => vec![format!("{FILLS}{KEY}{text}")],
        (Node::Null, Node::Number(number)) if number.as_u64() == Some(0) => {
            vec!["writes 0 for nothing in".to_owned()]
        }
        (_, Node::Null) => vec!["shows nothing in".to_owned()],
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
    if is_url_escaped(candidate, control) {
        all.push("escapes for URLs".to_owned());
    }
    if is_word_for_nothing(control) {
        all.push("writes a word for nothing in".to_owned());
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
    let parts: Vec<&str> = candidate.split(", ").collect();
    let others: Vec<&str> = control.split(", ").collect();
    if parts.len() == others.len() {
        // Every part that differs has changed in the same way.
        let differing = parts.iter().zip(&others).filter(|(one, other)| one != other);
        let each = differing.map(|(one, other)| BTreeSet::from_iter(of_texts(one, other)));
        let common = each.reduce(|one, other| &one & &other).unwrap_or_default();
        all.extend(common.into_iter().map(|name| format!("{PART_BY_PART}{name}")));
    } else {
        // A change may put a separator into a part.
        let found = CHANGES.iter().filter(|(_, change)| {
            let changed: Vec<String> = parts.iter().map(|part| change(part)).collect();
            changed.join(", ") == control
        });
        all.extend(found.map(|(name, _)| format!("{PART_BY_PART}{name}")));
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
    note(float as u64 == other, ROUNDS);
    note(f64::from(one as f32) as u64 == other, ROUNDS);
    for power in [10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        note(one / power * power == other, ROUNDS);
        note(one.saturating_add(power / 2) / power * power == other, ROUNDS);
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

/// How the signature begins of a text in the place of null, which is a rule only if no other user has it.
pub(super) const FILLS: &str = "writes one text for nothing in";

/// The signature of numbers that are rounded.
pub(super) const ROUNDS: &str = "rounds numbers in";

/// The ends of two numbers of one length that differ in the last three digits only. More may be a user's number.
pub(super) fn both_numbers(candidate: &Node, control: &Node) -> String {
    let (one, other) = (candidate.to_json(), control.to_json());
    let same = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let is_end = one.len() == other.len() && same * 2 >= one.len() && one.len() - same <= 3;
    match (is_end, one.get(same..), other.get(same..)) {
        (true, Some(one), Some(other)) => format!(": a number that ends in {one} ends in {other}"),
        _ => String::new(),
    }
}

/// How the signature begins that a larger number of control would disprove.
pub(super) const BOUND: &str = "has nothing above one number";

/// Whether a change is only where a value is cut, which other changes may explain better.
pub(super) fn is_cut(signature: &str) -> bool {
    let signature = signature.strip_prefix(PART_BY_PART).unwrap_or(signature);
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
            ("O'Neil", "O''Neil"),
            ("a b*c~", "a%20b*c~"),
        ] {
            let all = signatures(&Node::from(candidate), &Node::from(control), false);
            assert!(!all.is_empty(), "{candidate:?} {control:?}");
        }
        for (candidate, control) in [
            ("7, 8, 9", "7,8,9"),
            ("a, b", "A, B"),
            ("a, b", "a, B"),
            ("abc, abd", "ab, ab"),
            ("a b, c", "a+b, c"),
            ("Ann Lee, Bob", "Lee, Ann, Bob"),
        ] {
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
