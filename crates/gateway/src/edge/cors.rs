//! Pages of other origins: a browser asks first, and shows a page an answer only where it is told that
//! it may. Nothing here keeps anybody out; that is what keys are for.

use domain::legacy::Endpoint;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use settings::Cors;
use transport::body::{self, Body};

use crate::error::Error;
use crate::layer::call::Incoming;
use crate::layer::{Answering, Around, Below};

/// What a page may read beside the few headers it always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, retry-after, x-request-id, x-tieline-answered-by, x-tieline-cache, x-tieline-error, x-tieline-explanation",
);
/// No page sends a longer list of header names.
const ASKED_BYTES_MAX: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct CrossOrigin {
    pub(crate) cors: Cors,
    /// Whether what is no legacy endpoint goes through.
    pub(crate) passes: bool,
}

impl<S: Below<Incoming, Response<Body>>> Around<S, Incoming> for CrossOrigin {
    type Response = Response<Body>;

    fn call<'a>(&'a self, inner: &'a S, incoming: Incoming) -> Answering<'a, Response<Body>> {
        Box::pin(self.answered(inner, incoming))
    }
}

impl CrossOrigin {
    async fn answered<S: Below<Incoming, Response<Body>>>(
        &self,
        inner: &S,
        incoming: Incoming,
    ) -> Result<Response<Body>, Error> {
        let (cors, request) = (&self.cors, &incoming.request);
        let origin = request.headers().get(ORIGIN).and_then(|origin| allowed(cors, origin));
        let methods = incoming.endpoint.map_or("GET, HEAD", Endpoint::methods);
        let endpoint = incoming.endpoint.map(|endpoint| endpoint.name());
        let endpoint = endpoint.or(self.passes.then_some("passthrough"));
        let is_preflight = *request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let mut answer = match (&origin, endpoint) {
            (Some(_), Some(endpoint)) if is_preflight => {
                incoming.behalf.account.note(|account| account.endpoint = Some(endpoint));
                preflight(cors, request.headers(), endpoint == "passthrough", methods)
            }
            _ => {
                let mut answer = inner.ask(incoming).await?;
                // What an upstream says about origins, it says about its own address.
                strip(answer.headers_mut());
                if origin.is_some() {
                    answer.headers_mut().insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
                }
                answer
            }
        };
        let headers = answer.headers_mut();
        if let Some(origin) = origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if cors.allow_credentials {
                let is_allowed = HeaderValue::from_static("true");
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, is_allowed);
            }
        }
        if cors.origins.is_some() {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        Ok(answer)
    }
}

/// What an origin is told to be allowed as.
fn allowed(cors: &Cors, origin: &HeaderValue) -> Option<HeaderValue> {
    match &cors.origins {
        None => Some(HeaderValue::from_static("*")),
        Some(origins) => origins.iter().find(|allowed| *allowed == origin).cloned(),
    }
}

/// The answer to a browser that asks before it sends. What a request may do is decided when it comes.
fn preflight(
    cors: &Cors,
    asked: &HeaderMap,
    passes: bool,
    methods: &'static str,
) -> Response<Body> {
    let mut answer = Response::new(body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|value| passes && is_list(value));
    let methods = method.cloned().unwrap_or(HeaderValue::from_static(methods));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let names = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|value| is_list(value));
    if let Some(names) = names {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for asked in ["Access-Control-Request-Method", "Access-Control-Request-Headers"] {
        headers.append(VARY, HeaderValue::from_static(asked));
    }
    answer
}

/// Names with commas between them, and nothing else.
fn is_list(value: &HeaderValue) -> bool {
    let is_fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_, ".contains(byte);
    value.len() <= ASKED_BYTES_MAX && value.as_bytes().iter().all(is_fit)
}

fn strip(headers: &mut HeaderMap) {
    let is_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let names: Vec<HeaderName> = headers.keys().filter(is_cors).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}
