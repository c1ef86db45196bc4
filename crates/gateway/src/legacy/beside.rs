//! The other side beside this one. Control answers a percentage of a caller's requests, and candidate
//! answers them where control fails; a sample of the answers that can be compared is offered for that.
//!
//! An answer is never waited for, held or changed for a comparison. Requests that are not translated, and
//! those of unknown callers, never come here or go on as they are.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use settings::Secret;
use shadow::{ASKED_BY, Asker, CallerQuestion, Reply, Shadow, Side};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use transport::body::{self, Body};

use super::answer::Answer;
use super::asked::Asked;
use super::candidate;
use crate::caller::Caller;
use crate::error::{Error, SLUG};
use crate::observe::account::SharedAccount;
use crate::request::credential::Credential;

/// Who gave the answer, for callers that either side may answer.
const ANSWERED_BY: HeaderName = HeaderName::from_static("x-tieline-answered-by");

/// One request of a known caller that either side may answer.
pub(crate) struct Beside<'a> {
    shadow: &'a Shadow,
    question: CallerQuestion,
    account: SharedAccount,
    deadline: Instant,
    /// A body has to come whole before anything is answered, which is seen to where candidate answers.
    has_no_body: bool,
}

impl<'a> Beside<'a> {
    pub(crate) fn new(
        shadow: &'a Shadow,
        asked: &Asked,
        caller: &Arc<Caller>,
        has_no_body: bool,
    ) -> Self {
        Beside {
            shadow,
            question: question(asked, caller),
            account: asked.behalf.account.clone(),
            deadline: asked.deadline,
            has_no_body,
        }
    }

    /// The answer of the side whose turn it is; `candidate` is the answer of this side, if it is asked.
    pub(crate) async fn answer(
        self,
        candidate: impl Future<Output = Result<Answer, Error>> + Send,
    ) -> Result<Response<Body>, Error> {
        let Beside { shadow, question, account, deadline, has_no_body } = self;
        if shadow.is_loop(&question.trail) {
            // The gateway that asked is told, so that it does not take itself for control.
            let mut answer = candidate.await?.response;
            answer.headers_mut().insert(ASKED_BY, HeaderValue::from_static("itself"));
            return Ok(answer);
        }
        // Control is asked without the body, so it may have been asked for something else.
        let is_sampled = has_no_body && question.endpoint.is_compared() && shadow.is_sampled();
        let is_either_side = shadow.is_either_side(question.caller.name());
        if has_no_body
            && shadow.is_answered_by_control(question.caller.name())
            && let Some((reply, place)) = shadow.answer(&question, deadline).await
        {
            let refused = refused(&reply);
            account.note(|account| {
                account.filters = question.filters();
                account.answered_by = Some(Side::Control);
                account.error = refused.as_ref().map(Error::slug);
            });
            let answer = controls(&reply, refused.as_ref(), place);
            if is_sampled {
                shadow.offer(question, Side::Control, reply);
            }
            return Ok(answer);
        }
        if is_either_side {
            account.note(|account| account.answered_by = Some(Side::Candidate));
        }
        let answer = candidate.await;
        if is_sampled && let Some(reply) = candidates(&answer) {
            shadow.offer(question, Side::Candidate, reply);
        }
        let mut answer = answer?.response;
        if is_either_side {
            let side = HeaderValue::from_static(Side::Candidate.as_str());
            answer.headers_mut().insert(ANSWERED_BY, side);
        }
        Ok(answer)
    }
}

/// What either side can be asked.
fn question(asked: &Asked, caller: &Arc<Caller>) -> CallerQuestion {
    let key = match &asked.credential {
        Credential::One(key) => key.clone(),
        // A known caller has shown its key.
        Credential::None | Credential::Ambiguous => Secret::new(String::new()),
    };
    CallerQuestion {
        endpoint: asked.endpoint,
        quirks: Arc::clone(&asked.quirks),
        caller: Arc::clone(caller) as Arc<dyn Asker>,
        params: asked.params.clone(),
        target: asked.target.apart(),
        trail: asked.trail.clone(),
        key,
    }
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

/// Candidate's answer as it is compared: its bytes before any coding, shared with the answer itself
/// unless that is a long list. One that is sent while it is read is not compared.
fn candidates(answer: &Result<Answer, Error>) -> Option<Reply> {
    match answer {
        Ok(answer) => Some(Reply::json(200, answer.plain.as_ref()?.joined())),
        Err(error) => candidate::refused(error),
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
