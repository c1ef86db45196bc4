//! Our own side, asked once more for a comparison: a reading of its own, that takes nothing kept and is
//! no client's request. Must never be in a client's way: where one would wait for it, it is left.

use std::time::Duration;

use bytes::Bytes;
use domain::json;
use domain::legacy::Planned;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::control::CallerQuestion;
use super::judge::Reply;
use crate::call::{Behalf, Call};
use crate::error::Error;

/// See the module.
pub(crate) struct Candidate {
    /// How long one may take.
    pub(crate) deadline: Duration,
    /// The longest answer that is compared.
    pub(crate) bytes_max: usize,
}

impl Candidate {
    /// The answer, if there is one that a question could be compared by.
    pub(super) async fn read(&self, asked: &CallerQuestion) -> Result<Reply, Unread> {
        let CallerQuestion { endpoint, quirks, caller, params, .. } = asked.clone();
        let plan = match endpoint.plan(params, &quirks) {
            Planned::Nobody { .. } => {
                let (open, close) = endpoint.envelope(&quirks, 0);
                return Ok(reply(200, Bytes::from(format!("{open}{close}"))));
            }
            Planned::Ask(plan) => *plan,
        };
        if !caller.line.is_at_ease() {
            return Err(Unread::Busy);
        }
        let deadline = Instant::now() + self.deadline;
        let behalf = Behalf::background();
        let call = Call { endpoint, quirks, plan, wants_fresh: true, deadline, behalf };
        let whole = timeout_at(deadline, caller.line.read(call)).await;
        let error = match whole.map_err(|_| Unread::Failed)? {
            Ok(whole) if whole.bytes.len() > self.bytes_max => return Err(Unread::TooLarge),
            Ok(whole) => return Ok(reply(200, whole.bytes)),
            Err(error) => error,
        };
        match error {
            Error::Overloaded | Error::RateLimited { .. } | Error::BreakerOpen { .. } => {
                Err(Unread::Busy)
            }
            error => refused(&error).ok_or(Unread::Failed),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// Clients need the upstream, or it was told to wait.
    Busy,
    TooLarge,
    Failed,
}

/// An answer of ours, as the judge sees it.
pub(super) fn reply(status: u16, body: Bytes) -> Reply {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    Reply { status, headers, body }
}

/// An error as the judge sees it, where it is about the question. Any other one says nothing of how well
/// answers are translated, and is counted where all errors are.
pub(super) fn refused(error: &Error) -> Option<Reply> {
    let is_about_question = matches!(error, Error::BadFilter);
    is_about_question.then(|| reply(error.status(), json::error_body(&error.text()).into()))
}
