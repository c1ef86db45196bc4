//! Errors become legacy answers, here and nowhere else: by the endpoint that was called, since texts
//! differ between endpoint families. The cause is logged here once; no text of a request or an
//! upstream is ever part of it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use domain::json;
use domain::legacy::endpoint_at;
use domain::quirks::Quirks;
use futures_util::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::{BoxError, Service, ServiceExt};
use transport::body::{self, Body};

use crate::error::{Error, SLUG};
use crate::observe::account::SharedAccount;

/// Quirks by endpoint name.
pub(crate) type QuirksByEndpoint = Arc<BTreeMap<&'static str, Arc<Quirks>>>;

pub(crate) async fn rescue<S>(
    quirks: QuirksByEndpoint,
    inner: S,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    let account = request.extensions().get::<SharedAccount>().cloned().unwrap_or_default();
    let endpoint = endpoint_at(request.uri().path());
    let answer = AssertUnwindSafe(inner.oneshot(request)).catch_unwind().await;
    let error = match answer {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => own(error),
        Err(_panic) => Error::Internal,
    };
    account.note(|account| account.error = Some(error.slug()));
    log(&error);
    let quirks = endpoint.and_then(|endpoint| quirks.get(endpoint.name()));
    Ok(answer_to(&error, quirks.map(Arc::as_ref)))
}

/// Errors of tower's own layers in our words.
fn own(error: BoxError) -> Error {
    if error.is::<tower::timeout::error::Elapsed>() {
        return Error::Deadline;
    }
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(_) => Error::Internal,
    }
}

/// A client's own mistake is in the access line; the rest wants somebody's eye.
fn log(error: &Error) {
    match error.status() {
        500 => tracing::error!(err = error.slug(), cause = %error, "request failed"),
        502..=504 | 413 | 429 => {
            tracing::warn!(err = error.slug(), cause = %error, "request failed");
        }
        _ => {}
    }
}

fn answer_to(error: &Error, quirks: Option<&Quirks>) -> Response<Body> {
    let (mut status, mut text) = (error.status(), error.text());
    if matches!(error, Error::NoCredential | Error::UnknownCredential) {
        let invalid_key = quirks.map(|quirks| quirks.invalid_key.clone()).unwrap_or_default();
        (status, text) = (invalid_key.status, invalid_key.text);
    }
    let mut answer = Response::new(body::full(json::error_body(&text)));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(SLUG, HeaderValue::from_static(error.slug()));
    match error {
        Error::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
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
pub(crate) fn last_resort(_: BoxError) -> Response<Body> {
    answer_to(&Error::Internal, None)
}
