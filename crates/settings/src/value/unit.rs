//! Durations (`"25s"`, `"250ms"`) and sizes (`"8MiB"`) as people write them.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A duration: a whole number and `ms`, `s`, `m` or `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

/// A size: a whole number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

const A_DURATION: &str = "a duration such as \"25s\" or \"250ms\"";
pub(crate) const A_SIZE: &str = "a size such as \"8MiB\"";

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_str(WithUnit(A_DURATION, span))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_str(WithUnit(A_SIZE, size))
    }
}

/// Reads a number with a unit. It names the wanted form even where a bare number stands.
struct WithUnit<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for WithUnit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.1(text).ok_or_else(|| E::custom(format_args!("must be {}", self.0)))
    }
}

/// A size as an operator types it.
pub(crate) struct Bytes(pub(crate) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 30) == 0 => write!(f, "{}GiB", bytes >> 30),
            bytes if bytes % (1 << 20) == 0 => write!(f, "{}MiB", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{}KiB", bytes >> 10),
            bytes => write!(f, "{bytes}B"),
        }
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn span(text: &str) -> Option<Span> {
    let (number, unit) = split(text)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    // A year is longer than anything here may last, and keeps clocks from overflowing.
    let total = number.checked_mul(milliseconds).filter(|ms| *ms <= 366 * 24 * 3_600_000)?;
    Some(Span(Duration::from_millis(total)))
}

fn size(text: &str) -> Option<Size> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    Some(Size(usize::try_from(number.checked_mul(bytes)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_need_a_unit() {
        assert_eq!(span("250ms"), Some(Span(Duration::from_millis(250))));
        assert_eq!(span("2 m"), Some(Span(Duration::from_secs(120))));
        assert_eq!(span("0s"), Some(Span(Duration::ZERO)));
        for bad in ["", "25", "s", "-1s", "1.5s", "25 seconds", "99999999999999h"] {
            assert_eq!(span(bad), None, "{bad}");
        }
        assert_eq!(size("8MiB"), Some(Size(8 << 20)));
        for bad in ["8", "8MB", "MiB", "99999999999999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
