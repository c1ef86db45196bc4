//! Cuts a connection instead of answering.
//!
//! A body that fails before the head was flushed takes the head with it, so the gateway sees the same as
//! when an upstream closes the connection. It must never send a byte.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use transport::body::{self, Body, BodyError};

struct Cut;

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(Some(Err(BodyError::Truncated)))
    }
}

/// A response that makes the server close the connection.
pub(super) fn cut() -> Response<Body> {
    Response::new(body::boxed(Cut))
}
