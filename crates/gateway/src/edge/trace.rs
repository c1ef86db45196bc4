//! One span and one access line a request, its id, its counters, and its explanation if asked for.
//!
//! No URL, header or parameter value ever enters the span: legacy keys travel in queries.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};
use tracing::Instrument;
use transport::body::{self, Body, BodyError};

use crate::call::RequestId;
use crate::caller::Callers;
use crate::error::Error;
use crate::limits::lifecycle::Lifecycle;
use crate::observe::account::{Account, SharedAccount};
use crate::observe::explain;
use crate::observe::metrics::Metrics;
use crate::observe::origin::Origin;
use crate::observe::spans::{self, Exporter};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const EXPLAIN: HeaderName = HeaderName::from_static("x-tieline-explain");
const EXPLANATION: HeaderName = HeaderName::from_static("x-tieline-explanation");

/// The target of the access line, which filters and collectors go by; it does not move with this file.
const ACCESS: &str = "gateway::layers::trace";

/// What tracing needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    /// Whose keys are never repeated.
    pub(crate) callers: Arc<Callers>,
    /// Whether a client may name its request.
    pub(crate) accept_request_id: bool,
    /// The share of requests recorded of those that come without a trace of their own.
    pub(crate) sampled: f64,
    pub(crate) exporter: Exporter,
    /// Which configuration answers.
    pub(crate) epoch: u64,
    pub(crate) lifecycle: Lifecycle,
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
    let Settings { metrics, callers, accept_request_id, sampled, exporter, epoch, lifecycle } =
        settings;
    let teller = Teller { metrics, exporter, lifecycle };
    let is_key = |text: &str| callers.knows(text);
    let origin = Arc::new(Origin::of(request.headers(), accept_request_id, sampled, is_key));
    let span = tracing::info_span!("request", id = %origin.request_id);
    let account = SharedAccount::default();
    account.note(|account| {
        account.origin = Some(Arc::clone(&origin));
        account.epoch = epoch;
    });
    request.extensions_mut().insert(account.clone());
    if let Ok(id) = HeaderValue::from_str(&origin.request_id) {
        request.extensions_mut().insert(RequestId(id));
    }
    let is_head = *request.method() == Method::HEAD;
    let method = method(request.method());
    let wants_explanation = request.headers().contains_key(EXPLAIN);
    let leaving = Leaving {
        account: &account,
        teller: &teller,
        method,
        started,
        span: &span,
        is_answered: false,
    };
    let answer = inner.oneshot(request).instrument(span.clone()).await;
    leaving.answered();
    let mut answer = answer?;
    if account.read().is_streamed {
        if let Ok(id) = HeaderValue::from_str(&origin.request_id) {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        return Ok(answer_streamed(answer, |status| Told {
            account,
            teller,
            method,
            started,
            span,
            status,
            bytes: 0,
            has_ended: false,
        }));
    }
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
    teller.tell(&span, &account, method, status, bytes, took);
    Ok(answer)
}

/// Counts a request and tells of it, once.
struct Teller {
    metrics: Metrics,
    exporter: Exporter,
    lifecycle: Lifecycle,
}

impl Teller {
    fn tell(
        &self,
        span: &tracing::Span,
        account: &Account,
        method: &'static str,
        status: u16,
        bytes: u64,
        took: std::time::Duration,
    ) {
        self.metrics.request(account, status, took);
        spans::request(&self.exporter, account, method, status, took);
        span.in_scope(|| access_line(account, method, status, bytes, took));
    }
}

/// The status of a request whose client left; nothing was sent with it.
const LEFT: u16 = 499;

/// The status of a request without an answer, and what it is noted for: its client left, or the end of
/// the drain cut it.
fn unanswered(account: &mut Account, lifecycle: &Lifecycle) -> u16 {
    if !lifecycle.is_cut() {
        return LEFT;
    }
    account.error = Some(Error::DrainCut.slug());
    Error::DrainCut.status()
}

/// Counts and tells a client that left before its answer.
struct Leaving<'a> {
    account: &'a SharedAccount,
    teller: &'a Teller,
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
            let mut account = self.account.read();
            let status = unanswered(&mut account, &self.teller.lifecycle);
            let took = self.started.elapsed();
            self.teller.tell(self.span, &account, self.method, status, 0, took);
        }
    }
}

/// An answer whose line is written when its body has ended, with what became of it.
fn answer_streamed(answer: Response<Body>, told: impl FnOnce(u16) -> Told) -> Response<Body> {
    let told = told(answer.status().as_u16());
    answer.map(|inner| body::boxed(Streamed { inner, told }))
}

/// Counts and tells a streamed answer when it is dropped.
struct Told {
    account: SharedAccount,
    teller: Teller,
    method: &'static str,
    started: Instant,
    span: tracing::Span,
    status: u16,
    bytes: u64,
    has_ended: bool,
}

impl Drop for Told {
    fn drop(&mut self) {
        let mut account = self.account.read();
        // A body that broke off is the upstream's doing and named as an error; any other one that
        // did not end was left by its client.
        let has_broken_off = !self.has_ended && account.error.is_none();
        let status = match has_broken_off.then(|| unanswered(&mut account, &self.teller.lifecycle))
        {
            Some(LEFT) => LEFT,
            _ => self.status,
        };
        let took = self.started.elapsed();
        self.teller.tell(&self.span, &account, self.method, status, self.bytes, took);
    }
}

/// The body of a streamed answer, counted as it goes out.
struct Streamed {
    inner: Body,
    told: Told,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            self.told.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        let is_last = |frame: &Frame<Bytes>| frame.is_trailers();
        self.told.has_ended = match &frame {
            Some(frame) => frame.as_ref().is_ok_and(is_last),
            None => true,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // Nobody asks for the end of a body that says by its length that it has come.
        self.told.has_ended |= self.inner.is_end_stream();
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
        target: ACCESS,
        method,
        endpoint = account.endpoint.unwrap_or("none"),
        caller = account.caller.as_deref().unwrap_or("none"),
        trace_id = %account.origin.as_ref().map(|origin| origin.trace.id()).unwrap_or_default(),
        status,
        err = account.error.unwrap_or(""),
        answered_by = account.answered_by.unwrap_or(""),
        rows = account.rows,
        pages = account.story.pages,
        seams_repaired = account.story.seams_repaired,
        read_again = account.story.restarts,
        ignored = %account.ignored.join(","),
        bytes_out = bytes,
        ms = took.as_secs_f64() * 1e3,
        epoch = account.epoch,
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
