//! Dates and times as people read them. Nothing may be timed by them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds since 1970 as RFC 3339 in UTC, as a configuration may have them.
pub(crate) fn shown(since: u64) -> String {
    let (days, seconds) = (since / 86_400, since % 86_400);
    // Days of the civil calendar, counted from 0000-03-01 (Howard Hinnant's `civil_from_days`).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!(
        "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        year + era * 400 + carry,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use domain::text::moment::Moment;

    use super::*;

    #[test]
    fn a_moment_is_shown_as_a_configuration_may_have_it() {
        assert_eq!(shown(1_796_288_400), "2026-12-03T09:00:00Z");
        for text in ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2100-03-01T12:30:05Z"] {
            assert_eq!(shown(Moment::parse(text).unwrap().seconds()), text);
        }
    }
}
