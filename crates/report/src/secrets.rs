//! Removes the known keys from texts, because a side may repeat the key of a request in an error, a
//! header or the name of a member.
//!
//! A key must never leave this type.

use std::fmt;

use crate::{Finding, Report, ScenarioReport, Suggestion};

/// Shorter keys are not hidden: they protect nothing, and are part of ordinary words.
const CHARS_MIN: usize = 6;
/// The replacement for a key. It is safe in strings of JSON, TOML and HTML.
const INSTEAD: &str = "(key)";

/// Keys that no text may contain.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// These keys. Longer keys are looked for first, because one key may begin another.
    pub fn new(keys: impl IntoIterator<Item = String>) -> Secrets {
        let mut keys: Vec<String> =
            keys.into_iter().filter(|key| key.chars().count() >= CHARS_MIN).collect();
        keys.sort_by(|a, b| (b.len(), a).cmp(&(a.len(), b)));
        keys.dedup();
        Secrets(keys)
    }

    /// A text without the keys, in every spelling: capitals or not, percent-encoded wholly or in part, or
    /// escaped as in a string.
    pub fn hide(&self, text: &str) -> String {
        let bytes = text.as_bytes();
        let mut shown = String::with_capacity(text.len());
        let (mut at, mut from) = (0, 0);
        while at < bytes.len() {
            match self.0.iter().find_map(|key| end(key.as_bytes(), bytes, at)) {
                Some(end) => {
                    shown.push_str(text.get(from..at).unwrap_or_default());
                    shown.push_str(INSTEAD);
                    (at, from) = (end, end);
                }
                None => at += 1,
            }
        }
        shown.push_str(text.get(from..).unwrap_or_default());
        shown
    }

    pub fn hide_in(&self, report: &mut Report) {
        let sides = report.control.iter_mut().chain([&mut report.candidate]);
        sides.for_each(|side| self.hide_all([&mut side.name]));
        self.hide_all(report.remarks.iter_mut().chain([&mut report.because]));
        report.scenarios.iter_mut().for_each(|scenario| self.hide_in_scenario(scenario));
        self.hide_in_findings(&mut report.findings, &mut report.settings);
        for field in &mut report.fields {
            self.hide_all([&mut field.field]);
        }
        for property in &mut report.properties {
            self.hide_all(&mut property.seen);
        }
        for call in &mut report.calls {
            self.hide_all([&mut call.legacy, &mut call.v4]);
        }
    }

    pub fn hide_in_scenario(&self, scenario: &mut ScenarioReport) {
        self.hide_all(scenario.undecided_because.iter_mut().chain([&mut scenario.shape]));
    }

    pub fn hide_in_findings(&self, findings: &mut [Finding], settings: &mut [Suggestion]) {
        for finding in findings {
            self.hide_all([&mut finding.field, &mut finding.why]);
            for example in &mut finding.examples {
                self.hide_all([&mut example.control, &mut example.candidate]);
                self.hide_all(example.record.iter_mut().chain(&mut example.part));
            }
        }
        settings.iter_mut().for_each(|setting| self.hide_all([&mut setting.line]));
    }

    fn hide_all<'a>(&self, texts: impl IntoIterator<Item = &'a mut String>) {
        texts.into_iter().for_each(|text| *text = self.hide(text));
    }
}

/// The end of a key that begins at `at`, if it is there.
fn end(key: &[u8], text: &[u8], mut at: usize) -> Option<usize> {
    for byte in key {
        let is_it = |one: &u8| one.eq_ignore_ascii_case(byte);
        let rest = text.get(at..)?;
        at += match rest {
            [b'\\', one, ..] if is_it(one) && matches!(byte, b'"' | b'\\') => 2,
            [one, ..] if is_it(one) => 1,
            [b'%', hex @ ..] => {
                let hex = std::str::from_utf8(hex.get(..2)?).ok()?;
                u8::from_str_radix(hex, 16).ok().filter(is_it)?;
                3
            }
            _ => return None,
        };
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_hidden_however_it_is_spelled() {
        let secrets = Secrets::new(["a+b/c=d\"e", "legacy-key", "short"].map(str::to_owned));
        let cases = [
            ("key legacy-key.", "key (key)."),
            ("LEGACY-KEYlegacy-key", "(key)(key)"),
            ("?key=a%2Bb%2fc%3Dd%22e&x=1", "?key=(key)&x=1"),
            ("%61+b/c=d\\\"e", "(key)"),
            ("legacy%2Dkey é%", "(key) é%"),
            ("é short legacy-ke", "é short legacy-ke"),
        ];
        for (text, shown) in cases {
            assert_eq!(secrets.hide(text), shown);
        }
        assert_eq!(format!("{secrets:?}"), "Secrets");
    }
}
