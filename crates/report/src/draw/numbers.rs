//! Numbers for people. A share is never rounded to a value that claims more than is known.

/// With a comma between thousands: `12,345`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 value`, `12,345 values`.
pub(super) fn of(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A share from 0 to 1 in percent, rounded up to two digits: `0.06 %`. "At most" must be true of the shown
/// number, and a share above 99 % stays below 100 % unless it is everything.
pub(super) fn share_up(share: f64) -> String {
    let percent = (share * 100.0).clamp(0.0, 100.0);
    if !percent.is_normal() {
        return "0 %".to_owned();
    }
    if percent > 99.0 {
        return if percent < 100.0 { "99.9 %".to_owned() } else { "100 %".to_owned() };
    }
    let decimals = (1 - percent.log10().floor() as i32).max(0);
    let scale = 10_f64.powi(decimals);
    // The error of a division behind the last digit is no reason to round up.
    let up = (percent * scale * (1.0 - 1e-9)).ceil() / scale;
    format!("{} %", trimmed(up, decimals as usize))
}

/// `part` of `whole` in percent, rounded down: 100 % means everything.
pub(super) fn share_down(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let hundredths = u128::from(part) * 10_000 / u128::from(whole);
    format!("{} %", trimmed(hundredths as f64 / 100.0, 2))
}

/// `part` of `whole` in percent, rounded up: 0 % means nothing.
pub(super) fn share_of(part: u64, whole: u64) -> String {
    share_up(if whole == 0 { 0.0 } else { part as f64 / whole as f64 })
}

/// A number with a limited number of decimals, without trailing zeros.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number rounded to a whole one; a dash where it is not finite.
pub(super) fn whole(value: f64) -> String {
    let sound = value.is_finite() && value >= 0.0;
    if sound { count(value.round() as u64) } else { "–".to_owned() }
}

/// `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 3 min`.
pub(super) fn seconds(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{} s", trimmed(s, 1)),
        s if s < 3600.0 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", count(whole / 3600), whole % 3600 / 60),
    }
}

/// The median and the 95th percentile of the finite numbers; `None` where there are none.
pub(super) fn middle_and_tail(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    };
    Some((at(0.5)?, at(0.95)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_a_comma() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (n, text) in cases {
            assert_eq!(count(n), text);
        }
        assert_eq!(of(1, "value", "values"), "1 value");
        assert_eq!(of(0, "value", "values"), "0 values");
    }

    #[test]
    fn at_most_is_rounded_up() {
        let cases = [
            (0.95, "95 %"),
            (0.776_393, "78 %"),
            (0.5, "50 %"),
            (0.1, "10 %"),
            (0.072_1, "7.3 %"),
            (0.000_599, "0.06 %"),
            (0.000_059_9, "0.006 %"),
            (0.000_061_1, "0.0062 %"),
            (0.07, "7 %"),
            (0.999_99, "99.9 %"),
            (1.0, "100 %"),
            (0.0, "0 %"),
            (f64::NAN, "0 %"),
        ];
        for (share, text) in cases {
            assert_eq!(share_up(share), text, "{share}");
        }
    }

    #[test]
    fn all_but_one_is_not_everything() {
        assert_eq!(share_down(99_999, 100_000), "99.99 %");
        assert_eq!(share_down(5, 5), "100 %");
        assert_eq!(share_down(1, 2), "50 %");
        assert_eq!(share_down(0, 0), "–");
        assert_eq!(share_of(1, 1_000_000), "0.0001 %");
    }

    #[test]
    fn a_time_has_the_unit_that_fits() {
        let cases = [
            (0.85, "850 ms"),
            (12.0, "12 s"),
            (12.34, "12.3 s"),
            (245.0, "4 min 5 s"),
            (7_380.0, "2 h 3 min"),
            (f64::NAN, "–"),
            (-1.0, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(seconds(value), text);
        }
    }

    #[test]
    fn a_number_that_is_not_finite_is_a_dash() {
        let cases = [(1234.5, "1,235"), (0.4, "0"), (f64::INFINITY, "–"), (-1.0, "–")];
        for (value, text) in cases {
            assert_eq!(whole(value), text);
        }
    }

    #[test]
    fn the_percentile_of_one_number_is_that_number() {
        assert_eq!(middle_and_tail([7.0].into_iter()), Some((7.0, 7.0)));
        assert_eq!(middle_and_tail((1..=100).map(f64::from)), Some((50.0, 95.0)));
        assert_eq!(middle_and_tail([f64::NAN].into_iter()), None);
    }
}
