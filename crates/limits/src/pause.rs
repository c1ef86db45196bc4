//! A pause that was asked for: nothing is sent before a certain time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub struct Pause(Mutex<Option<Instant>>);

impl Pause {
    /// Nothing is sent before then.
    pub fn extend(&self, then: Instant) {
        let mut not_before = self.not_before();
        *not_before = not_before.max(Some(then));
    }

    /// Until when nothing is sent, if so.
    pub fn until(&self) -> Option<Instant> {
        self.not_before().filter(|then| *then > Instant::now())
    }

    fn not_before(&self) -> MutexGuard<'_, Option<Instant>> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
