//! How long an upstream asks us to wait: `Retry-After`.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// What a client is told when the upstream gives no time.
pub(crate) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// A year: more than anybody waits, and little enough for every clock to add.
const RETRY_AFTER_SECONDS_MAX: u64 = 366 * 24 * 3600;

/// `Retry-After` as seconds or a date; a date counts from the upstream's own `Date`, since clocks
/// differ. Anything else is as good as nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
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
    use tokio::time::Instant;

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
            assert!(wait > Duration::from_secs(3600));
            assert!(Instant::now().checked_add(wait).is_some(), "{huge}");
        }
    }
}
