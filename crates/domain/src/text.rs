//! Text as others want it: legacy JSON, hexadecimal digits, moments, durations. Must never know what a text is about.

pub(crate) mod draft;
pub mod hex;
pub mod json;
pub mod moment;
pub mod span;
