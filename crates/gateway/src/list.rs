//! The layers that make one list of many pages.

pub(crate) mod exchange;
pub(crate) mod expected;
pub(crate) mod fan_out;
pub(crate) mod gather;
mod hand_out;
pub(crate) mod narrow;
pub(crate) mod plausible;
pub(crate) mod progress;
pub(crate) mod relate;
pub(crate) mod remember;
pub(crate) mod teams;
pub(crate) mod templates;
