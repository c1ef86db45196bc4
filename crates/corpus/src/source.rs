//! A live server that answers legacy requests. Requests to it are paced, stay within a budget, and are
//! repeated after 429 and 503.
//!
//! An error here must never contain an address, a key or a body.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use limits::Pacer;
use tokio::time::sleep;
use tower::ServiceExt;
use transport::client::{Client, ClientError};
use transport::{body, retry_after};

use crate::ask::{Ask, KeyPlace, Reply};
use crate::beside::Beside;
use crate::endpoint::Endpoint;

pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that answers legacy requests: a server or a recording.
pub trait Source: Send + Sync {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>>;

    /// Asks a question of a run for the first time. `whole` is the whole value where the question
    /// filters by the beginning of one.
    fn ask_first<'a>(
        &'a self,
        ask: &'a Ask,
        whole: Option<&'a str>,
    ) -> Answering<'a, Result<Reply, Silence>> {
        let _ = whole;
        self.ask(ask)
    }

    /// How many answers were 429 or 503, so that the request was repeated.
    fn times_busy(&self) -> u64 {
        0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    #[error("{}", of_exchange(*.0))]
    Exchange(ClientError),
    #[error("the answer did not come whole")]
    Body,
    #[error("the answer took too long")]
    Late,
    #[error("the server goes on answering {0}")]
    Busy(u16),
    #[error("no request is left of the budget")]
    Budget,
    #[error("the recording does not have this question")]
    NotRecorded,
}

/// What happened, in words about the server that was asked.
fn of_exchange(error: ClientError) -> &'static str {
    match error {
        ClientError::Dns => "its name has no address",
        ClientError::AddressRefused => "its name leads to a private address",
        ClientError::Connect => {
            "no connection: nothing listens at its address, or no network leads there"
        }
        ClientError::ConnectTimeout => "connecting took too long",
        ClientError::TlsTimeout => "the TLS handshake took too long",
        ClientError::Tls => "the TLS handshake failed; --control-ca names a certificate to trust",
        ClientError::Reset { .. } => "it closed the connection before its answer",
        ClientError::Stalled => "it did not take the whole request",
        ClientError::BadFraming => "its answer is not well-formed HTTP",
        ClientError::Other => "the exchange failed",
    }
}

#[derive(Clone, Debug)]
pub struct Manners {
    pub timeout: Duration,
    /// The largest body, in bytes.
    pub bytes_max: usize,
    /// The most requests per second; `None` for as fast as the server answers.
    pub requests_per_second_max: Option<f64>,
    pub requests_max: Option<u64>,
    /// How often a request is repeated after 429 or 503.
    pub repeats_max: u32,
    /// Whether a request is also repeated when the server was unreachable or the connection broke.
    pub repeats_broken: bool,
    /// The longest wait that `Retry-After` may demand.
    pub retry_after_max: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Manners {
            timeout: Duration::from_secs(120),
            bytes_max: 512 << 20,
            requests_per_second_max: None,
            requests_max: None,
            repeats_max: 4,
            repeats_broken: true,
            retry_after_max: Duration::from_secs(60),
        }
    }
}

pub struct Live {
    client: Client,
    base_url: String,
    key: String,
    /// The key for endpoints that take a user's key.
    user_key: String,
    manners: Manners,
    sent: AtomicU64,
    busy: AtomicU64,
    pacer: Option<Pacer>,
}

impl Live {
    /// A server at a base URL. Requests that carry their key in the query carry `user_key`, if there is
    /// one and the endpoint takes it.
    pub fn new(
        client: Client,
        base_url: &str,
        key: String,
        user_key: Option<String>,
        manners: Manners,
    ) -> Live {
        let user_key = user_key.unwrap_or_else(|| key.clone());
        let base_url = base_url.trim_end_matches('/').to_owned();
        let pacer = manners.requests_per_second_max.map(Pacer::per_second);
        let (sent, busy) = (AtomicU64::new(0), AtomicU64::new(0));
        Live { client, base_url, key, user_key, manners, sent, busy, pacer }
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    async fn whole(&self, ask: &Ask) -> Result<Reply, Silence> {
        let mut wait = Duration::from_millis(250);
        let mut left = self.manners.repeats_max;
        loop {
            self.take_turn().await?;
            let reply = tokio::time::timeout(self.manners.timeout, self.once(ask)).await;
            let (silence, again) = match reply.unwrap_or(Err(Silence::Late)) {
                Ok((reply, told)) if matches!(reply.status, 429 | 503) => {
                    self.busy.fetch_add(1, Ordering::Relaxed);
                    (Silence::Busy(reply.status), told)
                }
                Err(error @ Silence::Exchange(_)) if self.manners.repeats_broken => (error, None),
                reply => return reply.map(|(reply, _)| reply),
            };
            if left == 0 {
                return Err(silence);
            }
            left -= 1;
            sleep(again.unwrap_or(wait).min(self.manners.retry_after_max)).await;
            wait *= 2;
        }
    }

    /// Waits until the rate allows this request, and subtracts it from the budget.
    async fn take_turn(&self) -> Result<(), Silence> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        if self.manners.requests_max.is_some_and(|most| number >= most) {
            self.sent.fetch_sub(1, Ordering::Relaxed);
            return Err(Silence::Budget);
        }
        if let Some(pacer) = &self.pacer {
            pacer.turn().await;
        }
        Ok(())
    }

    /// One answer, and how long it asks to wait.
    async fn once(&self, ask: &Ask) -> Result<(Reply, Option<Duration>), Silence> {
        let takes_user_key = || {
            let endpoint = Endpoint::at(&ask.path).is_none_or(|one| !one.center_key);
            endpoint && Beside::at(&ask.path).is_none_or(|one| !one.center_key)
        };
        let key = match ask.key {
            KeyPlace::Query | KeyPlace::WrongQuery if takes_user_key() => &self.user_key,
            _ => &self.key,
        };
        let uri = format!("{}{}", self.base_url, ask.target(key));
        let mut request = Request::get(uri).header(header::ACCEPT, "application/json");
        if let Some(authorization) = ask.authorization(key) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let (kind, body) = ask.body().unzip();
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        // A target that does not fit a request line is refused here, as a client library would do.
        let other = |_| Silence::Exchange(ClientError::Other);
        let request = request.body(Bytes::from(body.unwrap_or_default())).map_err(other)?;
        let answer = self.client.clone().oneshot(request).await.map_err(Silence::Exchange)?;
        let (head, body) = answer.into_parts();
        let bytes = body::collect(body, self.manners.bytes_max, self.manners.timeout);
        let body = bytes.await.map_err(|_| Silence::Body)?;
        let status = head.status.as_u16();
        Ok((Reply { status, headers: kept(&head.headers), body }, retry_after(&head.headers)))
    }
}

impl Source for Live {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(self.whole(ask))
    }

    fn times_busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }
}

/// Headers of an answer that are compared, or that explain an error.
const KEPT: [&str; 6] = [
    "content-type",
    "location",
    "retry-after",
    "www-authenticate",
    "x-tieline-answered-by",
    "x-tieline-error",
];

pub fn kept(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    KEPT.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect()
}
