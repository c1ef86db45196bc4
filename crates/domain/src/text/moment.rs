//! A moment as an operator writes it: `2026-01-31`, which begins at midnight UTC, or RFC 3339, such as
//! `2026-01-31T12:00:00+02:00`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Seconds since 1970 (UTC), from 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// Reads a date or a date with a time. `None` for any other text, and for days that do not exist.
    pub fn parse(text: &str) -> Option<Self> {
        let date = days(text.get(..10)?)? * 86_400;
        let rest = text.get(10..)?;
        let seconds = if rest.is_empty() { date } else { date + time(rest)? };
        u64::try_from(seconds).ok().filter(|seconds| *seconds < SECONDS_END).map(Moment)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

/// The year 10000; HTTP cannot write its dates.
const SECONDS_END: u64 = 253_402_300_800;

/// Days since 1970 of `YYYY-MM-DD`.
fn days(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) =
        (number(text.get(..4)?)?, number(text.get(5..7)?)?, number(text.get(8..)?)?);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let place = usize::try_from(month).ok()?.checked_sub(1)?;
    if year < 1970 || !(1..=*lengths.get(place)?).contains(&day) {
        return None;
    }
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    Some((year - 1970) * 365 + leap_days + lengths[..place].iter().sum::<i64>() + day - 1)
}

/// Seconds of `THH:MM:SS` and an offset; a fraction is read and dropped.
fn time(text: &str) -> Option<i64> {
    let mark =
        |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|b| wanted.contains(b));
    if !mark(0, b"Tt") || !mark(3, b":") || !mark(6, b":") {
        return None;
    }
    let (hour, minute, second) =
        (number(text.get(1..3)?)?, number(text.get(4..6)?)?, number(text.get(7..9)?)?);
    let mut rest = text.get(9..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() == fraction.len() {
            return None;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(hour * 3600 + minute * 60 + second - offset(rest)?)
}

/// Seconds east of UTC of `Z`, `+HH:MM` or `-HH:MM`.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hour, minute) = text.get(1..)?.split_once(':')?;
    let is_short = hour.len() == 2 && minute.len() == 2;
    let (hour, minute) = (number(hour)?, number(minute)?);
    (is_short && hour <= 23 && minute <= 59).then_some(sign * (hour * 3600 + minute * 60))
}

/// Digits and nothing else.
fn number(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct MomentVisitor;
        impl Visitor<'_> for MomentVisitor {
            type Value = Moment;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date such as \"2026-01-31\", or \"2026-01-31T12:00:00Z\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
                let must = "must be a date such as \"2026-01-31\", or \"2026-01-31T12:00:00Z\"";
                Moment::parse(text).ok_or_else(|| E::custom(must))
            }
        }
        de.deserialize_str(MomentVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1972-03-01", 68_256_000),
            ("2000-02-29", 951_782_400),
            ("2026-01-31", 1_769_817_600),
            ("2026-12-31", 1_798_675_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("2026-01-31T00:00:00Z", 1_769_817_600),
            ("2026-01-31t12:30:15.999z", 1_769_862_615),
            ("2026-01-31T02:00:00+02:00", 1_769_817_600),
            ("2026-01-30T19:00:00-05:00", 1_769_817_600),
        ] {
            assert_eq!(Moment::parse(text).map(Moment::seconds), Some(seconds), "{text}");
        }
    }

    #[test]
    fn any_other_text_is_no_moment() {
        for text in [
            "",
            "2026",
            "2026-1-31",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-01-00",
            "31-01-2026",
            "2026-01-31 ",
            "2026-01-31T",
            "2026-01-31T12:00:00",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:60:00Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00+2:00",
            "2026-01-31T12:00:00+0200",
            "2026-01-31T12:00:00Zx",
            "+026-01-31",
            "1969-12-31",
            "1970-01-01T00:00:00+00:01",
            "2026-01-3é",
            "tomorrow",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
