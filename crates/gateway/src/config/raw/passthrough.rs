//! `[passthrough]` and `[cors]` as typed.

use serde::Deserialize;

use super::{Span, seconds};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Passthrough {
    pub(in crate::config) enabled: bool,
    pub(in crate::config) default: Allow,
    pub(in crate::config) credential: PassthroughCredential,
    pub(in crate::config) unknown_callers: UnknownCallers,
    pub(in crate::config) upstream: Option<String>,
    pub(in crate::config) websocket: bool,
    pub(in crate::config) websocket_idle_timeout: Span,
    pub(in crate::config) head_timeout: Span,
    pub(in crate::config) idle_timeout: Span,
    pub(in crate::config) requests_in_flight_max: usize,
    pub(in crate::config) requests_queued_max: usize,
    pub(in crate::config) via: bool,
    pub(in crate::config) route: Vec<Route>,
}

impl Default for Passthrough {
    fn default() -> Self {
        Passthrough {
            enabled: false,
            default: Allow::Allow,
            credential: PassthroughCredential::Exchange,
            unknown_callers: UnknownCallers::Refuse,
            upstream: None,
            websocket: false,
            websocket_idle_timeout: seconds(60),
            head_timeout: seconds(25),
            idle_timeout: seconds(10),
            requests_in_flight_max: 256,
            requests_queued_max: 1024,
            via: false,
            route: Vec::new(),
        }
    }
}

/// What a path, or a narrowed caller on it, may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// It goes to the upstream.
    Allow,
    /// It does not.
    Deny,
}

/// What the upstream is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassthroughCredential {
    /// The caller's own upstream credential, in the place of its legacy key.
    Exchange,
    /// What the client sent.
    Keep,
}

/// What becomes of a request without a known caller's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCallers {
    /// 401.
    Refuse,
    /// It goes to the upstream as it is.
    Forward,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    pub(in crate::config) prefix: String,
    #[serde(default)]
    pub(in crate::config) allow: Option<bool>,
    #[serde(default)]
    pub(in crate::config) methods: Option<Vec<String>>,
    #[serde(default)]
    pub(in crate::config) upstream: Option<String>,
    #[serde(default)]
    pub(in crate::config) credential: Option<PassthroughCredential>,
    #[serde(default)]
    pub(in crate::config) narrowed: Option<Allow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Cors {
    pub(in crate::config) allow_origins: Vec<String>,
    pub(in crate::config) allow_credentials: bool,
    pub(in crate::config) max_age: Span,
}

impl Default for Cors {
    fn default() -> Self {
        Cors { allow_origins: Vec::new(), allow_credentials: false, max_age: seconds(600) }
    }
}
