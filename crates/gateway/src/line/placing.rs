//! Placing a call: one POST on a connection of its own, and never a second one. Whatever breaks behind its first
//! byte leaves it unknown whether the call was placed, and is told so.
//!
//! Must never retry, share, keep or follow anything.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::CallRequest;
use domain::upstream::{CallAnswer, CallRefusal, Refusal};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode};
use limits::Outcome;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use transport::body::{self, Body, BodyError};
use transport::client::{ClientError, StreamClient};
use transport::retry_after;

use super::credential::Credential;
use super::key::{Key, KeyState};
use super::pace::Pace;
use super::pause::Pause;
use super::upstream::Upstream;
use crate::error::{Error, RETRY_AFTER_DEFAULT};
use crate::layer::call::Behalf;
use crate::observe::spans::{Exchange, Exporter};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("tieline/", env!("CARGO_PKG_VERSION")));

/// An answer to a call is a few lines.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The longest wait for the body behind a status that is known.
const BODY_WAIT_MAX: Duration = Duration::from_secs(2);

/// The wait for a body ends by so much before the whole attempt, so that the status is still told.
const BODY_MARGIN: Duration = Duration::from_millis(100);

/// See the module.
pub(crate) struct Placing {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) credential: Arc<Credential>,
    pub(crate) key: Arc<Key>,
    /// How many of the upstream's places this caller may have at the same time; its lists use the same.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) pause: Arc<Pause>,
    pub(crate) pace: Option<Arc<Pace>>,
    /// It keeps no connection: one that was used before may be closed already, and then nobody could say whether
    /// the call was read.
    pub(crate) client: StreamClient,
    pub(crate) exporter: Exporter,
}

/// A call that was placed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its id, if the upstream gave one.
    pub(crate) id: Option<String>,
}

impl Placing {
    /// Sends the request once, and says what became of it.
    pub(crate) async fn place(
        &self,
        request: CallRequest,
        behalf: &Behalf,
        deadline: Instant,
    ) -> Result<Placed, Error> {
        let upstream = &self.upstream;
        self.pause.wait(deadline).await.map_err(Error::limited)?;
        if let Some(pace) = &self.pace {
            pace.wait(deadline).await.map_err(Error::limited)?;
        }
        let authorization = self.credential.get(behalf, deadline, None).await?;
        let permits = timeout_at(deadline, self.permits(deadline)).await;
        let _permits = permits.unwrap_or(Err(Error::Deadline))?;
        let span = Exchange::begin(&self.exporter, behalf.origin.as_deref(), "POST");
        let request = self.request(request, authorization, behalf, span.as_ref())?;
        // What is too late to connect must not be begun: it would be told as unknown.
        let left = deadline.saturating_duration_since(Instant::now());
        if left < upstream.settings.connect_timeout {
            return Err(Error::Deadline);
        }
        let entry = upstream.breaker.enter();
        let entry = entry.map_err(|retry_after| Error::BreakerOpen { retry_after })?;
        behalf.account.note_upstream_call();
        let until = (Instant::now() + upstream.settings.attempt_timeout).min(deadline);
        // From here on it may have been placed, whatever happens.
        let (mut answered, began) = (None, Instant::now());
        let sent = timeout_at(until, self.sent(request, until, &mut answered)).await;
        let sent = sent.unwrap_or(Err(Error::CallUnknown));
        if let Some(span) = span {
            let slug = sent.as_ref().err().map_or("", Error::slug);
            let outcome = answered.map(|status| status.as_u16()).ok_or(slug);
            span.end(&upstream.name, outcome, began.elapsed());
        }
        entry.end(outcome(&sent, answered.is_some()));
        sent
    }

    /// A place among the caller's own, and then one of the upstream's. A pause that began meanwhile is waited out
    /// without them.
    async fn permits(
        &self,
        deadline: Instant,
    ) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), Error> {
        loop {
            let own = self.places.acquire().await.map_err(|_| Error::Overloaded)?;
            let permit = self.upstream.permits.acquire().await.map_err(|_| Error::Overloaded)?;
            if !self.pause.is_on() {
                return Ok((own, permit));
            }
            drop((own, permit));
            self.pause.wait(deadline).await.map_err(Error::limited)?;
        }
    }

    fn request(
        &self,
        request: CallRequest,
        authorization: HeaderValue,
        behalf: &Behalf,
        span: Option<&Exchange<'_>>,
    ) -> Result<Request<Body>, Error> {
        let base = self.upstream.base.as_ref().ok_or(Error::Internal)?;
        let target = PathAndQuery::from_static(request.target);
        let uri = base.uri(&target).ok_or(Error::Internal)?;
        let mut outgoing = Request::new(body::full(request.body));
        *outgoing.method_mut() = http::Method::POST;
        *outgoing.uri_mut() = uri;
        let headers = outgoing.headers_mut();
        headers.insert(HOST, base.host().clone());
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, AGENT);
        if let Some(origin) = &behalf.origin {
            origin.pass_on(span.map_or(&origin.trace, Exchange::trace), outgoing.headers_mut());
        }
        Ok(outgoing)
    }

    /// Notes the status, if there was the head of an answer.
    async fn sent(
        &self,
        request: Request<Body>,
        until: Instant,
        answered: &mut Option<StatusCode>,
    ) -> Result<Placed, Error> {
        let upstream = &self.upstream;
        let answer = self.client.send(Box::new(request), None).await;
        let outcome = answer.as_ref().map_or_else(
            |error| Error::Exchange(*error).slug().to_owned(),
            |answer| answer.status().as_str().to_owned(),
        );
        self.credential.metrics.attempt(&upstream.attempts, &outcome);
        let (head, body) = answer.map_err(unsent)?.into_parts();
        *answered = Some(head.status);
        let wait = retry_after(&head.headers);
        // The status says what became of the call; a body that breaks off or stalls behind it changes nothing.
        let body_until = (Instant::now() + BODY_WAIT_MAX).min(until - BODY_MARGIN);
        let body = body::collect(body, ANSWER_BYTES_MAX, BODY_WAIT_MAX);
        let body = match timeout_at(body_until, body).await {
            Ok(Err(BodyError::TooLarge { .. })) => None,
            Ok(Ok(body)) => Some(body),
            Ok(Err(_)) | Err(_) => Some(Bytes::new()),
        };
        let dialect = upstream.dialect;
        let refusal = match head.status {
            status if status.is_success() => match body.map(|body| dialect.call_answer(&body)) {
                Some(CallAnswer::Placed(id)) => return Ok(Placed { id }),
                Some(CallAnswer::Refused(refusal)) => refusal,
                Some(CallAnswer::Unclear) | None => return Err(Error::CallUnknown),
            },
            StatusCode::UNAUTHORIZED => CallRefusal::General(Refusal::Unauthorized),
            StatusCode::FORBIDDEN => CallRefusal::General(Refusal::Forbidden),
            StatusCode::TOO_MANY_REQUESTS => CallRefusal::General(Refusal::RateLimited),
            StatusCode::UNPROCESSABLE_ENTITY => dialect.call_refusal(&body.unwrap_or_default()),
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
                CallRefusal::Other
            }
            status if is_unknown(status) => return Err(Error::CallUnknown),
            status if status.is_redirection() => return Err(Error::Redirect),
            status if status.is_client_error() => CallRefusal::Other,
            _ => return Err(Error::CallUnknown),
        };
        Err(self.refused(refusal, head.status, wait))
    }

    /// The error of a call that the upstream refused with this status, and notes what it means for the caller.
    fn refused(&self, refusal: CallRefusal, status: StatusCode, wait: Option<Duration>) -> Error {
        let Upstream { settings, dialect, .. } = &*self.upstream;
        match refusal {
            CallRefusal::Agent => Error::AgentLoggedOff,
            CallRefusal::Number => Error::BadNumber,
            CallRefusal::General(Refusal::Unauthorized) => {
                self.key.note_refusal(KeyState::Refused);
                Error::MappedKeyRefused
            }
            // The key may lack this scope alone.
            CallRefusal::General(Refusal::Forbidden) => {
                Error::Forbidden { scope: dialect.call_scope().unwrap_or_default() }
            }
            CallRefusal::General(Refusal::RateLimited) => {
                let retry_after = wait.unwrap_or(RETRY_AFTER_DEFAULT);
                let retry_after = retry_after.min(settings.retry_after_max);
                self.pause.extend_for_all(retry_after);
                Error::RateLimited { retry_after }
            }
            CallRefusal::General(Refusal::NotFound) | CallRefusal::Other => {
                Error::RefusedCall { status: status.as_u16() }
            }
        }
    }
}

/// What a call tells of how well the upstream works. Telephony that fails must not shut the lists, so that even a 5xx
/// shows an upstream that lives.
fn outcome(sent: &Result<Placed, Error>, is_answered: bool) -> Outcome {
    match sent {
        Ok(_) => Outcome::Worked,
        Err(_) if is_answered => Outcome::Alive,
        Err(_) => Outcome::Failed,
    }
}

/// Statuses that leave it unknown what became of the call. Proxies answer 5xx, 408 and 499 for a request that
/// reached the server behind them; 301, 302 and 303 may say that it was worked off. 307 and 308 never do.
fn is_unknown(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 301 | 302 | 303 | 408 | 499)
}

/// Whether anything of it may have been read decides what a broken exchange means.
fn unsent(error: ClientError) -> Error {
    if error.started() { Error::CallUnknown } else { Error::Exchange(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephony_that_fails_shuts_no_lists() {
        for (sent, is_answered, expected) in [
            (Ok(Placed { id: None }), true, Outcome::Worked),
            (Err(Error::CallUnknown), true, Outcome::Alive),
            (Err(Error::AgentLoggedOff), true, Outcome::Alive),
            (Err(Error::CallUnknown), false, Outcome::Failed),
            (Err(Error::Exchange(ClientError::Connect)), false, Outcome::Failed),
        ] {
            assert_eq!(outcome(&sent, is_answered), expected, "{sent:?}");
        }
    }
}
