//! One connection to the server, shared by all requests, and what becomes of it when it fails.
//!
//! A task of its own connects, because a request that gives up after 20 ms would starve a TLS handshake that only
//! it drives. A call has a budget, and a connection that was given up a few times is dropped: a black hole would
//! hold it until the kernel gives up, and an answer that nobody waits for would still be read to its end. Must never
//! retry, except with a script's text where the server does not know its digest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::connect::{Connection, Servers};
use crate::faults::{Breaker, Fault, Faults};
use crate::scripts::Script;

/// Between two tries to connect, from the first to all later ones, with jitter.
const RECONNECT: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
];

/// The most bytes of an answer that is a number or a few.
const ANSWER: usize = 4096;

/// See the module.
pub(crate) struct Link {
    inner: Arc<Inner>,
    connector: JoinHandle<()>,
}

struct Inner {
    live: Mutex<Live>,
    is_missing: Notify,
    breaker: Breaker,
    faults: Arc<Faults>,
    /// A connection is dropped after so many calls in a row that were given up.
    give_ups_max: u32,
    /// A slot that moves is then no fault of the configuration.
    is_cluster: bool,
}

#[derive(Default)]
struct Live {
    connection: Option<Connection>,
    /// Counts connections, so that a late failure of one does not drop the next.
    epoch: u64,
    give_ups: u32,
    /// When a connection came in place of one that was lost.
    returned: Option<Instant>,
}

/// On whose account a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behalf {
    /// A request waits: the breaker may refuse, and learns how it went.
    Request,
    /// The roll, or something that is done after a request: nobody waits.
    Background,
}

/// The limits of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) budget: Duration,
    /// The most bytes that its answer may have.
    pub(crate) answer_max: usize,
    pub(crate) behalf: Behalf,
}

impl Call {
    /// For a request, with a small answer.
    pub(crate) fn of_request(budget: Duration) -> Self {
        Call { budget, answer_max: ANSWER, behalf: Behalf::Request }
    }

    /// For nobody who waits, with a small answer.
    pub(crate) fn in_background(budget: Duration) -> Self {
        Call { behalf: Behalf::Background, ..Call::of_request(budget) }
    }
}

impl Link {
    pub(crate) fn new(servers: Servers, faults: Arc<Faults>, give_ups_max: u32) -> Self {
        let (live, is_missing) = (Mutex::default(), Notify::new());
        let is_cluster = servers.are_cluster();
        let inner = Inner {
            is_cluster,
            live,
            is_missing,
            breaker: Breaker::default(),
            faults,
            give_ups_max,
        };
        let inner = Arc::new(inner);
        let connector = tokio::spawn(Arc::clone(&inner).keep_connected(servers));
        Link { inner, connector }
    }

    /// Whether requests would ask at the moment.
    pub(crate) fn is_usable(&self) -> bool {
        !self.inner.breaker.is_open() && self.inner.live().connection.is_some()
    }

    /// When the connection came back, if one was lost before.
    pub(crate) fn returned(&self) -> Option<Instant> {
        self.inner.live().returned
    }

    pub(crate) fn breaker_is_open(&self) -> bool {
        self.inner.breaker.is_open()
    }

    /// After a probe that was answered within the budget.
    pub(crate) fn close_breaker(&self) {
        self.inner.breaker.close();
    }

    /// Runs a script. Nothing is not an error of the request: it is answered without the server.
    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
        call: Call,
    ) -> Option<Value> {
        let Call { budget, answer_max, behalf } = call;
        let inner = &self.inner;
        if behalf == Behalf::Request && inner.breaker.is_open() {
            return None;
        }
        let (connection, epoch) = {
            let live = inner.live();
            (live.connection.clone(), live.epoch)
        };
        // That it is missing costs nothing, and was counted when it went.
        let connection = connection?;
        let result = match timeout(budget, ran(connection, script, keys, args, answer_max)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(match Fault::of(&error) {
                Fault::Mode if inner.is_cluster => Fault::Away,
                fault => fault,
            }),
            Err(_) => Err(Fault::Timeout),
        };
        if behalf == Behalf::Request {
            inner.breaker.note(result.is_ok());
        }
        inner.note(epoch, result.as_ref().err().copied());
        result.ok()
    }

    /// After an answer that cannot be right: whatever stands behind it on this connection is not believed either.
    pub(crate) fn distrust(&self, fault: Fault) {
        let epoch = self.inner.live().epoch;
        self.inner.note(epoch, Some(fault));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connector.abort();
        self.inner.live().connection = None;
    }
}

/// By its digest, and with its text where the server does not know it.
async fn ran(
    mut connection: Connection,
    script: &Script,
    keys: &[&str],
    args: &[&[u8]],
    answer_max: usize,
) -> Result<Value, RedisError> {
    match answer(&mut connection, &script.command(false, keys, args), answer_max).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            answer(&mut connection, &script.command(true, keys, args), answer_max).await
        }
        other => other,
    }
}

/// An answer that is no error; the library hands on what the server refuses as a value.
async fn answer(
    connection: &mut Connection,
    command: &Cmd,
    answer_max: usize,
) -> Result<Value, RedisError> {
    match connection.send(command, answer_max).await {
        Ok(Value::ServerError(error)) => Err(error.into()),
        other => other,
    }
}

impl Inner {
    /// How a call over one of the connections ended.
    fn note(&self, epoch: u64, fault: Option<Fault>) {
        let Some(fault) = fault else {
            let mut live = self.live();
            if live.epoch == epoch {
                live.give_ups = 0;
            }
            return;
        };
        self.faults.note(fault);
        let mut live = self.live();
        if live.epoch != epoch {
            return;
        }
        if fault == Fault::Timeout {
            live.give_ups += 1;
        }
        if fault.ends_connection() || live.give_ups >= self.give_ups_max {
            live.connection = None;
            live.give_ups = 0;
            live.epoch += 1;
            self.is_missing.notify_one();
        }
    }

    async fn keep_connected(self: Arc<Self>, servers: Servers) {
        let (mut tries, mut has_failed) = (0, false);
        loop {
            if self.live().connection.is_some() {
                self.is_missing.notified().await;
                // One that was good for a while may be replaced at once, another failing one may not.
                tries = tries.min(1);
                continue;
            }
            let wait = RECONNECT[tries.min(RECONNECT.len() - 1)];
            sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await;
            tries += 1;
            match servers.connect().await {
                Ok(connection) => {
                    let mut live = self.live();
                    // At epoch 0 none was lost; but others may have lost theirs where the first tries failed.
                    live.returned = (live.epoch > 0 || has_failed).then(Instant::now);
                    live.connection = Some(connection);
                    live.epoch += 1;
                    live.give_ups = 0;
                }
                Err(fault) => {
                    has_failed = true;
                    self.faults.note(fault);
                }
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // Plain data, valid after any panic.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
