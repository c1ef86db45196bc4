//! Validation: control, the real legacy API, against candidate, what Tieline answers.
//!
//! Knows HTTP, JSON and the vendor's pages, and must never import the crate `domain`: if both sides
//! of a comparison shared our structs, a wrong field name would pass. What it has to know of the
//! gateway, the ledger of losses and the settings in force, comes as JSON.

pub mod ask;
pub mod calibrate;
pub mod cause;
pub mod compare;
pub mod corpus;
pub mod draw;
pub mod endpoint;
pub mod knowledge;
pub mod list;
pub mod mask;
pub mod node;
pub mod properties;
pub mod pseudonym;
pub mod relay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod secrets;
pub mod single;
pub mod source;
pub mod witness;
pub mod zone;
