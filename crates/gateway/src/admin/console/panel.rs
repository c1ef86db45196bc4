//! A part of the console as plain values: the page is drawn of them on the server, and again by its script.
//! Must never hold markup, and no character that cannot be seen.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

/// The longest text of a cell, in characters.
const CELL_CHARS_MAX: usize = 400;
/// The same for a text to paste, which a cut would spoil.
const CODE_CHARS_MAX: usize = 4_000;

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

    /// A text to paste.
    pub(super) fn code(text: &str) -> Cell {
        Cell { text: seen(text, CODE_CHARS_MAX), ..Cell::default() }
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

/// A moment of the configuration, in seconds since 1970, as HTTP writes it: `Thu, 03 Dec 2026 09:00:00 GMT`.
pub(super) fn moment(at: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at))
}

/// A text of which every character can be seen and none turns the reading direction.
pub(super) fn visible(text: &str) -> String {
    seen(text, CELL_CHARS_MAX)
}

fn seen(text: &str, chars_max: usize) -> String {
    // Nearly all texts are of such characters alone.
    if text.len() <= chars_max && text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
        return text.to_owned();
    }
    let mut shown = String::new();
    for (place, c) in text.chars().enumerate() {
        if place == chars_max {
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
        assert_eq!(moment(1_796_288_400), "Thu, 03 Dec 2026 09:00:00 GMT");
        assert_eq!(clock(86_400.0 + 3_661.5), "01:01:01");
        assert_eq!(visible("a\u{202e}b\u{0}\tc<"), "a\\u{202e}b\\u{0}\\u{9}c<");
        assert_eq!(visible(&"x".repeat(500)).chars().count(), CELL_CHARS_MAX + 1);
    }
}
