//! What is known of a caller's key for its upstream. A refusal makes everything forgotten that was kept
//! for the caller: what it may not read any more is not shown either.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a refusal is believed without asking again, so that a broken poller does not knock on.
const REFUSAL_KEPT_FOR: Duration = Duration::from_secs(5);

/// What the upstream last said to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Not used yet.
    Untested,
    /// The upstream took it.
    Accepted,
    /// 401.
    Refused,
    /// 403: the scope is missing.
    Forbidden,
}

impl KeyState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            KeyState::Untested => "untested",
            KeyState::Accepted => "accepted",
            KeyState::Refused => "refused",
            KeyState::Forbidden => "forbidden",
        }
    }
}

/// See the module.
pub(crate) struct Key {
    told: Mutex<Told>,
    /// Forgets all that is kept for the caller.
    forget: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Told {
    /// The key was refused, and when.
    refused: Option<(KeyState, Instant)>,
    was_accepted: bool,
}

impl Key {
    /// An untested key; `forget` is called with each refusal.
    pub(crate) fn new(forget: impl Fn() + Send + Sync + 'static) -> Self {
        Key { told: Mutex::default(), forget: Box::new(forget) }
    }

    /// The upstream refused the key.
    pub(crate) fn note_refusal(&self, state: KeyState) {
        self.told().refused = Some((state, Instant::now()));
        (self.forget)();
    }

    /// The upstream took the key.
    pub(crate) fn note_acceptance(&self) {
        *self.told() = Told { refused: None, was_accepted: true };
    }

    /// A refusal fresh enough to be believed without asking.
    pub(crate) fn fresh_refusal(&self) -> Option<KeyState> {
        let (state, at) = self.told().refused?;
        (at.elapsed() < REFUSAL_KEPT_FOR).then_some(state)
    }

    pub(crate) fn state(&self) -> KeyState {
        let told = self.told();
        match told.refused {
            Some((state, _)) => state,
            None if told.was_accepted => KeyState::Accepted,
            None => KeyState::Untested,
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Plain data, valid after any panic.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
