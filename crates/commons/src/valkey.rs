//! The commons on a server: each verb is one script, or what this replica does by itself where the server does not
//! answer in time. Must never let a failure of the server become one of a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use redis::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::connect::Servers;
use crate::faults::{Fault, Faults};
use crate::law::{self, Answer};
use crate::lease::{Begun, LEASE, Lease};
use crate::link::{Call, Link};
use crate::members::Members;
use crate::names::{Names, hex};
use crate::news::Scopes;
use crate::outlook::Outlook;
use crate::places::Pace;
use crate::roll::{Outbox, Roll};
use crate::scripts;
use crate::seal::{Belief, Opened, Seal, Unbelieved};
use crate::shapes::{Ask, BadSetup, Question, Setup, Wish};
use crate::shared::Shared;
use crate::{shapes, turns};

/// Larger values come with a second call, over a budget that grows with them.
const INLINE_MAX: usize = 16 << 10;
/// What a MiB may take on top of the budget of a call.
const PER_MIB: Duration = Duration::from_millis(20);
/// A body may be this many times as large as its sealed value.
const UNPACKED: usize = 16;
/// So many large values are fetched at once; more wait, within their budgets.
const FETCHING_MAX: usize = 2;
/// The small answers that may be under way at once, in bytes.
const ANSWERS_MAX: usize = 4 << 20;
/// So many values are on their way to the server at once; more are dropped.
const STORING_MAX: usize = 8;
/// Between two looks at another replica's reading, the last one for all later looks, with jitter.
const LOOKS: [Duration; 3] =
    [Duration::from_millis(25), Duration::from_millis(50), Duration::from_millis(100)];

/// What is shared, and the task that keeps it so.
pub(crate) struct Valkey {
    pub(crate) shared: Arc<Shared>,
    roll: JoinHandle<()>,
}

impl Valkey {
    pub(crate) fn new(
        setup: &Setup,
        names: Arc<Names>,
        scopes: Arc<Scopes>,
    ) -> Result<Self, BadSetup> {
        let control = Servers::new(setup, &setup.addresses, ANSWERS_MAX)?;
        let values_at =
            if setup.values_at.is_empty() { &setup.addresses } else { &setup.values_at };
        let values = Servers::new(
            setup,
            values_at,
            ANSWERS_MAX + setup.value_bytes_max.saturating_mul(FETCHING_MAX),
        )?;
        let body_max = setup.value_bytes_max.saturating_mul(UNPACKED);
        let faults = Arc::new(Faults::default());
        let shared = Arc::new(Shared {
            names,
            scopes,
            seal: Seal::new(&setup.seal_key, &setup.seal_keys_before, body_max),
            // A small answer is late for many reasons; a large one that nobody waits for would be read to its end.
            control: Link::new(control, Arc::clone(&faults), 3),
            values: Link::new(values, Arc::clone(&faults), 1),
            faults,
            roll: Roll::new(setup.replicas_max),
            members: Members::default(),
            outbox: Outbox::default(),
            replica: hex(&rand::random::<[u8; 16]>()),
            budget: setup.call_timeout,
            value_bytes_max: setup.value_bytes_max,
            storing: Semaphore::new(STORING_MAX),
            fetching: Semaphore::new(FETCHING_MAX),
        });
        let roll = tokio::spawn(turns::keep(Arc::clone(&shared)));
        Ok(Valkey { shared, roll })
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.roll.abort();
    }
}

impl Shared {
    /// When the next places are, without taking one.
    pub(crate) async fn outlook(&self, pace: &Pace, ask: Ask, known_for: Duration) -> Outlook {
        // A list that looks has mostly had its first place a moment ago.
        let known = pace.share().look_known(ask, known_for).filter(|_| self.control.is_usable());
        if let Some(outlook) = known {
            return outlook;
        }
        let asked = pace.share().asked(ask);
        match self.placed(pace, asked).await {
            Some(answer) => pace.share().look_shared(asked, answer),
            None => pace.share().look_alone(self.roll.replicas(), ask),
        }
    }

    /// The server's answer to a request for places.
    pub(crate) async fn placed(&self, pace: &Pace, asked: law::Ask) -> Option<Answer> {
        let law = pace.share().law();
        let numbers = [
            law.interval,
            law.burst,
            u64::from(asked.want),
            asked.horizon,
            asked.pause,
            asked.known,
            u64::from(asked.was_alone),
            u64::from(asked.only_look),
        ]
        .map(|number| number.to_string());
        let args: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        let keys = [pace.key()];
        let call = Call::of_request(self.budget);
        let value = self.control.run(&scripts::TAKE, &keys, &args, call).await?;
        let answer = answered(&value);
        match answer {
            None => self.control.distrust(Fault::Answer),
            Some(answer) if answer.was_reset => self.faults.note(Fault::Clock),
            Some(_) => {}
        }
        answer
    }

    pub(crate) async fn begin(self: &Arc<Self>, question: &Question, wish: Wish) -> Begun {
        let started = Instant::now();
        let patience = wish.deadline.saturating_duration_since(started) / 2;
        let (mut joined, mut distrusted, mut looks) = (0, 0, 0);
        loop {
            let Some(generation) = question.scope.0.generation() else { return Begun::Alone };
            let read_at = SystemTime::now();
            let Some(found) = self.look(question, wish, generation, joined, distrusted).await
            else {
                return Begun::Alone;
            };
            let Some(generation) = question.scope.0.generation() else { return Begun::Alone };
            // A joined reading may have begun before this wish, but not longer ago than a client waits.
            let joining = if joined > 0 { 2 * patience } else { Duration::ZERO };
            let age_max = wish.fresh_for + joining;
            let belief = |token| Belief { now: SystemTime::now(), age_max, generation, token };
            match found {
                Found::Kept { token, stored_for, envelope, is_failure } => {
                    let belief = if is_failure {
                        Belief { age_max: joining + LEASE, ..belief(token) }
                    } else {
                        belief(token)
                    };
                    match self.opened(question, is_failure, belief, envelope).await {
                        Some(opened) if is_failure => return Begun::Failed(opened.body),
                        // By the clocks of two replicas or by the server's, whichever is longer.
                        Some(Opened { body, age }) => {
                            return Begun::Kept { body, age: age.max(stored_for) };
                        }
                        None if distrusted == token => return Begun::Alone,
                        None => distrusted = token,
                    }
                }
                Found::Lead { token } => {
                    return Begun::Lead(Lease::new(self, question, token, read_at, generation));
                }
                Found::Leased { token } => {
                    if joined == 0 {
                        joined = token.max(1);
                    }
                    let wait = LOOKS[looks.min(LOOKS.len() - 1)];
                    looks += 1;
                    let wait = wait.mul_f64(rand::random_range(0.75..1.25));
                    if started.elapsed() + wait >= patience {
                        return Begun::Alone;
                    }
                    sleep(wait).await;
                }
            }
        }
    }

    /// One look at a question.
    async fn look(
        &self,
        question: &Question,
        wish: Wish,
        generation: u64,
        joined: u64,
        distrusted: u64,
    ) -> Option<Found> {
        let tag = &question.scope.0.tag;
        let keys = [
            question.key("v"),
            question.key("l"),
            question.key("f"),
            self.names.key(tag, "g"),
            self.names.key(tag, "p"),
            self.names.key(tag, "r"),
        ];
        let numbers = [
            law::micros(wish.fresh_for).min(law::AHEAD_MAX * 24),
            joined,
            distrusted,
            generation,
            INLINE_MAX as u64,
            self.value_bytes_max as u64,
        ]
        .map(|number| number.to_string());
        let lease = LEASE.as_millis().to_string();
        let mut args: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        args.extend([self.replica.as_bytes(), lease.as_bytes()]);
        let keys = keys.each_ref().map(String::as_str);
        let call = Call { answer_max: INLINE_MAX + 4096, ..Call::of_request(self.budget) };
        let value = self.values.run(&scripts::BEGIN, &keys, &args, call).await?;
        let Some(seen) = Seen::read(value) else {
            self.values.distrust(Fault::Answer);
            return None;
        };
        let scope = &question.scope.0;
        scope.learn(seen.generation);
        if let Some(lasts) = seen.pause {
            scope.pause(lasts);
        }
        if let Some(lasts) = seen.refusal {
            scope.refuse(lasts, false);
        }
        match seen.kind {
            1 | 3 => Some(Found::Kept {
                token: seen.token,
                stored_for: seen.age,
                envelope: seen.payload,
                is_failure: seen.kind == 3,
            }),
            2 => {
                let size: usize = std::str::from_utf8(&seen.payload).ok()?.parse().ok()?;
                let size = size.min(self.value_bytes_max);
                let budget =
                    self.budget + PER_MIB * u32::try_from(size >> 20).unwrap_or(u32::MAX) + PER_MIB;
                let token = seen.token.to_string();
                let most = self.value_bytes_max.to_string();
                let args = [token.as_bytes(), most.as_bytes()];
                let call = Call { answer_max: size + INLINE_MAX, ..Call::of_request(budget) };
                let turn = tokio::time::timeout(budget, self.fetching.acquire()).await;
                let _turn = turn.ok()?.ok()?;
                let fetched = self.values.run(&scripts::FETCH, &keys[..1], &args, call).await?;
                // Gone or replaced meanwhile: opens as nothing, and is looked at again.
                let envelope =
                    if let Value::BulkString(bytes) = fetched { bytes } else { Vec::new() };
                Some(Found::Kept {
                    token: seen.token,
                    stored_for: seen.age,
                    envelope,
                    is_failure: false,
                })
            }
            4 => Some(Found::Leased { token: seen.token }),
            5 => Some(Found::Lead { token: seen.token }),
            _ => None,
        }
    }

    /// The body, if the envelope may be believed.
    async fn opened(
        self: &Arc<Self>,
        question: &Question,
        is_failure: bool,
        belief: Belief,
        envelope: Vec<u8>,
    ) -> Option<Opened> {
        let name = question.key(if is_failure { "f" } else { "v" });
        let tag = question.scope.0.tag.clone();
        let opened = if envelope.len() > INLINE_MAX {
            let shared = Arc::clone(self);
            let opening = move || shared.seal.open(&tag, &name, belief, envelope);
            tokio::task::spawn_blocking(opening).await.ok()?
        } else {
            self.seal.open(&tag, &name, belief, envelope)
        };
        if opened == Err(Unbelieved::Unopened) {
            self.faults.note(Fault::Auth);
            self.values.distrust(Fault::Auth);
        }
        opened.ok()
    }

    pub(crate) fn standing(&self) -> shapes::Standing {
        shapes::Standing {
            replicas: self.roll.replicas(),
            is_alone: !self.control.is_usable(),
            errors: self.faults.counts(),
            members: self.members.all(&self.replica),
        }
    }
}

/// What one look at a question finds.
enum Found {
    Kept { token: u64, stored_for: Duration, envelope: Vec<u8>, is_failure: bool },
    Leased { token: u64 },
    Lead { token: u64 },
}

/// The answer of `begin.lua`.
struct Seen {
    kind: i64,
    token: u64,
    /// Since the reading of a value began, by the server's clock.
    age: Duration,
    payload: Vec<u8>,
    generation: u64,
    pause: Option<Duration>,
    refusal: Option<Duration>,
}

impl Seen {
    fn read(value: Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [kind, token, age, payload, generation, pause, refusal] =
            <[Value; 7]>::try_from(parts).ok()?;
        let (Value::Int(kind), Value::BulkString(token), Value::BulkString(payload)) =
            (kind, token, payload)
        else {
            return None;
        };
        let lasts = |value: Value| match value {
            Value::Int(millis) if millis > 0 => {
                let lasts = Duration::from_millis(millis.unsigned_abs());
                Some(Some(lasts.min(crate::news::LASTS_MAX)))
            }
            Value::Int(_) => Some(None),
            _ => None,
        };
        let (Value::Int(generation), Value::Int(age)) = (generation, age) else { return None };
        Some(Seen {
            kind,
            token: law::read(&token)?,
            age: Duration::from_micros(u64::try_from(age).unwrap_or(0)),
            payload,
            generation: u64::try_from(generation).ok()?,
            pause: lasts(pause)?,
            refusal: lasts(refusal)?,
        })
    }
}

/// The answer of `take.lua`, if it can be one.
fn answered(value: &Value) -> Option<Answer> {
    let Value::Array(parts) = value else { return None };
    let [Value::Int(taken), Value::Int(first), Value::Int(ahead), Value::Int(reset)] =
        parts.as_slice()
    else {
        return None;
    };
    let ahead = u64::try_from(*ahead).ok().filter(|ahead| *ahead <= 2 * law::AHEAD_MAX)?;
    // A burst lies behind now, a place of an hour ahead.
    let is_possible = first.unsigned_abs() <= 2 * law::AHEAD_MAX && matches!(taken, 0 | 1);
    is_possible.then_some(Answer {
        is_taken: *taken == 1,
        first: *first,
        ahead,
        was_reset: *reset == 1,
    })
}
