//! Names that the two sides spell differently: of time zones, of channels and of statuses. Must never guess: what is not in a
//! table has no other name.

pub mod channel;
pub(crate) mod status;
pub mod time_zone;
pub mod unmapped;
