//! The reader beside serde_json, which must read the same from every text.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::upstream::properties::{by_serde_json, scanned};
use crate::upstream::strict::{Read, Str, object};

fn assert_same(text: &str) {
    assert_eq!(scanned(text), by_serde_json(text), "{text:?}");
}

/// Pieces of which a few in a row are JSON, or nearly.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\t",
    "\r",
    "\u{c}",
    "\u{a0}",
    "\u{feff}",
    "null",
    "true",
    "false",
    "nul",
    "True",
    "NaN",
    "Infinity",
    "0",
    "-0",
    "00",
    "01",
    "1",
    "-1",
    "-",
    "+1",
    "1.",
    ".5",
    "1.5",
    "1e5",
    "1E+5",
    "1e",
    "1e400",
    "-1e-400",
    "9007199254740993",
    "9999999999999999999",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "1a",
    "0x1",
    "\"\"",
    "\"a\"",
    "\"name\"",
    "\"a long text without any escape\"",
    "\"José Ñandú 🦜\"",
    "\"\\u00e9\"",
    "\"\\ud83e\\udd9c\"",
    "\"\\ud83e\"",
    "\"\\udd9c\\ud83e\"",
    "\"\\u12\"",
    "\"\\u+0e9\"",
    "\"\\u00e\u{e9}\"",
    "\"\\u0000\\u001F\\uFFff\"",
    "\"\\\u{e9}\"",
    "\"\\n\\t\\\\\\\"\\/\\b\\f\\r\"",
    "\"\\x\"",
    "\"\\\"",
    "\"\u{1}\"",
    "\"\u{7f}\"",
    "\"tab\there\"",
    "\"12345678\\\"",
    "\"1234567\\\\\"",
    "\u{0}",
    "é",
    "[]",
    "{}",
    "[1]",
    "{\"a\":1}",
    "\"a\":",
    "/**/",
    "//",
];

#[test]
fn one_piece_and_two_and_three_are_read_as_serde_json_reads_them() {
    for one in PIECES {
        assert_same(one);
        for two in PIECES {
            assert_same(&[*one, *two].concat());
            assert_same(&format!("[{one},{two}]"));
            assert_same(&format!("{{{one}:{two}}}"));
            for three in PIECES {
                assert_same(&[*one, *two, *three].concat());
            }
        }
    }
}

#[test]
fn a_quote_ends_a_string_wherever_it_stands() {
    for length in 0..40 {
        for at in 0..=length {
            for odd in ["\"", "\\", "\\\"", "\\\\", "\\n", "\u{1f}", "\u{20}", "é", "🦜"] {
                let mut text = "~".repeat(length);
                text.insert_str(at, odd);
                assert_same(&format!("\"{text}\""));
                assert_same(&format!("[\"{text}\",\"{text}\"]"));
                assert_same(&format!("\"{text}"));
            }
        }
    }
}

object! {
    /// An object with keys that begin alike, one of which holds another object.
    Thing<'a> {
        id: Option<Str<'a>> = "id",
        identity: Option<Str<'a>> = "identity",
        inner: Vec<Part<'a>> = "inner",
    }
}

object! {
    /// An object whose keys may stand there again.
    Part<'a> or_again {
        id: Option<Str<'a>> = "id",
        name: Option<Str<'a>> = "name",
    }
}

/// The same by rules of its own, from a tree without repeated keys.
fn thing_of(members: &[(&str, &str)]) -> Option<(Option<String>, Option<String>, usize)> {
    let values = |wanted: &str| -> Vec<&str> {
        let is_wanted = |(key, _): &&(&str, &str)| {
            serde_json::from_str::<String>(&format!("\"{key}\"")).ok().as_deref() == Some(wanted)
        };
        members.iter().filter(is_wanted).map(|(_, value)| *value).collect()
    };
    let text = |key: &str| match values(key)[..] {
        [] => Some(None),
        [one] => serde_json::from_str::<Option<String>>(one).ok(),
        _ => None,
    };
    let parts = match values("inner")[..] {
        ["[]"] => 0,
        [parts] if parts.starts_with("[{") => 1,
        _ => return None,
    };
    let are_keys = members
        .iter()
        .all(|(key, _)| serde_json::from_str::<String>(&format!("\"{key}\"")).is_ok());
    are_keys.then_some((text("id")?, text("identity")?, parts))
}

#[test]
fn objects_have_the_same_members_whatever_the_order_of_their_keys() {
    let keys = ["id", "identity", "inner", "other", "i\\u0064", "id ", "\\u12", "name"];
    let values = ["null", "\"x\"", "[]", "[{\"name\":\"x\",\"id\":\"y\",\"id\":\"y\"}]", "1"];
    let members: Vec<(&str, &str)> =
        keys.iter().flat_map(|key| values.iter().map(move |value| (*key, *value))).collect();
    let member = |(key, value): &(&str, &str)| format!("\"{key}\":{value}");
    let owned = |text: Option<Str<'_>>| text.map(|text| text.0.into_owned());
    let mut good = 0;
    for one in &members {
        for two in &members {
            for three in &members {
                let text = format!("{{{},{} , {}}}", member(one), member(two), member(three));
                let thing = Thing::read(&mut Scan::new(&text)).ok();
                let thing =
                    thing.map(|thing| (owned(thing.id), owned(thing.identity), thing.inner.len()));
                good += usize::from(thing.is_some());
                assert_eq!(thing, thing_of(&[*one, *two, *three]), "{text}");
            }
        }
    }
    assert!(good > 2_000, "{good}");
    assert_eq!([Thing::KEYS, Part::KEYS].concat(), ["id", "identity", "inner", "id", "name"]);
}

#[test]
fn values_lie_as_deep_as_in_serde_json() {
    for depth in 120..135 {
        assert_same(&format!("{}1{}", "[".repeat(depth), "]".repeat(depth)));
        assert_same(&format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)));
        assert_same(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn json_is_read_as_serde_json_reads_it(value in json(), is_wide in any::<bool>()) {
        let text = match is_wide {
            true => serde_json::to_string_pretty(&value).unwrap(),
            false => value.to_string(),
        };
        prop_assert_eq!(scanned(&text), by_serde_json(&text));
    }

    #[test]
    fn json_with_a_piece_too_many_or_cut_is_read_as_serde_json_reads_it(
        value in json(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..4,
        piece in prop::sample::select(PIECES),
    ) {
        let mut text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, piece.chars());
        let text: String = text.into_iter().collect();
        prop_assert_eq!(scanned(&text), by_serde_json(&text), "{}", text);
    }
}
