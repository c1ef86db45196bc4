//! Names that the two sides spell differently: of time zones and of channels. Must never guess: what is not in a
//! table has no other name.

pub mod channel;
pub mod time_zone;
