//! The layers, one file each. They never import each other: what passes between them stands in
//! `call.rs`, and their order in `stack.rs`.

pub(crate) mod admit;
pub(crate) mod assemble;
pub(crate) mod authenticate;
pub(crate) mod authorize;
pub(crate) mod cors;
pub(crate) mod describe;
pub(crate) mod exchange;
pub(crate) mod fail_fast;
pub(crate) mod fan_out;
pub(crate) mod lookup;
pub(crate) mod part;
pub(crate) mod passthrough;
pub(crate) mod relate;
pub(crate) mod remember;
pub(crate) mod rescue;
pub(crate) mod retry;
pub(crate) mod route;
pub(crate) mod send;
pub(crate) mod settle;
pub(crate) mod shadow;
pub(crate) mod share;
pub(crate) mod shed;
pub(crate) mod sunset;
pub(crate) mod teams;
pub(crate) mod tenant;
pub(crate) mod trace;
pub(crate) mod translate;
