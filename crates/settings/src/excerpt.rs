//! The line of a mistake with a caret under the place, as the command line shows it.
//!
//! Must never show a value that may be a key, a token or a password, wherever it stands: a mistake often is one
//! in the wrong place. Only structure, known names, and values that cannot be a secret are shown.

use std::sync::LazyLock;

use crate::defaults::DEFAULTS;

/// A longer line is not shown; its place is.
const SHOWN_CHARS_MAX: usize = 160;

/// What stands in place of a value that is not shown.
const BLANK: &str = "…";

/// A place in a text, and its line as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    line: usize,
    /// In characters, from 1.
    column: usize,
    shown: Option<Shown>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    line: String,
    /// Characters before the caret, and how many it underlines.
    caret: usize,
    width: usize,
}

/// Names that are shown although they have no default, because every configuration needs them.
const REQUIRED: &[&str] = &[
    "base_url",
    "control",
    "dialect",
    "digest",
    "env",
    "legacy_key",
    "name",
    "prefix",
    "replicas_max",
    "seal_key",
    "sees",
    "upstream",
    "upstream_key",
    "valkey",
];

/// Every name of a table or a setting that this version knows.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let names = DEFAULTS.lines().flat_map(|line| match line.strip_prefix('[') {
        Some(table) => table.trim_end_matches(']').split('.').collect::<Vec<_>>(),
        None => line.split(" = ").take(1).collect(),
    });
    names.chain(REQUIRED.iter().copied()).collect()
});

impl Spot {
    /// The place at an offset of a text. `field` is the field of the mistake, the names of which are shown anyway.
    pub(crate) fn new(text: &str, offset: usize, field: &str) -> Spot {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let shown = mask(line, before.len() - start, field, is_inside_text(&before[..start]));
        Spot {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            shown: shown.filter(|shown| shown.line.chars().count() <= SHOWN_CHARS_MAX),
        }
    }

    /// The number of the line, from 1.
    pub(crate) fn line(&self) -> usize {
        self.line
    }

    /// `LINE:COL`.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.line, self.column)
    }

    /// The line and the caret below it, each with a line break in front; nothing where the line is not shown.
    pub(crate) fn lines(&self) -> String {
        let Some(shown) = &self.shown else { return String::new() };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let caret = format!("{}{}", " ".repeat(shown.caret), "^".repeat(shown.width));
        format!("\n  {number} | {}\n  {margin} | {caret}", shown.line)
    }
}

/// Whether a text of several lines, in three quotes, is open at the end.
fn is_inside_text(before: &str) -> bool {
    ["\"\"\"", "'''"].iter().any(|quotes| before.matches(quotes).count() % 2 == 1)
}

/// A line with every value blanked that may be a secret, and the caret below what stands at `at`.
fn mask(line: &str, at: usize, field: &str, is_inside_text: bool) -> Option<Shown> {
    let is_of_secret = |text: &str| {
        let text = text.to_ascii_lowercase();
        let words = ["key", "token", "secret", "pass", "pwd", "cred", "digest", "auth"];
        words.iter().any(|word| text.contains(word))
    };
    // On such a line no value is shown at all, and none of its neighbours.
    let is_secret = is_inside_text || is_of_secret(line) || is_of_secret(field);
    let is_header = line.trim_start().starts_with('[');
    let (mut shown, mut caret) = (String::new(), None);
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let length = token(rest, first);
        let (token, behind) = rest.split_at(length);
        let from = line.len() - rest.len();
        let text = match first {
            '[' | ']' | '{' | '}' | ',' | '=' => token.to_owned(),
            '#' => format!("# {BLANK}"),
            _ if first.is_whitespace() => " ".to_owned(),
            '"' | '\'' => {
                let inner = token.trim_matches(first);
                match !is_secret && is_harmless(inner) {
                    true => token.to_owned(),
                    false => format!("{first}{BLANK}{first}"),
                }
            }
            _ => {
                let is_name = is_header || behind.trim_start().starts_with(['=', '.']);
                let is_known = token.split('.').all(|name| is_shown_name(name, field));
                match (is_name && is_known) || (!is_secret && is_harmless(token)) {
                    true => token.to_owned(),
                    false => BLANK.to_owned(),
                }
            }
        };
        if (from..from + length).contains(&at) {
            caret = Some((shown.chars().count(), text.chars().count()));
        }
        shown.push_str(&text);
        rest = behind;
    }
    let line = shown.trim_end().to_owned();
    let (caret, width) = match caret {
        // A table is meant as a whole.
        Some((caret, _)) if is_header && line[..].trim_start().len() + caret == line.len() => {
            (caret, line.chars().count() - caret)
        }
        Some(place) => place,
        None => (line.chars().count(), 1),
    };
    (!line.is_empty()).then_some(Shown { line, caret, width })
}

/// The bytes of the token that a text begins with.
fn token(text: &str, first: char) -> usize {
    let until = |end: &dyn Fn(char) -> bool| {
        let mut chars = text.char_indices().skip(1);
        chars.find(|(_, c)| end(*c)).map_or(text.len(), |(at, _)| at)
    };
    match first {
        '#' => text.len(),
        '"' | '\'' => {
            let mut is_escaped = false;
            let end = text.char_indices().skip(1).find(|(_, c)| {
                let is_end = *c == first && !is_escaped;
                is_escaped = *c == '\\' && first == '"' && !is_escaped;
                is_end
            });
            end.map_or(text.len(), |(at, c)| at + c.len_utf8())
        }
        '[' | ']' | '{' | '}' | ',' | '=' => first.len_utf8(),
        _ if first.is_whitespace() => first.len_utf8(),
        _ => until(&|c| c.is_whitespace() || "[]{},=\"'#".contains(c)),
    }
}

/// Whether a name is known, or stands in the mistake's field, which is told anyway.
fn is_shown_name(name: &str, field: &str) -> bool {
    NAMES.contains(&name) || field.split(['.', '[', ']']).any(|known| known == name)
}

/// Whether a value cannot be a secret: a truth value, a short number, a duration, a size, an address.
pub(crate) fn is_harmless(value: &str) -> bool {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let number = value.len() - unit.len();
    let is_unit = unit.len() <= 4 && unit.chars().all(|c| c.is_ascii_alphabetic() || c == ' ');
    let is_amount = (1..=7).contains(&number) && is_unit;
    let is_address = value.len() <= 21
        && value.contains(':')
        && value.chars().all(|c| c.is_ascii_digit() || ".:[]".contains(c));
    matches!(value, "true" | "false" | "") || is_amount || is_address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(text: &str, offset: usize, field: &str) -> String {
        Spot::new(text, offset, field).lines().trim_start_matches('\n').to_owned()
    }

    #[test]
    fn the_caret_is_under_the_place_and_values_that_may_be_secrets_are_blank() {
        for (line, at, field, told, caret) in [
            ("listen = \"canary\"", 0, "server.listen", "listen = \"…\"", "^^^^^^"),
            ("listen = \":8080\"", 9, "server.listen", "listen = \":8080\"", "         ^^^^^^^"),
            ("drain_delay = \"25 sec\" # canary", 14, "", "drain_delay = \"25 sec\" # …", ""),
            ("headers_max = -1", 14, "server.headers_max", "headers_max = -1", ""),
            ("lissten = 1", 0, "server.lissten", "lissten = 1", "^^^^^^^"),
            ("canary = 1", 0, "syntax", "… = 1", "^"),
            ("canary=", 0, "syntax", "…=", "^"),
            ("canary", 3, "syntax", "…", "^"),
            ("[server", 7, "syntax", "[server", "       ^"),
            ("[upstream.ams]", 0, "upstream.ams.base_url", "[upstream.ams]", "^^^^^^^^^^^^^^"),
            ("[[caller]]", 0, "caller[1].name", "[[caller]]", "^^^^^^^^^^"),
            ("[upstream.canary]", 0, "syntax", "[…]", "^^^"),
            ("hosts = [1, \"canary\", 2]", 12, "server.hosts[1]", "hosts = [1, \"…\", 2]", ""),
            ("legacy_key = 1234567", 0, "caller[0].legacy_key", "legacy_key = …", "^^^^^^^^^^"),
            ("password = \"123456\"", 0, "x", "password = \"…\"", "^^^^^^^^"),
            ("x = { password = \"1:2\", y = 5 }", 0, "", "… = { password = \"…\", … = … }", "^"),
            ("name = \"1\"", 0, "caller[0].upstream_key", "name = \"…\"", "^^^^"),
            ("base_url = canary\"canary", 11, "x", "base_url = …\"…\"", "           ^"),
            ("name = \"can\\\"ary canary", 0, "x", "name = \"…\"", ""),
            ("\tlisten\u{b}= canary.canary", 1, "x", " listen = …", " ^^^^^^"),
        ] {
            let got = shown(line, at, field);
            let (first, second) = got.split_once('\n').unwrap_or_default();
            assert_eq!(first, format!("  1 | {told}"), "{line}");
            let under = second.strip_prefix("    | ").unwrap_or(second);
            assert!(caret.is_empty() || under == caret, "{line}: {under:?}");
            assert!(!got.contains("canary"), "{got}");
        }
    }

    #[test]
    fn a_line_of_a_longer_text_shows_nothing_and_a_very_long_line_is_left_out() {
        let text = "a = \"\"\"\nMIIE 12345 name = 5\n\"\"\"\nname = 5\n";
        assert_eq!(shown(text, 8, "syntax").lines().next(), Some("  2 | … … name = …"));
        assert_eq!(shown(text, 32, "name").lines().next(), Some("  4 | name = 5"));
        let long = format!("a = [{}]", "1, ".repeat(100));
        assert_eq!(Spot::new(&long, 0, "a").lines(), "");
        assert_eq!(Spot::new(&long, 5, "a").place(), "1:6");
        assert_eq!(Spot::new("", 9, "a"), Spot { line: 1, column: 1, shown: None });
        assert_eq!(Spot::new("ä = 5", 3, "a").place(), "1:3");
    }
}
