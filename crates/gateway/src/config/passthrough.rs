//! `[passthrough]`, `[cors]` and `server.trusted_proxies`: which requests go through as they are, to
//! whom, with which credential, and which pages of other origins may ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Uri};

use super::raw::{self, Allow, PassthroughCredential, UnknownCallers};
use super::{Caller, ConfigError, Field, Reader, Upstream, field, locate, network::Network};

/// `[passthrough]`, switched on.
#[derive(Debug, Clone)]
pub struct Passthrough {
    /// The longest prefix first; the last one is that of all other paths.
    routes: Vec<Arc<Route>>,
    /// What becomes of a request without a known caller's key.
    pub unknown_callers: UnknownCallers,
    /// Whether WebSockets go through, and how long one may be silent.
    pub websocket: Option<Duration>,
    /// The longest wait for an answer's head.
    pub head_timeout: Duration,
    /// The longest silence of a body.
    pub idle_timeout: Duration,
    /// Requests passed through at once; more wait, for a moment.
    pub requests_in_flight_max: usize,
    /// How many may wait; more are refused with 503.
    pub requests_queued_max: usize,
    /// Whether `Via` names us.
    pub via: bool,
}

/// What holds below one prefix.
#[derive(Debug, Clone)]
pub struct Route {
    prefix: String,
    prefix_in_lower_case: String,
    /// Whether requests go through at all.
    pub is_allowed: bool,
    /// The only methods that do, in one text for `allow`.
    pub methods: Option<Methods>,
    /// To whom; a caller's own upstream where it is not said.
    pub upstream: Option<String>,
    /// To whom, where the caller is unknown.
    pub upstream_of_unknown: Option<String>,
    /// With which credential.
    pub credential: PassthroughCredential,
    /// Whether callers may that are narrowed elsewhere.
    pub narrowed: Allow,
}

/// A list of methods.
#[derive(Debug, Clone)]
pub struct Methods {
    list: Vec<Method>,
    /// As `allow` lists them.
    pub(crate) allow: HeaderValue,
}

impl Methods {
    pub(crate) fn has(&self, method: &Method) -> bool {
        self.list.contains(method)
    }
}

impl Passthrough {
    /// What holds for a path whose escapes are undone.
    pub(crate) fn route(&self, path: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| is_below(path, &route.prefix))
    }

    /// What would hold for a path in lower case, were case ignored.
    pub(crate) fn route_in_any_case(&self, path: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| is_below(path, &route.prefix_in_lower_case))
    }

    /// The upstreams that requests of unknown callers may go to.
    pub(crate) fn upstreams_of_unknown(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().filter_map(|route| route.upstream_of_unknown.as_deref())
    }

    /// The upstreams that requests may go to beside their callers' own.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &String> {
        self.routes.iter().filter_map(|route| route.upstream.as_ref())
    }
}

/// Whether a path is the prefix, or goes on at a slash.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `[cors]`, with at least one origin.
#[derive(Debug, Clone)]
pub struct Cors {
    /// Exact origins, or none for any.
    pub(crate) origins: Option<Vec<HeaderValue>>,
    /// Whether browsers may add cookies.
    pub(crate) allow_credentials: bool,
    /// How long a browser may believe a preflight's answer.
    pub(crate) max_age: Duration,
}

impl Reader<'_> {
    pub(super) fn passthrough(
        &self,
        upstreams: &BTreeMap<String, Upstream>,
        callers: &[Caller],
    ) -> Result<Option<Passthrough>, ConfigError> {
        let raw = &self.raw.passthrough;
        let at = |key: &str| field(&["passthrough", key]);
        for (key, time) in [
            ("head_timeout", raw.head_timeout),
            ("idle_timeout", raw.idle_timeout),
            ("websocket_idle_timeout", raw.websocket_idle_timeout),
        ] {
            self.positive(&at(key), time.0)?;
        }
        self.at_least_one(&at("requests_in_flight_max"), raw.requests_in_flight_max)?;
        if raw.requests_queued_max > 1_000_000 {
            return self.refuse(&at("requests_queued_max"), "must be at most 1000000");
        }
        self.known(&at("upstream"), raw.upstream.as_ref(), upstreams)?;
        if raw.unknown_callers == UnknownCallers::Forward && raw.upstream.is_none() {
            return self.refuse(&at("upstream"), "unknown_callers = \"forward\" needs one");
        }
        let mut routes: Vec<Arc<Route>> = Vec::new();
        for (index, route) in raw.route.iter().enumerate() {
            let route = self.route(index, route, upstreams, callers)?;
            if routes.iter().any(|other| other.prefix == route.prefix) {
                let at = route_field(index, "prefix");
                return self.refuse(&at, "another route has this prefix");
            }
            routes.push(Arc::new(route));
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        routes.push(Arc::new(Route {
            prefix: String::new(),
            prefix_in_lower_case: String::new(),
            is_allowed: raw.default == Allow::Allow,
            methods: None,
            upstream: None,
            upstream_of_unknown: raw.upstream.clone(),
            credential: raw.credential,
            narrowed: Allow::Deny,
        }));
        Ok(raw.enabled.then(|| Passthrough {
            routes,
            unknown_callers: raw.unknown_callers,
            websocket: raw.websocket.then_some(raw.websocket_idle_timeout.0),
            head_timeout: raw.head_timeout.0,
            idle_timeout: raw.idle_timeout.0,
            requests_in_flight_max: raw.requests_in_flight_max,
            requests_queued_max: raw.requests_queued_max,
            via: raw.via,
        }))
    }

    fn route(
        &self,
        index: usize,
        raw: &raw::Route,
        upstreams: &BTreeMap<String, Upstream>,
        callers: &[Caller],
    ) -> Result<Route, ConfigError> {
        let at = |key: &str| route_field(index, key);
        let is_plain = |c: char| c.is_ascii_graphic() && !"%?#\\;\"".contains(c);
        let is_path = raw.prefix.len() > 1 && raw.prefix.starts_with('/');
        if !is_path || !raw.prefix.chars().all(is_plain) || raw.prefix.contains("//") {
            return self.refuse(&at("prefix"), "must be a path such as /api/v2/cdr, not escaped");
        }
        self.known(&at("upstream"), raw.upstream.as_ref(), upstreams)?;
        let all = &self.raw.passthrough;
        let credential = raw.credential.unwrap_or(all.credential);
        // A credential goes to the host it is for and to no other.
        if let Some(upstream) = &raw.upstream
            && credential == PassthroughCredential::Exchange
            && let Some(caller) = callers.iter().find(|caller| caller.upstream != *upstream)
        {
            let what = format!(
                "credential = \"exchange\" would send the key of caller \"{}\" to another \
                 upstream; say credential = \"keep\" here, or leave it out",
                caller.name
            );
            return self.refuse(&at("upstream"), what);
        }
        Ok(Route {
            prefix: raw.prefix.clone(),
            prefix_in_lower_case: raw.prefix.to_ascii_lowercase(),
            // A route that says nothing else is there to let something through.
            is_allowed: raw.allow.unwrap_or(true),
            methods: match &raw.methods {
                Some(names) => Some(self.methods(&at("methods"), names)?),
                None => None,
            },
            upstream: raw.upstream.clone(),
            upstream_of_unknown: raw.upstream.clone().or_else(|| all.upstream.clone()),
            credential,
            narrowed: raw.narrowed.unwrap_or(Allow::Deny),
        })
    }

    fn methods(&self, at: &Field, names: &[String]) -> Result<Methods, ConfigError> {
        let is_method =
            |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase());
        let allow = HeaderValue::from_str(&names.join(", "));
        let list = names.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok());
        match allow {
            Ok(allow) if !names.is_empty() && names.iter().all(is_method) => {
                Ok(Methods { list: list.collect(), allow })
            }
            _ => self.refuse(at, "must be at least one method such as \"GET\", in capitals"),
        }
    }

    fn known(
        &self,
        at: &Field,
        name: Option<&String>,
        upstreams: &BTreeMap<String, Upstream>,
    ) -> Result<(), ConfigError> {
        match name {
            Some(name) if !upstreams.contains_key(name) => {
                self.refuse(at, "there is no [upstream] of this name")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn trusted_proxies(&self) -> Result<Vec<Network>, ConfigError> {
        let mut networks = Vec::new();
        for text in &self.raw.server.trusted_proxies {
            match Network::read(text) {
                Some(network) => networks.push(network),
                None => {
                    let what = "must be networks such as \"10.0.0.0/8\", or addresses";
                    return self.refuse(&field(&["server", "trusted_proxies"]), what);
                }
            }
        }
        Ok(networks)
    }

    pub(super) fn cors(&self) -> Result<Option<Cors>, ConfigError> {
        let raw = &self.raw.cors;
        let at = field(&["cors", "allow_origins"]);
        let is_any = raw.allow_origins.iter().any(|origin| origin == "*");
        if is_any && raw.allow_origins.len() > 1 {
            return self.refuse(&at, "holds \"*\" beside origins; say which of the two");
        }
        if is_any && raw.allow_credentials {
            return self.refuse(&at, "\"*\" and allow_credentials do not go together");
        }
        let mut origins = Vec::new();
        for origin in raw.allow_origins.iter().filter(|_| !is_any) {
            match origin_value(origin) {
                Some(origin) => origins.push(origin),
                None => {
                    let what = "must be origins such as \"https://app.example\", without a path";
                    return self.refuse(&at, what);
                }
            }
        }
        let origins = (!is_any).then_some(origins);
        Ok((!raw.allow_origins.is_empty()).then_some(Cors {
            origins,
            allow_credentials: raw.allow_credentials,
            max_age: raw.max_age.0,
        }))
    }
}

/// An origin as browsers send it: scheme, host, and a port that is not the scheme's own.
fn origin_value(text: &str) -> Option<HeaderValue> {
    let uri = text.parse::<Uri>().ok()?;
    let authority = uri.authority()?.as_str();
    let own_port = match uri.scheme_str()? {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let is_exact = text == format!("{}://{authority}", uri.scheme_str()?)
        && !authority.contains('@')
        && !authority.ends_with(own_port)
        && *text == text.to_ascii_lowercase();
    is_exact.then(|| HeaderValue::from_str(text).ok())?
}

fn route_field(index: usize, key: &str) -> Field {
    let mut at = field(&["passthrough", "route"]);
    at.extend([locate::Step::Index(index), locate::Step::Key(key.to_owned())]);
    at
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

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in ["https://app.example", "http://localhost:3000", "https://app.example:8443"] {
            assert!(origin_value(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "app.example",
            "https://app.example/",
            "https://App.example",
            "https://app.example:443",
            "http://app.example:80",
            "ftp://app.example",
            "https://u@app.example",
            "https://*.example/x",
            "null",
        ] {
            assert!(origin_value(bad).is_none(), "{bad}");
        }
    }
}
