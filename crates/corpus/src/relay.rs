//! A relay between a gateway and the new API: it passes requests on and notes every call.
//!
//! A validation configures one in the place of each upstream's base URL. The relay shows which calls
//! each legacy request caused, can ask the new API itself, can answer a repeated call from memory, and
//! can answer from a recording without any upstream.
//!
//! It listens only on loopback, and answers only behind a random prefix of the path, so that other
//! processes of the machine cannot use it. It must never print or record a credential. The last
//! credential stays in memory, marked as sensitive, and is sent only to the same upstream.
//!
//! The gateway must see the upstream's failures as they are. Where the upstream does not answer, answers
//! too much or breaks off, the relay cuts the connection before the head of an answer; a silent upstream
//! stays silent. The relay follows no redirect and repeats nothing.

mod call;
mod cut;
mod forward;
mod memory;
mod prefix;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::body::{Body, BodyError};
use transport::client::{Client, ClientError};
use transport::server::{ServerLimits, serve};

use crate::ask::Reply;
pub use call::{Call, Source};
use memory::{Identities, Memory};
use prefix::Prefix;

/// How long open connections may live after the relay was told to stop.
const GRACE: Duration = Duration::from_secs(1);
/// How many calls are kept between two takes. More calls are only counted.
const CALLS_MAX: usize = 100_000;
/// How many shapes of unrecorded requests are counted separately.
const SHAPES_MAX: usize = 1_000;
/// The longest wait for an answer to [`Relay::ask`].
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub enum Behind {
    Live(Box<Upstream>),
    Replay {
        replies: Arc<dyn Replies>,
        /// Whether there is a token endpoint. It grants a made-up token to every request.
        grants_tokens: bool,
    },
}

#[derive(Clone, Debug)]
pub struct Upstream {
    /// Scheme, host, and perhaps port and path. The target of a request is appended.
    pub base_url: String,
    /// The URL of the token endpoint, if there is one.
    pub token_url: Option<String>,
    /// The client for this upstream only, because its connections carry credentials.
    pub client: Client,
}

impl Upstream {
    fn url(&self, target: &str) -> String {
        format!("{}{target}", self.base_url)
    }
}

/// Recorded answers. Reading one may wait for a disk.
pub trait Replies: Send + Sync {
    /// The answer to a request, `None` where it was not recorded.
    fn reply(&self, method: &str, target: &str) -> io::Result<Option<Reply>>;
}

/// One request and the answer of an upstream.
#[derive(Clone)]
pub struct Exchange {
    pub method: String,
    /// Path and query behind the base URL, as sent.
    pub target: String,
    /// The answer, with only those headers that a recording needs.
    pub reply: Reply,
}

/// Receives every exchange before its answer is passed on, except exchanges for tokens. It may wait for a
/// disk. An exchange contains no credential.
pub trait Recorder: Send + Sync {
    /// Records an exchange. The recorder keeps its own failures.
    fn record(&self, exchange: &Exchange);
}

#[derive(Clone)]
pub struct RelaySettings {
    /// The most bytes of answers to GET in memory, see [`Relay::answer_from_memory`]; 0 for none.
    pub memory_bytes_max: usize,
    /// The largest body of a request or an answer.
    pub body_bytes_max: usize,
    /// The longest wait for each piece of a body.
    pub idle: Duration,
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl Default for RelaySettings {
    fn default() -> Self {
        let (body_bytes_max, idle) = (64 << 20, Duration::from_secs(30));
        RelaySettings { memory_bytes_max: 0, body_bytes_max, idle, recorder: None }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests to the upstream, including those for tokens.
    pub sent: u64,
    pub from_memory: u64,
    pub from_recording: u64,
    /// Requests without an answer in the recording.
    pub missing: u64,
    /// Requests without an answer: the connection was cut.
    pub cut: u64,
    /// Calls beyond the limit that are only counted, see [`Relay::take_calls`].
    pub forgotten: u64,
}

/// A running relay; it ends when it is dropped, or with the token it was started with.
pub struct Relay {
    address: SocketAddr,
    token_address: Option<SocketAddr>,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    prefix: Prefix,
    behind: Behind,
    settings: RelaySettings,
    answers_from_memory: AtomicBool,
    asks_upstream: AtomicBool,
    memory: Mutex<Memory>,
    identities: Mutex<Identities>,
    accepted: Mutex<Option<Accepted>>,
    calls: Mutex<Vec<Call>>,
    missing: Mutex<BTreeMap<String, u64>>,
    counts: Mutex<Counts>,
}

/// The headers of the last request whose credential the upstream accepted.
#[derive(Clone)]
struct Accepted {
    authorization: HeaderValue,
    accept: Option<HeaderValue>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Api,
    Token,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// Listens on a free port of loopback, and on a second one for tokens if the upstream has them.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(
        behind: Behind,
        settings: RelaySettings,
        shutdown: &CancellationToken,
    ) -> io::Result<Relay> {
        let has_token = match &behind {
            Behind::Live(upstream) => upstream.token_url.is_some(),
            Behind::Replay { grants_tokens, .. } => *grants_tokens,
        };
        let shared = Arc::new(Shared {
            prefix: Prefix::random(),
            memory: Mutex::new(Memory::new(settings.memory_bytes_max)),
            behind,
            settings,
            answers_from_memory: AtomicBool::new(false),
            asks_upstream: AtomicBool::new(true),
            identities: Mutex::new(Identities::new()),
            accepted: Mutex::default(),
            calls: Mutex::default(),
            missing: Mutex::default(),
            counts: Mutex::default(),
        });
        let stop = shutdown.child_token();
        let address = open(&shared, Door::Api, &stop).await?;
        let token_address = match has_token {
            true => Some(open(&shared, Door::Token, &stop).await?),
            false => None,
        };
        Ok(Relay { address, token_address, shared, _stop: stop.drop_guard() })
    }

    /// The URL that replaces the upstream's base URL in the configuration. It lets its holder in, so it
    /// must not be printed.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.shared.prefix.as_str())
    }

    /// The URL that replaces the upstream's token URL. It must not be printed either.
    pub fn token_url(&self) -> Option<String> {
        let prefix = self.shared.prefix.as_str();
        self.token_address.map(|address| format!("http://{address}{prefix}/token"))
    }

    /// The calls since the last take, in the order in which they were answered.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *lock(&self.shared.calls))
    }

    /// Switches answers from memory on or off. While they are on, a GET that was answered before with
    /// the same key gets its latest answer. Only the answers 200 and 404 are kept.
    ///
    /// A gateway reads a list again when its pages do not fit together. Switch this on only after a list
    /// was read whole; where a list still fails, call [`Relay::forget`].
    pub fn answer_from_memory(&self, on: bool) {
        self.shared.answers_from_memory.store(on, Ordering::Relaxed);
    }

    /// Answers from memory from now on, and sends no request for data to the upstream: a page that is not in memory
    /// gets the answer of a request that is not in a recording. A request for a token is still sent.
    pub fn answer_only_from_memory(&self) {
        self.answer_from_memory(true);
        self.shared.asks_upstream.store(false, Ordering::Relaxed);
    }

    pub fn forget(&self) {
        lock(&self.shared.memory).clear();
    }

    pub fn not_kept(&self) -> u64 {
        lock(&self.shared.memory).not_kept
    }

    pub fn counts(&self) -> Counts {
        *lock(&self.shared.counts)
    }

    /// The shapes of requests without an answer in the recording, and how often each occurred.
    pub fn missing(&self) -> BTreeMap<String, u64> {
        lock(&self.shared.missing).clone()
    }

    /// Asks the new API, with the credential that it accepted last. Memory is not used, and
    /// [`Relay::take_calls`] does not contain the call.
    ///
    /// # Errors
    /// Where no credential was accepted yet, or no answer came.
    pub async fn ask(&self, target: &str) -> Result<Reply, AskFailure> {
        let asked = tokio::time::timeout(ASK_TIMEOUT, self.shared.ask(target)).await;
        asked.unwrap_or(Err(AskFailure::TimedOut))
    }
}

/// Why [`Relay::ask`] got no answer. It contains no text of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskFailure {
    #[error("no credential was seen yet that the new API took")]
    NoCredential,
    #[error("not a path and a query")]
    BadTarget,
    #[error("the recording has no answer to this")]
    NotRecorded,
    #[error("the recording cannot be read")]
    Unreadable,
    /// The head of the answer did not come.
    #[error(transparent)]
    NoAnswer(#[from] ClientError),
    /// The body of the answer did not come whole.
    #[error(transparent)]
    NoBody(#[from] BodyError),
    #[error("no answer came in time")]
    TimedOut,
}

/// Serves one listener until `stop`.
async fn open(
    shared: &Arc<Shared>,
    door: Door,
    stop: &CancellationToken,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let limits = ServerLimits {
        // Every request comes from one address, and a gateway may send long requests.
        connections_per_address_max: 0,
        request_line_bytes_max: 64 * 1024,
        field_bytes_max: 64 * 1024,
        header_bytes_max: 256 * 1024,
        body_idle: shared.settings.idle,
        ..ServerLimits::default()
    };
    let shared = Arc::clone(shared);
    let service = tower::service_fn(move |request: Request<Body>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.respond(door, request).await) }
    });
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move { serve(listener, None, limits, service, stopped, GRACE).await });
    Ok(address)
}
