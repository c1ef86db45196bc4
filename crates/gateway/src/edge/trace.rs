//! One access line a request, its id, its counters, and its explanation if asked for.
//!
//! No URL, header or parameter value ever enters the line: legacy keys travel in queries.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use domain::legacy::{UNTRANSLATED, endpoint_at};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use limits::{Lifecycle, Lines, whose};
use shadow::Side;
use tokio::time::Instant;
use transport::body::{self, Body, BodyError};
use transport::headers::has;
use transport::server::{Peer, owner};

use crate::caller::Callers;
use crate::error::Error;
use crate::layer::call::{Arrived, Behalf, Incoming};
use crate::layer::{Answering, Around, Below};
use crate::observe::access::{self, Line};
use crate::observe::account::{Account, SharedAccount};
use crate::observe::explain;
use crate::observe::metrics::Metrics;
use crate::observe::origin::Origin;
use crate::observe::past::Past;
use crate::observe::recent::Ended;
use crate::observe::spans::{self, Exporter};
use crate::observe::tally::Tally;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const EXPLAIN: HeaderName = HeaderName::from_static("x-tieline-explain");
const EXPLANATION: HeaderName = HeaderName::from_static("x-tieline-explanation");

/// See the module.
pub(crate) struct Trace {
    /// Whose keys are never repeated.
    pub(crate) callers: Arc<Callers>,
    /// Whether a client may name its request.
    pub(crate) accept_request_id: bool,
    /// The share of requests recorded of those that come without a trace of their own.
    pub(crate) sampled: f64,
    /// Which configuration answers.
    pub(crate) epoch: u64,
    pub(crate) teller: Arc<Teller>,
}

impl<S: Below<Incoming, Response<Body>>> Around<S, Arrived> for Trace {
    type Response = Response<Body>;

    fn call<'a>(&'a self, inner: &'a S, arrived: Arrived) -> Answering<'a, Response<Body>> {
        let Arrived { request, peer } = arrived;
        Box::pin(self.traced(inner, Box::new(request), peer))
    }
}

impl Trace {
    async fn traced<S: Below<Incoming, Response<Body>>>(
        &self,
        inner: &S,
        request: Box<Request<Body>>,
        peer: Option<Peer>,
    ) -> Result<Response<Body>, Error> {
        let is_key = |text: &str| self.callers.knows(text);
        let origin = Origin::of(request.headers(), self.accept_request_id, self.sampled, is_key);
        let origin = Arc::new(origin);
        let id = Some(Arc::clone(&origin.request_id));
        let account = SharedAccount::new(self.epoch);
        let is_head = *request.method() == Method::HEAD;
        let wants_explanation = has(request.headers(), &EXPLAIN);
        let behalf = Behalf {
            origin: Some(Arc::clone(&origin)),
            account: account.clone(),
            ..Behalf::default()
        };
        let mut leaving = Leaving(Some(UnderWay {
            account,
            method: method(request.method()),
            peer,
            teller: Arc::clone(&self.teller),
            started: Instant::now(),
            origin,
        }));
        let endpoint = endpoint_at(request.uri().path());
        let incoming = Incoming { request, endpoint, peer, behalf };
        let answer = whose::working(id, inner.ask(incoming)).await;
        let Some(under_way) = leaving.0.take() else { return answer };
        let mut answer = answer?;
        if let Some(id) = under_way.origin.header() {
            answer.headers_mut().insert(REQUEST_ID, id);
        }
        if under_way.account.is_streamed() {
            let status = answer.status().as_u16();
            if wants_explanation {
                explain_so_far(&mut answer, &under_way.account.so_far());
            }
            let line = StreamedLine { under_way, status, bytes: 0, has_ended: false };
            return Ok(answer.map(|inner| body::boxed(Streamed { inner, line })));
        }
        let account = under_way.account.close();
        let bytes = answer.body().size_hint().exact().unwrap_or(0);
        if is_head {
            without_body(&mut answer, bytes);
        }
        if wants_explanation {
            explain_so_far(&mut answer, &account);
        }
        under_way.tell(&account, answer.status().as_u16(), bytes);
        Ok(answer)
    }
}

/// Explains an answer to a caller that may know, by what is known when its head is sent.
fn explain_so_far(answer: &mut Response<Body>, account: &Account) {
    if account.may_explain {
        let explanation = HeaderValue::from_str(&explain::explanation(account));
        answer.headers_mut().extend(explanation.ok().map(|value| (EXPLANATION, value)));
    }
}

/// Who is told of a request: counters, the exporter of spans, the log.
pub(crate) struct Teller {
    pub(crate) metrics: Metrics,
    pub(crate) exporter: Exporter,
    pub(crate) lifecycle: Lifecycle,
    /// Lines about requests without a good key.
    pub(crate) refused: Lines,
    /// The last requests, where the console shows them.
    pub(crate) past: Option<Arc<Past>>,
}

/// A request that is not told of yet.
struct UnderWay {
    account: SharedAccount,
    method: &'static str,
    peer: Option<Peer>,
    teller: Arc<Teller>,
    started: Instant,
    origin: Arc<Origin>,
}

/// The status of a request whose client left; nothing was sent with it.
const LEFT: u16 = 499;

impl UnderWay {
    /// Counts the request and tells of it, once.
    fn tell(&self, account: &Account, status: u16, bytes: u64) {
        let (teller, at) = (&self.teller, Instant::now());
        let took = at.saturating_duration_since(self.started);
        teller.metrics.request(account, status, took);
        if let Some(caller) = &account.caller {
            caller.answered(status, at);
        }
        spans::request(&teller.exporter, &self.origin, account, self.method, status, took);
        let Some(left_out) = self.left_out(account) else { return };
        if let Some(past) = &teller.past {
            let (method, origin, began) = (self.method, &self.origin, self.started);
            past.requests.note(account, &Ended { began, at, method, origin, status, bytes });
        }
        self.access_line(account, status, bytes, took, left_out);
    }

    /// How many lines about this client were left out before this one; `None` if this one is left out, too.
    /// Anybody can send requests without a good key, and should not fill the log.
    fn left_out(&self, account: &Account) -> Option<u64> {
        const REFUSED: [Error; 3] =
            [Error::NoCredential, Error::UnknownCredential, Error::AmbiguousCredential];
        let is_refused =
            account.error.is_some_and(|slug| REFUSED.iter().any(|error| error.slug() == slug));
        match self.peer {
            Some(Peer(address)) if is_refused => self.teller.refused.take(owner(address.ip())),
            _ => Some(0),
        }
    }

    /// The status of a request without an answer, and what it is noted for: its client left, or the end
    /// of the drain cut it.
    fn unanswered(&self, account: &mut Account) -> u16 {
        if !self.teller.lifecycle.is_cut() {
            return LEFT;
        }
        account.error = Some(Error::DrainCut.slug());
        Error::DrainCut.status()
    }

    fn access_line(
        &self,
        account: &Account,
        status: u16,
        bytes: u64,
        took: Duration,
        left_out: u64,
    ) {
        let Some(log) = access::log() else { return };
        log.answered(&Line {
            request_id: &self.origin.request_id,
            method: self.method,
            endpoint: account.endpoint.unwrap_or("none"),
            legacy_path: account.untranslated.and_then(|place| UNTRANSLATED.get(place).copied()),
            caller: account.caller.as_deref().map_or("none", Tally::name),
            trace_id: self.origin.trace.trace(),
            status,
            err: account.error.unwrap_or(""),
            answered_by: account.answered_by.map_or("", Side::as_str),
            rows: account.rows,
            pages: account.story.pages,
            seams_repaired: account.story.seams_repaired,
            read_again: account.story.restarts,
            failed_offset: account.failed_page.map(|page| page.offset),
            failed_rows: account.failed_page.map(|page| page.limit.into()),
            ignored: &account.ignored,
            bytes_out: bytes,
            took,
            epoch: account.epoch,
            client: account.client.as_deref(),
            left_out,
        });
    }
}

/// Tells of a client that left before its answer.
struct Leaving(Option<UnderWay>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(under_way) = &self.0 {
            let mut account = under_way.account.close();
            let status = under_way.unanswered(&mut account);
            under_way.tell(&account, status, 0);
        }
    }
}

/// The line of a streamed answer, written when the answer's body is dropped, with what became of it.
struct StreamedLine {
    under_way: UnderWay,
    status: u16,
    bytes: u64,
    has_ended: bool,
}

impl Drop for StreamedLine {
    fn drop(&mut self) {
        let mut account = self.under_way.account.close();
        // A body that broke off is the upstream's doing and named as an error; any other one that
        // did not end was left by its client.
        let has_broken_off = !self.has_ended && account.error.is_none();
        let status = match has_broken_off.then(|| self.under_way.unanswered(&mut account)) {
            Some(LEFT) => LEFT,
            _ => self.status,
        };
        self.under_way.tell(&account, status, self.bytes);
    }
}

/// The body of a streamed answer, counted as it goes out.
struct Streamed {
    inner: Body,
    line: StreamedLine,
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
            self.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        let is_last = |frame: &Frame<Bytes>| frame.is_trailers();
        self.line.has_ended = match &frame {
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
        self.line.has_ended |= self.inner.is_end_stream();
    }
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
