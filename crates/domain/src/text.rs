//! Text as others want it: legacy JSON, hexadecimal digits, moments, durations, names by word. Must never know what a text is
//! about.

pub mod dictionary;
pub(crate) mod draft;
pub mod hex;
pub mod json;
pub mod moment;
pub mod span;
