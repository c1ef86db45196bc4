//! The layers between a plan and its answer that serve one caller: sharing, look-ups, and one exchange
//! with its upstream.

pub(crate) mod assemble;
pub(crate) mod authorize;
pub(crate) mod fail_fast;
pub(crate) mod lookup;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod share;
