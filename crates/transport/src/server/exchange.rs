//! One request and its answer. Limits the request body, marks the request as open until its body has
//! ended and its answer was handed over, resets an HTTP/2 stream whose peer reads nothing, and marks the
//! substitute of a refused request. Must never look into a head or a body.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

use super::HttpService;
use super::activity::{Activity, OpenRequest};
use super::io::STAND_IN_METHOD;
use super::refusal::{Refusal, Rejection};
use crate::body::{Body, BodyError, TimedBody, empty, holding};
use crate::upgrade::Tunnel;

/// The largest piece of an answer that is handed over at once, so that hyper buffers little that the peer
/// has not requested.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// The hyper service of one connection.
pub(super) struct Exchange<S> {
    pub(super) service: S,
    pub(super) body_idle: Duration,
    pub(super) activity: Arc<Activity>,
    pub(super) newest: Newest,
    /// Whether the service answers refused requests.
    pub(super) answers_refusals: bool,
}

impl<S> Exchange<S> {
    /// The refusal, if this request is the substitute of a refused one.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Refusal> {
        let refusal = self.activity.refusal()?;
        (request.method().as_str() == STAND_IN_METHOD).then_some(refusal)
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for Exchange<S> {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let open = Arc::new(self.activity.open_request());
        let handover = Handover::default();
        self.newest.put(handover.clone());

        let refusal = self.refusal(&request);
        let body_idle = self.body_idle;
        let is_http10 = request.version() == Version::HTTP_10;
        let mut request = request.map(|body| match body.is_end_stream() {
            true => empty(),
            // It may go on when the answer has ended: until then the request is open.
            false => holding(TimedBody::new(body, body_idle), Arc::clone(&open)),
        });
        if let Some(refusal) = refusal {
            request.extensions_mut().insert(refusal);
        }

        let bare = refusal.filter(|_| !self.answers_refusals).map(|refusal| {
            let mut answer = Response::new(empty());
            *answer.status_mut() = refusal.status();
            answer
        });
        let answer = self.service.clone().oneshot(request);
        let activity = Arc::clone(&self.activity);
        Box::pin(async move {
            let mut answer = match bare {
                Some(bare) => bare,
                None => answer.await?,
            };
            if refusal.is_some() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if is_http10 {
                ends_as_it_says(&mut answer);
            }
            if let Some(tunnel) = answer.extensions_mut().remove::<Tunnel>() {
                activity.put_tunnel(tunnel);
            }
            Ok(answer.map(|body| AnswerBody {
                inner: body,
                rest: Bytes::new(),
                handover,
                _open: open,
            }))
        })
    }
}

/// HTTP/1.0 has no chunks: an answer without a length ends with its connection, and has to say so. hyper
/// says `keep-alive` to a client that wants it, unless the answer itself is HTTP/1.0.
fn ends_as_it_says(answer: &mut Response<Body>) {
    let has_length = answer.headers().contains_key(CONTENT_LENGTH)
        || answer.body().size_hint().exact().is_some();
    if !has_length {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if answer.headers().get(CONNECTION).is_some_and(|said| said == "close") {
        *answer.version_mut() = Version::HTTP_10;
    }
}

/// An answer's body on its way to hyper.
pub(super) struct AnswerBody {
    inner: Body,
    /// The rest of a piece that was too large to hand over at once.
    rest: Bytes,
    handover: Handover,
    _open: Arc<OpenRequest>,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.handover.asked();
        let mut data = std::mem::take(&mut self.rest);
        if data.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(more) => data = more,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        let piece = data.split_to(data.len().min(PIECE_BYTES_MAX));
        self.rest = data;
        self.handover.given();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// Since when hyper has had a piece of an answer without asking for the next one.
#[derive(Clone, Default)]
struct Handover(Arc<Mutex<Option<Instant>>>);

impl Handover {
    fn given(&self) {
        self.set(Some(Instant::now()));
    }

    fn asked(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes the handover of a new request to the task that hyper spawns for its stream. hyper calls the
/// service and spawns the task one right after the other, in the connection's own task.
#[derive(Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Option<Handover>>>);

impl Newest {
    fn put(&self, handover: Handover) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(handover);
    }

    fn take(&self) -> Option<Handover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Spawns the streams of an HTTP/2 connection. If a peer keeps a stream's window closed, the stream is
/// dropped, which resets it. Otherwise hyper and h2 would keep it and its answer as long as the connection.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) newest: Newest,
    pub(super) write_progress: Duration,
    pub(super) activity: Arc<Activity>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let write_progress = self.write_progress;
        let Some(handover) = self.newest.take() else {
            tokio::spawn(stream);
            return;
        };
        let activity = Arc::clone(&self.activity);
        tokio::spawn(async move {
            let mut stream = pin!(stream);
            loop {
                tokio::select! {
                    () = &mut stream => return,
                    () = sleep(write_progress) => {}
                }
                if handover.since().is_some_and(|since| since.elapsed() >= write_progress) {
                    tracing::debug!("stream reset: its peer takes nothing");
                    activity.rejected(Rejection::SlowRead);
                    return;
                }
            }
        });
    }
}
