//! Wraps a connection's stream. It replays the bytes that were read to distinguish HTTP/2 from HTTP/1,
//! reports activity, passes HTTP/1 through the guard and counts HTTP/2 frames. Must never change bytes,
//! except those that are refused.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::ServerLimits;
use super::activity::{Activity, Protocol};
use super::frames::{End, Frames};
use super::guard::Guard;
use super::refusal::{Refusal, Rejection};

/// The first bytes of every HTTP/2 connection (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until the bytes are the complete HTTP/2 preface or can no longer become it.
///
/// It reads instead of peeking: with half a preface, a peek would return at once again and again.
pub(super) async fn read_opening(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Opening> {
    let mut buffer = [0; PREFACE.len()];
    let mut length = 0;
    while length < PREFACE.len() && PREFACE.starts_with(&buffer[..length]) {
        match stream.read(&mut buffer[length..]).await? {
            0 => break,
            read => length += read,
        }
    }
    Ok(Opening {
        is_http2: &buffer[..length] == PREFACE,
        bytes: Bytes::copy_from_slice(&buffer[..length]),
    })
}

/// The bytes that [`read_opening`] took from the stream, for [`Watched`].
pub(super) struct Opening {
    pub(super) is_http2: bool,
    pub(super) bytes: Bytes,
}

/// The method of the request that hyper reads in place of a refused one. No peer can send it, because the
/// guard refuses such a long method.
pub(super) const STAND_IN_METHOD: &str = "A-REFUSED-REQUEST";
const STAND_IN: &[u8] = b"A-REFUSED-REQUEST / HTTP/1.1\r\nhost: refused\r\n\r\n";
/// The bytes that hyper reads in place of bad framing within a body: a character that is only allowed in a
/// chunk's extension, and a bare line feed, which is not allowed there.
const SPOIL: &[u8] = b"\0\n\r\n\r\n";

/// How long to keep reading from a peer that still sends after the last answer. Closing a connection with
/// unread bytes resets it, and the peer might never see that answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_READS_MAX: usize = 64;
/// The largest buffer that an idle connection keeps for heads that arrive in pieces.
const KEPT_ROOM_MAX: usize = 4 * 1024;

/// Returns the opening bytes first, then the stream, and reports reads and writes to [`Activity`].
pub(super) struct Watched<T> {
    inner: T,
    activity: Arc<Activity>,
    eyes: Eyes,
    /// Bytes that were read and not yet returned: the opening, or an incomplete head.
    held: BytesMut,
    /// How many of them may be returned.
    passed: usize,
    /// The bytes to return in place of refused ones, once something was refused.
    stand_in: Option<Bytes>,
    linger: Option<Pin<Box<Sleep>>>,
}

/// The check of incoming bytes.
enum Eyes {
    Http1(Guard),
    Http2(Frames),
    /// None, because the bytes belong to another protocol.
    Shut,
}

impl<T> Watched<T> {
    pub(super) fn new(
        inner: T,
        opening: &[u8],
        activity: Arc<Activity>,
        limits: &Arc<ServerLimits>,
    ) -> Self {
        let held = BytesMut::from(opening);
        let (eyes, passed) = match activity.protocol() {
            Protocol::Http1 => (Eyes::Http1(Guard::new(Arc::clone(limits))), 0),
            Protocol::Http2 => (Eyes::Http2(Frames::new(Arc::clone(limits))), held.len()),
        };
        let mut watched =
            Self { inner, activity, eyes, held, passed, stand_in: None, linger: None };
        if matches!(watched.eyes, Eyes::Http1(_)) {
            watched.look_at_held();
        }
        watched
    }

    /// Looks at the held bytes, none of which may be returned yet.
    fn look_at_held(&mut self) {
        match &mut self.eyes {
            Eyes::Shut => {}
            Eyes::Http1(guard) => {
                let seen = guard.look(&self.held);
                self.passed = seen.passed;
                if let Some(refusal) = seen.refusal {
                    self.activity.refuse(refusal);
                }
            }
            Eyes::Http2(frames) => loop {
                let unseen = self.held.get(self.passed..).unwrap_or_default();
                let seen = frames.look(unseen);
                self.passed += seen.passed;
                match seen.end {
                    Some(End::Trailers) if frames.shield(&mut self.held, self.passed) => {}
                    None | Some(End::Trailers) => return,
                    Some(End::Flood) => {
                        self.held.truncate(self.passed);
                        self.stand_in = Some(frames.calm_down().into());
                        self.activity.rejected(Rejection::ControlFlood);
                        return;
                    }
                }
            },
        }
    }

    /// Checks the bytes read after `before`, and holds back those that may not be returned yet.
    fn look(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        match &mut self.eyes {
            Eyes::Shut => {}
            Eyes::Http2(frames) if self.held.is_empty() => {
                let bytes = &buffer.filled()[before..];
                let passed = frames.look(bytes).passed;
                if passed < bytes.len() {
                    self.held.extend_from_slice(&bytes[passed..]);
                    buffer.set_filled(before + passed);
                    self.look_at_held();
                }
            }
            Eyes::Http1(guard) if self.held.is_empty() => {
                let bytes = &buffer.filled()[before..];
                let seen = guard.look(bytes);
                if let Some(refusal) = seen.refusal {
                    self.activity.refuse(refusal);
                } else {
                    self.held.extend_from_slice(&bytes[seen.passed..]);
                }
                buffer.set_filled(before + seen.passed);
            }
            Eyes::Http1(_) | Eyes::Http2(_) => {
                self.held.extend_from_slice(&buffer.filled()[before..]);
                buffer.set_filled(before);
                self.look_at_held();
            }
        }
    }

    /// Returns held bytes that are allowed. `false` if there are none.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.passed == 0 {
            return false;
        }
        let length = self.passed.min(buffer.remaining());
        buffer.put_slice(&self.held.split_to(length));
        self.passed -= length;
        if self.held.is_empty() && self.held.capacity() > KEPT_ROOM_MAX {
            self.held = BytesMut::new();
        }
        true
    }

    /// Returns the substitute of refused bytes, and then nothing.
    fn give_stand_in(&mut self, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stand_in.is_none() {
            // No byte arrived, so there is nothing to answer: report the end.
            if self.is_silent() {
                return Poll::Ready(Ok(()));
            }
            let is_head = matches!(&self.eyes, Eyes::Http1(guard) if guard.is_in_head());
            self.held = BytesMut::new();
            self.stand_in = Some(Bytes::from_static(if is_head { STAND_IN } else { SPOIL }));
        }
        let Some(stand_in) = &mut self.stand_in else { return Poll::Ready(Ok(())) };
        if !stand_in.has_remaining() {
            // Nothing more is read, but reporting the end would cancel the answer.
            return match self.eyes {
                Eyes::Http1(_) => Poll::Pending,
                _ => Poll::Ready(Ok(())),
            };
        }
        let length = stand_in.len().min(buffer.remaining());
        buffer.put_slice(&stand_in.split_to(length));
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(written) = result {
            self.activity.bytes_written();
            if let (Eyes::Http2(frames), Ok(bytes)) = (&mut self.eyes, written) {
                frames.wrote(*bytes);
            }
        }
    }

    fn is_silent(&self) -> bool {
        self.activity.refusal() == Some(Refusal::SlowHeaders) && self.held.is_empty()
    }

    /// Whether the peer may still be sending bytes that will not be read. A peer that was too slow gets no
    /// more time.
    fn is_midway(&self) -> bool {
        match (&self.eyes, self.activity.refusal()) {
            (Eyes::Http1(_), Some(refusal)) => refusal != Refusal::SlowHeaders,
            (Eyes::Http1(guard), None) => !guard.is_in_head() || !self.held.is_empty(),
            // A client that reads its answer still sends window updates. If they stay unread, the close resets
            // the connection and the client loses the answer. A flood gets no more time.
            (Eyes::Http2(_), _) => self.stand_in.is_none(),
            (Eyes::Shut, _) => false,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.activity.is_switched() {
                this.eyes = Eyes::Shut;
                this.passed = this.held.len();
            }
            if this.give(buffer) {
                return Poll::Ready(Ok(()));
            }
            if this.stand_in.is_some() || this.activity.refusal().is_some() {
                return this.give_stand_in(buffer);
            }
            if let Eyes::Http1(guard) = &mut this.eyes
                && guard.awaits_answer()
                && !this.held.is_empty()
            {
                ready!(this.activity.poll_answered(cx));
                guard.stays();
                this.activity.bytes_read();
                this.look_at_held();
                continue;
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            this.activity.bytes_read();
            this.look(buffer, before);
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            if !this.is_midway() {
                return Poll::Ready(Ok(()));
            }
        }
        let until = this.linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut room = [0; 4096];
        for _ in 0..LINGER_READS_MAX {
            let mut unread = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut this.inner).poll_read(cx, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                // The peer has seen the end.
                _ => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
