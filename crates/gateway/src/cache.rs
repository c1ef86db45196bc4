//! What is kept for one caller for a while, and read once for all who wait for it.

pub(crate) mod answers;
pub(crate) mod pages;
pub(crate) mod whole;
