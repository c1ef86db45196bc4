//! The simulator's settings: plain values without behaviour.

use std::time::Duration;

use crate::fault::Faults;
use crate::store::Order;
use crate::store::churn::Churn;

/// The new API that the simulator has in addition to the legacy one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Voiso's v4 API.
    #[default]
    VoisoV4,
    /// The User Admin API of Vonage Contact Center, version 4, with its token endpoint.
    VonageV4,
}

/// Where Voiso's v4 API has its list of teams. No page of the vendor says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TeamsAt {
    /// Both paths.
    #[default]
    Both,
    /// `/api/v4/users/teams`, which spells the scope.
    Users,
    /// `/api/v4/teams`.
    Alone,
}

impl TeamsAt {
    pub(crate) fn has(self, path: &str) -> bool {
        (path == "/api/v4/users/teams" && self != TeamsAt::Alone)
            || (path == "/api/v4/teams" && self != TeamsAt::Users)
    }
}

/// Whether answers of the new API have a tag, and 304 is an answer to a client that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// No tags.
    #[default]
    None,
    /// As Rails makes them.
    Weak,
    /// Without `W/`.
    Strong,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// The new API. The legacy face is the same for each.
    pub dialect: Dialect,
    /// How many users the contact center has at the start.
    pub users: usize,
    /// The same seed makes the same data on every machine.
    pub seed: u64,
    pub v4_keys: Vec<String>,
    pub legacy_keys: Vec<String>,
    pub order: Order,
    pub faults: Faults,
    pub churn: Option<Churn>,
    /// The shortest time for an answer.
    pub latency: Duration,
    /// Serve the list of teams of the v4 face, to keys with the scope `users.teams.read`.
    pub teams_list: bool,
    pub teams_at: TeamsAt,
    /// Serve `GET /api/v4/security_access_groups`.
    pub groups_list: bool,
    pub tags: Tags,
    pub vonage: VonageSettings,
}

impl Default for Settings {
    /// A calm contact center of 250 users with the demo keys, at Voiso.
    fn default() -> Settings {
        Settings {
            dialect: Dialect::default(),
            users: 250,
            seed: 1,
            v4_keys: vec!["v4-demo-key".to_owned()],
            legacy_keys: vec!["legacy-demo-key".to_owned()],
            order: Order::default(),
            faults: Faults::default(),
            churn: None,
            latency: Duration::ZERO,
            teams_list: false,
            teams_at: TeamsAt::default(),
            groups_list: false,
            tags: Tags::default(),
            vonage: VonageSettings::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VonageSettings {
    /// Clients that may get a token: id and secret.
    pub clients: Vec<(String, String)>,
    pub token_lifetime: Duration,
    /// The largest `limit` of any list.
    pub page_limit_max: u64,
    /// Serve `GET /useradmin/skills`, a list that no page of the vendor describes.
    pub skills_list: bool,
}

impl Default for VonageSettings {
    /// One client with a demo secret, and the vendor's documented figures.
    fn default() -> VonageSettings {
        VonageSettings {
            clients: vec![("demo-client".to_owned(), "demo-secret".to_owned())],
            token_lifetime: Duration::from_secs(2 * 60 * 60),
            page_limit_max: 5_000,
            skills_list: true,
        }
    }
}
