//! What the commands that validate share: keys, both sides, progress, reports.

pub(crate) mod candidate;
pub(crate) mod control;
pub(crate) mod key;
pub(crate) mod knowledge;
pub(crate) mod progress;
pub(crate) mod reports;
