//! Errors become legacy answers, here and nowhere else: by the endpoint that was called, since texts
//! differ between endpoint families. The cause is logged here once; no text of a request or an
//! upstream is ever part of it. Every answer then says when its endpoint or its connection ends.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use domain::json;
use domain::legacy::{Endpoint, WRONG_KEY_IN_PATH};
use domain::quirks::Quirks;
use futures_util::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode, Version};
use limits::Lifecycle;
use transport::body::{self, Body};

use super::part::part;
use super::sunset::{DEPRECATION, Ends};
use super::wrong_keys::WrongKeys;
use crate::error::{Error, SLUG};
use crate::layer::call::Incoming;
use crate::layer::{Answering, Around, Below};

/// Quirks by endpoint name.
pub(crate) type QuirksByEndpoint = BTreeMap<&'static str, Arc<Quirks>>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Rescue {
    pub(crate) quirks: QuirksByEndpoint,
    pub(crate) ends: Ends,
    /// Always there outside of tests.
    pub(crate) wrong_keys: Option<WrongKeys>,
    pub(crate) lifecycle: Lifecycle,
}

impl<S: Below<Incoming, Response<Body>>> Around<S, Incoming> for Rescue {
    type Response = Response<Body>;

    fn call<'a>(&'a self, inner: &'a S, incoming: Incoming) -> Answering<'a, Response<Body>> {
        Box::pin(self.rescued(inner, incoming))
    }
}

impl Rescue {
    async fn rescued<S: Below<Incoming, Response<Body>>>(
        &self,
        inner: &S,
        incoming: Incoming,
    ) -> Result<Response<Body>, Error> {
        let (endpoint, version) = (incoming.endpoint, incoming.request.version());
        let account = incoming.behalf.account.clone();
        let (keys, peer) = (self.wrong_keys.as_ref(), incoming.peer);
        let client = keys.map(|keys| keys.client(peer, &incoming.request));
        let answer = AssertUnwindSafe(inner.ask(incoming)).catch_unwind().await;
        let answer = answer.unwrap_or(Err(Error::Internal));
        if let (Err(error), Some(keys), Some(client)) = (&answer, keys, &client) {
            // All places were given back, so an answer that is held back is in no other's way. Boxed, since few are.
            Box::pin(keys.met(error, client, &account)).await;
        }
        let mut answer = answer.unwrap_or_else(|error| {
            account.note(|account| account.error = Some(error.slug()));
            log(&error);
            let quirks = endpoint.and_then(|endpoint| self.quirks.get(endpoint.name()));
            let methods = endpoint.map_or("GET, HEAD", Endpoint::methods);
            let mut answer = answer_to(&error, quirks.map(Arc::as_ref), methods);
            // As where the server itself refuses it: what follows may be read in another way, too.
            if matches!(error, Error::Refused(_)) && version <= Version::HTTP_11 {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            answer
        });
        part(&self.lifecycle, version, &mut answer);
        self.ends.add(endpoint, answer.headers_mut());
        Ok(answer)
    }
}

/// The access line is enough for a client's own mistake. An operator has to look at all other errors.
fn log(error: &Error) {
    match error.status() {
        // It is answered on purpose.
        _ if matches!(error, Error::Brownout { .. }) => {}
        500 => tracing::error!(err = error.slug(), cause = %error, "request failed"),
        502..=504 | 413 | 429 => {
            tracing::warn!(err = error.slug(), cause = %error, "request failed");
        }
        _ => {}
    }
}

fn answer_to(error: &Error, quirks: Option<&Quirks>, methods: &'static str) -> Response<Body> {
    let (mut status, mut text) = (error.status(), error.text().into_owned());
    if matches!(error, Error::NoCredential | Error::UnknownCredential) {
        let invalid_key = quirks.and_then(|quirks| quirks.invalid_key.clone()).unwrap_or_default();
        (status, text) = (invalid_key.status, invalid_key.text);
    }
    if matches!(error, Error::UnknownKeyInPath) {
        let (documented, words) = WRONG_KEY_IN_PATH;
        (status, text) = (documented, words.to_owned());
    }
    let body = match error {
        // The legacy API's own words, under its own name.
        Error::AgentNotFound => "{\"errors\":\"User not found\"}".into(),
        _ => json::error_body(&text),
    };
    let mut answer = Response::new(body::full(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(SLUG, HeaderValue::from_static(error.slug()));
    match error {
        Error::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        // The endpoint's own date takes the place of this one.
        Error::Brownout { began, .. } => {
            let began = HeaderValue::from_str(&format!("@{began}"));
            headers.extend(began.ok().map(|began| (DEPRECATION, began)));
        }
        Error::MethodNotListed { allow } => {
            headers.insert(ALLOW, allow.clone());
        }
        _ => {}
    }
    if let Some(wait) = error.retry_after() {
        // Whole seconds, rounded up: never sooner than told.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The type of the edge says that nothing is left to fail; were something left, it is a bug.
pub(crate) fn last_resort(_: Error) -> Response<Body> {
    answer_to(&Error::Internal, None, "GET, HEAD")
}
