//! Follows the frames of an HTTP/2 upstream, because h2 passes over what it says before its answers, and over
//! pseudo fields in their trailers. Must never change a byte of an answer that is in order.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::INFORMATIONAL_MAX;
use crate::http2::{self, DATA, END_STREAM, FrameHead, HEAD_BYTES, HEADERS, RST_STREAM};

/// So many bytes of a block show its status.
const STATUS_BYTES: usize = 16;
/// A kind of error that no layer below has: TLS reports its own as invalid data.
const BROKEN: io::ErrorKind = io::ErrorKind::InvalidInput;
/// More answers than this are not followed at a time; there are fewer requests.
const OPEN_MAX: usize = 256;

/// A connection to an upstream over HTTP/2.
pub(crate) struct Followed<T> {
    inner: T,
    answers: Answers,
    /// Bytes that were read and not yet returned.
    held: BytesMut,
    /// How many of them may be returned.
    passed: usize,
}

impl<T> Followed<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, answers: Answers::default(), held: BytesMut::new(), passed: 0 }
    }
}

/// The answers of one connection that have not ended.
#[derive(Debug, Default)]
struct Answers {
    /// The unread bytes of the current frame.
    left: usize,
    are_shielded: bool,
    open: VecDeque<(u32, Said)>,
}

/// The answers of an upstream on a stream so far.
#[derive(Debug, Clone, Copy)]
enum Said {
    /// So many answers 1xx, and perhaps the head of its answer.
    Hints(usize),
    /// The head of its answer. A further head is trailers.
    Head,
}

/// The kind of answer that a header block begins.
#[derive(Debug, PartialEq)]
enum Status {
    /// A switch of protocols, which HTTP/2 does not have.
    Switch,
    Hint,
    Final,
    /// It stands in a table that is not kept here.
    Unknown,
}

impl Answers {
    /// How many of the next bytes may be passed on, and whether the rest begins with trailers, which need a
    /// shield.
    fn look(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let mut passed = 0;
        loop {
            let rest = http2::behind(bytes, &mut passed, &mut self.left);
            let Some(head) = FrameHead::of(rest) else { return Ok((passed, false)) };
            match head.kind {
                HEADERS => match self.said(head.stream) {
                    Said::Head if !std::mem::take(&mut self.are_shielded) => {
                        return match begin_of(&head, rest) {
                            Some(block) if is_pseudo(block) => Err(BROKEN.into()),
                            block => Ok((passed, block.is_some())),
                        };
                    }
                    Said::Head => {}
                    Said::Hints(hints) => {
                        let Some(block) = begin_of(&head, rest) else {
                            return Ok((passed, false));
                        };
                        let status = status(block);
                        if status == Status::Switch || hints > INFORMATIONAL_MAX {
                            return Err(BROKEN.into());
                        }
                        let said = match status {
                            Status::Final => Said::Head,
                            _ => Said::Hints(hints + 1),
                        };
                        self.note(head.stream, said);
                    }
                },
                DATA => self.note(head.stream, Said::Head),
                _ => {}
            }
            let is_last = matches!(head.kind, HEADERS | DATA) && head.flags & END_STREAM != 0;
            if is_last || head.kind == RST_STREAM {
                self.open.retain(|(stream, _)| *stream != head.stream);
            }
            self.left = head.length;
            passed += HEAD_BYTES;
        }
    }

    fn said(&self, stream: u32) -> Said {
        let found = self.open.iter().find(|(open, _)| *open == stream);
        found.map_or(Said::Hints(0), |(_, said)| *said)
    }

    fn note(&mut self, stream: u32, said: Said) {
        match self.open.iter_mut().find(|(open, _)| *open == stream) {
            Some((_, before)) => *before = said,
            None => self.open.push_back((stream, said)),
        }
        if self.open.len() > OPEN_MAX {
            self.open.pop_front();
        }
    }
}

/// The first bytes of a HEADERS frame's fields; `None` if more bytes of it are needed.
fn begin_of<'a>(head: &FrameHead, frame: &'a [u8]) -> Option<&'a [u8]> {
    let fields = head.fields_at(frame)?;
    let end = (HEAD_BYTES + head.length).min(fields + STATUS_BYTES);
    frame.get(fields..end)
}

/// Whether the first field is a pseudo field, as far as that can be told without a table. h2 looks at others.
fn is_pseudo(block: &[u8]) -> bool {
    match block {
        // Plain, and in Huffman's code, where a colon is 1011100.
        [0x00 | 0x10 | 0x40, length, first, ..] => {
            *first == if length & 0x80 == 0 { b':' } else { first & 1 | 0xb8 }
        }
        [0x81..=0x8e | 0x01..=0x0e | 0x11..=0x1e | 0x41..=0x4e, ..] => true,
        _ => false,
    }
}

/// The status is the first field of a block, and by its number in the static table or by its name in full.
fn status(block: &[u8]) -> Status {
    let value = match block {
        [0x88..=0x8e, ..] => return Status::Final,
        [0x08..=0x0e | 0x18..=0x1e | 0x48..=0x4e, value @ ..] => value,
        [0x00 | 0x10 | 0x40, length, rest @ ..] => {
            rest.get(usize::from(length & 0x7f)..).unwrap_or_default()
        }
        _ => return Status::Unknown,
    };
    match value {
        // Plain, and in Huffman's code, where a 1 is 00001.
        [3, b'1', b'0', b'1', ..] | [0x82, 0x08, 0x03, ..] => Status::Switch,
        [3, b'1', ..] | [0x80..=0xff, 0x08..=0x0f, ..] => Status::Hint,
        [_, _, ..] => Status::Final,
        _ => Status::Unknown,
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Followed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let answers = &mut this.answers;
        loop {
            if this.passed > 0 {
                let length = this.passed.min(buffer.remaining());
                buffer.put_slice(&this.held.split_to(length));
                this.passed -= length;
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buffer))?;
            let bytes = &buffer.filled()[before..];
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (passed, _) = if this.held.is_empty() { answers.look(bytes)? } else { (0, false) };
            if passed == bytes.len() {
                return Poll::Ready(Ok(()));
            }
            this.held.extend_from_slice(&bytes[passed..]);
            buffer.set_filled(before + passed);
            loop {
                let rest = this.held.get(this.passed..).unwrap_or_default();
                let (passed, are_trailers) = answers.look(rest)?;
                this.passed += passed;
                if !are_trailers {
                    break;
                }
                answers.are_shielded = http2::shield(&mut this.held, this.passed);
                if !answers.are_shielded {
                    break;
                }
            }
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Followed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(stream: u8, flags: u8, block: &[u8]) -> Vec<u8> {
        let head = [0, 0, block.len() as u8, HEADERS, flags, 0, 0, 0, stream];
        [&head[..], block].concat()
    }

    #[test]
    fn a_status_is_known_in_each_of_its_spellings() {
        for (block, expected) in [
            (&b"\x88"[..], Status::Final),
            (b"\x08\x03101", Status::Switch),
            (b"\x48\x82\x08\x03", Status::Switch),
            (b"\x00\x07:status\x03101", Status::Switch),
            (b"\x08\x03103", Status::Hint),
            (b"\x48\x82\x08\x19", Status::Hint),
            (b"\x08\x03201", Status::Final),
            (b"\x48\x82\x10\x03", Status::Final),
            (b"\xbe", Status::Unknown),
        ] {
            assert_eq!(status(block), expected, "{block:x?}");
        }
    }

    #[test]
    fn hints_have_an_end_and_trailers_are_found() {
        let mut answers = Answers::default();
        let hint = headers(1, 4, b"\x08\x03103");
        let few = [hint.repeat(INFORMATIONAL_MAX), headers(1, 4, b"\x88")].concat();
        assert_eq!(answers.look(&few).unwrap(), (few.len(), false));
        let trailers = headers(1, 5, b"\x90");
        assert_eq!(answers.look(&trailers).unwrap(), (0, true));
        assert!(answers.look(&headers(1, 5, b"\x88")).is_err());
        assert!(Answers::default().look(&hint.repeat(INFORMATIONAL_MAX + 2)).is_err());
        assert!(Answers::default().look(&headers(1, 4, b"\x08\x03101")).is_err());
        // In pieces: nothing of a head passes before its status is there.
        for cut in 0..hint.len() {
            let (passed, are_trailers) = Answers::default().look(&hint[..cut]).unwrap();
            assert_eq!((passed, are_trailers), (0, false), "{cut}");
        }
    }
}
