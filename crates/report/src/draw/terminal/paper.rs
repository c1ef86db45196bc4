//! Lines of text of a given width, in a few colours. It must never write a hidden character of a text
//! from outside.

use super::text::visible;

/// The look of a line on a terminal with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Good,
    Bad,
    Doubt,
    Heading,
    Faint,
}

impl Ink {
    /// The parameters of `ESC [ .. m`.
    fn code(self) -> Option<&'static str> {
        match self {
            Ink::Plain => None,
            Ink::Good => Some("1;32"),
            Ink::Bad => Some("1;31"),
            Ink::Doubt => Some("1;33"),
            Ink::Heading => Some("1"),
            Ink::Faint => Some("2"),
        }
    }
}

pub(super) struct Paper {
    pub(super) text: String,
    width: usize,
    colours: bool,
}

impl Paper {
    /// At least 40 columns, because a table needs them.
    pub(super) fn new(width: usize, colours: bool) -> Paper {
        Paper { text: String::new(), width: width.max(40), colours }
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A line of our own, unchanged.
    pub(super) fn line(&mut self, ink: Ink, line: &str) {
        self.push(ink, &visible(line));
        self.blank();
    }

    /// A heading, with an empty line before it.
    pub(super) fn heading(&mut self, heading: &str) {
        self.blank();
        self.line(Ink::Heading, heading);
    }

    /// A line of TOML, which must not be broken.
    pub(super) fn verbatim(&mut self, indent: usize, line: &str) {
        let indent = if line.is_empty() { 0 } else { indent };
        self.line(Ink::Plain, &format!("{:indent$}{line}", ""));
    }

    /// Text, broken at spaces, and within words that are longer than a line.
    pub(super) fn wrapped(&mut self, indent: usize, hanging: usize, text: &str) {
        self.painted(Ink::Plain, indent, hanging, text);
    }

    /// [`Paper::wrapped`] in ink.
    pub(super) fn painted(&mut self, ink: Ink, indent: usize, hanging: usize, text: &str) {
        let lines = broken(&visible(text), self.width, indent, hanging);
        for (index, line) in lines.iter().enumerate() {
            let indent = if index == 0 { indent } else { hanging };
            self.text.extend(std::iter::repeat_n(' ', indent));
            self.push(ink, line);
            self.blank();
        }
    }

    /// A coloured label and a text to the right of it.
    pub(super) fn labelled(&mut self, ink: Ink, label: &str, text: &str) {
        let label = visible(label);
        let hanging = 2 + columns(&label);
        if hanging + 20 > self.width {
            self.painted(ink, 2, 4, label.trim_end());
            if !text.is_empty() {
                self.wrapped(4, 4, text);
            }
            return;
        }
        let lines = broken(&visible(text), self.width, hanging, hanging);
        for (index, line) in lines.iter().enumerate() {
            if index == 0 {
                self.text.push_str("  ");
                self.push(ink, if line.is_empty() { label.trim_end() } else { &label });
            } else {
                self.text.extend(std::iter::repeat_n(' ', hanging));
            }
            self.text.push_str(line);
            self.blank();
        }
    }

    fn push(&mut self, ink: Ink, text: &str) {
        match ink.code().filter(|_| self.colours) {
            Some(code) => self.text.push_str(&format!("\u{1b}[{code}m{text}\u{1b}[0m")),
            None => self.text.push_str(text),
        }
    }
}

/// The columns of a character: two for East Asian scripts and pictures.
fn columns_of(c: char) -> usize {
    let wide = matches!(
        u32::from(c),
        0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x1f000..=0x1faff
            | 0x20000..=0x3fffd
    );
    if wide { 2 } else { 1 }
}

fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// The text in lines that fit. There is at least one line, even if it is empty. Text is broken at spaces,
/// and a word that is longer than a line is broken at the end of the line.
fn broken(text: &str, width: usize, indent: usize, hanging: usize) -> Vec<String> {
    let room = |indent: usize| width.saturating_sub(indent).max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut left = room(indent);
    for word in text.split_inclusive(' ') {
        let wide = columns(word.trim_end());
        if !line.is_empty() && wide > left && wide <= room(hanging) {
            lines.push(std::mem::take(&mut line));
            left = room(hanging);
        }
        for c in word.chars() {
            if c == ' ' && left == 0 {
                continue;
            }
            if columns_of(c) > left {
                lines.push(std::mem::take(&mut line));
                left = room(hanging);
            }
            line.push(c);
            left = left.saturating_sub(columns_of(c));
        }
    }
    lines.push(line);
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_spaces_and_long_words_at_the_end_of_the_line() {
        let cases: [(&str, &[&str]); 5] = [
            ("", &[""]),
            ("one two three four", &["one two", "three", "four"]),
            ("abcdefghijklmnopqrst", &["abcdefghij", "klmnopqr", "st"]),
            ("日本語日本語 x", &["日本語日本", "語 x"]),
            ("0123456789 y", &["0123456789", "y"]),
        ];
        for (text, lines) in cases {
            assert_eq!(broken(text, 10, 0, 2), lines, "{text}");
        }
    }

    #[test]
    fn only_ink_sets_colours() {
        let draw = |colours| {
            let mut paper = Paper::new(80, colours);
            paper.painted(Ink::Bad, 2, 4, "a\u{1b}[2Jb");
            paper.text
        };
        assert_eq!(draw(false), "  a\\u001b[2Jb\n");
        assert_eq!(draw(true), "  \u{1b}[1;31ma\\u001b[2Jb\u{1b}[0m\n");
    }
}
