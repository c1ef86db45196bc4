//! The values of settings: text that is read and checked in one step.

pub(crate) mod base_url;
pub(crate) mod check;
pub(crate) mod coding;
pub(crate) mod digest;
pub(crate) mod id_map;
pub(crate) mod key;
pub(crate) mod network;
pub(crate) mod secret;
pub(crate) mod text;
pub(crate) mod unit;
