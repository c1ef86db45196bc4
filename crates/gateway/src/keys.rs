//! Keys: held without ever being shown, and known by their digests.

pub(crate) mod digest;
pub(crate) mod secret;
