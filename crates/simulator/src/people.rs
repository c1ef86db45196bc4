//! The people and things of a pretend vendor, made up from a seed and the same for every face.

pub(crate) mod data;
pub(crate) mod messages;
pub(crate) mod record;
pub(crate) mod words;
pub(crate) mod zones;
