//! Which scopes this process is recording a sweep of. Must never let two recordings of one scope run at once: a database
//! that is slow would soon have all connections waiting for each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as Waiting, OwnedMutexGuard};

use crate::shapes::Scope;

/// Held while a sweep is recorded.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// One turn at a time for each scope. There are as many scopes as the configuration has callers.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Scope, Arc<Waiting<()>>>>);

impl Turns {
    /// The turn, after those who wait for it already.
    pub(crate) async fn next(&self, scope: &Scope) -> Turn {
        self.of(scope).lock_owned().await
    }

    /// The turn, if nobody has it or waits for it.
    pub(crate) fn free(&self, scope: &Scope) -> Option<Turn> {
        self.of(scope).try_lock_owned().ok()
    }

    fn of(&self, scope: &Scope) -> Arc<Waiting<()>> {
        // Whole values are put in, so it is good after any panic.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(scope) {
            Some(turn) => Arc::clone(turn),
            None => Arc::clone(all.entry(scope.clone()).or_default()),
        }
    }
}
