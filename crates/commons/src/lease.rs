//! The right to read something for all replicas. It is renewed each second while the reading goes on, and given up
//! when it ends in any way. Must never store what was read under a lease that somebody else holds by now, nor what
//! was read with a key that was refused meanwhile.

use std::sync::Arc;
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
use crate::shapes::{Finish, Question};
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

    /// Ends the reading; whatever it stores is stored in the background.
    pub(crate) fn finish(mut self, how: Finish) {
        self.end(how);
    }

    fn end(&mut self, how: Finish) {
        self.renewing.abort();
        let (Some(held), Ok(runtime)) = (self.held.take(), Handle::try_current()) else { return };
        runtime.spawn(async move { held.end(how).await });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(Finish::Nothing);
    }
}

impl Held {
    async fn end(self, how: Finish) {
        let is_of_now = self.question.scope.0.generation() == Some(self.stamp.generation);
        let (kind, kept_for, value) = match how {
            Finish::Whole { body, keep_for } if is_of_now => {
                ("v", keep_for, self.sealed("v", body).await)
            }
            Finish::Failed(slug) if slug.len() <= FAILURE_MAX => {
                ("f", FAILED_FOR, self.sealed("f", slug).await)
            }
            _ => ("v", Duration::ZERO, None),
        };
        let kept_for = if value.is_some() { kept_for } else { Duration::ZERO };
        let keys = [self.question.key(kind), self.question.key("l"), self.question.key("v")];
        let keys = keys.each_ref().map(String::as_str);
        let (token, lasts) = (self.stamp.token.to_string(), millis(kept_for).to_string());
        let value = value.unwrap_or_default();
        let args = [token.as_bytes(), self.shared.replica.as_bytes(), lasts.as_bytes(), &value[..]];
        let budget = self.shared.budget * PATIENCE;
        let values = &self.shared.values;
        values.run(&scripts::FINISH, &keys, &args, Call::in_background(budget)).await;
    }

    /// The sealed value, if it may be stored.
    async fn sealed(&self, kind: &str, body: Vec<u8>) -> Option<Vec<u8>> {
        let Ok(_place) = self.shared.storing.try_acquire() else {
            self.shared.faults.note(Fault::Dropped);
            return None;
        };
        // A failure counts from its end: nobody reads anew for a second, however long the reading took.
        let read_at = if kind == "f" { SystemTime::now() } else { self.stamp.read_at };
        let (tag, stamp) = (self.question.scope.0.tag.clone(), Stamp { read_at, ..self.stamp });
        let (shared, name) = (Arc::clone(&self.shared), self.question.key(kind));
        // Packing a long list takes milliseconds.
        let sealing = move || shared.seal.seal(&tag, &name, stamp, &body);
        let sealed = tokio::task::spawn_blocking(sealing).await.ok().flatten();
        sealed.filter(|value| value.len() <= self.shared.value_bytes_max)
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
