//! A wrapper around a connection's stream that replays the bytes read to tell HTTP/2 from HTTP/1,
//! reports activity, and shows HTTP/1 to the guard. Must never change what the bytes say, but where the
//! guard doubts it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::activity::{Activity, Protocol};
use super::guard::Guard;

/// The first bytes of every HTTP/2 connection (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until the bytes are the whole HTTP/2 preface or can no longer become it.
///
/// Reading, not peeking: a peek returns at once while half a preface waits, so it could only spin.
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

/// What [`read_opening`] took from the stream; to be handed to [`Watched`].
pub(super) struct Opening {
    pub(super) is_http2: bool,
    pub(super) bytes: Bytes,
}

/// Gives the opening bytes back first, then the stream, and tells [`Activity`] of reads and writes.
pub(super) struct Watched<T> {
    inner: T,
    opening: Bytes,
    activity: Arc<Activity>,
    /// For HTTP/1, until the connection switches protocols.
    guard: Option<Guard>,
    /// What is still to be read of [`SPOIL`].
    spoil: &'static [u8],
}

/// Read in the place of what is open to doubt: a character that may stand nowhere, and the end of a
/// head, without which hyper does not look.
const SPOIL: &[u8] = b"\0\r\n\r\n";

impl<T> Watched<T> {
    pub(super) fn new(inner: T, opening: Bytes, activity: Arc<Activity>) -> Self {
        let guard = (activity.protocol() == Protocol::Http1).then(Guard::default);
        Self { inner, opening, activity, guard, spoil: SPOIL }
    }

    /// Lets the guard look at what was just read. From a doubt on it is spoilt, and nothing more is
    /// read.
    fn guard(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        if self.activity.is_switched() {
            self.guard = None;
        }
        let Some(guard) = &mut self.guard else { return };
        if let Some(doubt) = guard.look(&buffer.filled()[before..]) {
            tracing::debug!("a request whose end is open to doubt");
            buffer.set_filled(before + doubt);
            self.spoil(buffer);
        }
    }

    fn spoil(&mut self, buffer: &mut ReadBuf<'_>) {
        let (now, later) = self.spoil.split_at(self.spoil.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.spoil = later;
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.guard.as_ref().is_some_and(Guard::is_spoilt) {
            self.spoil(buffer);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if self.opening.has_remaining() {
            let length = self.opening.len().min(buffer.remaining());
            buffer.put_slice(&self.opening.split_to(length));
            self.guard(buffer, before);
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if result.is_ready() {
            self.activity.bytes_read();
            self.guard(buffer, before);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if result.is_ready() {
            self.activity.bytes_written();
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        if result.is_ready() {
            self.activity.bytes_written();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
