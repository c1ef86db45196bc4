//! The other side beside this one. Control answers a percentage of a caller's requests, and candidate
//! answers them where control fails; a sample of all answers is offered to be compared.
//!
//! An answer is never waited for, held or changed for a comparison. Requests that are not translated, and
//! those of unknown callers, never come here or go on as they are.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use tokio::sync::OwnedSemaphorePermit;
use tower::{BoxError, Service, ServiceExt};
use transport::body::{self, Body};

use crate::call::{Credential, LegacyRequest, Plain};
use crate::caller::Callers;
use crate::error::{Error, SLUG};
use crate::observe::account::Side;
use crate::request::trail::ASKED_BY;
use crate::shadow::{self, Asked, Reply, Shadow};

/// Who gave the answer, for callers that either side may answer.
const ANSWERED_BY: HeaderName = HeaderName::from_static("x-tieline-answered-by");

/// What standing beside needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `None` where nobody else is asked.
    pub(crate) shadow: Option<Arc<Shadow>>,
    pub(crate) callers: Arc<Callers>,
}

pub(crate) async fn beside<S>(
    settings: Settings,
    inner: S,
    request: LegacyRequest,
) -> Result<Response<Body>, BoxError>
where
    S: Service<LegacyRequest, Response = Response<Body>, Error = BoxError> + Clone,
{
    let Some(shadow) = settings.shadow else { return inner.oneshot(request).await };
    let Some(asked) = asked(&settings.callers, &request) else {
        return inner.oneshot(request).await;
    };
    if shadow.is_loop(&request.trail) {
        // Whoever asked is told, so that it does not take itself for control.
        let mut answer = inner.oneshot(request).await?;
        answer.headers_mut().insert(ASKED_BY, HeaderValue::from_static("itself"));
        return Ok(answer);
    }
    let (is_sampled, is_either_side) = (shadow.is_sampled(), shadow.is_either_side(&asked.caller));
    // A body has to come whole before anything is answered, which is seen to further down.
    if request.body.is_end_stream()
        && shadow.is_answered_by_control(&asked.caller)
        && let Some((reply, place)) = shadow.answer(&asked, request.deadline).await
    {
        let refused = refused(&reply);
        note(&request, &asked, refused.as_ref());
        let answer = controls(&reply, refused.as_ref(), place);
        if is_sampled {
            shadow.offer(asked, Side::Control, reply);
        }
        return Ok(answer);
    }
    if is_either_side {
        request.account.note(|account| account.answered_by = Some(Side::Candidate.as_str()));
    }
    let mut answer = inner.oneshot(request).await;
    if is_sampled && let Some(reply) = candidates(&answer) {
        shadow.offer(asked, Side::Candidate, reply);
    }
    if is_either_side && let Ok(answer) = &mut answer {
        let side = HeaderValue::from_static(Side::Candidate.as_str());
        answer.headers_mut().insert(ANSWERED_BY, side);
    }
    answer
}

/// The question, if a known caller asks it.
fn asked(callers: &Callers, request: &LegacyRequest) -> Option<Asked> {
    let Credential::One(key) = &request.credential else { return None };
    Some(Asked {
        endpoint: request.endpoint,
        quirks: Arc::clone(&request.quirks),
        caller: callers.find(key)?,
        params: request.params.clone(),
        target: request.target.apart(),
        trail: request.trail.clone(),
        key: key.clone(),
    })
}

/// What would be noted further down.
fn note(request: &LegacyRequest, asked: &Asked, refused: Option<&Error>) {
    request.account.note(|account| {
        account.caller = Some(asked.caller.name.clone());
        account.dialect = Some(asked.caller.upstream.dialect.name());
        account.may_explain = asked.caller.may_explain;
        account.filters = asked.filters();
        account.answered_by = Some(Side::Control.as_str());
        account.error = refused.map(Error::slug);
    });
}

/// The error that control's answer is, if it is one.
fn refused(reply: &Reply) -> Option<Error> {
    (reply.status != 200).then_some(Error::ControlRefused { status: reply.status })
}

/// The answer that control gave, with nothing else of what it said. Its place is free again when its
/// last byte was taken.
fn controls(reply: &Reply, refused: Option<&Error>, place: OwnedSemaphorePermit) -> Response<Body> {
    let body = Bytes::from_owner(InPlace { body: reply.body.clone(), _place: place });
    let mut answer = Response::new(body::full(body));
    *answer.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let headers = answer.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    let kept = if refused.is_some() { "no-store" } else { "private, no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.extend(refused.map(|error| (SLUG, HeaderValue::from_static(error.slug()))));
    headers.insert(ANSWERED_BY, HeaderValue::from_static(Side::Control.as_str()));
    answer
}

/// Bytes that hold a place until nobody needs them any more.
struct InPlace {
    body: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// Candidate's answer as it is compared: its bytes before any coding, shared with the answer itself.
fn candidates(answer: &Result<Response<Body>, BoxError>) -> Option<Reply> {
    match answer {
        Ok(answer) => answer.extensions().get().map(|Plain(bytes)| shadow::reply(bytes.clone())),
        Err(error) => error.downcast_ref::<Error>().and_then(shadow::refused),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn an_answer_has_its_place_until_its_last_byte_was_taken() {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("text/html"))].into_iter().collect();
        let reply = Reply { status: 422, headers, body: Bytes::from_static(b"[1]") };
        let answer = controls(&reply, refused(&reply).as_ref(), place);
        assert_eq!(
            (answer.status(), &answer.headers()["content-type"]),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                &HeaderValue::from_static("application/json; charset=utf-8"),
            )
        );
        assert_eq!(places.available_permits(), 0, "nobody has read it yet");
        let bytes = body::collect(answer.into_body(), 10, Duration::from_secs(60)).await;
        let mut bytes = bytes.unwrap();
        let last = bytes.split_off(2);
        assert_eq!((bytes.as_ref(), last.as_ref()), (&b"[1"[..], &b"]"[..]));
        drop(bytes);
        assert_eq!(places.available_permits(), 0, "the last byte is still to be sent");
        drop(last);
        assert_eq!(places.available_permits(), 1);
    }
}
