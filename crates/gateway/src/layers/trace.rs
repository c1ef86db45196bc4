//! One span and one access line a request, its id, its counters, and its explanation if asked for.
//!
//! No URL, header or parameter value ever enters the span: legacy keys travel in queries.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Request, Response};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};
use tracing::Instrument;
use transport::body::{self, Body};

use crate::call::{Account, SharedAccount};
use crate::caller::Callers;
use crate::explain;
use crate::metrics::Metrics;
use crate::origin::Origin;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const EXPLAIN: HeaderName = HeaderName::from_static("x-tieline-explain");
const EXPLANATION: HeaderName = HeaderName::from_static("x-tieline-explanation");

/// What tracing needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    /// Whose keys are never repeated.
    pub(crate) callers: Arc<Callers>,
    /// Whether a client may name its request.
    pub(crate) accept_request_id: bool,
}

pub(crate) async fn trace<S>(
    settings: Settings,
    inner: S,
    mut request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    let started = Instant::now();
    let Settings { metrics, callers, accept_request_id } = settings;
    let is_key = |text: &str| callers.knows(text);
    let origin = Arc::new(Origin::of(request.headers(), accept_request_id, is_key));
    let span = tracing::info_span!("request", id = %origin.request_id);
    let account = SharedAccount::default();
    account.note(|account| account.origin = Some(Arc::clone(&origin)));
    request.extensions_mut().insert(account.clone());
    let is_head = *request.method() == Method::HEAD;
    let method = method(request.method());
    let wants_explanation = request.headers().contains_key(EXPLAIN);
    let leaving = Leaving {
        account: &account,
        metrics: &metrics,
        method,
        started,
        span: &span,
        is_answered: false,
    };
    let answer = inner.oneshot(request).instrument(span.clone()).await;
    leaving.answered();
    let mut answer = answer?;
    let account = account.read();
    let bytes = http_body::Body::size_hint(answer.body()).exact().unwrap_or(0);
    if is_head {
        without_body(&mut answer, bytes);
    }
    if let Ok(id) = HeaderValue::from_str(&origin.request_id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    if wants_explanation && account.may_explain {
        let explanation = HeaderValue::from_str(&explain::explanation(&account));
        answer.headers_mut().extend(explanation.ok().map(|value| (EXPLANATION, value)));
    }
    let took = started.elapsed();
    let status = answer.status().as_u16();
    metrics.request(&account, status, took);
    span.in_scope(|| access_line(&account, method, status, bytes, took));
    Ok(answer)
}

/// The status of a request whose client left; nothing was sent with it.
const LEFT: u16 = 499;

/// Counts and tells a client that left before its answer.
struct Leaving<'a> {
    account: &'a SharedAccount,
    metrics: &'a Metrics,
    method: &'static str,
    started: Instant,
    span: &'a tracing::Span,
    is_answered: bool,
}

impl Leaving<'_> {
    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            let account = self.account.read();
            let took = self.started.elapsed();
            self.metrics.request(&account, LEFT, took);
            self.span.in_scope(|| access_line(&account, self.method, LEFT, 0, took));
        }
    }
}

fn access_line(
    account: &Account,
    method: &'static str,
    status: u16,
    bytes: u64,
    took: std::time::Duration,
) {
    tracing::info!(
        method,
        endpoint = account.endpoint.unwrap_or("none"),
        caller = account.caller.as_deref().unwrap_or("none"),
        trace_id = %account.origin.as_ref().map(|origin| origin.trace.id()).unwrap_or_default(),
        status,
        err = account.error.unwrap_or(""),
        rows = account.rows,
        pages = account.story.pages,
        seams_repaired = account.story.seams_repaired,
        read_again = account.story.restarts,
        ignored = %account.ignored.join(","),
        bytes_out = bytes,
        ms = took.as_secs_f64() * 1e3,
        "answered"
    );
}

/// A method from a closed set: a method is any word a client likes.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn without_body(answer: &mut Response<Body>, bytes: u64) {
    answer.headers_mut().insert(http::header::CONTENT_LENGTH, HeaderValue::from(bytes));
    *answer.body_mut() = body::empty();
}
