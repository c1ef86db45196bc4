//! What a client's request says beside its parameters: where it goes, by which gateways it came, which
//! answer it has already and in which codings it takes one.

pub(crate) mod base;
pub(crate) mod client;
pub(crate) mod coding;
pub(crate) mod conditional;
pub(crate) mod credential;
