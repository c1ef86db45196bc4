//! A translated request asks for nothing in its body, but one that has a body is answered only when all
//! of it has come: what comes behind it on the connection is then a request of its own. Must never keep
//! a body, nor read one of any length.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;

use http_body::Body as _;
use tokio::time::{Instant, timeout_at};
use transport::body::{Body, BodyError};
use transport::server::Refusal;

use crate::error::Error;

/// A longer body is not read; the connection is closed behind the answer.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Waits until a body has come whole.
pub(crate) async fn settled(body: Body, deadline: Instant) -> Result<(), Error> {
    if body.is_end_stream() {
        return Ok(());
    }
    // A quarter of the time is left for the answer.
    let now = Instant::now();
    let until = now + deadline.saturating_duration_since(now) / 4 * 3;
    timeout_at(until, read(body)).await.unwrap_or(Err(Error::SlowBody))
}

async fn read(mut body: Body) -> Result<(), Error> {
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| match error {
            BodyError::Idle { .. } => Error::SlowBody,
            BodyError::Transport(ErrorKind::InvalidData | ErrorKind::InvalidInput) => {
                Error::Refused(Refusal::BadFraming)
            }
            _ => Error::BadBody,
        })?;
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
        if bytes > BODY_BYTES_MAX {
            break;
        }
    }
    Ok(())
}
