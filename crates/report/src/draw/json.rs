//! The report as JSON. It must never lose a member: reading it gives the same report.

use super::text::is_hidden;
use crate::Report;

/// The report as JSON. Members are in the order of their declaration, so that two runs can be compared as
/// text. Hidden characters are escaped, so that the text is safe in a terminal.
pub fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    let mut json = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c == '\n' || !is_hidden(c) {
            json.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            json.push_str(&format!("\\u{unit:04x}"));
        }
    }
    json.push('\n');
    json
}
