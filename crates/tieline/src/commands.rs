//! One file per command. A command knows no other command.

pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod healthcheck;
pub(crate) mod key;
pub(crate) mod losses;
pub(crate) mod man;
pub(crate) mod record;
pub(crate) mod roster;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod validate;
