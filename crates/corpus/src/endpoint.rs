//! The legacy endpoints as the vendor's pages describe them: paths, filters, joined fields.
//!
//! It is written from those pages alone and must never be derived from the gateway's own table.

use crate::ask::KeyPlace;

/// One legacy endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name in configuration and reports.
    pub name: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Another path that the pages print.
    pub other_path: Option<&'static str>,
    /// Where the pages put the key.
    pub key: KeyPlace,
    /// The names of its filters.
    pub filters: &'static [&'static str],
    /// Whether a client may write `filter[x]=` for `x=`.
    pub bracketed: bool,
    /// The fields that are lists joined by a comma and a space.
    pub joined: &'static [&'static str],
}

impl Endpoint {
    /// The endpoint with this path.
    pub fn at(path: &str) -> Option<&'static Endpoint> {
        ENDPOINTS.iter().find(|one| one.path == path || one.other_path == Some(path))
    }

    /// Whether a field is a joined list.
    pub fn is_joined(&self, field: &str) -> bool {
        self.joined.contains(&field)
    }

    /// Whether it lists users that can be filtered.
    pub fn lists_users(&self) -> bool {
        !self.filters.is_empty()
    }
}

/// Every endpoint, in the order in which a validation asks them.
pub static ENDPOINTS: [Endpoint; 4] = [
    Endpoint {
        name: "v1_users",
        path: "/api/user_management/v1/users",
        other_path: Some("/user_management/v1/users"),
        key: KeyPlace::Bearer,
        filters: &[
            "id",
            "name",
            "email",
            "sip_account",
            "sag",
            "extension",
            "caller_id",
            "timezone",
        ],
        bracketed: false,
        joined: &["assigned_teams", "supervisor_in_teams", "assigned_queues"],
    },
    Endpoint {
        name: "v3_cdr_users",
        path: "/api/v3/cdr/users",
        other_path: None,
        key: KeyPlace::Query,
        filters: &["name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"],
        bracketed: true,
        joined: &["agent_in_teams", "supervisor_in_teams", "assigned_queues"],
    },
    Endpoint {
        name: "v2_cdr_teams",
        path: "/api/v2/cdr/teams",
        other_path: None,
        key: KeyPlace::Query,
        filters: &[],
        bracketed: false,
        joined: &[],
    },
    Endpoint {
        name: "v2_cdr_deleted_agents",
        path: "/api/v2/cdr/deleted_agents",
        other_path: None,
        key: KeyPlace::Query,
        filters: &[],
        bracketed: false,
        joined: &[],
    },
];

/// The endpoint with this name.
pub fn endpoint(name: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.name == name)
}
