//! A pause that was asked for: nothing is sent before a certain time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

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

    /// Whether nothing is sent now.
    pub fn is_on(&self) -> bool {
        self.until().is_some()
    }

    /// Waits it out; gives up at once if it lasts beyond the deadline, and says how long it lasts.
    pub async fn wait(&self, deadline: Instant) -> Result<(), Duration> {
        while let Some(then) = self.until() {
            if then >= deadline {
                return Err(then.duration_since(Instant::now()));
            }
            sleep_until(then).await;
        }
        Ok(())
    }

    fn not_before(&self) -> MutexGuard<'_, Option<Instant>> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
