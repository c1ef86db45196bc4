//! A part of the console as plain values: the page is drawn of them on the server, and again by its script.
//! Must never hold markup, and no character that cannot be seen.

use serde::Serialize;

/// The longest text of a cell, in characters.
const CELL_CHARS_MAX: usize = 400;

/// One table of the page.
#[derive(Debug, Serialize)]
pub(super) struct Panel {
    /// Its anchor.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// A line under the title.
    pub(super) note: String,
    pub(super) columns: &'static [(&'static str, Kind)],
    /// The first cell of a row names it.
    pub(super) rows: Vec<Vec<Cell>>,
    /// The line in the place of a table without rows.
    pub(super) empty: &'static str,
}

/// How the cells of a column are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Text,
    Number,
    /// Text to paste.
    Code,
    /// The rate of a count over the last minutes, which the script draws.
    Spark,
}

/// How good a cell is; its text says so, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tone {
    Good,
    Doubt,
    Bad,
}

/// One cell.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Cell {
    #[serde(rename = "t")]
    pub(super) text: String,
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(super) tone: Option<Tone>,
    /// The count of a [`Kind::Spark`].
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
}

impl Cell {
    pub(super) fn text(text: impl AsRef<str>) -> Cell {
        Cell { text: visible(text.as_ref()), ..Cell::default() }
    }

    pub(super) fn number(number: u64) -> Cell {
        Cell { text: grouped(number), ..Cell::default() }
    }

    pub(super) fn spark(count: u64) -> Cell {
        Cell { count: Some(count), ..Cell::default() }
    }

    pub(super) fn toned(self, tone: Option<Tone>) -> Cell {
        Cell { tone, ..self }
    }
}

/// A number that people read: `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A span of time that people read: `40 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn span(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// The time of day, UTC.
pub(super) fn clock(at: f64) -> String {
    let at = at.max(0.0) as u64 % 86_400;
    format!("{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60)
}

/// A moment in seconds since 1970, as it is written to a configuration without its `T`: `2026-12-03 09:00:00 UTC`.
pub(super) fn moment(at: u64) -> String {
    // Days since the first of March of the year 0, so that leap days are the last of a year.
    let days = at / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {} UTC", clock(at as f64))
}

/// A text of which every character can be seen and none turns the reading direction.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for (place, c) in text.chars().enumerate() {
        if place == CELL_CHARS_MAX {
            shown.push('…');
            break;
        }
        let is_hidden = c.is_control()
            || matches!(u32::from(c), 0xa0 | 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202f
                | 0x2060..=0x206f | 0xfeff | 0xfff0..=0xffff | 0xe0000..=0xe0fff);
        match c {
            '\n' => shown.push(c),
            c if is_hidden => shown.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_texts_are_those_that_people_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let spans = [-1.0, 40.0, 600.0, 10_000.0, 400_000.0].map(span);
        assert_eq!(spans, ["0 s", "40 s", "10 min", "3 h", "5 d"]);
        for (at, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_798_675_199, "2026-12-30 23:59:59 UTC"),
            (1_769_862_615, "2026-01-31 12:30:15 UTC"),
            (68_256_000, "1972-03-01 00:00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(moment(at), text);
        }
        assert_eq!(clock(86_400.0 + 3_661.5), "01:01:01");
        assert_eq!(visible("a\u{202e}b\u{0}\tc<"), "a\\u{202e}b\\u{0}\\u{9}c<");
        assert_eq!(visible(&"x".repeat(500)).chars().count(), CELL_CHARS_MAX + 1);
    }
}
