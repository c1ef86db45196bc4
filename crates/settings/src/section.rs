//! The tables of a configuration, one file each: as an operator types it, its meaning, and its refusals.

pub(crate) mod answer;
pub(crate) mod brownouts;
pub(crate) mod callers;
pub(crate) mod commons;
pub(crate) mod cors;
pub(crate) mod legacy;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod pace;
pub(crate) mod passthrough;
pub(crate) mod roster;
pub(crate) mod server;
pub(crate) mod shadow;
pub(crate) mod stores;
pub(crate) mod traces;
pub(crate) mod upstreams;
