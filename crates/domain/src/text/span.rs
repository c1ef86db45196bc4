//! Durations as people write them: a whole number and `ms`, `s`, `m` or `h`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A duration such as `"25s"` or `"250ms"`, at most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

const A_DURATION: &str = "a duration such as \"25s\" or \"250ms\"";

impl Span {
    /// Reads one; `None` where the text is none.
    pub fn parse(text: &str) -> Option<Span> {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(end);
        let milliseconds = match unit.trim_start() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let number: u64 = number.parse().ok()?;
        // A year is longer than anything here may last, and keeps clocks from overflowing.
        let total = number.checked_mul(milliseconds).filter(|ms| *ms <= 366 * 24 * 3_600_000)?;
        Some(Span(Duration::from_millis(total)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(A_DURATION)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).ok_or_else(|| E::custom(format_args!("must be {A_DURATION}")))
            }
        }
        de.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_unit() {
        assert_eq!(Span::parse("250ms"), Some(Span(Duration::from_millis(250))));
        assert_eq!(Span::parse("2 m"), Some(Span(Duration::from_secs(120))));
        assert_eq!(Span::parse("0s"), Some(Span(Duration::ZERO)));
        for bad in ["", "25", "s", "-1s", "1.5s", "25 seconds", "99999999999999h"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
