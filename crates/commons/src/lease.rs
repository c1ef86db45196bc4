//! The right to read something for all replicas. It is renewed each second while the reading goes on, and given up
//! when it ends in any way. Must never store what was read under a lease that somebody else holds by now, nor what
//! was read with a key that was refused meanwhile. An answer without followers or later
//! readers is neither made nor stored.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use redis::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::faults::Fault;
use crate::link::Call;
use crate::news::millis;
use crate::scripts;
use crate::seal::Stamp;
use crate::shapes::{Finish, Question, Uses};
use crate::shared::Shared;

/// A lease that is not renewed ends after this.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// A reading that failed is not tried again for so long.
const FAILED_FOR: Duration = Duration::from_secs(1);
/// Nobody waits for what happens after a reading, so that it may take this many times as long as a call.
const PATIENCE: u32 = 25;
/// A slug, not a text.
const FAILURE_MAX: usize = 256;

/// How a question begins.
#[derive(Debug)]
pub enum Begun {
    /// Another replica has read it.
    Kept {
        /// What it read.
        body: Vec<u8>,
        /// How long ago that reading began: what is taken from others is not young again.
        age: Duration,
    },
    /// Another replica's reading failed within the last second, and this says how.
    Failed(Vec<u8>),
    /// Read it yourself; others wait. Give the lease to `finish`.
    Lead(Lease),
    /// Read it yourself; nothing is shared now.
    Alone,
}

/// See the module. Dropping it gives it up, so that another replica reads.
pub struct Lease {
    held: Option<Held>,
    renewing: JoinHandle<()>,
}

struct Held {
    shared: Arc<Shared>,
    question: Question,
    stamp: Stamp,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

impl Lease {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        question: &Question,
        token: u64,
        read_at: SystemTime,
        generation: u64,
    ) -> Self {
        let stamp = Stamp { read_at, generation, token };
        let renewing = tokio::spawn(renew(Arc::clone(shared), question.key("l"), token));
        let held = Held { shared: Arc::clone(shared), question: question.clone(), stamp };
        Lease { held: Some(held), renewing }
    }

    /// Ends the reading; whatever it stores is made and stored in the background.
    pub(crate) fn finish(mut self, uses: Uses, make: impl FnOnce() -> Finish + Send + 'static) {
        self.end(|held| held.end(uses, make));
    }

    /// Ends the reading with nothing to store.
    pub(crate) fn give_up(mut self) {
        self.end(Held::give_up);
    }

    fn end<F: Future<Output = ()> + Send + 'static>(&mut self, how: impl FnOnce(Held) -> F) {
        self.renewing.abort();
        let (Some(held), Ok(runtime)) = (self.held.take(), Handle::try_current()) else { return };
        let mut ending = Box::pin(how(held));
        // What is sent at once is on its way before the client has its answer: who asks again then must not take
        // the reading that is over for one under way.
        let mut context = Context::from_waker(Waker::noop());
        if ending.as_mut().poll(&mut context).is_pending() {
            runtime.spawn(ending);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(Held::give_up);
    }
}

impl Held {
    async fn give_up(self) {
        self.stored("v", Duration::ZERO, None).await;
    }

    async fn end(self, uses: Uses, make: impl FnOnce() -> Finish + Send + 'static) {
        if uses == Uses::Following && !self.is_followed().await {
            return;
        }
        match self.made(make).await {
            Some((kind, keep_for, value)) => self.stored(kind, keep_for, Some(value)).await,
            None => self.give_up().await,
        }
    }

    /// Gives the lease up unless another replica waits for the answer.
    async fn is_followed(&self) -> bool {
        let (token, lasts) = (self.stamp.token.to_string(), LEASE.as_millis().to_string());
        let args = [token.as_bytes(), self.shared.replica.as_bytes(), lasts.as_bytes()];
        let (key, call) = (self.question.key("l"), self.in_background());
        let answer = self.shared.values.run(&scripts::RELEASE, &[&key], &args, call).await;
        // Without an answer the server may have found a follower: it is stored, which gives the lease up as well.
        !matches!(answer, Some(Value::Int(0)))
    }

    fn in_background(&self) -> Call {
        Call::in_background(self.shared.budget * PATIENCE)
    }

    async fn stored(&self, kind: &str, kept_for: Duration, value: Option<Vec<u8>>) {
        let keys = [self.question.key(kind), self.question.key("l"), self.question.key("v")];
        let keys = keys.each_ref().map(String::as_str);
        let (token, lasts) = (self.stamp.token.to_string(), millis(kept_for).to_string());
        let value = value.unwrap_or_default();
        let args = [token.as_bytes(), self.shared.replica.as_bytes(), lasts.as_bytes(), &value[..]];
        self.shared.values.run(&scripts::FINISH, &keys, &args, self.in_background()).await;
    }

    /// What is stored, if anything: which kind, for how long, and the sealed value.
    async fn made(
        &self,
        make: impl FnOnce() -> Finish + Send + 'static,
    ) -> Option<(&'static str, Duration, Vec<u8>)> {
        let Ok(_place) = self.shared.storing.try_acquire() else {
            self.shared.faults.note(Fault::Dropped);
            return None;
        };
        let is_of_now = self.question.scope.0.generation() == Some(self.stamp.generation);
        let (shared, question, stamp) =
            (Arc::clone(&self.shared), self.question.clone(), self.stamp);
        // Writing and packing a long list takes milliseconds.
        let making = move || {
            let (kind, keep_for, read_at, body) = match make() {
                Finish::Whole { body, keep_for } if is_of_now => {
                    ("v", keep_for, stamp.read_at, body)
                }
                // A failure counts from its end: nobody reads anew for a second, however long the reading took.
                Finish::Failed(slug) if slug.len() <= FAILURE_MAX => {
                    ("f", FAILED_FOR, SystemTime::now(), slug)
                }
                _ => return None,
            };
            let (tag, name) = (&question.scope.0.tag, question.key(kind));
            let sealed = shared.seal.seal(tag, &name, Stamp { read_at, ..stamp }, &body)?;
            Some((kind, keep_for, sealed))
        };
        let made = tokio::task::spawn_blocking(making).await.ok().flatten();
        made.filter(|(_, _, value)| value.len() <= self.shared.value_bytes_max)
    }
}

/// Renews a lease until somebody else has it.
async fn renew(shared: Arc<Shared>, key: String, token: u64) {
    let (token, lasts) = (token.to_string(), LEASE.as_millis().to_string());
    let mut turns = interval(RENEW_EVERY);
    turns.tick().await;
    loop {
        turns.tick().await;
        let args = [token.as_bytes(), shared.replica.as_bytes(), lasts.as_bytes()];
        let budget = shared.budget * PATIENCE;
        let (keys, values) = ([key.as_str()], &shared.values);
        let renewed = values.run(&scripts::RENEW, &keys, &args, Call::in_background(budget)).await;
        if matches!(renewed, Some(Value::Int(0))) {
            return;
        }
    }
}
