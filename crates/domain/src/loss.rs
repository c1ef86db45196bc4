//! The loss ledger: for every legacy field of every endpoint and dialect, how faithful it is.
//!
//! One table per endpoint and dialect stands in the endpoint's file; documentation, metrics and the
//! validator read it from here. A field without a row does not pass the tests.

use serde::Serialize;

/// How a legacy field relates to what the upstream offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The same value under the same meaning.
    Exact,
    /// The same value under another name or nesting.
    Renamed,
    /// Computed from upstream values by a rule.
    Derived,
    /// Translated by a dictionary that may lack an entry.
    Dictionary,
    /// Filled with a documented constant where the upstream has nothing.
    Defaulted,
    /// Not to be had from this upstream.
    Unavailable,
}

impl Status {
    /// The word used in tables, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Exact => "exact",
            Status::Renamed => "renamed",
            Status::Derived => "derived",
            Status::Dictionary => "dictionary",
            Status::Defaulted => "defaulted",
            Status::Unavailable => "unavailable",
        }
    }
}

/// One row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Endpoint name, such as `v1_users`.
    pub endpoint: &'static str,
    /// Legacy field, such as `sag`.
    pub field: &'static str,
    /// Dialect name, such as `voiso-v4`.
    pub dialect: &'static str,
    /// How faithful the field is.
    pub status: Status,
    /// Why, in one sentence.
    pub reason: &'static str,
}

/// The whole ledger: endpoints in table order, then dialects, then fields in answer order.
pub fn ledger() -> impl Iterator<Item = Loss> {
    crate::legacy::ENDPOINTS.iter().flat_map(|endpoint| endpoint.losses().iter().copied())
}
