//! Bodies on their way through: piece by piece, never held beyond one piece. What is known of a
//! request's body while its answer is awaited stands in [`Progress`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use settings::{Route, Secret};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{DropGuard, WaitForCancellationFutureOwned};
use transport::body::{Body, BodyError, Pace, TimedBody};

use super::credential::{self, Watchword};
use super::headers;
use crate::error::Error;
use crate::observe::account::SharedAccount;

/// How long an upstream may think about `Expect: 100-continue` before the body is sent all the same.
/// Many servers never say that they wait.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// How long a head waits for the first piece of its body. Longer, and a client would notice, above all one
/// that waits for the head of a stream of events.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// A place among the requests passed through, and one of the party's share; free again when both bodies
/// have ended.
pub(super) type Place = Arc<(Option<OwnedSemaphorePermit>, OwnedSemaphorePermit)>;

/// How long bytes are counted for the least rate of a body, unless `idle_timeout` is shorter.
const PACE_WINDOW_MAX: Duration = Duration::from_secs(30);

/// The least rate of bodies on a route.
pub(super) fn pace(route: &Route) -> Option<Pace> {
    let window = route.idle_timeout.min(PACE_WINDOW_MAX);
    let bytes_per_second_min = route.bytes_per_second_min;
    (bytes_per_second_min > 0).then_some(Pace { bytes_per_second_min, window })
}

/// How far a request's body has come.
#[derive(Debug)]
pub(super) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Instant,
    failed: Option<BodyError>,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Progress(Mutex::new(State { last: Instant::now(), failed: None })))
    }

    /// When a piece of the body was last taken by the upstream.
    pub(super) fn last(&self) -> Instant {
        self.state().last
    }

    /// Why the client's part of the body did not come.
    pub(super) fn failed(&self) -> Option<BodyError> {
        self.state().failed
    }

    /// Notes why the client's part of the body did not come.
    fn fail(&self, error: BodyError) -> BodyError {
        self.state().failed = Some(error);
        error
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that waits until the upstream says `100 Continue`, or has thought long enough.
pub(super) struct Gate {
    said: oneshot::Receiver<()>,
    timer: Pin<Box<Sleep>>,
}

impl Gate {
    pub(super) fn new(said: oneshot::Receiver<()>) -> Self {
        Gate { said, timer: Box::pin(sleep(CONTINUE_WAIT)) }
    }

    /// Ready when the body may flow. Never, where the upstream has answered instead: then nobody
    /// wants the body.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Answered instead; a receiver that has ended must not be asked again.
        if self.said.is_terminated() {
            return Poll::Pending;
        }
        match Pin::new(&mut self.said).poll(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(_)) => Poll::Pending,
            Poll::Pending => self.timer.as_mut().poll(cx),
        }
    }
}

/// A request's body on its way to the upstream.
pub(super) struct Upload {
    pub(super) inner: TimedBody<Body>,
    pub(super) gate: Option<Gate>,
    pub(super) progress: Arc<Progress>,
    /// Resolves when the answer has ended; a body that still waits at its gate ends then.
    pub(super) answered: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The legacy key, which may not be in a trailer.
    pub(super) key: Option<Secret>,
    /// How much of it is still to come, where that was said.
    pub(super) left: Option<u64>,
    /// The last piece of all that was said. It waits until nothing comes behind it: with it the request is
    /// whole for the upstream.
    pub(super) last: Option<Bytes>,
    pub(super) _place: Place,
}

impl Upload {
    /// Whether nothing may come behind a piece, and it is not yet known that nothing does.
    fn is_last(&mut self, data: &Bytes) -> bool {
        let Some(left) = &mut self.left else { return false };
        *left = left.saturating_sub(data.len() as u64);
        *left == 0 && !data.is_empty() && !self.inner.is_end_stream()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(gate) = &mut this.gate {
            if gate.poll_open(cx).is_pending() {
                ready!(this.answered.as_mut().poll(cx));
                return Poll::Ready(Some(Err(BodyError::Truncated)));
            }
            this.gate = None;
        }
        loop {
            let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
            this.progress.state().last = Instant::now();
            let frame = match frame {
                None => return Poll::Ready(this.last.take().map(|last| Ok(Frame::data(last)))),
                Some(Err(error)) => return Poll::Ready(Some(Err(this.progress.fail(error)))),
                Some(Ok(frame)) => frame,
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    if frame.trailers_ref().is_some_and(|it| !headers::are_names(it)) {
                        let error = this.progress.fail(BodyError::BadFraming);
                        return Poll::Ready(Some(Err(error)));
                    }
                    // Trailers cannot follow a length in HTTP/1.
                    let last = this.last.take().map(Frame::data);
                    let trailers = |frame| {
                        clean(frame, |trailers| {
                            if let Some(key) = &this.key {
                                credential::take_out(trailers, key.expose());
                            }
                        })
                    };
                    return Poll::Ready(Some(Ok(last.unwrap_or_else(|| trailers(frame)))));
                }
            };
            if this.is_last(&data) {
                this.last = Some(data);
            } else if this.last.is_none() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Trailers without what may not be one, and without what `more` removes.
fn clean(frame: Frame<Bytes>, more: impl FnOnce(&mut HeaderMap)) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::strip_trailers(&mut trailers);
            more(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// An answer's body on its way to the client.
pub(super) struct Download {
    inner: TimedBody<Body>,
    /// The credential that may not come back.
    watch: Option<Watchword>,
    /// Trailers that wait for what was held back before them.
    trailers: Option<Frame<Bytes>>,
    /// What came first, looked at before the head went out.
    first: Option<Frame<Bytes>>,
    /// Whether the credential was found.
    has_repeated: bool,
    account: SharedAccount,
    _answered: Option<DropGuard>,
    _place: Place,
}

impl Download {
    pub(super) fn new(
        inner: Body,
        pace: Option<Pace>,
        watch: Option<Watchword>,
        account: SharedAccount,
        answered: Option<DropGuard>,
        place: Place,
    ) -> Self {
        // Without a length nobody knows that there is more to come: it may be a stream of events.
        let pace = pace.filter(|_| inner.size_hint().exact().is_some());
        Download {
            inner: TimedBody::new(inner, FIRST_WAIT).paced(pace),
            watch,
            trailers: None,
            first: None,
            has_repeated: false,
            account,
            _answered: answered,
            _place: place,
        }
    }

    /// Waits a moment for the first piece: an answer that is bad from its beginning is an error as long as
    /// nothing of it went out. From then on `idle` is the longest wait for each piece.
    pub(super) async fn begin(mut self, idle: Duration) -> Result<Self, Error> {
        if !self.inner.is_end_stream() {
            match poll_fn(|cx| self.poll(cx)).await.transpose() {
                Ok(first) => self.first = first,
                Err(BodyError::Idle { .. }) => {}
                Err(_) if self.has_repeated => return Err(Error::RepeatedKey),
                Err(error) => return Err(Error::Body(error)),
            }
        }
        self.inner.set_idle(idle);
        Ok(self)
    }

    /// What of a piece, behind what was held back before it, may go on now.
    fn pass(&mut self, piece: Bytes) -> Result<Bytes, BodyError> {
        let Some(watch) = &mut self.watch else { return Ok(piece) };
        let whole = match watch.beginning() {
            [] => piece.clone(),
            held => {
                let mut whole = BytesMut::with_capacity(held.len() + piece.len());
                whole.extend_from_slice(held);
                whole.extend_from_slice(&piece);
                whole.freeze()
            }
        };
        let Ok(held) = watch.look(&piece) else {
            tracing::error!(
                err = Error::RepeatedKey.slug(),
                "an answer repeated the caller's credential"
            );
            self.has_repeated = true;
            return Err(BodyError::Truncated);
        };
        if self.inner.is_end_stream() {
            self.watch = None;
            return Ok(whole);
        }
        Ok(whole.slice(..whole.len() - held))
    }

    /// What was held back, at the end of the body.
    fn rest(&mut self) -> Option<Bytes> {
        let watch = self.watch.take()?;
        let held = watch.beginning();
        (!held.is_empty()).then(|| Bytes::copy_from_slice(held))
    }

    fn held(&self) -> u64 {
        self.watch.as_ref().map_or(0, |watch| watch.beginning().len() as u64)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(next) = self.first.take().or_else(|| self.trailers.take()) {
            return Poll::Ready(Some(Ok(next)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                None => return Poll::Ready(self.rest().map(|rest| Ok(Frame::data(rest)))),
                Some(frame) => frame?,
            };
            let trailers = match frame.into_data() {
                Ok(piece) if piece.is_empty() => continue,
                Ok(piece) => {
                    let piece = self.pass(piece)?;
                    if piece.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                Err(trailers) => clean(trailers, |trailers| {
                    if let Some(watch) = &self.watch {
                        watch.strip(trailers);
                    }
                }),
            };
            return Poll::Ready(Some(Ok(match self.rest() {
                None => trailers,
                Some(rest) => {
                    self.trailers = Some(trailers);
                    Frame::data(rest)
                }
            })));
        }
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(self.poll(cx));
        if let Some(Err(error)) = &frame {
            // The head has gone out already; the access line is what can still tell.
            let slug = match *error {
                _ if self.has_repeated => Error::RepeatedKey.slug(),
                // However it ended, the client has only a part of it.
                BodyError::BadFraming => Error::Body(BodyError::Truncated).slug(),
                error => Error::Body(error).slug(),
            };
            self.account.note(|account| account.error = Some(slug));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none()
            && self.trailers.is_none()
            && self.held() == 0
            && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref);
        let held = self.held() + first.map_or(0, |data| data.len() as u64);
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
