//! `[passthrough]`: which requests go through as they are, to which upstream, and with which credential.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::legacy::FAMILIES;
use http::{HeaderValue, Method};
use serde::{Deserialize, Deserializer};

use super::callers::Caller;
use super::upstreams::Upstream;
use crate::error::ConfigError;
use crate::near::question;
use crate::reader::{Field, Reader, field, field_in_list};
use crate::value::check::{count, positive, queue, size, some_count, some_size};

/// `[passthrough]`, switched on.
#[derive(Debug, Clone)]
pub struct Passthrough {
    /// The longest prefix first; the last one is that of all other paths.
    routes: Vec<Arc<Route>>,
    /// The answer to a request without a known caller's key.
    pub unknown_callers: UnknownCallers,
    /// Whether WebSockets go through, and how long one may be silent.
    pub websocket: Option<Duration>,
    /// The answer to a path with an escaped slash.
    pub escaped_slashes: EscapedSlashes,
    /// Whether a `Location` at the upstream becomes one here.
    pub rewrite_location: bool,
    /// Requests passed through at once; more wait, for a moment.
    pub requests_in_flight_max: usize,
    /// How many may wait; more are refused with 503.
    pub requests_queued_max: usize,
    /// How many requests one caller, or all unknown callers together, may pass through at once.
    pub requests_per_caller_max: usize,
    /// Whether `Via` names us.
    pub via: bool,
}

/// The rules below one prefix.
#[derive(Debug, Clone)]
pub struct Route {
    prefix: String,
    prefix_in_lower_case: String,
    /// Whether requests go through at all.
    pub is_allowed: bool,
    /// The only methods that do, in one text for `allow`.
    pub methods: Option<Methods>,
    /// The upstream; `None` is the caller's own.
    pub upstream: Option<String>,
    /// The upstream of unknown callers.
    pub upstream_of_unknown: Option<String>,
    /// With which credential.
    pub credential: PassthroughCredential,
    /// What becomes of a caller's key that stands in a path.
    pub key_in_path: KeyInPath,
    /// Whether callers may that are narrowed elsewhere.
    pub narrowed: Allow,
    /// The longest wait for an answer's head.
    pub head_timeout: Duration,
    /// The longest silence of a body.
    pub idle_timeout: Duration,
    /// The least rate of a body that is waited for; 0 is none.
    pub bytes_per_second_min: usize,
}

/// A list of methods.
#[derive(Debug, Clone)]
pub struct Methods {
    list: Vec<Method>,
    /// As `allow` lists them.
    pub allow: HeaderValue,
}

impl Methods {
    /// Whether it is one of them.
    pub fn has(&self, method: &Method) -> bool {
        self.list.contains(method)
    }
}

impl Passthrough {
    /// The rules for a path whose escapes are undone.
    pub fn route(&self, path: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| is_below(path, &route.prefix))
    }

    /// The rules for a path in lower case, if case were ignored.
    pub fn route_in_any_case(&self, path: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| is_below(path, &route.prefix_in_lower_case))
    }

    /// The longest that an upstream may take nothing of a request, on any route.
    pub fn idle_timeout_max(&self) -> Duration {
        self.routes.iter().map(|route| route.idle_timeout).max().unwrap_or_default()
    }

    /// The upstreams that requests of unknown callers may go to.
    pub fn upstreams_of_unknown(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().filter_map(|route| route.upstream_of_unknown.as_deref())
    }

    /// The upstreams that requests may go to beside their callers' own.
    pub fn upstreams(&self) -> impl Iterator<Item = &String> {
        self.routes.iter().filter_map(|route| route.upstream.as_ref())
    }
}

/// Whether a path is the prefix, or goes on at a slash.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `[passthrough]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TypedPassthrough {
    enabled: bool,
    default: Allow,
    credential: PassthroughCredential,
    key_in_path: KeyInPath,
    unknown_callers: UnknownCallers,
    upstream: Option<String>,
    websocket: bool,
    #[serde(deserialize_with = "positive")]
    websocket_idle_timeout: Duration,
    #[serde(deserialize_with = "positive")]
    head_timeout: Duration,
    #[serde(deserialize_with = "positive")]
    idle_timeout: Duration,
    #[serde(deserialize_with = "count")]
    requests_in_flight_max: usize,
    #[serde(deserialize_with = "queue")]
    requests_queued_max: usize,
    #[serde(deserialize_with = "some_count")]
    requests_per_caller_max: Option<usize>,
    #[serde(deserialize_with = "size")]
    bytes_per_second_min: usize,
    escaped_slashes: EscapedSlashes,
    rewrite_location: bool,
    via: bool,
    route: Vec<TypedRoute>,
}

impl Default for TypedPassthrough {
    fn default() -> Self {
        TypedPassthrough {
            enabled: false,
            default: Allow::Allow,
            credential: PassthroughCredential::Exchange,
            key_in_path: KeyInPath::Refuse,
            unknown_callers: UnknownCallers::Refuse,
            upstream: None,
            websocket: false,
            websocket_idle_timeout: Duration::from_secs(60),
            // The proxies before Tieline waited as long. Long polls take 28 s, heartbeats 15 s.
            head_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            requests_in_flight_max: 256,
            requests_queued_max: 1024,
            requests_per_caller_max: None,
            // A modem of 1990 sends as much.
            bytes_per_second_min: 256,
            escaped_slashes: EscapedSlashes::Refuse,
            rewrite_location: true,
            via: false,
            route: Vec::new(),
        }
    }
}

/// Whether a path, or a narrowed caller on it, is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allow {
    /// It goes to the upstream.
    Allow,
    /// It does not.
    Deny,
}

/// The answer to a path with an escaped slash (`%2F`), which some servers take for a slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscapedSlashes {
    /// 400.
    Refuse,
    /// It goes through as it is, where both readings come to the same rules.
    Keep,
}

/// The credential that the upstream gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassthroughCredential {
    /// The caller's own upstream credential, in the place of its legacy key.
    Exchange,
    /// The client's own.
    Keep,
}

/// What becomes of a request with a caller's key in its path. An upstream key never comes into a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyInPath {
    /// 403: the upstream would see the legacy key.
    Refuse,
    /// The path goes on as it came, without another credential.
    Keep,
}

/// The answer to a request without a known caller's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCallers {
    /// 401.
    Refuse,
    /// It goes to the upstream as it is.
    Forward,
}

/// What a route does that is there for the legacy API alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LegacyRoute {
    /// Every credential stays where it is, so that what is not translated works as long as the vendor answers it.
    Keep,
}

/// `[[passthrough.route]]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedRoute {
    prefix: Option<String>,
    legacy: Option<LegacyRoute>,
    allow: Option<bool>,
    methods: Option<Vec<String>>,
    upstream: Option<String>,
    credential: Option<PassthroughCredential>,
    key_in_path: Option<KeyInPath>,
    narrowed: Option<Allow>,
    #[serde(default, deserialize_with = "maybe_positive")]
    head_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "maybe_positive")]
    idle_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "some_size")]
    bytes_per_second_min: Option<usize>,
}

impl TypedRoute {
    /// Whether it stands for every documented family of legacy paths.
    fn is_preset(&self) -> bool {
        self.prefix.is_none() && self.legacy.is_some()
    }
}

fn maybe_positive<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    positive(from).map(Some)
}

/// The names that a route may use.
pub(crate) struct Named<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) upstreams: &'a BTreeMap<String, Upstream>,
    pub(crate) callers: &'a [Caller],
}

impl TypedPassthrough {
    /// What it means; nothing where it is switched off.
    pub(crate) fn read(self, named: &Named<'_>) -> Result<Option<Passthrough>, ConfigError> {
        let (reader, upstream) = (named.reader, field(&["passthrough", "upstream"]));
        named.knows(&upstream, self.upstream.as_ref())?;
        if self.unknown_callers == UnknownCallers::Forward && self.upstream.is_none() {
            return reader.refuse(&upstream, "unknown_callers = \"forward\" needs one");
        }
        let mut routes: Vec<Arc<Route>> = Vec::new();
        for (index, typed) in self.route.iter().enumerate().filter(|(_, typed)| !typed.is_preset())
        {
            let prefix = typed.prefix.as_deref().unwrap_or_default();
            let route = self.route(index, typed, prefix, named)?;
            if routes.iter().any(|other| other.prefix == route.prefix) {
                let at = route_field(index, "prefix");
                let is_first = |other: &TypedRoute| other.prefix == typed.prefix;
                let first = self.route.iter().position(is_first).unwrap_or(index);
                let first = route_field(first, "prefix");
                return reader.refuse_second(&at, &first, "another route has this prefix");
            }
            routes.push(Arc::new(route));
        }
        let mut presets = self.route.iter().enumerate().filter(|(_, typed)| typed.is_preset());
        if let Some((index, typed)) = presets.next() {
            // A route of the operator's own goes first.
            for prefix in FAMILIES {
                let route = self.route(index, typed, prefix, named)?;
                if !routes.iter().any(|other| other.prefix == route.prefix) {
                    routes.push(Arc::new(route));
                }
            }
        }
        if let Some((index, _)) = presets.next() {
            let first = self.route.iter().position(TypedRoute::is_preset).unwrap_or(index);
            let (at, first) = (route_field(index, "legacy"), route_field(first, "legacy"));
            let what = "another route without a prefix says this";
            return reader.refuse_second(&at, &first, what);
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        routes.push(Arc::new(Route {
            prefix: String::new(),
            prefix_in_lower_case: String::new(),
            is_allowed: self.default == Allow::Allow,
            methods: None,
            upstream: None,
            upstream_of_unknown: self.upstream.clone(),
            credential: self.credential,
            key_in_path: self.key_in_path,
            narrowed: Allow::Deny,
            head_timeout: self.head_timeout,
            idle_timeout: self.idle_timeout,
            bytes_per_second_min: self.bytes_per_second_min,
        }));
        Ok(self.enabled.then(|| Passthrough {
            routes,
            unknown_callers: self.unknown_callers,
            websocket: self.websocket.then_some(self.websocket_idle_timeout),
            escaped_slashes: self.escaped_slashes,
            rewrite_location: self.rewrite_location,
            requests_in_flight_max: self.requests_in_flight_max,
            requests_queued_max: self.requests_queued_max,
            requests_per_caller_max: self.share(named.callers.len()),
            via: self.via,
        }))
    }

    /// Half of the places for each of several parties, unless the file says another number. One alone has
    /// them all.
    fn share(&self, callers: usize) -> usize {
        let parties = callers + usize::from(self.unknown_callers == UnknownCallers::Forward);
        let all = self.requests_in_flight_max;
        let share = if parties > 1 { all.div_ceil(2) } else { all };
        self.requests_per_caller_max.unwrap_or(share)
    }

    fn route(
        &self,
        index: usize,
        typed: &TypedRoute,
        prefix: &str,
        named: &Named<'_>,
    ) -> Result<Route, ConfigError> {
        let at = |key: &str| route_field(index, key);
        let reader = named.reader;
        let is_plain = |c: char| c.is_ascii_graphic() && !"%?#\\;\"".contains(c);
        let is_path = prefix.len() > 1 && prefix.starts_with('/');
        if !is_path || !prefix.chars().all(is_plain) || prefix.contains("//") {
            let what = "must be a path such as /api/v2/cdr, not escaped";
            return reader.refuse(&at("prefix"), what);
        }
        named.knows(&at("upstream"), typed.upstream.as_ref())?;
        let is_kept = typed.legacy == Some(LegacyRoute::Keep);
        let what = "goes without this: legacy = \"keep\" leaves every credential where it is";
        if is_kept && typed.credential == Some(PassthroughCredential::Exchange) {
            return reader.refuse(&at("credential"), what);
        }
        if is_kept && typed.key_in_path == Some(KeyInPath::Refuse) {
            return reader.refuse(&at("key_in_path"), what);
        }
        let (credential, key_in_path) = match is_kept {
            true => (PassthroughCredential::Keep, KeyInPath::Keep),
            false => (
                typed.credential.unwrap_or(self.credential),
                typed.key_in_path.unwrap_or(self.key_in_path),
            ),
        };
        // A credential goes to the host it is for and to no other.
        if let Some(upstream) = &typed.upstream
            && credential == PassthroughCredential::Exchange
            && let Some(caller) = named.callers.iter().find(|caller| caller.upstream != *upstream)
        {
            let what = format!(
                "credential = \"exchange\" would send the key of caller \"{}\" to another \
                 upstream; say credential = \"keep\" here, or leave it out",
                caller.name
            );
            return reader.refuse(&at("upstream"), what);
        }
        let methods = typed.methods.as_ref().map(|names| {
            let what = "must be at least one method such as \"GET\", in capitals";
            methods(names).ok_or_else(|| reader.line(&at("methods"), what))
        });
        Ok(Route {
            prefix: prefix.to_owned(),
            prefix_in_lower_case: prefix.to_ascii_lowercase(),
            // A route that says nothing else is there to let something through.
            is_allowed: typed.allow.unwrap_or(true),
            methods: methods.transpose()?,
            upstream: typed.upstream.clone(),
            upstream_of_unknown: typed.upstream.clone().or_else(|| self.upstream.clone()),
            credential,
            key_in_path,
            narrowed: typed.narrowed.unwrap_or(Allow::Deny),
            head_timeout: typed.head_timeout.unwrap_or(self.head_timeout),
            idle_timeout: typed.idle_timeout.unwrap_or(self.idle_timeout),
            bytes_per_second_min: typed.bytes_per_second_min.unwrap_or(self.bytes_per_second_min),
        })
    }
}

impl Named<'_> {
    fn knows(&self, at: &Field, name: Option<&String>) -> Result<(), ConfigError> {
        match name {
            Some(name) if !self.upstreams.contains_key(name) => {
                let question = question(name, self.upstreams.keys().map(String::as_str));
                self.reader.refuse(at, format!("there is no [upstream] of this name{question}"))
            }
            _ => Ok(()),
        }
    }
}

fn methods(names: &[String]) -> Option<Methods> {
    let is_method =
        |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase());
    if names.is_empty() || !names.iter().all(is_method) {
        return None;
    }
    let allow = HeaderValue::from_str(&names.join(", ")).ok()?;
    let list = names.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok());
    Some(Methods { list: list.collect(), allow })
}

fn route_field(index: usize, key: &str) -> Field {
    field_in_list(&["passthrough", "route"], index, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        for (path, prefix, expected) in [
            ("/api/v2/cdr", "/api/v2/cdr", true),
            ("/api/v2/cdr/x", "/api/v2/cdr", true),
            ("/api/v2/cdr/x", "/api/v2/cdr/", true),
            ("/api/v2/cdrx", "/api/v2/cdr", false),
            ("/api/v2/CDR", "/api/v2/cdr", false),
            ("/anything", "", true),
        ] {
            assert_eq!(is_below(path, prefix), expected, "{path} {prefix}");
        }
    }
}
