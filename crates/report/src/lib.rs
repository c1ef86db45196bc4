//! The result of a validation, as plain values, and the forms in which people and programs read it.
//!
//! Every form is drawn from these values alone: nothing is asked or compared here. A report must never
//! contain a key, or an unmasked value of a person.

pub mod draw;
pub mod secrets;
mod values;

pub use values::*;
