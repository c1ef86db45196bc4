//! The way to a field, as errors show it: `upstream.ams.base_url`, `caller[0].name`. Must never hold a value.

use std::fmt::Write as _;

/// One step from a table to one of its entries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A way as people write it.
pub(crate) fn shown(field: &[Step]) -> String {
    let mut text = String::new();
    for step in field {
        match step {
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::Index(index) => {
                // A `String` takes every write.
                let _ = write!(text, "[{index}]");
            }
        }
    }
    if text.is_empty() { "file".to_owned() } else { text }
}
