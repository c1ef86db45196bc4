//! The steps of a legacy request beside its caller's line: what it asks, its body, its plan, its answer.
//! `stack.rs` takes them in order.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod beside;
pub(crate) mod body;
pub(crate) mod calling;
mod candidate;
pub(crate) mod plan;
pub(crate) mod stream;
