//! Makes bodies, and reads them within limits. Must never read a body without a limit on its size and on
//! its silence, and must never copy bytes that it can share.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::{Instant, Sleep, sleep, timeout};

use crate::error_chain;

/// The body of every request and answer in this workspace.
///
/// The error is a concrete type on purpose: a boxed one breaks the inference of `Send` where a
/// connection is spawned.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BodyError>;

/// Why a body could not be read to its end. Contains kinds and limits, never text from the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is larger than the reader allows.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The exceeded limit, in bytes.
        bytes_max: usize,
    },
    /// The next piece of the body did not arrive in time.
    #[error("no piece of the body came for {after:?}")]
    Idle {
        /// How long the reader waited.
        after: Duration,
    },
    /// The body came more slowly than its [`Pace`] allows.
    #[error("the body came with fewer than {bytes_per_second_min} bytes a second")]
    Slow {
        /// The least rate.
        bytes_per_second_min: usize,
    },
    /// The connection ended before the body did.
    #[error("the body ended early")]
    Truncated,
    /// The bytes are no well-formed HTTP, such as a chunk without a size.
    #[error("the body is not well-formed HTTP")]
    BadFraming,
    /// The connection failed, or the peer reset the stream.
    #[error("the connection failed: {0}")]
    Transport(io::ErrorKind),
}

impl From<Infallible> for BodyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<hyper::Error> for BodyError {
    fn from(error: hyper::Error) -> Self {
        let kind = error_chain::find::<io::Error>(&error).map(io::Error::kind);
        let is_tls = error_chain::find::<rustls::Error>(&error).is_some();
        match kind {
            _ if error.is_incomplete_message() => Self::Truncated,
            Some(io::ErrorKind::UnexpectedEof) => Self::Truncated,
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) if !is_tls => {
                Self::BadFraming
            }
            Some(kind) => Self::Transport(kind),
            None if error.is_timeout() => Self::Transport(io::ErrorKind::TimedOut),
            None => Self::Transport(io::ErrorKind::Other),
        }
    }
}

/// A body without content.
pub fn empty() -> Body {
    Empty::new().map_err(BodyError::from).boxed_unsync()
}

/// A body of one piece.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(BodyError::from).boxed_unsync()
}

/// A body of several pieces that are all there. Its length is known.
pub fn pieces(pieces: Vec<Bytes>) -> Body {
    let bytes_left = pieces.iter().map(|piece| piece.len() as u64).sum();
    Pieces { pieces: pieces.into_iter(), bytes_left }.boxed_unsync()
}

/// See [`pieces`]. A piece is kept no longer than until it is taken.
struct Pieces {
    pieces: std::vec::IntoIter<Bytes>,
    bytes_left: u64,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // An empty one would be taken for the end of an answer.
        let piece = self.pieces.find(|piece| !piece.is_empty());
        self.bytes_left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes_left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}

/// Reads a complete body of at most `bytes_max` bytes; `idle` is the longest wait for each piece.
///
/// A body of one piece is returned without copying. A longer one is copied once, into one allocation if
/// its length is known. Trailers are dropped. If the declared length is too large, nothing is read.
///
/// # Errors
///
/// [`BodyError::TooLarge`] as soon as the limit is exceeded, [`BodyError::Idle`] on silence, otherwise
/// the body's own error.
pub async fn collect<B>(body: B, bytes_max: usize, idle: Duration) -> Result<Bytes, BodyError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BodyError>,
{
    let mut body = pin!(body);
    let hint = body.size_hint();
    if hint.lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge { bytes_max });
    }
    let length_expected = usize::try_from(hint.lower()).unwrap_or(bytes_max);

    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut length = 0;
    loop {
        let next = poll_fn(|cx| body.as_mut().poll_frame(cx));
        let frame = match timeout(idle, next).await {
            Err(_) => return Err(BodyError::Idle { after: idle }),
            Ok(None) => break,
            Ok(Some(frame)) => frame.map_err(Into::into)?,
        };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > bytes_max {
            return Err(BodyError::TooLarge { bytes_max });
        }
        if length == data.len() {
            first = data;
            continue;
        }
        if joined.is_empty() {
            joined.reserve(length_expected.max(length));
            joined.extend_from_slice(&first);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// Any body as this workspace's body type.
pub fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static,
{
    body.boxed_unsync()
}

/// The same body, which keeps `guard` for as long as it exists.
pub fn holding<B, G>(body: B, guard: G) -> Body
where
    B: http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static,
    G: Send + 'static,
{
    // The closure owns the guard, and ends with the body.
    let keep = move |error| {
        let _guard = &guard;
        error
    };
    body.map_err(keep).boxed_unsync()
}

/// The least rate of a body, on average over a window. Only time counts in which its reader waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many bytes have to come in a second.
    pub bytes_per_second_min: usize,
    /// How long they are counted.
    pub window: Duration,
}

/// A single wait counts for no more than this part of the window: a long silence is for `idle` to end.
const WAITS_MIN: u32 = 4;

/// The bytes of a body since its window began.
#[derive(Debug)]
struct Paced {
    pace: Pace,
    waited: Duration,
    bytes: usize,
}

impl Paced {
    /// Counts a piece that was waited for. An error is that all pieces of the window are too few.
    fn count(&mut self, waited: Duration, bytes: usize) -> Result<(), BodyError> {
        self.waited += waited.min(self.pace.window / WAITS_MIN);
        self.bytes += bytes;
        if self.waited < self.pace.window {
            return Ok(());
        }
        let Pace { bytes_per_second_min, .. } = self.pace;
        let is_enough =
            self.bytes as f64 >= bytes_per_second_min as f64 * self.waited.as_secs_f64();
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        if is_enough { Ok(()) } else { Err(BodyError::Slow { bytes_per_second_min }) }
    }
}

/// A body with `idle` as the longest wait for each piece, and perhaps a least rate. The clock runs only
/// while the reader waits for a piece, so the peer is not blamed for a reader that pauses.
#[derive(Debug)]
pub struct TimedBody<B> {
    inner: B,
    idle: Duration,
    /// Made when a piece is first waited for: most bodies come with their heads.
    timer: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
    paced: Option<Paced>,
}

impl<B> TimedBody<B> {
    /// The same body, with `idle` as the longest wait for each piece; see [`BodyError::Idle`].
    pub fn new(inner: B, idle: Duration) -> Self {
        Self { inner, idle, timer: None, waiting_since: None, paced: None }
    }

    /// The same body, which must not come more slowly than `pace`; see [`BodyError::Slow`].
    pub fn paced(mut self, pace: Option<Pace>) -> Self {
        self.paced = pace.map(|pace| Paced { pace, waited: Duration::ZERO, bytes: 0 });
        self
    }

    /// Another longest wait, from now on. The body can be read on after [`BodyError::Idle`].
    pub fn set_idle(&mut self, idle: Duration) {
        (self.idle, self.waiting_since) = (idle, None);
    }
}

impl<B> http_body::Body for TimedBody<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            let since = this.waiting_since.take();
            if let (Some(paced), Some(Ok(frame))) = (&mut this.paced, &frame)
                && let Some(data) = frame.data_ref()
            {
                let waited = since.map_or(Duration::ZERO, |since| since.elapsed());
                let counted = paced.count(waited, data.len());
                // All is well that has ended.
                if counted.is_err() && !this.inner.is_end_stream() {
                    return Poll::Ready(counted.err().map(Err));
                }
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(this.idle)));
        if this.waiting_since.is_none() {
            let now = Instant::now();
            this.waiting_since = Some(now);
            timer.as_mut().reset(now + this.idle);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyError::Idle { after: this.idle })))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
