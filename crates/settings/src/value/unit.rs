//! Durations (`"25s"`, `"250ms"`) and sizes (`"8MiB"`) as people write them.

use std::fmt;

pub(crate) use domain::span::Span;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A size: a whole number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

pub(crate) const A_SIZE: &str = "a size such as \"8MiB\"";

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
    fn a_size_needs_a_unit() {
        assert_eq!(size("8MiB"), Some(Size(8 << 20)));
        for bad in ["8", "8MB", "MiB", "99999999999999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
