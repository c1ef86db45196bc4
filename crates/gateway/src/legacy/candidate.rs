//! Our own side, asked once more for a comparison: a reading of its own, that takes nothing kept and is
//! no client's request. Must never be in a client's way: where one would wait for it, it is left.

use std::time::Duration;

use bytes::Bytes;
use domain::json;
use domain::legacy::Planned;
use domain::visibility::Visibility;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use shadow::{Asker, CallerQuestion, Reply, Unread};
use tokio::time::{Instant, timeout_at};

use crate::caller::Caller;
use crate::error::Error;
use crate::layer::call::{Behalf, Call};

impl Asker for Caller {
    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> &'static str {
        self.line.upstream.dialect.name()
    }

    fn is_narrowed(&self) -> bool {
        self.visibility != Visibility::Everything
    }

    fn timezone(&self) -> Option<&str> {
        self.line.upstream.settings.rules.mapping.timezone.as_deref()
    }

    fn rows_max(&self) -> u64 {
        self.line.upstream.settings.rows_max
    }

    fn read<'a>(
        &'a self,
        question: &'a CallerQuestion,
        within: Duration,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Reply, Unread>> {
        read(self, question, within, bytes_max).boxed()
    }
}

/// The answer, if there is one that a question could be compared by.
async fn read(
    caller: &Caller,
    question: &CallerQuestion,
    within: Duration,
    bytes_max: usize,
) -> Result<Reply, Unread> {
    let CallerQuestion { endpoint, quirks, params, .. } = question.clone();
    let plan = match endpoint.plan(params, &quirks) {
        Planned::Nobody { .. } => {
            let (open, close) = endpoint.envelope(&quirks, 0);
            return Ok(Reply::json(200, Bytes::from(format!("{open}{close}"))));
        }
        Planned::Ask(plan) => plan,
        Planned::Unclear => return Err(Unread::Failed),
    };
    if !caller.line.is_at_ease() {
        return Err(Unread::Busy);
    }
    let deadline = Instant::now() + within;
    let behalf = Behalf::background();
    let call = Call { endpoint, quirks, plan, wants_fresh: true, oversize: None, deadline, behalf };
    let whole = timeout_at(deadline, caller.line.read(call)).await;
    let error = match whole.map_err(|_| Unread::Failed)? {
        Ok(whole) if whole.bytes.len() > bytes_max => return Err(Unread::TooLarge),
        Ok(whole) => return Ok(Reply::json(200, whole.bytes.joined())),
        Err(error) => error,
    };
    match error {
        Error::Overloaded | Error::RateLimited { .. } | Error::BreakerOpen { .. } => {
            Err(Unread::Busy)
        }
        error => refused(&error).ok_or(Unread::Failed),
    }
}

/// An error as a judge sees it, where it is about the question. Any other one says nothing of how well
/// answers are translated, and is counted where all errors are.
pub(super) fn refused(error: &Error) -> Option<Reply> {
    let is_about_question = matches!(error, Error::BadFilter);
    is_about_question.then(|| Reply::json(error.status(), json::error_body(&error.text()).into()))
}
