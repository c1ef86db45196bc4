//! An answer before it is an HTTP response, and the conversion.
//!
//! The faces use statuses, headers and bytes; only this file knows the body type.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Frame;
use transport::body::BodyError;

use crate::Body;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// Whether to send half of the body and then cut the connection.
    pub(crate) cut: bool,
    /// Whether its tag stays the same when the body changes.
    pub(crate) tag_lies: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Answer {
        let headers = vec![(CONTENT_TYPE, JSON)];
        Answer { status, headers, body: body.into(), cut: false, tag_lies: false }
    }

    /// `{"error": text}`
    pub(crate) fn error(status: u16, text: &str) -> Answer {
        Answer::json(status, format!("{{\"error\":{}}}", serde_json::Value::from(text)))
    }

    pub(crate) fn not_found() -> Answer {
        Answer::error(404, "Not found")
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let promised = self.body.len();
        let body = if self.cut {
            Body::new(Cut { half: Some(self.body.slice(..promised / 2)), flushed: false })
        } else {
            transport::body::full(self.body)
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().extend(self.headers);
        if self.cut {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(promised));
        }
        response
    }
}

/// A body that ends early. It must not report its size, or the server would correct `content-length`.
struct Cut {
    half: Option<Bytes>,
    flushed: bool,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // The server flushes when a body has nothing to send. Without this pause the error would
        // come first, and neither the head nor the half body would be sent.
        if !std::mem::replace(&mut self.flushed, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(BodyError::Truncated)))
    }
}
