//! The legacy, hub and v4 shapes, and how one becomes the other.
//!
//! Hub and spoke: a legacy endpoint ([`legacy::Endpoint`]) turns a request into a [`plan::Plan`] and
//! hub rows into legacy bytes; a dialect ([`upstream::Dialect`]) turns a plan into page requests and
//! page bytes into hub rows. Neither knows the other, so M endpoints and N dialects take M + N translators.
//!
//! **Architecture invariant:** nothing here waits, reads a clock, the environment or a file, or
//! fails for a reason outside its input. HTTP status codes, headers and logs are the gateway's.

pub mod asked;
pub mod call;
pub mod hub;
pub mod id;
pub mod ledger;
pub mod legacy;
pub mod listing;
pub mod loss;
pub mod names;
pub mod page;
#[cfg(any(test, feature = "properties"))]
pub mod properties;
pub mod quirks;
pub mod related;
pub mod sweep;
pub mod teams;
pub mod text;
pub mod upstream;

pub use asked::{params, plan, slice, visibility};
pub use names::{channel, time_zone};
pub use text::{hex, json, span};
