//! Makes text from anywhere safe to show. It must never let a character through that moves, hides or
//! turns its neighbours.

const ABSENT: &str = "(absent)";
/// The most characters shown of the common part of two long values, before and after the difference.
const CONTEXT: usize = 60;
/// The most characters shown of the difference itself.
const DIFFERENCE_MAX: usize = 240;

/// Whether a character is invisible, or changes the look of its neighbours. Spaces other than the plain
/// one count as hidden, because two values that differ only in them would look the same.
pub(super) fn is_hidden(c: char) -> bool {
    let code = u32::from(c);
    c.is_control()
        || (c != ' ' && c.is_whitespace())
        || code & 0xfffe == 0xfffe
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Adds a character, or its number where it is hidden: `\u202e`, as in JSON and TOML, and `\U000e0001`
/// for larger numbers, as in TOML.
fn push_visible(shown: &mut String, c: char) {
    match u32::from(c) {
        _ if !is_hidden(c) => shown.push(c),
        code @ 0..=0xffff => shown.push_str(&format!("\\u{code:04x}")),
        code => shown.push_str(&format!("\\U{code:08x}")),
    }
}

/// The text in one line, with the number of every hidden character in its place.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut shown, c));
    shown
}

/// A whole document with its lines, and with the number of every hidden character in its place. A
/// template contains no hidden character, so only texts of the report change.
pub(super) fn visible_lines(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        if c == '\n' { shown.push(c) } else { push_visible(&mut shown, c) }
    }
    shown
}

/// [`visible`], cut behind `chars_max` characters, with the length of the whole text.
pub(super) fn brief(text: &str, chars_max: usize) -> String {
    let shown = visible(text);
    if shown.chars().nth(chars_max).is_none() {
        return shown;
    }
    let cut: String = shown.chars().take(chars_max).collect();
    format!("{cut}… ({} characters)", super::numbers::count(text.chars().count() as u64))
}

/// One of two values, split at the difference.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Side {
    /// The beginning that both share.
    pub(super) before: String,
    /// The part that only this value has.
    pub(super) differs: String,
    /// The end that both share.
    pub(super) after: String,
    pub(super) absent: bool,
}

impl Side {
    pub(super) fn whole(&self) -> String {
        format!("{}{}{}", self.before, self.differs, self.after)
    }
}

/// Two values split at their difference, [`visible`]. Of long values only the surroundings of the
/// difference are shown.
pub(super) fn side_by_side(control: &str, candidate: &str) -> [Side; 2] {
    let absent = [control == ABSENT, candidate == ABSENT];
    let [one, other] = [control, candidate].map(|text| text.chars().collect::<Vec<char>>());
    let same = |(a, b): &(&char, &char)| a == b;
    let mut before = one.iter().zip(&other).take_while(same).count();
    let (one_rest, other_rest) = (&one[before..], &other[before..]);
    let mut after = one_rest.iter().rev().zip(other_rest.iter().rev()).take_while(same).count();
    if absent.contains(&true) {
        (before, after) = (0, 0);
    }
    let side = |chars: &[char], absent: bool| {
        let text = |part: &[char]| part.iter().collect::<String>();
        let end = chars.len() - after;
        Side {
            before: last(&text(&chars[..before]), CONTEXT),
            differs: brief(&text(&chars[before..end]), DIFFERENCE_MAX),
            after: first(&text(&chars[end..]), CONTEXT),
            absent,
        }
    };
    [side(&one, absent[0]), side(&other, absent[1])]
}

fn first(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", visible(&text[..end])),
        None => visible(text),
    }
}

fn last(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth_back(chars_max) {
        Some((before, c)) => format!("…{}", visible(&text[before + c.len_utf8()..])),
        None => visible(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_character_is_written_as_its_number() {
        let cases = [
            ("Müller & <b>", "Müller & <b>"),
            ("a\u{1b}[31mred", "a\\u001b[31mred"),
            ("nul\0, del\x7f, csi\u{9b}", "nul\\u0000, del\\u007f, csi\\u009b"),
            ("one\r\ntwo\tthree", "one\\u000d\\u000atwo\\u0009three"),
            ("\u{202e}desrever", "\\u202edesrever"),
            ("Jane\u{a0}Doe\u{200b}", "Jane\\u00a0Doe\\u200b"),
            ("\u{feff}\u{fffe}\u{10ffff}", "\\ufeff\\ufffe\\U0010ffff"),
            ("tag \u{e0041}", "tag \\U000e0041"),
            ("日本 😀 שלום", "日本 😀 שלום"),
        ];
        for (text, shown) in cases {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_lines("<p>\n\u{2028}</p>"), "<p>\n\\u2028</p>");
    }

    #[test]
    fn a_long_text_is_cut_and_says_how_long_it_is() {
        assert_eq!(brief("short", 5), "short");
        assert_eq!(brief(&"é".repeat(10_240), 3), "ééé… (10,240 characters)");
    }

    #[test]
    fn two_values_are_split_where_they_differ() {
        let parts = |control, candidate| {
            side_by_side(control, candidate).map(|side| (side.before, side.differs, side.after))
        };
        let cases = [
            ("\"Istanbul\"", "\"Europe/Istanbul\"", ["\"||Istanbul\"", "\"|Europe/|Istanbul\""]),
            ("[1,2]", "[1,1,2]", ["[1,||2]", "[1,|1,|2]"]),
            ("7", "\"7\"", ["|7|", "|\"7\"|"]),
            ("aa", "a", ["a|a|", "a||"]),
            ("null", "(absent)", ["|null|", "|(absent)|"]),
            ("é", "è", ["|é|", "|è|"]),
            ("\"\"", "\"\u{202e}\"", ["\"||\"", "\"|\\u202e|\""]),
        ];
        for (control, candidate, expect) in cases {
            let joined = parts(control, candidate).map(|(a, b, c)| format!("{a}|{b}|{c}"));
            assert_eq!(joined, expect, "{control} beside {candidate}");
        }
    }

    #[test]
    fn long_values_show_the_place_of_the_difference() {
        let (head, tail) = ("h".repeat(9_000), "t".repeat(9_000));
        let [control, candidate] =
            side_by_side(&format!("{head}A{tail}"), &format!("{head}B{tail}"));
        let context = |c: &str| c.repeat(CONTEXT);
        assert_eq!(control.whole(), format!("…{}A{}…", context("h"), context("t")));
        assert_eq!(candidate.differs, "B");
    }
}
