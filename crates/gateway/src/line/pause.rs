//! The pause of one caller: after its upstream has limited the rate, nothing of this caller is sent
//! before the time that the upstream said. The upstream counts by key, so other pages would be refused
//! as well.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, sleep_until};

use crate::error::Error;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    /// Nothing is sent before then.
    pub(crate) fn extend(&self, then: Instant) {
        let mut not_before = self.not_before();
        *not_before = not_before.max(Some(then));
    }

    /// Until when nothing is sent, if so.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.not_before().filter(|then| *then > Instant::now())
    }

    pub(crate) fn is_on(&self) -> bool {
        self.until().is_some()
    }

    /// Waits it out; gives up at once if it lasts beyond the deadline.
    pub(crate) async fn wait(&self, deadline: Instant) -> Result<(), Error> {
        while let Some(then) = self.until() {
            if then >= deadline {
                let retry_after = then.duration_since(Instant::now());
                return Err(Error::RateLimited { retry_after });
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
