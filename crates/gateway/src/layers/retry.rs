//! Another attempt at a page, where one may help and there is time for it.
//!
//! Everything sent from here is a GET of a list, so repeating it changes nothing upstream. After a
//! 429 the whole caller pauses, not just this page: the upstream counts by key.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use rand::RngExt;
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};

use crate::call::Attempt;
use crate::error::Error;

/// Full jitter: the longest wait before the second, third and every later attempt.
const JITTER_MAX: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// What a client is told when the upstream gives no time.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// A year: more than anybody waits, and little enough for every clock to add.
const RETRY_AFTER_SECONDS_MAX: u64 = 366 * 24 * 3600;
/// The longest time a client is told.
const RETRY_AFTER_TOLD_MAX: Duration = Duration::from_secs(3600);

pub(crate) async fn retry<S>(_: (), inner: S, attempt: Attempt) -> Result<Response<Bytes>, BoxError>
where
    S: Service<Attempt, Response = Response<Bytes>, Error = BoxError> + Clone,
{
    let settings = &attempt.caller.upstream.settings;
    let mut made = 0;
    loop {
        attempt.caller.wait_for_pause(attempt.deadline).await?;
        if let Some(pacer) = &attempt.caller.upstream.pacer {
            pacer.wait(attempt.deadline).await?;
        }
        made += 1;
        let (error, told) = match inner.clone().oneshot(attempt.clone()).await {
            Ok(answer) => match failure(&answer) {
                None => return Ok(answer),
                Some(error) => (error, retry_after(answer.headers())),
            },
            Err(error) => (*error.downcast::<Error>()?, None),
        };
        if !error.may_pass() {
            return Err(error.into());
        }
        let wait = told.unwrap_or_else(|| jitter(made));
        let then = Instant::now() + wait;
        let is_hopeless = wait > settings.retry_after_max || then >= attempt.deadline;
        if matches!(error, Error::RateLimited { .. }) {
            // However long a wait was told, the caller pauses no longer than the limit: a header
            // must not switch it off for hours.
            attempt.caller.pause_until(then.min(Instant::now() + settings.retry_after_max));
        }
        if made >= settings.attempts_max || is_hopeless {
            return Err(with_wait(error, told).into());
        }
        tokio::time::sleep_until(then).await;
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

/// `Retry-After` as seconds or a date; a date counts from the upstream's own `Date`, since clocks
/// differ. Anything else is as good as nothing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().unwrap_or(RETRY_AFTER_SECONDS_MAX);
        return Some(Duration::from_secs(seconds.min(RETRY_AFTER_SECONDS_MAX)));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let now = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let now = now.unwrap_or_else(SystemTime::now);
    Some(then.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn told(retry_after_text: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after_text).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers)
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_upstreams_own_clock() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(told("2", None), Some(Duration::from_secs(2)));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:40 GMT", date), Some(Duration::from_secs(3)));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:30 GMT", date), Some(Duration::ZERO));
        for nonsense in ["-5", "soon", "2, 5", "2.5", ""] {
            assert_eq!(told(nonsense, date), None, "{nonsense}");
        }
        for huge in ["18446744073709551615", "99999999999999999999999"] {
            let wait = told(huge, None).unwrap();
            assert!(wait > RETRY_AFTER_TOLD_MAX);
            assert!(Instant::now().checked_add(wait).is_some(), "{huge}");
        }
    }
}
