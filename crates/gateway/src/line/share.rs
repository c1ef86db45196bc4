//! Equal requests of one caller that are under way at the same time share one reading and one set of
//! bytes; an answer may be kept for a while, if the configuration says so.
//!
//! A reading is not part of any request: a client that leaves stops it for nobody else.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use transport::alarm::within;

use crate::cache::answers::{Answers, Given, Question};
use crate::cache::whole::Whole;
use crate::error::Error;
use crate::layer::call::{Call, Listed};
use crate::layer::{Answering, Around, Below};
use crate::line::key::Key;
use crate::line::values::answers::SharedAnswers;
use crate::observe::account::Source;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct Share {
    pub(crate) answers: Arc<Answers>,
    /// How long a reading may take.
    pub(crate) deadline: Duration,
    /// The caller's key, where another replica may hear of its refusal.
    pub(crate) key: Option<Arc<Key>>,
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
        let (below, key) = (inner.clone(), self.key.clone());
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
                        None => within(deadline, pin!(read(&below, call, asked))).await,
                        // Boxed once more, so that a reading is no larger where there are no others.
                        Some(others) => {
                            let reading = read(&below, call, asked);
                            within(deadline, Box::pin(others.read(deadline, reading))).await
                        }
                    };
                    let read = read.unwrap_or(Err(Error::Deadline));
                    // What is kept would be given in its place, unless the key was refused meanwhile.
                    if let (Err(_), Some(key)) = (&read, &key) {
                        key.heed();
                    }
                    read
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use commons::Commons;
    use domain::legacy::{Planned, endpoint_at};
    use domain::params::Params;
    use domain::quirks::Quirks;

    use super::*;
    use crate::cache::answers::Freshness;
    use crate::layer::call::Behalf;
    use crate::line::common::Common;
    use crate::line::key::KeyState;

    /// An upstream that answers once; then another replica's key may be refused, and it fails.
    #[derive(Clone)]
    struct Upstream {
        has_answered: Arc<AtomicBool>,
        there: Option<Arc<Key>>,
    }

    impl Below<Call, Listed> for Upstream {
        fn ask(&self, _: Call) -> Answering<'_, Listed> {
            let is_first = !self.has_answered.swap(true, Ordering::Relaxed);
            let there = self.there.clone().filter(|_| !is_first);
            Box::pin(async move {
                there.iter().for_each(|key| key.note_refusal(KeyState::Refused));
                match is_first {
                    true => Ok(Listed::default()),
                    false => Err(Error::UpstreamFailed { status: 500 }),
                }
            })
        }
    }

    fn call() -> Call {
        let endpoint = endpoint_at("/api/user_management/v1/users").unwrap();
        let quirks = Arc::<Quirks>::default();
        let Planned::Ask(plan) = endpoint.plan(Params::parse(""), &quirks) else {
            panic!("nobody")
        };
        let deadline = Instant::now() + Duration::from_secs(25);
        let (behalf, wants_fresh, oversize) = (Behalf::default(), false, None);
        Call { endpoint, quirks, plan, wants_fresh, oversize, deadline, behalf }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_at_another_replica_no_stale_answer_is_given() {
        for is_refused in [false, true] {
            let commons = Commons::one();
            let common = Common { scope: commons.scope(b"crm"), commons };
            let second = Duration::from_secs(1);
            let freshness = Freshness {
                fresh_for: second,
                stale_if_error: 60 * second,
                misses_fresh_for: second,
                own_fresh_for_max: second,
            };
            let answers = Answers::new(freshness, 1 << 20, 0, 10);
            let kept = Arc::clone(&answers);
            let here = Arc::new(Key::new(Some(common.clone()), move || kept.forget()));
            let there = Arc::new(Key::new(Some(common), || {}));
            let share = Share {
                answers,
                deadline: 25 * second,
                key: Some(here),
                values: None,
                metrics: Metrics::new().unwrap(),
            };
            let there = is_refused.then_some(there);
            let upstream = Upstream { has_answered: Arc::default(), there };
            share.call(&upstream, call()).await.unwrap();
            tokio::time::advance(2 * second).await;
            let given = share.call(&upstream, call()).await.map(|given| given.source);
            let failed = Err(Error::UpstreamFailed { status: 500 });
            assert_eq!(given, if is_refused { failed } else { Ok(Source::Stale) });
        }
    }
}
