//! The words of the loss ledger: how faithful a legacy field is to its upstream, and why.
//!
//! A dialect says it of every field in its `losses.rs`; [`crate::ledger`] puts the rows together.

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
    /// The upstream has nothing to fill it with.
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

/// Why a field is as faithful as it is, in one word. Programs test the code; the reason beside it is
/// for people and may be reworded at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossCode {
    /// Nothing is lost.
    SameValue,
    /// The value stands elsewhere in the upstream's record.
    OtherPlace,
    /// The id policy makes a number of the upstream's id.
    IdPolicy,
    /// The number is the upstream's own and differs from the one before the move.
    NewNumber,
    /// A dictionary translates names.
    NamesDiffer,
    /// Several ids or names are joined into one text.
    Joined,
    /// Other lists of the upstream are read and turned around.
    OtherLists,
    /// The upstream has several fields that could be meant, and a setting chooses.
    SeveralSources,
    /// One configured value stands for every user.
    OneForAll,
    /// The upstream has no such field.
    NoSuchField,
    /// Where the upstream has no list of teams, teams without members are missing.
    EmptyTeamsMissing,
    /// Deleted users that the upstream no longer lists are missing unless the roster knows them.
    VanishedUsersMissing,
}

/// What a dialect says of one legacy field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLoss {
    /// How faithful the field is.
    pub status: Status,
    /// Why, for programs.
    pub code: LossCode,
    /// Why, for people, in one sentence.
    pub reason: &'static str,
}

impl FieldLoss {
    /// A row of a dialect's `losses.rs`.
    pub const fn new(status: Status, code: LossCode, reason: &'static str) -> Self {
        FieldLoss { status, code, reason }
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
    /// Why, for programs; [`Coded`] shows it.
    #[serde(skip)]
    pub code: LossCode,
    /// Why, for people, in one sentence.
    pub reason: &'static str,
}

/// A row as programs read it: with its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Coded {
    /// The row.
    #[serde(flatten)]
    pub loss: Loss,
    /// Its code.
    pub code: LossCode,
}
