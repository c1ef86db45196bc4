//! What keeps one part of the house from wearing out another: places, paces, budgets, breakers, and how
//! the process is. Nothing here knows HTTP.

pub(crate) mod admission;
pub(crate) mod blocking;
pub(crate) mod breaker;
pub(crate) mod budget;
pub(crate) mod lifecycle;
pub(crate) mod pacer;
pub(crate) mod recent;
