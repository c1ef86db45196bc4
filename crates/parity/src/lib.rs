//! Validation: control, the real legacy API, against candidate, what Tieline answers.
//!
//! It chooses the questions, compares the answers, finds the cause of each difference, and returns a
//! [`report::Report`]. It must never import the crate `domain`: if both sides of a comparison shared
//! one set of structs, a wrong field name would pass. The ledger of losses and the settings in force
//! come from the gateway as JSON.

pub mod calibrate;
pub mod cause;
pub mod compare;
mod filter;
pub mod knowledge;
mod letters;
pub mod list;
mod mask;
pub mod properties;
pub mod run;
pub mod scenario;
pub mod single;
pub mod witness;
pub mod words;
pub mod zone;
