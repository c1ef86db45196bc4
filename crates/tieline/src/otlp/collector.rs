//! Posts batches to the collector, a few times where it asks for patience. Must never follow a
//! redirect, and must never put a header or a text of the collector into the log.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use rand::RngExt;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;
use transport::client::{Client, ClientError, ClientSettings};
use transport::{body, retry_after};

use super::variables::Variables;

/// The longest time for name look-up, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How often a batch is sent again.
const RETRIES_MAX: u32 = 3;
/// How long to wait before that the first time; each later time twice as long, with some jitter.
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// The longest wait that the collector may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
const USER_AGENT_DEFAULT: &str = concat!("tieline/", env!("CARGO_PKG_VERSION"));

/// Why spans were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer came.
    Exchange(ClientError),
    /// The whole answer did not come in time.
    Late,
    /// The collector said no; it may have said how long to wait.
    Status(StatusCode, Option<Duration>),
    /// Spans come faster than the collector takes them.
    Slow,
}

impl Trouble {
    /// Whether the same batch may be taken a moment later. One that the collector may have taken
    /// already is not sent again.
    fn may_pass(&self) -> bool {
        match self {
            Trouble::Exchange(error) => !error.started() && *error != ClientError::Tls,
            Trouble::Status(status, _) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            Trouble::Late | Trouble::Slow => false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Trouble::Exchange(error) => match error {
                ClientError::Dns => "its name has no address",
                ClientError::AddressRefused => "its address is not allowed",
                ClientError::Connect => "no connection",
                ClientError::ConnectTimeout => "connecting took too long",
                ClientError::TlsTimeout => "the TLS handshake took too long",
                ClientError::Tls => "the TLS handshake failed",
                ClientError::Reset { .. } => "it closed the connection before its answer",
                ClientError::Stalled => "it stopped reading",
                ClientError::BadFraming => "its answer is not HTTP",
                ClientError::Other => "the request cannot be sent",
            },
            Trouble::Late => "its answer took too long",
            Trouble::Status(status, _) => return write!(f, "status {}", status.as_u16()),
            Trouble::Slow => "it is too slow",
        };
        f.write_str(why)
    }
}

/// A collector and how it is asked.
pub(super) struct Collector {
    client: Client,
    url: Uri,
    headers: HeaderMap,
    timeout: Duration,
    has_told_of_part: bool,
}

impl fmt::Debug for Collector {
    /// Headers stay here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

impl Collector {
    /// Must be called within the runtime.
    pub(super) fn new(collector: &settings::Collector, variables: Variables) -> Collector {
        let mut headers = variables.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT_DEFAULT));
        let client = Client::new(&ClientSettings {
            connect_timeout: CONNECT_TIMEOUT,
            pool_idle_timeout: POOL_IDLE_TIMEOUT,
            pool_idle_max: 1,
            tls: collector.tls.clone(),
        });
        let (url, timeout) = (collector.url.clone(), variables.timeout);
        Collector { client, url, headers, timeout, has_told_of_part: false }
    }

    /// Sends a batch until the collector has taken it, a few times at most.
    pub(super) async fn deliver(&mut self, batch: Bytes) -> Result<(), Trouble> {
        let mut wait = RETRY_WAIT;
        for _ in 0..RETRIES_MAX {
            let told = match self.post(batch.clone()).await {
                Err(trouble) if !trouble.may_pass() => return Err(trouble),
                Err(Trouble::Status(_, told)) => told,
                Err(_) => None,
                Ok(()) => return Ok(()),
            };
            let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.5));
            sleep(told.unwrap_or(jittered).min(RETRY_AFTER_MAX)).await;
            wait *= 2;
        }
        self.post(batch).await
    }

    async fn post(&mut self, batch: Bytes) -> Result<(), Trouble> {
        let mut request = Request::new(batch);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        let client = self.client.clone();
        let exchange = async {
            let answer = client.oneshot(request).await.map_err(Trouble::Exchange)?;
            let (head, body) = answer.into_parts();
            if !head.status.is_success() {
                return Err(Trouble::Status(head.status, retry_after(&head.headers)));
            }
            // The spans have arrived, whatever becomes of the rest of the answer.
            let answer = body::collect(body, ANSWER_BYTES_MAX, self.timeout).await;
            Ok(answer.unwrap_or_default())
        };
        let answer = timeout(self.timeout, exchange).await.unwrap_or(Err(Trouble::Late))?;
        self.tell_of_part(&answer);
        Ok(())
    }

    /// A collector may take a part, or have something to say; that is told once, without its words.
    fn tell_of_part(&mut self, answer: &[u8]) {
        let Some(rejected) = rejected_spans(answer).filter(|_| !self.has_told_of_part) else {
            return;
        };
        self.has_told_of_part = true;
        tracing::warn!(rejected, "the collector has an objection to some spans; this is told once");
    }
}

/// The number in `partialSuccess`, where there is one or a message beside it.
fn rejected_spans(answer: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let partial = answer.get("partialSuccess")?;
    let message = partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
    let rejected = partial.get("rejectedSpans").map_or(0, |number| {
        // 64-bit numbers are text in this format, but a plain number has no other meaning.
        number.as_u64().or_else(|| number.as_str()?.parse().ok()).unwrap_or(0)
    });
    (rejected > 0 || !message.is_empty()).then_some(rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_a_number_of_spans_or_a_message() {
        for (answer, rejected) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"canary"}}"#, Some(3)),
            (r#"{"partialSuccess":{"rejectedSpans":3}}"#, Some(3)),
            (r#"{"partialSuccess":{"errorMessage":"canary"}}"#, Some(0)),
            (r#"{"partialSuccess":{"rejectedSpans":"-1","errorMessage":""}}"#, None),
            (r#"{"partialSuccess":{}}"#, None),
            (r#"{"partialSuccess":null}"#, None),
            (r#"{"partialSuccess":[7]}"#, None),
            ("{}", None),
            ("[]", None),
            ("", None),
            ("not JSON", None),
        ] {
            assert_eq!(rejected_spans(answer.as_bytes()), rejected, "{answer}");
        }
    }

    #[test]
    fn a_batch_is_sent_again_only_where_the_specification_says_so() {
        for (code, again) in [
            (200, false),
            (307, false),
            (400, false),
            (404, false),
            (429, true),
            (500, false),
            (501, false),
            (502, true),
            (503, true),
            (504, true),
        ] {
            let trouble = Trouble::Status(StatusCode::from_u16(code).unwrap(), None);
            assert_eq!(trouble.may_pass(), again, "{code}");
        }
        assert!(Trouble::Exchange(ClientError::Connect).may_pass());
        assert!(Trouble::Exchange(ClientError::Reset { started: false }).may_pass());
        assert!(!Trouble::Exchange(ClientError::Reset { started: true }).may_pass());
        assert!(!Trouble::Exchange(ClientError::Tls).may_pass());
        assert!(!Trouble::Late.may_pass());
    }
}
