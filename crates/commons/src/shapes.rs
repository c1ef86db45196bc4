//! What passes between the commons and its callers. Scopes, questions and bodies are opaque bytes here. Must never
//! know a caller's name, an endpoint or a dialect, and must never print a secret.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::law::Law;
use crate::seal::SealKey;

/// How often something may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Between two requests, where nothing was saved up.
    pub interval: Duration,
    /// A quiet time saves up as many requests as fit into this.
    pub burst: Duration,
}

impl Rate {
    /// So many requests a minute, spread evenly, after a quiet time as many at once as fit into `burst`. A minute
    /// may see that many more: what the burst saved up, and then its own.
    pub fn sustained(per_minute: u32, burst: Duration) -> Self {
        Rate { interval: MINUTE / per_minute.max(1), burst }
    }

    /// No minute sees more than so many requests, wherever it begins; a burst of three seconds leaves 95 percent of
    /// them usable.
    pub fn every_minute(per_minute: u32, burst: Duration) -> Self {
        match per_minute.saturating_sub(1) {
            // One request has nothing that it could be spread with, so the minute itself must be over.
            0 => Rate { interval: MINUTE + Duration::from_millis(1), burst: Duration::ZERO },
            others => Rate { interval: (MINUTE + burst) / others, burst },
        }
    }

    pub(crate) fn law(self) -> Law {
        Law::new(self.interval, self.burst)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A request for places in a pace.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// How many places, at least one.
    pub want: u32,
    /// The last place must lie before this; otherwise none is taken. What no client waits for asks for now.
    pub deadline: Instant,
    /// Nothing is sent before this, such as the end of a pause.
    pub not_before: Option<Instant>,
    /// Only asks whether there are places, and takes none.
    pub only_look: bool,
}

impl Ask {
    /// So many places before a deadline.
    pub fn places(want: u32, deadline: Instant) -> Self {
        Ask { want, deadline, not_before: None, only_look: false }
    }

    /// One place that is free at once, or none.
    pub fn at_once() -> Self {
        Ask::places(1, Instant::now() + Duration::from_millis(1))
    }
}

/// The answer to a request for places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// When each request may be sent, in order.
    Places(Vec<Instant>),
    /// The places would come too late. The first free one comes after this; it was not taken.
    Full(Duration),
}

/// What shares pauses, refusals and values: one caller at one upstream, or whatever else its bytes stand for.
#[derive(Clone, Debug)]
pub struct Scope(pub(crate) Arc<ScopeInner>);

#[derive(Debug)]
pub(crate) struct ScopeInner {
    pub(crate) code: [u8; 16],
    pub(crate) tag: String,
    state: Mutex<ScopeState>,
}

#[derive(Debug, Default)]
struct ScopeState {
    paused_until: Option<Instant>,
    refused_until: Option<Instant>,
    generation: u64,
    epoch: u64,
    /// Own refusals whose generation the server has not told yet.
    unsettled: u32,
}

impl Scope {
    pub(crate) fn new(code: [u8; 16]) -> Self {
        let tag = crate::names::hex(&code);
        Scope(Arc::new(ScopeInner { code, tag, state: Mutex::default() }))
    }

    /// Until when nothing is sent, if so: some replica was told to pause.
    pub fn paused_until(&self) -> Option<Instant> {
        self.0.state().paused_until.filter(|then| *then > Instant::now())
    }

    /// Until when the key counts as refused, if so: some replica got a 401 or a 403.
    pub fn refused_until(&self) -> Option<Instant> {
        self.0.state().refused_until.filter(|then| *then > Instant::now())
    }

    /// Grows with every refusal, whichever replica got it. What a replica itself keeps of this scope counts only
    /// while the epoch is the one under which it was read.
    pub fn epoch(&self) -> u64 {
        self.0.state().epoch
    }
}

impl ScopeInner {
    /// The generation under which values are believed; nothing while it is not known.
    pub(crate) fn generation(&self) -> Option<u64> {
        let state = self.state();
        (state.unsettled == 0).then_some(state.generation)
    }

    /// The server's generation: a later one ends whatever was kept.
    pub(crate) fn learn(&self, generation: u64) {
        let mut state = self.state();
        if generation > state.generation {
            state.generation = generation;
            state.epoch += 1;
        }
    }

    /// Whatever was kept counts no more, whichever generation that is.
    pub(crate) fn end_epoch(&self) {
        self.state().epoch += 1;
    }

    /// The generation that the server gave to some of this replica's own refusals, which have ended epochs already.
    pub(crate) fn settle(&self, generation: u64, refusals: u32) {
        let mut state = self.state();
        state.generation = state.generation.max(generation);
        state.unsettled = state.unsettled.saturating_sub(refusals);
    }

    pub(crate) fn pause(&self, lasts: Duration) {
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Instant::now().checked_add(lasts));
    }

    /// A refusal that some replica got. An own one has no generation yet.
    pub(crate) fn refuse(&self, lasts: Duration, is_own: bool) {
        let mut state = self.state();
        state.refused_until = state.refused_until.max(Instant::now().checked_add(lasts));
        if is_own {
            state.epoch += 1;
            state.unsettled += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, ScopeState> {
        // Plain data, valid after any panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question whose answer replicas may share.
#[derive(Clone, Debug)]
pub struct Question {
    pub(crate) scope: Scope,
    /// What the names of its keys begin and end with.
    pub(crate) before: String,
    pub(crate) code: String,
}

impl Question {
    /// The key of one thing about this question.
    pub(crate) fn key(&self, of: &str) -> String {
        format!("{}{of}:{}", self.before, self.code)
    }
}

/// Under which conditions a kept answer is taken, and how long one waits for another replica's reading.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// How old the answer may be, from the begin of its reading. Zero joins a reading that is under way, and takes
    /// nothing older.
    pub fresh_for: Duration,
    /// The client's deadline; half of the time until then is spent following.
    pub deadline: Instant,
}

/// How a reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// A whole answer, and how long others may take it.
    Whole { body: Vec<u8>, keep_for: Duration },
    /// It failed. Others get this for a second, so that not each of them fails anew; a slug is enough.
    Failed(Vec<u8>),
    /// Neither: the next who asks reads anew.
    Nothing,
}

/// Who can use the result of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uses {
    /// Those who follow the reading, and those who ask later.
    Later,
    /// Those who follow it; where nobody does, it is not even made.
    Following,
}

/// News for all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// After a 429: nothing is sent for so long.
    Pause(Duration),
    /// After a 401 or 403: the key counts as refused for so long, and nothing that was read with it is shown.
    Refusal(Duration),
}

/// How the commons stands, for an admin page, a budget or a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many replicas there are, at least one: the highest count of the last five seconds of answers. At first it is
    /// [`Setup::replicas_max`].
    pub replicas: u32,
    /// This replica shares nothing at the moment, and keeps to its own share.
    pub is_alone: bool,
    /// How often each kind of error happened, by the label of its kind.
    pub errors: Vec<(&'static str, u64)>,
    /// Those that were last heard of, up to 200; this replica is always among them.
    pub members: Vec<Member>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The beginning of the random name that it gave itself when it started.
    pub who: String,
    /// What it says of itself; see [`Commons::describe`](crate::Commons::describe).
    pub word: Vec<u8>,
    /// It is this one.
    pub is_own: bool,
}

/// Which servers there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One primary at one of the addresses.
    One,
    /// The addresses are Sentinels, which know the primary of this name.
    Sentinel { primary: String },
    /// The addresses are some nodes of a cluster.
    Cluster,
}

/// Where the password comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// A file, read again for every connection, so that a password may change.
    File(PathBuf),
    /// The password itself.
    Text(Zeroizing<String>),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
            Password::Text(_) => f.write_str("[redacted]"),
        }
    }
}

/// Everything that a shared commons needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Gateways with one name share; lower-case letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// `redis://`, `valkey://`, or with TLS `rediss://`, `valkeys://`, with host and port and nothing else.
    pub addresses: Vec<String>,
    /// A second set of servers for leases and values, so that large values delay no pace.
    pub values_at: Vec<String>,
    pub mode: Mode,
    pub username: Option<String>,
    pub password: Option<Password>,
    /// PEM of the authorities to trust; without it the public ones that the program carries.
    pub authorities: Option<Vec<u8>>,
    pub seal_key: SealKey,
    /// Keys of before, the oldest last: it makes the names, so that a rotation changes no name.
    pub seal_keys_before: Vec<SealKey>,
    /// How many replicas there may be, and no more than needed. Until a server has answered a replica for five seconds,
    /// the replica's own share is the rate divided by this, or by the replicas counted if they are more.
    pub replicas_max: u32,
    /// The longest that a call may take.
    pub call_timeout: Duration,
    /// The largest sealed value that is stored or taken.
    pub value_bytes_max: usize,
}

impl Setup {
    /// One server, with the documented defaults.
    pub fn one(address: &str, seal_key: SealKey, replicas_max: u32) -> Self {
        Setup {
            name: "tieline".to_owned(),
            addresses: vec![address.to_owned()],
            values_at: Vec::new(),
            mode: Mode::One,
            username: None,
            password: None,
            authorities: None,
            seal_key,
            seal_keys_before: Vec::new(),
            replicas_max,
            call_timeout: Duration::from_millis(20),
            value_bytes_max: 4 << 20,
        }
    }
}

/// Why a setup cannot be used. It repeats no address and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSetup {
    /// The name is empty, longer than 64 bytes, or has another character.
    Name,
    /// An address has another form, or something beside host and port.
    Address,
    /// There is no address.
    NoAddress,
    /// An address for values has another form, or something beside host and port.
    ValuesAddress,
    /// The authorities are no PEM.
    Authorities,
}

impl std::fmt::Display for BadSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            BadSetup::Name => "the name must have 1 to 64 of a-z, 0-9, '-', '_' and '.'",
            BadSetup::Address | BadSetup::ValuesAddress => {
                "an address must be valkey://HOST:PORT or valkeys://HOST:PORT, with nothing else"
            }
            BadSetup::NoAddress => "there must be an address",
            BadSetup::Authorities => "the authorities are not in PEM",
        })
    }
}

impl std::error::Error for BadSetup {}
