//! Tries a legacy request with a key that an operator types: through the same stack as every client's, so it gives
//! nobody more than the key does. Must never show, log or keep the key, the query, or a value of the answer, and
//! never place a call.

use std::future::poll_fn;
use std::pin::Pin;

use domain::legacy::{ENDPOINTS, Endpoint};
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use settings::Secret;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::{Duration, Instant};
use tower::ServiceExt;
use transport::body::{self, Body, BodyError};
use transport::server::Peer;

use crate::admin::reload::{InForce, OfConnection};
use crate::error::SLUG;

/// Where a request is tried.
pub(crate) const PATH: &str = "/api/v1/try";

/// What is asked for may be as long as this.
const ASKED_BYTES_MAX: usize = 16 * 1024;
const ASKED_IDLE: Duration = Duration::from_secs(5);

/// A header that a browser sends to another origin only after a question that nobody answers here.
const CONSOLE: &str = "x-tieline-console";

/// One at a time: each costs what a client's request costs.
static TURN: Semaphore = Semaphore::const_new(1);

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    endpoint: String,
    #[serde(default)]
    query: String,
    #[serde(deserialize_with = "secret")]
    key: Secret,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}

/// Why nothing was tried.
type Refusal = (StatusCode, &'static str);

/// The endpoints that can be tried: lists, by name.
pub(super) fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    let has_no_place = |endpoint: &&Endpoint| path(endpoint).is_some_and(|it| !it.contains('{'));
    ENDPOINTS.iter().copied().filter(|one| !one.places_calls()).filter(has_no_place)
}

fn path(endpoint: &Endpoint) -> Option<&'static str> {
    endpoint.paths().first().copied()
}

/// What became of a request that was tried, or why none was.
pub(crate) async fn tried(in_force: &InForce, request: Request<Body>) -> Response<Body> {
    let state = in_force.state();
    let admin = &state.config.admin;
    let is_there = admin.console && admin.try_requests;
    let (status, value) = match is_there {
        false => (StatusCode::NOT_FOUND, json!({"error": "Not found"})),
        true => match of(in_force, request).await {
            Ok(told) => (StatusCode::OK, told),
            Err((status, text)) => (status, json!({"error": text})),
        },
    };
    let mut answer = Response::new(body::full(serde_json::to_vec(&value).unwrap_or_default()));
    *answer.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

async fn of(in_force: &InForce, request: Request<Body>) -> Result<Value, Refusal> {
    may_ask(request.method(), request.headers())?;
    let peer = request.extensions().get::<Peer>().copied();
    let host = request.headers().get(HOST).cloned();
    let asked = body::collect(request.into_body(), ASKED_BYTES_MAX, ASKED_IDLE).await;
    let asked = asked.map_err(|error| match error {
        BodyError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "At most 16 KiB"),
        BodyError::Idle { .. } => (StatusCode::REQUEST_TIMEOUT, "The body did not come in time"),
        _ => (StatusCode::BAD_REQUEST, "The body did not come whole"),
    })?;
    // The parser's own words would repeat what was sent.
    let what = "Send {\"endpoint\": .., \"query\": .., \"key\": ..}, all of them text";
    let asked: Asked =
        serde_json::from_slice(&asked).map_err(|_| (StatusCode::BAD_REQUEST, what))?;
    let endpoint = endpoints().find(|endpoint| endpoint.name() == asked.endpoint);
    let what = "endpoint must be the name of a list, such as v1_users";
    let endpoint = endpoint.ok_or((StatusCode::BAD_REQUEST, what))?;
    let mut request = request_of(endpoint, &asked)?;
    // As a client would name us: the console's own host where any will do.
    let hosts = &in_force.state().config.server.hosts;
    let served = hosts.first().and_then(|host| HeaderValue::from_str(host).ok());
    request.headers_mut().extend(served.or(host).map(|host| (HOST, host)));
    let busy = (StatusCode::TOO_MANY_REQUESTS, "Another one is under way");
    let _turn = TURN.try_acquire().map_err(|_| busy)?;
    Ok(told(in_force.of_connection(peer), endpoint, request).await)
}

/// Only the console's own page and programs may ask, and a browser knows by itself what a page may.
fn may_ask(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    if *method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"));
    }
    let is_own = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        origin.map(|(_, named)| named) == host
    };
    let is_console = headers.get(CONSOLE).is_some_and(|said| said == "1");
    if !is_console || !headers.get(ORIGIN).is_none_or(is_own) {
        let what = "Send x-tieline-console: 1, and no Origin but this host's";
        return Err((StatusCode::FORBIDDEN, what));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send application/json"));
    }
    Ok(())
}

fn request_of(endpoint: &Endpoint, asked: &Asked) -> Result<Request<Body>, Refusal> {
    let path = path(endpoint).unwrap_or_default();
    let target = match asked.query.strip_prefix('?').unwrap_or(&asked.query) {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    let what = "query must be as in an address: name=value&name=value, with escapes";
    let is_fit = asked.query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let uri: http::Uri = target.parse().map_err(|_| (StatusCode::BAD_REQUEST, what))?;
    let mut request = Request::new(body::empty());
    *request.uri_mut() = Some(uri).filter(|_| is_fit).ok_or((StatusCode::BAD_REQUEST, what))?;
    let what = "key must be a legacy key, without spaces";
    let key = asked.key.expose();
    let is_one = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| is_one);
    let mut key = key.ok_or((StatusCode::BAD_REQUEST, what))?;
    key.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, key);
    request.headers_mut().insert("x-tieline-explain", HeaderValue::from_static("1"));
    Ok(request)
}

/// Asks, and reads the answer to its end without keeping any of it.
async fn told(front: OfConnection, endpoint: &Endpoint, request: Request<Body>) -> Value {
    let began = Instant::now();
    let Ok(answer) = front.oneshot(request).await;
    let (head, mut body) = answer.into_parts();
    let (mut bytes, mut is_whole) = (0, true);
    loop {
        let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        match next {
            None => break,
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => {
                is_whole = false;
                break;
            }
        }
        // A long list is many pieces that are there already: others have their turn between them.
        yield_now().await;
    }
    let said = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let explanation = said("x-tieline-explanation");
    json!({
        "endpoint": endpoint.name(),
        "status": head.status.as_u16(),
        "error": said(SLUG.as_str()),
        "request_id": said("x-request-id"),
        "ms": (began.elapsed().as_secs_f64() * 1e4).round() / 10.0,
        "bytes": bytes,
        "whole": is_whole,
        "explanation": explanation.and_then(|text| serde_json::from_str::<Value>(text).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        pairs
            .iter()
            .map(|(name, text)| (http::HeaderName::from_static(name), value(text)))
            .collect()
    }

    #[test]
    fn only_the_consoles_own_page_and_programs_may_ask() {
        let usual = [
            ("host", "127.0.0.1:9090"),
            ("x-tieline-console", "1"),
            ("content-type", "application/json; charset=utf-8"),
        ];
        let with = |name, value| headers(&[&usual[..], &[(name, value)]].concat());
        assert_eq!(may_ask(&Method::POST, &headers(&usual)), Ok(()));
        assert_eq!(may_ask(&Method::POST, &with("origin", "http://127.0.0.1:9090")), Ok(()));
        for foreign in ["http://evil.example", "null", "http://127.0.0.1:9091", "127.0.0.1:9090"] {
            let refused = may_ask(&Method::POST, &with("origin", foreign));
            assert_eq!(
                refused.map_err(|(status, _)| status),
                Err(StatusCode::FORBIDDEN),
                "{foreign}"
            );
        }
        for (at, expected) in [(1, StatusCode::FORBIDDEN), (2, StatusCode::UNSUPPORTED_MEDIA_TYPE)]
        {
            let mut fewer = usual.to_vec();
            fewer.remove(at);
            let refused = may_ask(&Method::POST, &headers(&fewer));
            assert_eq!(refused.map_err(|(status, _)| status), Err(expected));
        }
        let refused = may_ask(&Method::GET, &headers(&usual));
        assert_eq!(refused.map_err(|(status, _)| status), Err(StatusCode::METHOD_NOT_ALLOWED));
    }

    #[test]
    fn a_request_is_the_list_with_its_query_and_never_another_path() {
        let of = |query: &str, key: &str| {
            let key = Secret::new(key.to_owned());
            let asked = Asked { endpoint: String::new(), query: query.to_owned(), key };
            let endpoint = endpoints().find(|endpoint| endpoint.name() == "v1_users").unwrap();
            request_of(endpoint, &asked).map(|request| request.uri().to_string())
        };
        let path = "/api/user_management/v1/users";
        assert_eq!(of("", "k").as_deref(), Ok(path));
        assert_eq!(of("?name=x%20y", "k"), Ok(format!("{path}?name=x%20y")));
        assert_eq!(of("a=/../x", "k"), Ok(format!("{path}?a=/../x")));
        for (query, key) in
            [("name=x y", "k"), ("#x", "k"), ("\u{e9}", "k"), ("", "k\n"), ("", "a b"), ("", "")]
        {
            assert_eq!(of(query, key).map_err(|(status, _)| status), Err(StatusCode::BAD_REQUEST));
        }
    }

    #[test]
    fn lists_can_be_tried_and_what_places_a_call_cannot() {
        let names: Vec<_> = endpoints().map(Endpoint::name).collect();
        assert!(names.contains(&"v1_users") && names.contains(&"v2_cdr_teams"), "{names:?}");
        let others = ENDPOINTS.iter().filter(|one| one.places_calls());
        assert!(others.clone().count() > 0);
        for other in others {
            assert!(!names.contains(&other.name()));
        }
    }
}
