//! Equal requests of one caller that are under way at the same time share one reading and one set of
//! bytes; an answer may be kept for a while, if the configuration says so.
//!
//! The reading belongs to nobody: a client that leaves stops it for nobody else. What one caller
//! reads never answers another.

use std::sync::Arc;
use std::time::Duration;

use domain::plan::GroupName;
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};

use crate::cache::answers::{Given, Question};
use crate::cache::whole::Whole;
use crate::call::Call;
use crate::error::Error;
use crate::observe::account::Source;
use crate::observe::metrics::Metrics;

/// What sharing needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    /// How long a reading may take.
    pub(crate) deadline: Duration,
}

pub(crate) async fn share<S>(
    settings: Settings,
    inner: S,
    call: Call<GroupName>,
) -> Result<Given, BoxError>
where
    S: Service<Call<GroupName>, Response = Whole, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let (caller, account) = (Arc::clone(&call.caller), call.account.clone());
    let question = Question { endpoint: call.endpoint.name(), filter: call.plan.filter.clone() };
    let (wants_fresh, deadline) = (call.wants_fresh, Instant::now() + settings.deadline);
    let given = caller
        .answers()
        .get(question, wants_fresh, || async move {
            let read = tokio::time::timeout_at(deadline, inner.oneshot(call)).await;
            read.map_err(|_| Error::Deadline)?
                .map_err(|error| error.downcast::<Error>().map_or(Error::Internal, |error| *error))
        })
        .await?;
    settings.metrics.answer(given.source);
    account.note(|account| {
        account.source = Some(given.source);
        if given.source != Source::Read {
            account.story = given.whole.story;
            account.joined_pages = given.whole.joined_pages;
        }
    });
    Ok(given)
}
