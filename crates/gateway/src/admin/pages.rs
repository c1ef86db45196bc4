//! The admin port: health, metrics, the ledger, the callers. Reads only; shows no secret.

use std::collections::BTreeMap;
use std::convert::Infallible;

use domain::visibility::Visibility;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower::service_fn;
use tower::util::BoxCloneSyncService;
use transport::body::{self, Body};

use crate::admin::reload::InForce;
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
        let (head, _) = request.into_parts();
        async move { Ok(answer(&state, &head).await) }
    }))
}

async fn answer(state: &State, head: &Parts) -> Response<Body> {
    let (status, kind, bytes) = match head.uri.path() {
        "/healthz" => (StatusCode::OK, TEXT, b"ok\n".to_vec()),
        "/readyz" if state.lifecycle.is_draining() => {
            (StatusCode::SERVICE_UNAVAILABLE, TEXT, b"draining\n".to_vec())
        }
        "/readyz" => (StatusCode::OK, TEXT, b"ready\n".to_vec()),
        "/metrics" => (StatusCode::OK, PROMETHEUS, metrics(state).await),
        "/losses" => (StatusCode::OK, JSON, losses()),
        "/shadow" => (StatusCode::OK, JSON, shadow(state)),
        "/callers" => (StatusCode::OK, JSON, callers(state)),
        _ => (StatusCode::NOT_FOUND, JSON, domain::json::error_body("Not found")),
    };
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    let (status, bytes) = match is_read {
        true => (status, bytes),
        false => (StatusCode::METHOD_NOT_ALLOWED, domain::json::error_body("Method not allowed")),
    };
    let mut answer = Response::new(body::full(bytes));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if !is_read {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
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
    };
    state.metrics.text(&snapshot)
}

/// Users of the roster, all callers together. Its file is read on a thread that may wait; where it
/// cannot be read, nothing is told: lists that need it say why.
async fn roster(state: &State) -> Vec<(&'static str, usize)> {
    let Some(roster) = state.roster.clone() else { return Vec::new() };
    let read = move || {
        let mut sums = [("remembered", 0), ("deleted", 0), ("vanished", 0), ("imported", 0)];
        for scope in roster.scopes()? {
            let counts = roster.counts(&scope)?;
            let of = [counts.remembered, counts.deleted, counts.vanished, counts.imported];
            for ((_, sum), count) in sums.iter_mut().zip(of) {
                *sum += count;
            }
        }
        Ok::<_, roster::RosterError>(sums.to_vec())
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(sums)) => sums,
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
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
            })
        })
        .collect();
    serde_json::to_vec(&callers).unwrap_or_default()
}
