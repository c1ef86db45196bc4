//! What a validation found, as plain values, and the forms in which people and programs read it.
//!
//! A report holds everything that is drawn: nothing is computed, asked or compared here. It must
//! never hold a key, nor a value of a person that was not masked.

pub mod draw;
pub mod secrets;
mod values;

pub use values::*;
