//! An upstream that fails nearly every time is not asked: the client is told at once, and the upstream
//! gets room to recover.
//!
//! Below `retry`, so that every attempt counts. What is not translated never comes here.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use limits::Outcome;
use transport::body::BodyError;
use transport::client::ClientError;

use super::upstream::Upstream;
use crate::error::Error;
use crate::layer::call::Authorized;
use crate::layer::{Answering, Around, Below};

/// See the module.
pub(crate) struct FailFast {
    /// Its breaker counts what all callers meet.
    pub(crate) upstream: Arc<Upstream>,
}

impl<S: Below<Authorized, Response<Bytes>>> Around<S, Authorized> for FailFast {
    type Response = Response<Bytes>;

    fn call<'a>(&'a self, inner: &'a S, authorized: Authorized) -> Answering<'a, Response<Bytes>> {
        Box::pin(self.counted(inner, authorized))
    }
}

impl FailFast {
    async fn counted<S: Below<Authorized, Response<Bytes>>>(
        &self,
        inner: &S,
        authorized: Authorized,
    ) -> Result<Response<Bytes>, Error> {
        let entry = self.upstream.breaker.enter();
        let entry = entry.map_err(|retry_after| Error::BreakerOpen { retry_after })?;
        let answer = inner.ask(authorized).await;
        entry.end(match &answer {
            Ok(answer) => outcome(answer.status()),
            Err(error) => outcome_of(error),
        });
        answer
    }
}

fn outcome(status: StatusCode) -> Outcome {
    match status {
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => Outcome::Alive,
        status if status.is_server_error() => Outcome::Failed,
        status if status.is_client_error() => Outcome::Alive,
        _ => Outcome::Worked,
    }
}

fn outcome_of(error: &Error) -> Outcome {
    match error {
        // Ours to answer for: the connection was unused, or the name is not to be trusted.
        Error::Exchange(ClientError::Reset { started: false } | ClientError::AddressRefused) => {
            Outcome::Unknown
        }
        Error::Exchange(_) | Error::UpstreamTimeout => Outcome::Failed,
        Error::Body(BodyError::TooLarge { .. }) | Error::BadEncoding => Outcome::Alive,
        Error::Body(_) => Outcome::Failed,
        _ => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_and_limits_are_no_failures() {
        for (status, expected) in [
            (200, Outcome::Worked),
            (302, Outcome::Worked),
            (401, Outcome::Alive),
            (404, Outcome::Alive),
            (429, Outcome::Alive),
            (500, Outcome::Failed),
            (501, Outcome::Alive),
            (503, Outcome::Failed),
            (599, Outcome::Failed),
        ] {
            assert_eq!(outcome(StatusCode::from_u16(status).unwrap()), expected, "{status}");
        }
        for (error, expected) in [
            (Error::UpstreamTimeout, Outcome::Failed),
            (Error::Exchange(ClientError::Connect), Outcome::Failed),
            (Error::Exchange(ClientError::Reset { started: true }), Outcome::Failed),
            (Error::Exchange(ClientError::Reset { started: false }), Outcome::Unknown),
            (Error::Body(BodyError::Truncated), Outcome::Failed),
            (Error::Body(BodyError::TooLarge { bytes_max: 1 }), Outcome::Alive),
            (Error::Overloaded, Outcome::Unknown),
        ] {
            assert_eq!(outcome_of(&error), expected, "{error}");
        }
    }
}
