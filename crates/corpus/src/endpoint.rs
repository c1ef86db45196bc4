//! The legacy endpoints as the vendor's pages describe them: paths, filters, joined fields.
//!
//! It is written from those pages alone and must never be derived from the gateway's own table.

use crate::ask::KeyPlace;
use crate::spelling::plain_path;

#[derive(Debug)]
pub struct Endpoint {
    /// Its name in configuration and reports.
    pub name: &'static str,
    pub path: &'static str,
    /// Another path that the pages print.
    pub other_path: Option<&'static str>,
    /// Where the pages put the key.
    pub key: KeyPlace,
    pub filters: &'static [&'static str],
    /// Whether a client may write `filter[x]=` for `x=`.
    pub bracketed: bool,
    /// The fields that are lists joined by a comma and a space.
    pub joined: &'static [&'static str],
    /// The parameters with which its whole list is asked for.
    pub whole: &'static [(&'static str, &'static str)],
    /// Whether its records have no id, so that their e-mail addresses tell them apart.
    pub by_email: bool,
    /// Whether it takes the key of the contact center only, and no user's.
    pub center_key: bool,
    /// Whether it came beside the lists of users, teams and deleted users: an account, a key or the new API may be
    /// without it.
    pub is_extra: bool,
}

impl Endpoint {
    /// The endpoint at a path, also in the spellings of [`crate::spelling`].
    pub fn at(path: &str) -> Option<&'static Endpoint> {
        let path = plain_path(path);
        ENDPOINTS.iter().find(|one| one.path == path || one.other_path == Some(&path))
    }

    pub fn is_joined(&self, field: &str) -> bool {
        self.joined.contains(&field)
    }

    /// Whether it answers page by page.
    pub fn has_pages(&self) -> bool {
        !self.whole.is_empty()
    }

    /// Whether it lists users that can be filtered.
    pub fn lists_users(&self) -> bool {
        !self.filters.is_empty()
    }
}

const FILTERS: &[&str] =
    &["id", "name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"];

/// An endpoint without filters and with the key in the query.
const PLAIN: Endpoint = Endpoint {
    name: "",
    path: "",
    other_path: None,
    key: KeyPlace::Query,
    filters: &[],
    bracketed: false,
    joined: &[],
    whole: &[],
    by_email: false,
    center_key: false,
    is_extra: false,
};

/// Every endpoint, in the order in which a validation asks them. One that does something to the world must never be
/// among them.
pub static ENDPOINTS: [Endpoint; 6] = [
    Endpoint {
        name: "v1_users",
        path: "/api/user_management/v1/users",
        other_path: Some("/user_management/v1/users"),
        key: KeyPlace::Bearer,
        filters: FILTERS,
        joined: &["assigned_teams", "supervisor_in_teams", "assigned_queues"],
        ..PLAIN
    },
    Endpoint {
        name: "v3_cdr_users",
        path: "/api/v3/cdr/users",
        // All but the id.
        filters: FILTERS.split_at(1).1,
        bracketed: true,
        joined: &["agent_in_teams", "supervisor_in_teams", "assigned_queues"],
        ..PLAIN
    },
    Endpoint { name: "v2_cdr_teams", path: "/api/v2/cdr/teams", ..PLAIN },
    Endpoint { name: "v2_cdr_deleted_agents", path: "/api/v2/cdr/deleted_agents", ..PLAIN },
    Endpoint {
        name: "v1_agents_status",
        path: "/api/v1/{key}/agents_status",
        key: KeyPlace::Path,
        by_email: true,
        center_key: true,
        is_extra: true,
        ..PLAIN
    },
    Endpoint {
        name: "v3_sms_templates",
        path: "/api/v3/messages/sms/templates",
        // The longest page that the vendor's page of it allows.
        whole: &[("limit", "500")],
        center_key: true,
        is_extra: true,
        ..PLAIN
    },
];

pub fn endpoint(name: &str) -> Option<&'static Endpoint> {
    ENDPOINTS.iter().find(|endpoint| endpoint.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_places_a_call_is_never_asked() {
        assert!(ENDPOINTS.iter().all(|endpoint| !endpoint.path.contains("click2call")));
        assert!(Endpoint::at("/api/v1/{key}/click2call").is_none());
    }
}
