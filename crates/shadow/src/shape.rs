//! Checks by its shape whether an answer of control may be passed to a client. It must never take a page of
//! another kind with status 200 for a list.

use std::borrow::Cow;
use std::fmt;

use domain::legacy::Endpoint;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Whether the body is one JSON text.
pub(crate) fn is_json(body: &[u8]) -> bool {
    // The parser does not check the coding of text that it skips, so that comes first.
    std::str::from_utf8(body).is_ok() && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// Whether the legacy API gives such a JSON text with this status: a list, perhaps in an object, or an
/// error with a text.
pub(crate) fn is_answer(status: u16, body: &[u8]) -> bool {
    let Ok(shape) = serde_json::from_slice::<Shape>(body) else { return false };
    match shape {
        Shape::Array => status == 200,
        Shape::Object { holds_array, error: None } => status == 200 && holds_array,
        Shape::Object { error: Some(is_text), .. } => status != 200 && is_text,
        Shape::Text | Shape::Other => false,
    }
}

/// The most bytes of a record, of an error, and of everything around a list. Each of these is parsed as a
/// whole.
const WHOLE_BYTES_MAX: usize = 256 << 10;
/// The number of records that any list may have, however short they are.
const RECORDS: usize = 1000;

/// Whether comparing this answer of control takes no more memory than a genuine answer of its length. A
/// list of a million zeros would take many times as much. A genuine record has all fields of its endpoint,
/// so it is at least as long as their names.
pub(crate) fn is_comparable(endpoint: &Endpoint, status: u16, body: &[u8], rows_max: u64) -> bool {
    let list = (status == 200).then(|| serde_json::from_slice::<Long>(body).ok()).flatten();
    let Some(Long { records, longest, around }) = list else {
        return body.len() <= WHOLE_BYTES_MAX;
    };
    let of_a_record: usize = endpoint.fields().map(|name| name.len() + 4).sum();
    let records_max = RECORDS + body.len() / of_a_record.max(1);
    records <= records_max
        && records as u64 <= rows_max.max(RECORDS as u64)
        && longest.max(around) <= WHOLE_BYTES_MAX
}

/// The sizes of a list: the first array, or the one in an object.
#[derive(Debug, Default)]
struct Long {
    records: usize,
    longest: usize,
    /// The bytes outside the list.
    around: usize,
}

impl<'de> Deserialize<'de> for Long {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Measure)
    }
}

struct Measure;

impl<'de> Visitor<'de> for Measure {
    type Value = Long;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Long, A::Error> {
        let mut long = Long::default();
        while let Some(record) = all.next_element::<&RawValue>()? {
            long.records += 1;
            long.longest = long.longest.max(record.get().len());
        }
        Ok(long)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Long, A::Error> {
        let (mut long, mut has_list) = (Long::default(), false);
        while let Some(name) = all.next_key::<Cow<'de, str>>()? {
            let value: &RawValue = all.next_value()?;
            long.around += name.len();
            if has_list || !value.get().starts_with('[') {
                long.around += value.get().len();
                continue;
            }
            has_list = true;
            let list: Long = serde_json::from_str(value.get()).map_err(A::Error::custom)?;
            (long.records, long.longest) = (list.records, list.longest);
        }
        Ok(long)
    }
}

/// The outermost level of a JSON text; of an object the next one too.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Array,
    Object {
        holds_array: bool,
        /// Whether the member `error` is a text; `None` without that member.
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

    #[test]
    fn a_list_that_would_take_many_times_its_length_is_not_compared() {
        let endpoint = domain::legacy::ENDPOINTS[0];
        let fits = |status, body: &str| is_comparable(endpoint, status, body.as_bytes(), 100_000);
        let list = |record: &str, times| format!("[{}]", vec![record; times].join(","));
        let user = format!("{{\"id\":1,\"name\":\"{}\"}}", "x".repeat(300));
        assert!(fits(200, "[]") && fits(200, &list("{\"id\":1}", 1000)));
        assert!(fits(200, &list(&user, 50_000)) && !fits(200, &list(&user, 100_001)));
        for odd in [
            list("0", 1 << 19),
            list("{\"id\":1}", 100_000),
            format!("{{\"users\":{}}}", list("0", 1 << 19)),
            format!("{{\"users\":[],\"x\":{}}}", list("0", 1 << 19)),
            format!("{{\"value\":{{\"x\":{}}}}}", list("0", 1 << 19)),
            format!("[{{\"id\":1,\"x\":{}}}]", list("0", 1 << 19)),
        ] {
            assert!(!fits(200, &odd), "{}", &odd[..40]);
        }
        assert!(fits(400, "{\"error\":\"x\"}") && !fits(400, &list("0", 1 << 19)));
    }
}
