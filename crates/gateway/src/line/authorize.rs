//! Adds what the caller shows its upstream. A token that the upstream refuses is replaced once: tokens
//! may die early.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use tower::ServiceExt;

use super::credential::Credential;
use crate::call::{Attempt, Authorized};
use crate::error::Error;
use crate::svc::{Around, Below};

/// See the module.
pub(crate) struct Authorize {
    /// Shared with what is not translated, which shows the same.
    pub(crate) credential: Arc<Credential>,
}

impl<S: Below<Authorized, Response<Bytes>>> Around<S, Attempt> for Authorize {
    type Response = Response<Bytes>;

    async fn call(&self, inner: &S, attempt: Attempt) -> Result<Response<Bytes>, Error> {
        let authorization = self.credential.get(&attempt.behalf, attempt.deadline, None).await?;
        if !self.credential.is_renewable() {
            return inner.clone().oneshot(Authorized { attempt, authorization }).await;
        }
        let first = Authorized { attempt: attempt.clone(), authorization: authorization.clone() };
        let answer = inner.clone().oneshot(first).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let (behalf, refused) = (&attempt.behalf, Some(&authorization));
        let authorization = self.credential.get(behalf, attempt.deadline, refused).await?;
        inner.clone().oneshot(Authorized { attempt, authorization }).await
    }
}
