//! A relay between a gateway and the new API: it passes on what it is asked, and remembers it.
//!
//! A validation puts one in the place of each upstream's base URL. So it sees what was asked of the
//! new API for each legacy request, can ask the new API what it really holds, can answer a repeated
//! question from memory, and can answer from a recording without any upstream.
//!
//! It listens on loopback alone, and answers nothing but what is asked behind a random prefix of the
//! path: whoever else is on the machine is not let in. It must never print, write down or record a credential: the one it
//! saw last stays in memory, marked as sensitive, to be shown to the same upstream and nobody else.
//!
//! Whoever stands behind it may see no more than a relay's answer shows. An upstream that does not
//! answer, answers too much or breaks off is passed on as a connection that is cut before the
//! answer's head; one that keeps silent, as silence. No redirect is followed, nothing is repeated.

mod call;
mod cut;
mod forward;
mod memory;
mod prefix;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// How long open connections may go on after the end was asked for.
const GRACE: Duration = Duration::from_secs(1);
/// How many calls are remembered between two takes; beyond it only their number is.
const CALLS_MAX: usize = 100_000;
/// How many shapes of requests that a recording lacks are told apart.
const SHAPES_MAX: usize = 1_000;
/// The longest wait for an answer to [`Relay::ask`].
const ASK_TIMEOUT: Duration = Duration::from_secs(30);

/// Who answers.
#[derive(Clone)]
pub enum Behind {
    /// The upstream itself.
    Live(Box<Upstream>),
    /// A recording.
    Replay {
        /// What was recorded.
        replies: Arc<dyn Replies>,
        /// Whether there is a token endpoint, which grants a made-up token to anybody.
        grants_tokens: bool,
    },
}

/// An upstream that answers now.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Scheme, host, perhaps port and path; what is asked for is appended to it.
    pub base_url: String,
    /// Where access tokens come from, if they are needed.
    pub token_url: Option<String>,
    /// What is sent with. It must reach nothing else, since its connections carry credentials.
    pub client: Client,
}

/// Answers that were recorded. Reading one may wait for a disk.
pub trait Replies: Send + Sync {
    /// The answer to a request, `None` where it was not recorded.
    ///
    /// # Errors
    /// Where the recording cannot be read.
    fn reply(&self, method: &str, target: &str) -> io::Result<Option<Reply>>;
}

/// One request that an upstream answered. `target` is path and query behind the base URL.
#[derive(Clone)]
pub struct Exchange {
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The answer; of its headers only those that a recording needs.
    pub reply: Reply,
}

/// Is told of every exchange before its answer is passed on, but of no exchange for a token. What it
/// does may wait for a disk. There is no credential in what it is told.
pub trait Recorder: Send + Sync {
    /// Writes an exchange down. A failure is the recorder's to remember.
    fn record(&self, exchange: &Exchange);
}

/// How a relay works.
#[derive(Clone)]
pub struct RelaySettings {
    /// How many bytes of answers to GET are remembered, see [`Relay::answer_from_memory`]; 0 is none.
    pub memory_bytes_max: usize,
    /// The largest body either way.
    pub body_bytes_max: usize,
    /// The longest wait for each piece of a body.
    pub idle: Duration,
    /// Who writes down what is answered.
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl Default for RelaySettings {
    fn default() -> Self {
        let (body_bytes_max, idle) = (64 << 20, Duration::from_secs(30));
        RelaySettings { memory_bytes_max: 0, body_bytes_max, idle, recorder: None }
    }
}

/// How often what happened, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were sent to the upstream, those for tokens included.
    pub sent: u64,
    /// Requests answered from memory.
    pub from_memory: u64,
    /// Requests answered from a recording.
    pub from_recording: u64,
    /// Requests that a recording had no answer for.
    pub missing: u64,
    /// Requests that got no answer, so that the connection was cut.
    pub cut: u64,
    /// Calls that were forgotten since nobody took them, see [`Relay::take_calls`].
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
    memory: Mutex<Memory>,
    identities: Mutex<Identities>,
    seen: Mutex<Option<Seen>>,
    calls: Mutex<Vec<Call>>,
    missing: Mutex<BTreeMap<String, u64>>,
    tally: Tally,
}

/// What the last request with a credential that the upstream took said of itself.
#[derive(Clone)]
struct Seen {
    authorization: HeaderValue,
    accept: Option<HeaderValue>,
}

#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    from_memory: AtomicU64,
    from_recording: AtomicU64,
    missing: AtomicU64,
    cut: AtomicU64,
    forgotten: AtomicU64,
}

/// Which door a request came in by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    Api,
    Token,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Relay {
    /// Listens on a free port of loopback, and on a second one where tokens are had.
    ///
    /// # Errors
    /// Where no port can be had.
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
            identities: Mutex::new(Identities::new()),
            seen: Mutex::default(),
            calls: Mutex::default(),
            missing: Mutex::default(),
            tally: Tally::default(),
        });
        let stop = shutdown.child_token();
        let address = open(&shared, Door::Api, &stop).await?;
        let token_address = match has_token {
            true => Some(open(&shared, Door::Token, &stop).await?),
            false => None,
        };
        Ok(Relay { address, token_address, shared, _stop: stop.drop_guard() })
    }

    /// What stands in the configuration for the upstream's base URL. Who knows it may ask: it must not
    /// be printed.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.shared.prefix.as_str())
    }

    /// What stands in the configuration for the upstream's token URL; as secret.
    pub fn token_url(&self) -> Option<String> {
        let prefix = self.shared.prefix.as_str();
        self.token_address.map(|address| format!("http://{address}{prefix}/token"))
    }

    /// The calls since the last take, in the order in which they were answered.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *lock(&self.shared.calls))
    }

    /// From now on a GET that was answered before, with the same key, is answered from memory, or is
    /// no longer. What it is answered is always the latest answer, and only 200 and 404 are kept.
    ///
    /// A gateway reads a list again whose pages do not fit together. So this is for a list that was
    /// read whole while it was off; a list that fails under it needs [`Relay::forget`].
    pub fn answer_from_memory(&self, on: bool) {
        self.shared.answers_from_memory.store(on, Ordering::Relaxed);
    }

    /// Forgets every answer that was kept.
    pub fn forget(&self) {
        lock(&self.shared.memory).clear();
    }

    /// Answers that were not kept since there was no room.
    pub fn not_kept(&self) -> u64 {
        lock(&self.shared.memory).not_kept()
    }

    /// How often what happened.
    pub fn counts(&self) -> Counts {
        let tally = &self.shared.tally;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            sent: read(&tally.sent),
            from_memory: read(&tally.from_memory),
            from_recording: read(&tally.from_recording),
            missing: read(&tally.missing),
            cut: read(&tally.cut),
            forgotten: read(&tally.forgotten),
        }
    }

    /// The shapes of requests that a recording had no answer for, and how often.
    pub fn missing(&self) -> BTreeMap<String, u64> {
        lock(&self.shared.missing).clone()
    }

    /// Asks the new API with the credential that it took last; not one of [`Relay::take_calls`].
    /// Always asks anew, whatever is in memory.
    ///
    /// # Errors
    /// Where no credential was taken yet, or no answer came.
    pub async fn ask(&self, target: &str) -> Result<Reply, AskFailure> {
        let asked = tokio::time::timeout(ASK_TIMEOUT, self.shared.ask(target)).await;
        asked.unwrap_or(Err(AskFailure::TimedOut))
    }
}

/// Why a question of our own got no answer. Holds kinds only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskFailure {
    /// Nobody has shown a credential yet that the upstream took.
    #[error("no credential was seen yet that the new API took")]
    NoCredential,
    /// Path and query are none.
    #[error("not a path and a query")]
    BadTarget,
    /// The recording has no answer to it.
    #[error("the recording has no answer to this")]
    NotRecorded,
    /// The recording cannot be read.
    #[error("the recording cannot be read")]
    Unreadable,
    /// No answer's head.
    #[error(transparent)]
    NoAnswer(#[from] ClientError),
    /// No whole body.
    #[error(transparent)]
    NoBody(#[from] BodyError),
    /// It took too long.
    #[error("no answer came in time")]
    TimedOut,
}

/// Serves one door until `stop`.
async fn open(
    shared: &Arc<Shared>,
    door: Door,
    stop: &CancellationToken,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let limits = ServerLimits {
        // All of it comes from one address, and a gateway's requests are as long as it likes.
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
