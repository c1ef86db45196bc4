//! Another attempt at a page, where one may help and there is time for it.
//!
//! Everything sent from here is a GET of a list, so repeating it changes nothing upstream. After a
//! 429 the whole caller pauses, not just this page: the upstream counts by key. However much fails, only
//! a part of what is sent are repeats: caller and upstream have a budget for them. Background requests
//! never queue, never retry and never pause the caller. Must never send a request before the time that the
//! upstream named.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use commons::Commons;
use http::{Response, StatusCode};
use limits::Budget;
use rand::RngExt;
use tokio::time::{Instant, sleep_until};
use transport::client::ClientError;
use transport::retry_after;

use super::pace::Pace;
use super::pause::Pause;
use super::upstream::Upstream;
use crate::error::{Error, RETRY_AFTER_DEFAULT};
use crate::layer::call::Attempt;
use crate::layer::{Answering, Around, Below};
use crate::observe::metrics::Metrics;

/// Full jitter: the longest wait before the second, third and every later attempt.
const JITTER_MAX: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// One page of many may be refused by chance. So after a request's first 429 that names no time, the caller's
/// other requests wait only for this part of its wait.
const OTHERS_WAIT: u32 = 5;
/// More refusals than this among requests that were on their way together are no chance.
const BY_CHANCE_MAX: u32 = 2;
/// The longest time a client is told.
const RETRY_AFTER_TOLD_MAX: Duration = Duration::from_secs(3600);

/// See the module.
pub(crate) struct Retry {
    pub(crate) upstream: Arc<Upstream>,
    /// After a 429 nothing of the caller is sent for a while.
    pub(crate) pause: Arc<Pause>,
    /// Each attempt has a place in it.
    pub(crate) pace: Option<Arc<Pace>>,
    /// How many of the caller's attempts may be repeats.
    pub(crate) repeats: Budget,
    /// Each replica has its part of the budgets' least.
    pub(crate) commons: Option<Commons>,
    pub(crate) refused: Refused,
    pub(crate) metrics: Metrics,
}

/// The last refusals that named no time: when the first of them was met, and how many there were among the requests on
/// their way then, the first one included. Requests that wait for a place are on their way, too.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<Option<(Instant, u32)>>);

impl Refused {
    /// Counts the refusal of a request that was sent then, and tells whether it may be one by chance.
    fn is_by_chance(&self, sent: Instant) -> bool {
        // Plain data, valid after any panic.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (met, together) = match *last {
            Some((met, together)) if sent <= met => (met, together + 1),
            _ => (Instant::now(), 1),
        };
        *last = Some((met, together));
        together <= BY_CHANCE_MAX
    }
}

impl<S: Below<Attempt, Response<Bytes>>> Around<S, Attempt> for Retry {
    type Response = Response<Bytes>;

    fn call<'a>(&'a self, inner: &'a S, attempt: Attempt) -> Answering<'a, Response<Bytes>> {
        Box::pin(self.repeated(inner, attempt))
    }
}

impl Retry {
    async fn repeated<S: Below<Attempt, Response<Bytes>>>(
        &self,
        inner: &S,
        attempt: Attempt,
    ) -> Result<Response<Bytes>, Error> {
        if attempt.behalf.is_background {
            return self.once(inner, attempt).await;
        }
        let settings = &self.upstream.settings;
        self.repeats.note_request();
        self.upstream.repeats.note_request();
        let mut made = 0;
        loop {
            self.pause.wait(attempt.deadline).await.map_err(Error::limited)?;
            if let Some(pace) = &self.pace {
                pace.wait(attempt.deadline).await.map_err(Error::limited)?;
            }
            made += 1;
            let sent = Instant::now();
            let (error, told) = match inner.ask(attempt.clone()).await {
                Ok(answer) => match failure(&answer) {
                    None => return Ok(answer),
                    Some(error) => (error, retry_after(answer.headers())),
                },
                Err(error) => {
                    let told = error.retry_after().filter(|_| error.is_retryable());
                    (error, told)
                }
            };
            if !error.is_retryable() {
                return Err(error);
            }
            let wait = told.unwrap_or_else(|| jitter(made));
            let then = Instant::now() + wait;
            let is_hopeless = wait > settings.retry_after_max || then >= attempt.deadline;
            if matches!(error, Error::RateLimited { .. }) {
                let is_by_chance = told.is_none() && made == 1 && self.refused.is_by_chance(sent);
                let all_wait = if is_by_chance { wait / OTHERS_WAIT } else { wait };
                // However long a wait was told, the caller pauses no longer than the limit: a header
                // must not switch it off for hours.
                let lasts = all_wait.min(settings.retry_after_max);
                match is_by_chance {
                    true => self.pause.extend(Instant::now() + lasts),
                    false => self.pause.extend_for_all(lasts),
                }
            }
            let is_last = made >= settings.attempts_max || is_hopeless;
            if is_last || !(is_free(&error, told) || self.may_repeat()) {
                return Err(with_wait(error, told));
            }
            sleep_until(then).await;
        }
    }
}

impl Retry {
    /// An attempt that no client waits for: it has a place at once or none, and is never repeated.
    async fn once<S>(&self, inner: &S, attempt: Attempt) -> Result<Response<Bytes>, Error>
    where
        S: Below<Attempt, Response<Bytes>>,
    {
        if !self.upstream.is_at_ease(&self.pause) {
            return Err(Error::Overloaded);
        }
        if let Some(pace) = &self.pace
            && !pace.take().await
        {
            return Err(Error::Overloaded);
        }
        let answer = inner.ask(attempt).await?;
        failure(&answer).map_or(Ok(answer), Err)
    }

    /// Whether the budgets allow another attempt; the caller's first, so that one caller's failures leave
    /// the upstream's to others.
    fn may_repeat(&self) -> bool {
        let replicas = self.commons.as_ref().map_or(1, Commons::replicas);
        for (whose, budget) in [("caller", &self.repeats), ("upstream", &self.upstream.repeats)] {
            if !budget.take(replicas) {
                self.metrics.no_more_repeats(whose);
                return false;
            }
        }
        true
    }
}

/// Whether another attempt costs the upstream nothing that it has not offered: it said when, and the
/// whole caller waits until then; or it never saw the request.
fn is_free(error: &Error, told: Option<Duration>) -> bool {
    match error {
        Error::RateLimited { .. } => told.is_some(),
        Error::Exchange(ClientError::Reset { started }) => !started,
        _ => false,
    }
}

/// An answer that asks for another attempt.
fn failure(answer: &Response<Bytes>) -> Option<Error> {
    let retry_after = RETRY_AFTER_DEFAULT;
    match answer.status() {
        StatusCode::TOO_MANY_REQUESTS => Some(Error::RateLimited { retry_after }),
        StatusCode::SERVICE_UNAVAILABLE => Some(Error::Unavailable { retry_after }),
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => None,
        status if status.is_server_error() => {
            Some(Error::UpstreamFailed { status: status.as_u16() })
        }
        _ => None,
    }
}

fn with_wait(error: Error, told: Option<Duration>) -> Error {
    let retry_after = told.unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_TOLD_MAX);
    match error {
        Error::RateLimited { .. } => Error::RateLimited { retry_after },
        Error::Unavailable { .. } => Error::Unavailable { retry_after },
        other => other,
    }
}

fn jitter(made: u32) -> Duration {
    let place = (made as usize).saturating_sub(1).min(JITTER_MAX.len() - 1);
    JITTER_MAX[place].mul_f64(rand::rng().random())
}
