//! Adds what the caller shows its upstream. A token that the upstream refuses is replaced once: tokens
//! may die early.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::credential::Credential;
use crate::error::Error;
use crate::layer::call::{Attempt, Authorized};
use crate::layer::{Answering, Around, Below};

/// See the module.
pub(crate) struct Authorize {
    /// Shared with what is not translated, which shows the same.
    pub(crate) credential: Arc<Credential>,
}

impl<S: Below<Authorized, Response<Bytes>>> Around<S, Attempt> for Authorize {
    type Response = Response<Bytes>;

    fn call<'a>(&'a self, inner: &'a S, attempt: Attempt) -> Answering<'a, Response<Bytes>> {
        match self.credential.at_hand() {
            Some(authorization) => inner.ask(Authorized { attempt, authorization }),
            None => Box::pin(self.renewed(inner, attempt)),
        }
    }
}

impl Authorize {
    async fn renewed<S: Below<Authorized, Response<Bytes>>>(
        &self,
        inner: &S,
        attempt: Attempt,
    ) -> Result<Response<Bytes>, Error> {
        let authorization = self.credential.get(&attempt.behalf, attempt.deadline, None).await?;
        let first = Authorized { attempt: attempt.clone(), authorization: authorization.clone() };
        let answer = inner.ask(first).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let (behalf, refused) = (&attempt.behalf, Some(&authorization));
        let authorization = self.credential.get(behalf, attempt.deadline, refused).await?;
        inner.ask(Authorized { attempt, authorization }).await
    }
}
