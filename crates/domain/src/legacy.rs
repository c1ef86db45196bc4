//! Legacy endpoints: one file each, and the table that lists them.
//!
//! An endpoint is [`Endpoint::plan`] and [`Endpoint::lists`]. It never knows which upstream
//! answers, and no legacy field name stands outside the endpoint's file.

pub mod envelope;
pub mod field;
pub mod shape;
mod user_record;
mod v1_users;
mod v2_cdr_deleted_agents;
mod v2_cdr_teams;
mod v3_cdr_users;

use std::fmt;

use crate::hub::User;
use crate::params::Params;
use crate::plan::{GroupName, Plan};
use crate::quirks::Quirks;
use field::FieldId;
use shape::Shape;

/// Every legacy endpoint. Adding one is a file and a line here (`docs/ADDING_AN_ENDPOINT.md`).
pub static ENDPOINTS: &[&dyn Endpoint] = &[
    &v1_users::V1Users,
    &v3_cdr_users::V3CdrUsers,
    &v2_cdr_teams::V2CdrTeams,
    &v2_cdr_deleted_agents::V2CdrDeletedAgents,
];

/// One legacy endpoint.
pub trait Endpoint: Send + Sync + fmt::Debug {
    /// Name in configuration, ledger, logs and metrics, such as `v1_users`.
    fn name(&self) -> &'static str;

    /// The exact paths it answers under.
    fn paths(&self) -> &'static [&'static str];

    /// The fields of one record, in answer order.
    fn fields(&self) -> &'static [&'static str];

    /// What these fields are, one for each name.
    fn field_ids(&self) -> &'static [FieldId];

    /// The filters it has, in the plain spelling.
    fn filters(&self) -> &'static [&'static str] {
        &[]
    }

    /// What an answer looks like, as data.
    fn shape(&self, quirks: &Quirks) -> Shape;

    /// Reads what a request asks for.
    fn plan(&self, params: Params, quirks: &Quirks) -> Planned;

    /// What it lists, and how one record is written.
    fn lists(&self) -> Lists;

    /// What stands before and after the records of an answer with `rows` of them.
    fn envelope(&self, quirks: &Quirks, rows: u64) -> (String, String);
}

/// What an endpoint lists, and how it appends one record to the answer.
#[derive(Clone, Copy)]
pub enum Lists {
    /// Users who exist.
    Users(fn(&User<'_>, &Quirks, &mut Vec<u8>, &mut Notes)),
    /// Users who are gone, by id and name.
    DeletedUsers(fn(u64, Option<&str>, &mut Vec<u8>)),
    /// Teams, by id and name.
    Teams(fn(u64, Option<&str>, &mut Vec<u8>)),
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lists::Users(_) => "Users",
            Lists::DeletedUsers(_) => "DeletedUsers",
            Lists::Teams(_) => "Teams",
        })
    }
}

/// A request as its endpoint understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// Rows may fit.
    Ask(Box<Plan<GroupName>>),
    /// No row can fit: the answer is the legacy empty list.
    Nobody {
        /// Names of parameters that were empty or are not known, sorted.
        ignored: Vec<String>,
    },
}

/// The endpoint that answers a path.
pub fn endpoint_at(path: &str) -> Option<&'static dyn Endpoint> {
    ENDPOINTS.iter().copied().find(|endpoint| endpoint.paths().contains(&path))
}

/// Counts of what could only be shown imperfectly while rendering.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes {
    /// Names with `", "` inside, in a joined list.
    pub separator_in_name: u64,
    /// Time zones without a legacy name, shown as they came.
    pub time_zone_unmapped: u64,
    /// Channel kinds without a dictionary entry, shown as they came.
    pub channel_unmapped: u64,
    /// Live users that carry a deletion date.
    pub live_with_deletion_date: u64,
    /// Users left out because they are deleted.
    pub deleted_left_out: u64,
    /// Users left out because they have no legacy number, by the operator's choice.
    pub unnumbered_left_out: u64,
}

impl Notes {
    /// Adds another page's counts.
    pub fn add(&mut self, other: &Notes) {
        self.separator_in_name += other.separator_in_name;
        self.time_zone_unmapped += other.time_zone_unmapped;
        self.channel_unmapped += other.channel_unmapped;
        self.live_with_deletion_date += other.live_with_deletion_date;
        self.deleted_left_out += other.deleted_left_out;
        self.unnumbered_left_out += other.unnumbered_left_out;
    }

    /// Names and counts, for metrics and logs.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("separator_in_name", self.separator_in_name),
            ("time_zone_unmapped", self.time_zone_unmapped),
            ("channel_unmapped", self.channel_unmapped),
            ("live_with_deletion_date", self.live_with_deletion_date),
            ("deleted_left_out", self.deleted_left_out),
            ("unnumbered_left_out", self.unnumbered_left_out),
        ]
        .into_iter()
    }
}
