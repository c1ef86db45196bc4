//! The admin port: health, metrics, the ledger, the callers. Reads only, but for a request that an operator tries;
//! shows no secret. Must never answer
//! before the guard has said that it may.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use commons::Commons;
use http::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use tower::service_fn;
use tower::util::BoxCloneSyncService;
use transport::body::{self, Body};

use crate::admin::console::{self, Page, attempt};
use crate::admin::guard::{Guard, Refused};
use crate::admin::reload::InForce;
use crate::admin::replicas;
use crate::brownout;
use crate::error::SLUG;
use crate::observe::metrics::Snapshot;
use crate::state::State;

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What every answer tells a browser: keep nothing, guess no type, run, load and frame nothing, and let no other
/// site have it.
const HEADERS: [(&str, &str); 7] = [
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
];

/// The admin service.
pub(crate) fn admin(
    in_force: InForce,
) -> BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> {
    let guard = Arc::new(Guard::new());
    BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
        let (in_force, guard) = (in_force.clone(), Arc::clone(&guard));
        let state = in_force.state();
        async move {
            Ok(match guard.admit(&state.config.admin, &request) {
                Ok(()) if request.uri().path() == attempt::PATH => {
                    with_usual_headers(attempt::tried(&in_force, request).await, JSON)
                }
                Ok(()) => answer(&state, request.method(), request.uri()).await,
                Err(refused) => refusal(&refused),
            })
        }
    }))
}

fn refusal(refused: &Refused) -> Response<Body> {
    let (status, text) = refused.told();
    let (text, slug) = match refused {
        Refused::Host(error) => (error.text().to_string(), Some(error.slug())),
        _ => (text.to_owned(), None),
    };
    let mut answer = page(status, JSON, domain::json::error_body(&text));
    let slug = slug.map(|slug| (SLUG, HeaderValue::from_static(slug)));
    answer.headers_mut().extend(slug);
    answer.headers_mut().extend(refused.header());
    answer
}

async fn answer(state: &State, method: &Method, uri: &Uri) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let bytes = domain::json::error_body("Method not allowed");
        let mut answer = page(StatusCode::METHOD_NOT_ALLOWED, JSON, bytes);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let path = uri.path();
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
        _ => return by_console(state, uri).await,
    };
    page(status, kind, bytes)
}

/// A page of the console, where that is switched on.
async fn by_console(state: &State, uri: &Uri) -> Response<Body> {
    let found = match state.config.admin.console {
        true => console::answer(state, uri.path(), uri.query()).await,
        false => None,
    };
    match found {
        None => page(StatusCode::NOT_FOUND, JSON, domain::json::error_body("Not found")),
        Some(Page::Json(value)) => {
            page(StatusCode::OK, JSON, serde_json::to_vec(&value).unwrap_or_default())
        }
        Some(Page::View(view)) => {
            page(StatusCode::OK, JSON, serde_json::to_vec(&view).unwrap_or_default())
        }
        Some(Page::Html(html, policy)) => {
            let mut answer = page(StatusCode::OK, HTML, html.into_bytes());
            let policy = HeaderValue::from_static(policy);
            answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
            answer
        }
    }
}

fn page(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Response<Body> {
    let mut answer = Response::new(body::full(bytes));
    *answer.status_mut() = status;
    with_usual_headers(answer, kind)
}

fn with_usual_headers(mut answer: Response<Body>, kind: &'static str) -> Response<Body> {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
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
        brownouts: brownout::announced(&state.config.brownouts),
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
    serde_json::to_vec(&console::shadow_json(state)).unwrap_or_default()
}

/// Each caller: name, upstream, what it sees, what the upstream last said to its v4 key, and how often it
/// sent parameters that look like filters and are none.
fn callers(state: &State) -> Vec<u8> {
    let callers: Vec<_> = state
        .callers
        .all()
        .iter()
        .map(|caller| {
            serde_json::json!({
                "name": &*caller.name,
                "upstream": caller.line.upstream.name,
                "dialect": caller.line.upstream.dialect.name(),
                "sees": console::sees(&caller.visibility),
                "upstream_key": caller.line.key_state().as_str(),
                "near_misses": caller.tally.near_misses().collect::<BTreeMap<_, _>>(),
                "untranslated": caller.tally.untranslated_paths().collect::<BTreeMap<_, _>>(),
            })
        })
        .collect();
    serde_json::to_vec(&callers).unwrap_or_default()
}
