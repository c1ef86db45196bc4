//! One value in two forms: `5.0` and `5`, `null` and a word for it, a text that is cut within a character. No data
//! entered twice differ so, so the reason of a single one is a program. It must never take two different values
//! for one.

use corpus::node::Node;

use crate::letters::is_cut_within;

/// Words that programs write where there is no value.
const WORDS: [&str; 12] = [
    "null",
    "nil",
    "none",
    "n/a",
    "#n/a",
    "undefined",
    "nan",
    "(null)",
    "(none)",
    "<null>",
    "-",
    "--",
];

pub(crate) fn is_word_for_nothing(text: &str) -> bool {
    WORDS.contains(&text.to_lowercase().as_str())
}

/// The reason why two different values are one in two forms; `None` where they are two values.
pub(super) fn another_form(control: &Node, candidate: &Node) -> Option<&'static str> {
    let is_word = |node: &Node| *node == Node::Null || node.text().is_some_and(is_word_for_nothing);
    let is_null = |node: &Node| *node == Node::Null;
    if is_same_text(control, candidate) {
        return Some("the same value in another form");
    }
    if is_word(control) && is_word(candidate) && is_null(control) != is_null(candidate) {
        return Some("one side has null, and the other a word for it");
    }
    if let (Some(one), Some(other)) = (decimal(control), decimal(candidate)) {
        if one == other {
            return Some("the same number in another form, such as 5.0 for 5");
        }
        if is_rounded(control, candidate) {
            return Some("a number of more than 15 digits is rounded");
        }
    }
    let (one, other) = (control.text()?, candidate.text()?);
    (is_cut_within(other, one) || is_cut_within(one, other))
        .then_some("one side cuts the text within a character")
}

/// Whether two values differ in their form only: `7` and `"7"`, `7` and `"007"`, `null` and the empty text.
fn is_same_text(one: &Node, other: &Node) -> bool {
    let text = |node: &Node| match node {
        Node::Text(text) => text.clone(),
        Node::Null => String::new(),
        other => other.to_json(),
    };
    // A number has no zeros in front.
    let is_bare = |one: &Node, other: &Node| match (one, other) {
        (Node::Number(number), Node::Text(text)) => {
            text.trim_start_matches('0') == number.to_string().trim_start_matches('0')
                && !text.is_empty()
        }
        _ => false,
    };
    one.kind() != other.kind()
        && (text(one) == text(other) || is_bare(one, other) || is_bare(other, one))
}

/// Whether two whole numbers are one for programs that keep 53 bits of each.
fn is_rounded(one: &Node, other: &Node) -> bool {
    let whole = |node: &Node| match node {
        Node::Number(number) => number.as_u64().filter(|number| *number >= 1 << 53),
        _ => None,
    };
    let (Some(one), Some(other)) = (whole(one), whole(other)) else { return false };
    one as f64 == other as f64
}

/// A number as JSON writes it, or a text that is one: its sign, its digits, and the power of ten behind them.
fn decimal(node: &Node) -> Option<(bool, String, i64)> {
    let text = match node {
        Node::Number(number) => number.to_string(),
        Node::Text(text) => text.clone(),
        _ => return None,
    };
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = whole == "0" || !whole.is_empty() && !whole.starts_with('0');
    if !is_whole || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let all = format!("{whole}{fraction}");
    let digits = all.trim_end_matches('0');
    let zeros = all.len() - digits.len();
    let digits = digits.trim_start_matches('0').to_owned();
    let power = match digits.is_empty() {
        true => 0,
        false => i64::from(power) + zeros as i64 - fraction.len() as i64,
    };
    Some((is_negative && !digits.is_empty(), digits, power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_forms_of_one_value_are_known_and_two_values_are_not_taken_for_one() {
        let of = |one: &str, other: &str| {
            let node = |text: &str| Node::parse(text.as_bytes()).unwrap();
            let both =
                [another_form(&node(one), &node(other)), another_form(&node(other), &node(one))];
            assert_eq!(both[0], both[1], "{one} {other}");
            both[0].unwrap_or_default()
        };
        for (one, other) in [
            ("5", "5.0"),
            ("1000", "\"1e3\""),
            ("\"1000\"", "\"1e3\""),
            ("\"5.0\"", "5"),
            ("0", "-0.0"),
            ("\"0.50\"", "0.5"),
        ] {
            assert!(of(one, other).starts_with("the same number"), "{one} {other}");
        }
        for word in ["null", "NIL", "None", "-", "N/A"] {
            assert!(of("null", &format!("\"{word}\"")).contains("a word for it"), "{word}");
        }
        assert_eq!(of("7", "\"7\""), "the same value in another form");
        assert_eq!(of("null", "\"\""), "the same value in another form");
        assert_eq!(of("7", "\"007\""), "the same value in another form");
        assert_eq!(of("0", "\"00\""), "the same value in another form");
        assert!(of("9007199254740993", "9007199254740992").contains("rounded"));
        assert!(of("\"Max \u{fffd}\"", "\"Max 🎧 Ray\"").contains("within a character"));
        for (one, other) in [
            ("5", "5.1"),
            ("5", "50"),
            ("0", "\"\""),
            ("\"007\"", "\"7\""),
            ("\"5.\"", "\"5\""),
            ("\"e3\"", "\"0\""),
            ("null", "\"Jane\""),
            ("\"null\"", "\"nil\""),
            ("15551234567", "15551234570"),
            ("\"Jane\"", "\"Joan\""),
        ] {
            assert_eq!(of(one, other), "", "{one} {other}");
        }
    }
}
