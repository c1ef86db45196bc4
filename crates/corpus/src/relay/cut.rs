//! An answer that never comes: the connection is cut instead.
//!
//! A body that fails before its head was flushed takes the head with it, so that a peer sees what it
//! would see of an upstream that closes the connection. Must never send a byte.

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

/// What makes the server close the connection.
pub(super) fn cut() -> Response<Body> {
    Response::new(body::boxed(Cut))
}
