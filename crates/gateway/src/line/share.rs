//! Equal requests of one caller that are under way at the same time share one reading and one set of
//! bytes; an answer may be kept for a while, if the configuration says so.
//!
//! A reading is not part of any request: a client that leaves stops it for nobody else.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::cache::answers::{Answers, Given, Question};
use crate::cache::whole::Whole;
use crate::error::Error;
use crate::layer::call::{Call, Listed};
use crate::layer::{Answering, Around, Below};
use crate::line::values::answers::SharedAnswers;
use crate::observe::account::Source;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct Share {
    pub(crate) answers: Arc<Answers>,
    /// How long a reading may take.
    pub(crate) deadline: Duration,
    /// Answers that other replicas have, where there are some.
    pub(crate) values: Option<SharedAnswers>,
    pub(crate) metrics: Metrics,
}

impl<S: Below<Call, Listed>> Around<S, Call> for Share {
    type Response = Given;

    fn call<'a>(&'a self, inner: &'a S, call: Call) -> Answering<'a, Given> {
        Box::pin(self.shared(inner, call))
    }
}

impl Share {
    async fn shared<S: Below<Call, Listed>>(&self, inner: &S, call: Call) -> Result<Given, Error> {
        let account = call.behalf.account.clone();
        let fresh_for = call.quirks.fresh_for.map(|own| own.0);
        let question = Question::new(call.endpoint.name(), &call.plan, fresh_for);
        let (wants_fresh, asked) = (call.wants_fresh, Instant::now());
        let deadline = asked + self.deadline;
        let below = inner.clone();
        let values = self.values.as_ref();
        let others = values.and_then(|values| values.ask(&call));
        let once_more = values.filter(|values| values.others_take_kept(&call));
        let once_more = once_more.map(|_| Box::new(call.clone()));
        let given = self
            .answers
            // Boxed here, since a reading is moved about before it begins.
            .get(question, wants_fresh, || {
                Box::pin(async move {
                    let read = match others {
                        None => timeout_at(deadline, read(&below, call, asked)).await,
                        // Boxed once more, so that a reading is no larger where there are no others.
                        Some(others) => {
                            let reading = read(&below, call, asked);
                            Box::pin(timeout_at(deadline, others.read(deadline, reading))).await
                        }
                    };
                    read.unwrap_or(Err(Error::Deadline))
                })
            })
            .await?;
        if let Some(call) = once_more
            && given.source == Source::Shared
            && given.whole.is_from_elsewhere
        {
            // Shared with a request that takes what another replica keeps; this one will not have it.
            return self.call(inner, *call).await;
        }
        self.metrics.answer(given.source);
        account.note(|account| {
            account.source = Some(given.source);
            if given.source != Source::Read {
                account.story = given.whole.story;
                account.joined_pages = given.whole.joined_pages;
            }
        });
        Ok(given)
    }
}

/// One answer's bytes, read anew for one who asked at that time.
pub(crate) async fn read<S: Below<Call, Listed>>(
    inner: &S,
    call: Call,
    asked: Instant,
) -> Result<Whole, Error> {
    let (endpoint, quirks) = (call.endpoint, Arc::clone(&call.quirks));
    let listed = inner.ask(call).await?;
    Whole::of(endpoint, &quirks, listed, asked)
}
