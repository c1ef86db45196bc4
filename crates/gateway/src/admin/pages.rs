//! The admin port: health, metrics, the ledger, the callers. Reads only; shows no secret. Must never answer
//! a page of the web whose name was made to lead here.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;

use commons::Commons;
use domain::visibility::Visibility;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower::service_fn;
use tower::util::BoxCloneSyncService;
use transport::body::{self, Body};
use transport::server::read_host;

use crate::admin::reload::InForce;
use crate::admin::replicas;
use crate::edge::admit;
use crate::error::{Error, SLUG};
use crate::observe::metrics::Snapshot;
use crate::state::State;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The admin service.
pub(crate) fn admin(
    in_force: InForce,
) -> BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> {
    BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
        let state = in_force.state();
        async move {
            Ok(match may_ask(&state.config.admin.hosts, &request) {
                Ok(()) => answer(&state, request.method(), request.uri().path()).await,
                Err(error) => refusal(&error),
            })
        }
    }))
}

/// Whether somebody is asked whom an operator would ask.
fn may_ask(hosts: &[String], request: &Request<Body>) -> Result<(), Error> {
    match admit::host(request)? {
        Some(host) if !is_believed(hosts, host) => Err(Error::UnknownHost),
        _ => Ok(()),
    }
}

/// A page of the web can have its own name lead to this port, and read what its visitor's browser may read
/// here. Its name has a dot, which an address and a name of the own network need not have.
fn is_believed(hosts: &[String], host: &str) -> bool {
    let name = read_host(host.as_bytes()).map_or(host, |(name, _)| name);
    let is_address = name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok();
    is_address || !name.contains('.') || admit::is_served(hosts, host)
}

fn refusal(error: &Error) -> Response<Body> {
    let bytes = domain::json::error_body(&error.text());
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = page(status, JSON, bytes);
    answer.headers_mut().insert(SLUG, HeaderValue::from_static(error.slug()));
    answer
}

async fn answer(state: &State, method: &Method, path: &str) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let bytes = domain::json::error_body("Method not allowed");
        let mut answer = page(StatusCode::METHOD_NOT_ALLOWED, JSON, bytes);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let (status, kind, bytes) = match path {
        "/healthz" => (StatusCode::OK, TEXT, b"ok\n".to_vec()),
        "/readyz" if state.lifecycle.is_draining() => {
            (StatusCode::SERVICE_UNAVAILABLE, TEXT, b"draining\n".to_vec())
        }
        "/readyz" => (StatusCode::OK, TEXT, b"ready\n".to_vec()),
        "/metrics" => (StatusCode::OK, PROMETHEUS, metrics(state).await),
        "/losses" => (StatusCode::OK, JSON, losses()),
        "/shadow" => (StatusCode::OK, JSON, shadow(state)),
        "/callers" => (StatusCode::OK, JSON, callers(state)),
        "/replicas" => (StatusCode::OK, JSON, replicas::page(state)),
        _ => (StatusCode::NOT_FOUND, JSON, domain::json::error_body("Not found")),
    };
    page(status, kind, bytes)
}

fn page(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut answer = Response::new(body::full(bytes));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}

async fn metrics(state: &State) -> Vec<u8> {
    let callers = state.callers.all();
    let callers = callers
        .iter()
        .map(|caller| (caller.name.to_string(), caller.line.key_state().as_str()))
        .collect();
    let upstreams: BTreeMap<&str, _> = state
        .callers
        .all()
        .iter()
        .map(|caller| &caller.line.upstream)
        .map(|upstream| (upstream.name.as_str(), upstream.breaker.state()))
        .collect();
    let breakers = upstreams.into_iter().map(|(name, breaker)| (name.to_owned(), breaker));
    let tls = state.config.server.tls.as_ref();
    let snapshot = Snapshot {
        callers,
        roster: roster(state).await,
        breakers: breakers.collect(),
        queued: state.admission.queued(),
        level: state.lifecycle.level(),
        certificate: tls.and_then(|tls| tls.not_after()).unwrap_or(0),
        commons: state.commons.as_ref().map(Commons::standing),
    };
    state.metrics.text(&snapshot)
}

/// Users of the roster, all callers together. Where it cannot be read, nothing is told: lists that need it say why.
async fn roster(state: &State) -> Vec<(&'static str, usize)> {
    let Some(roster) = &state.roster else { return Vec::new() };
    let Ok(counts) = roster.totals().await else { return Vec::new() };
    vec![
        ("remembered", counts.remembered),
        ("deleted", counts.deleted),
        ("vanished", counts.vanished),
        ("imported", counts.imported),
    ]
}

fn losses() -> Vec<u8> {
    let ledger: Vec<_> = domain::ledger::coded().collect();
    serde_json::to_vec(&ledger).unwrap_or_default()
}

/// What comparisons with the other side found; no value of an answer is in it.
fn shadow(state: &State) -> Vec<u8> {
    let mut found = state.shadow_results.json();
    found["enabled"] = state.shadow.is_some().into();
    serde_json::to_vec(&found).unwrap_or_default()
}

/// Each caller: name, upstream, what it sees, what the upstream last said to its v4 key, and how often it
/// sent parameters that look like filters and are none.
fn callers(state: &State) -> Vec<u8> {
    let callers: Vec<_> = state
        .callers
        .all()
        .iter()
        .map(|caller| {
            let sees = match &caller.visibility {
                Visibility::Everything => serde_json::json!("everything"),
                Visibility::Only(only) => serde_json::json!({
                    "teams": only.teams, "groups": only.groups, "users": only.users,
                }),
            };
            serde_json::json!({
                "name": &*caller.name,
                "upstream": caller.line.upstream.name,
                "dialect": caller.line.upstream.dialect.name(),
                "sees": sees,
                "upstream_key": caller.line.key_state().as_str(),
                "near_misses": caller.tally.near_misses().collect::<BTreeMap<_, _>>(),
                "untranslated": caller.tally.untranslated_paths().collect::<BTreeMap<_, _>>(),
            })
        })
        .collect();
    serde_json::to_vec(&callers).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n14_names_with_a_dot_are_believed_only_if_they_are_configured() {
        let hosts = ["tieline.monitoring.example".to_owned()];
        for host in [
            "127.0.0.1:9090",
            "192.0.2.1",
            "[::1]:9090",
            "[::ffff:192.0.2.1]",
            "localhost",
            "LOCALHOST:9090",
            "tieline:9090",
            "Tieline.Monitoring.example:9090",
        ] {
            assert!(is_believed(&hosts, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "tieline.monitoring.example.evil.example",
        ] {
            assert!(!is_believed(&hosts, host), "{host}");
        }
    }
}
