//! Whether what control said is an answer that a client may get: the shape of it, without its values.
//! A page of another kind with status 200 is no list.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Whether it is one JSON text.
pub(super) fn is_json(body: &[u8]) -> bool {
    // What is skipped over is not looked at for its coding, so that comes first.
    std::str::from_utf8(body).is_ok() && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// Whether a JSON text is what the legacy API answers with that status: a list, perhaps in an object,
/// or an error in words.
pub(super) fn is_answer(status: u16, body: &[u8]) -> bool {
    let Ok(shape) = serde_json::from_slice::<Shape>(body) else { return false };
    match shape {
        Shape::Array => status == 200,
        Shape::Object { holds_array, error: None } => status == 200 && holds_array,
        Shape::Object { error: Some(is_text), .. } => status != 200 && is_text,
        Shape::Text | Shape::Other => false,
    }
}

/// One level of a JSON text, and of an object one more.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Array,
    Object {
        holds_array: bool,
        /// Whether it is a text, where there is one.
        error: Option<bool>,
    },
    Text,
    Other,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Shape, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Shape, A::Error> {
        let (mut holds_array, mut error) = (false, None);
        while let Some(name) = all.next_key::<Cow<'de, str>>()? {
            let value: Shape = all.next_value()?;
            holds_array |= value == Shape::Array;
            if name == "error" {
                error = Some(value == Shape::Text);
            }
        }
        Ok(Shape::Object { holds_array, error })
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Other)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_json_text_can_be_compared() {
        for good in ["[]", " {\"error\":\"x\"} ", "[{\"id\":1}]"] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in ["", "<html>", "[{\"id\":1}", "[] []", "[1,]"] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
        assert!(!is_json(b"[\"\xff\"]"));
    }

    #[test]
    fn a_list_is_an_answer_and_so_is_an_error_in_words_where_the_status_says_so() {
        for (text, list, error) in [
            ("[]", true, false),
            (" [{\"id\":1,\"error\":\"x\"}] ", true, false),
            ("{\"users\":[],\"metadata\":{\"total\":0}}", true, false),
            ("{\"summary\":\"x\",\"value\":[{}]}", true, false),
            ("{\"error\":\"down for maintenance\"}", false, true),
            ("{\"error\":\"x\",\"users\":[]}", false, true),
            ("{\"error\":{\"code\":1}}", false, false),
            ("{\"error\":null,\"users\":[]}", false, false),
            ("{\"users\":{\"all\":[]}}", false, false),
            ("{}", false, false),
            ("null", false, false),
            ("true", false, false),
            ("-1", false, false),
            ("1.5", false, false),
            ("\"[]\"", false, false),
            ("[1,", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_answer(200, text.as_bytes()), list, "{text}");
            for status in [400, 422] {
                assert_eq!(is_answer(status, text.as_bytes()), error, "{status} {text}");
            }
        }
    }
}
