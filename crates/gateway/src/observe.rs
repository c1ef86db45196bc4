//! What is told of requests: the access line, counters, spans, explanations. Nothing here decides what a
//! request is answered with.

pub mod access;
pub(crate) mod account;
pub(crate) mod epochs;
pub(crate) mod explain;
pub(crate) mod groups;
pub(crate) mod lately;
pub mod metrics;
pub(crate) mod origin;
pub(crate) mod past;
pub mod process;
pub(crate) mod recent;
pub mod spans;
pub(crate) mod tally;
