//! `[upstream.<name>]` as typed.

use std::path::PathBuf;

use domain::id::{PolicyName, Unnumbered};
use domain::sweep::DoubleRead;
use domain::upstream::{DeletionDate, Mapping};
use serde::Deserialize;

use super::seconds;
use crate::config::units::{Size, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) dialect: String,
    pub(in crate::config) base_url: String,
    pub(in crate::config) token_url: Option<String>,
    pub(in crate::config) token_auth: Option<TokenAuth>,
    pub(in crate::config) ca_file: Option<PathBuf>,
    pub(in crate::config) page_rows_max: Option<u32>,
    #[serde(default = "Upstream::pages_in_flight_max")]
    pub(in crate::config) pages_in_flight_max: usize,
    #[serde(default = "Upstream::requests_in_flight_max")]
    pub(in crate::config) requests_in_flight_max: usize,
    pub(in crate::config) requests_per_minute_max: Option<u32>,
    #[serde(default = "Upstream::connect_timeout")]
    pub(in crate::config) connect_timeout: Span,
    #[serde(default = "Upstream::attempt_timeout")]
    pub(in crate::config) attempt_timeout: Span,
    #[serde(default = "Upstream::connection_age_max")]
    pub(in crate::config) connection_age_max: Span,
    #[serde(default)]
    pub(in crate::config) allow_private_addresses: bool,
    #[serde(default = "Upstream::breaker_failures_min")]
    pub(in crate::config) breaker_failures_min: u32,
    #[serde(default = "Upstream::breaker_open_for")]
    pub(in crate::config) breaker_open_for: Span,
    #[serde(default = "Upstream::attempts_max")]
    pub(in crate::config) attempts_max: u32,
    #[serde(default = "Upstream::retry_after_max")]
    pub(in crate::config) retry_after_max: Span,
    #[serde(default = "Upstream::rows_max")]
    pub(in crate::config) rows_max: u64,
    pub(in crate::config) page_bytes_max: Option<Size>,
    #[serde(default)]
    pub(in crate::config) double_read: DoubleRead,
    #[serde(default)]
    pub(in crate::config) deleted_at: DeletionDate,
    pub(in crate::config) id_policy: Option<PolicyName>,
    pub(in crate::config) id_map: Option<PathBuf>,
    pub(in crate::config) id_unlisted: Option<Unnumbered>,
    #[serde(default)]
    pub(in crate::config) teams_from: TeamsFrom,
    #[serde(default = "Upstream::deleted_from")]
    pub(in crate::config) deleted_from: Vec<DeletedFrom>,
    pub(in crate::config) mapping: Option<Mapping>,
    #[serde(default = "Upstream::related_fresh_for")]
    pub(in crate::config) related_fresh_for: Span,
    #[serde(default = "Upstream::related_stale_max")]
    pub(in crate::config) related_stale_max: Span,
    #[serde(default = "Upstream::related_deadline")]
    pub(in crate::config) related_deadline: Span,
    #[serde(default = "Upstream::related_lists_max")]
    pub(in crate::config) related_lists_max: usize,
}

impl Upstream {
    fn pages_in_flight_max() -> usize {
        8
    }
    fn requests_in_flight_max() -> usize {
        64
    }
    fn connect_timeout() -> Span {
        seconds(1)
    }
    fn attempt_timeout() -> Span {
        seconds(10)
    }
    fn connection_age_max() -> Span {
        seconds(60)
    }
    fn breaker_failures_min() -> u32 {
        50
    }
    fn breaker_open_for() -> Span {
        seconds(5)
    }
    fn attempts_max() -> u32 {
        3
    }
    fn retry_after_max() -> Span {
        seconds(30)
    }
    fn rows_max() -> u64 {
        100_000
    }
    fn deleted_from() -> Vec<DeletedFrom> {
        vec![DeletedFrom::DeletedAt, DeletedFrom::Vanished, DeletedFrom::Imported]
    }
    fn related_fresh_for() -> Span {
        seconds(5 * 60)
    }
    fn related_stale_max() -> Span {
        seconds(2 * 3600)
    }
    fn related_deadline() -> Span {
        seconds(3600)
    }
    fn related_lists_max() -> usize {
        5000
    }
}

/// Where teams are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamsFrom {
    /// In the upstream's list of teams; where it has none or forbids it, in its users.
    #[default]
    Auto,
    /// In the upstream's list of teams.
    List,
    /// In the users; a team without members is missing.
    Users,
}

/// Where deleted users are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletedFrom {
    /// In the upstream's own list of users, marked as deleted.
    DeletedAt,
    /// In the roster: listed once, and missing since two complete readings.
    Vanished,
    /// In the roster: imported from the legacy API.
    Imported,
}

/// Where a client's id and secret stand in the request for a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAuth {
    /// In the form.
    #[default]
    Form,
    /// In the `authorization` header.
    Basic,
}
