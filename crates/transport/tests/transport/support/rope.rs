//! A body of many pieces, as applications have them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use transport::body::{Body, BodyError, boxed};

/// A body whose pieces come in order. Its length is known, so HTTP/1 sends a `content-length`.
pub(crate) fn rope(parts: Vec<Bytes>) -> Body {
    let parts: VecDeque<Bytes> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let bytes_left = parts.iter().map(|part| part.len() as u64).sum();
    boxed(Rope { parts, bytes_left })
}

struct Rope {
    parts: VecDeque<Bytes>,
    bytes_left: u64,
}

impl http_body::Body for Rope {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let part = self.parts.pop_front();
        self.bytes_left -= part.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}
