//! The body of a translated request. A JSON object or a form in it has parameters; anything else asks for
//! nothing. One that has a body is answered only when all of it has come: what comes behind it on the
//! connection is then a request of its own. Must never keep more of a body than [`BODY_BYTES_MAX`].

use std::future::poll_fn;
use std::pin::Pin;

use domain::params::{BadJson, Params};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};
use transport::body::{Body, BodyError};
use transport::server::Refusal;

use crate::error::Error;

/// A longer body is not read; the connection is closed behind the answer.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A body that may still be on its way.
pub(crate) struct Coming {
    body: Body,
    /// How it says its parameters, where it has any.
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Form,
    Json,
    /// JSON in which nothing may be said twice.
    JsonOnce,
    /// No bytes at all; others could say what cannot be read.
    Nothing,
}

impl Coming {
    /// The body of a request. `is_read` is whether its parameters count.
    pub(crate) fn of(request: Request<Body>, is_read: bool) -> Self {
        let is_read = is_read && !request.body().is_end_stream();
        let kind = if is_read { kind(request.headers()) } else { None };
        Coming { body: request.into_body(), kind }
    }

    /// The body of a request that places a call. Nothing may be said twice, and a body that cannot be read is an
    /// error: the query alone must not decide.
    pub(crate) fn of_call(request: Request<Body>) -> Self {
        let mut coming = Coming::of(request, true);
        coming.kind = Some(match coming.kind {
            Some(Kind::Json) => Kind::JsonOnce,
            Some(kind) => kind,
            None => Kind::Nothing,
        });
        coming
    }

    /// Whether there is none.
    pub(crate) fn has_ended(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Waits until it has come whole, and reads its parameters.
    pub(crate) async fn settled(self, deadline: Instant) -> Result<Option<Params>, Error> {
        if self.has_ended() {
            return Ok(None);
        }
        // A quarter of the time is left for the answer.
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / 4 * 3;
        let Coming { body, kind } = self;
        let bytes = timeout_at(until, read(body, kind.is_some())).await;
        let bytes = bytes.unwrap_or(Err(Error::SlowBody))?;
        kind.map(|kind| parameters(kind, &bytes)).transpose()
    }
}

/// How a body with these headers says its parameters. What is encoded is not read.
fn kind(headers: &HeaderMap) -> Option<Kind> {
    if headers.contains_key(CONTENT_ENCODING) {
        return None;
    }
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
    let is = |known: &str| kind.eq_ignore_ascii_case(known);
    match () {
        () if is("application/json") || is("text/x-json") => Some(Kind::Json),
        () if is("application/x-www-form-urlencoded") => Some(Kind::Form),
        () => None,
    }
}

/// A key is no parameter: it is not looked for in a body, and must not be named.
fn parameters(kind: Kind, bytes: &[u8]) -> Result<Params, Error> {
    let params = match kind {
        Kind::Form => Params::of_form(bytes),
        Kind::Json => Params::of_json(bytes).ok_or(Error::BadParameters)?,
        Kind::Nothing if bytes.is_empty() => Params::default(),
        Kind::Nothing => return Err(Error::BadParameters),
        Kind::JsonOnce => Params::of_json_once(bytes).map_err(|bad| match bad {
            BadJson::NoObject => Error::BadParameters,
            BadJson::Repeated => Error::Contradiction,
        })?,
    };
    Ok(params.without_keys())
}

/// Reads a body to its end. It is given back where it `is_kept`; a longer one is an error then, since
/// without its parameters the answer would be another one.
async fn read(mut body: Body, is_kept: bool) -> Result<Vec<u8>, Error> {
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| match error {
            BodyError::Idle { .. } => Error::SlowBody,
            BodyError::BadFraming => Error::Refused(Refusal::BadFraming),
            _ => Error::BadBody,
        })?;
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        if length > BODY_BYTES_MAX {
            return if is_kept { Err(Error::BadParameters) } else { Ok(kept) };
        }
        if is_kept {
            kept.extend_from_slice(data);
        }
    }
    Ok(kept)
}
