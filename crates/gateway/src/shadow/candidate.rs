//! Our own side, asked once more for a comparison: a reading of its own, that takes nothing kept and is
//! no client's request.

use std::time::Duration;

use bytes::Bytes;
use domain::json;
use domain::legacy::Planned;
use domain::plan::GroupName;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;

use super::control::Asked;
use super::judge::Reply;
use crate::call::{Call, SharedAccount, Whole};
use crate::error::Error;
use crate::svc::Stage;

/// See the module.
pub(crate) struct Candidate {
    /// A call to the bytes of its answer.
    pub(crate) readings: Stage<Call<GroupName>, Whole>,
    /// How long one may take.
    pub(crate) deadline: Duration,
}

impl Candidate {
    /// The answer; `None` where there is none that a question could be compared by.
    pub(super) async fn read(&self, asked: &Asked) -> Option<Reply> {
        let Asked { endpoint, quirks, caller, params, .. } = asked.clone();
        let plan = match endpoint.plan(params, &quirks) {
            Planned::Nobody { .. } => {
                let (open, close) = endpoint.envelope(&quirks, 0);
                return Some(reply(200, Bytes::from(format!("{open}{close}"))));
            }
            Planned::Ask(plan) => *plan,
        };
        let deadline = Instant::now() + self.deadline;
        let account = SharedAccount::default();
        let call = Call { account, endpoint, quirks, caller, plan, is_anew: true, deadline };
        let whole = timeout_at(deadline, self.readings.clone().oneshot(call)).await.ok()?;
        match whole {
            Ok(whole) => Some(reply(200, whole.bytes)),
            Err(error) => refused(error.downcast_ref::<Error>()?),
        }
    }
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
