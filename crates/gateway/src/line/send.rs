//! One attempt: a place among the upstream's requests, one HTTP exchange, the whole body.
//!
//! Never follows a redirect. Once it has its place, it never takes longer than an attempt may.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, USER_AGENT};
use http::{HeaderValue, Request, Response};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tower::{BoxError, ServiceExt};
use transport::body;

use crate::call::{Attempt, Authorized};
use crate::caller::{Caller, Upstream};
use crate::error::Error;
use crate::observe::metrics::Metrics;
use crate::observe::spans::{Exchange, Exporter};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("tieline/", env!("CARGO_PKG_VERSION")));

/// What sending needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    pub(crate) exporter: Exporter,
}

/// The service at the bottom of the stack.
pub(crate) async fn send(
    settings: Settings,
    authorized: Authorized,
) -> Result<Response<Bytes>, BoxError> {
    let Settings { metrics, exporter } = settings;
    let upstream = std::sync::Arc::clone(&authorized.attempt.caller.upstream);
    // First of the caller's own, so that those it may not use yet do not stand in others' way.
    let caller = std::sync::Arc::clone(&authorized.attempt.caller);
    let _share = caller.share.upstream.acquire().await.map_err(|_| Error::Overloaded)?;
    let _permit = permit(&upstream, &authorized.attempt).await?;
    authorized.attempt.account.note_upstream_call();
    let span = Exchange::begin(&exporter, &authorized.attempt.account);
    let began = Instant::now();
    let exchange = exchange(&authorized, span.as_ref());
    let answer = tokio::time::timeout(upstream.settings.attempt_timeout, exchange).await;
    let answer = answer.unwrap_or(Err(Error::UpstreamTimeout));
    if let Some(span) = span {
        let outcome = answer.as_ref().map(|answer| answer.status().as_u16()).map_err(Error::slug);
        span.end(&upstream.name, outcome, began.elapsed());
    }
    match &answer {
        Ok(answer) => metrics.attempt(&upstream.name, answer.status().as_str()),
        Err(error) => metrics.attempt(&upstream.name, error.slug()),
    }
    Ok(answer?)
}

/// A place among the upstream's requests. A pause that began while this attempt waited for its place
/// is waited out without one, so that the places stay free for other callers.
async fn permit<'a>(
    upstream: &'a Upstream,
    attempt: &Attempt,
) -> Result<SemaphorePermit<'a>, Error> {
    loop {
        // The semaphore is never closed; were it, nothing could be sent.
        let permit = upstream.permits.acquire().await.map_err(|_| Error::Overloaded)?;
        if !attempt.caller.is_paused() {
            return Ok(permit);
        }
        drop(permit);
        if attempt.account.is_background() {
            return Err(Error::Overloaded);
        }
        attempt.caller.wait_for_pause(attempt.deadline).await?;
    }
}

async fn exchange(
    authorized: &Authorized,
    span: Option<&Exchange<'_>>,
) -> Result<Response<Bytes>, Error> {
    let attempt = &authorized.attempt;
    let request = request(&attempt.caller, authorized, span)?;
    let answer = attempt.caller.client().oneshot(request).await.map_err(Error::Exchange)?;
    let (head, body) = answer.into_parts();
    if let Some(encoding) = head.headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Error::BadEncoding);
    }
    let settings = &attempt.caller.upstream.settings;
    let body = body::collect(body, settings.page_bytes_max, settings.attempt_timeout)
        .await
        .map_err(Error::Body)?;
    Ok(Response::from_parts(head, body))
}

fn request(
    caller: &Caller,
    authorized: &Authorized,
    span: Option<&Exchange<'_>>,
) -> Result<Request<Bytes>, Error> {
    let Authorized { attempt, authorization } = authorized;
    let target = format!("{}{}", caller.upstream.settings.base_url, attempt.target);
    let mut request = Request::get(target)
        .header(AUTHORIZATION, authorization.clone())
        .header(ACCEPT, attempt.accept)
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, AGENT)
        .body(Bytes::new())
        // Only a filter's value long enough to break a URI gets here.
        .map_err(|_| Error::BadFilter)?;
    if let Some(origin) = attempt.account.origin() {
        origin.pass_on(span.map_or(&origin.trace, Exchange::trace), request.headers_mut());
    }
    Ok(request)
}
