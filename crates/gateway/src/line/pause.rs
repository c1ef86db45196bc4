//! A pause that an upstream asked a caller for, whichever replica it told. Must never be shortened.

use std::time::Duration;

use commons::News;
use tokio::time::{Instant, sleep_until};

use super::common::Common;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    own: limits::Pause,
    common: Option<Common>,
}

impl Pause {
    /// Of a caller that may share it.
    pub(crate) fn of(common: Option<Common>) -> Self {
        Pause { own: limits::Pause::default(), common }
    }

    /// Nothing is sent from here before then.
    pub(crate) fn extend(&self, then: Instant) {
        self.own.extend(then);
    }

    /// No replica sends anything for so long.
    pub(crate) fn extend_for_all(&self, lasts: Duration) {
        self.own.extend(Instant::now() + lasts);
        if let Some(Common { commons, scope }) = &self.common {
            commons.tell(scope, News::Pause(lasts));
        }
    }

    /// Until when nothing is sent, if so.
    pub(crate) fn until(&self) -> Option<Instant> {
        let told = self.common.as_ref().and_then(|common| common.scope.paused_until());
        self.own.until().max(told)
    }

    /// Whether nothing is sent now.
    pub(crate) fn is_on(&self) -> bool {
        self.until().is_some()
    }

    /// Waits it out; gives up at once if it lasts beyond the deadline, and says how long it lasts.
    pub(crate) async fn wait(&self, deadline: Instant) -> Result<(), Duration> {
        while let Some(then) = self.until() {
            if then >= deadline {
                return Err(then.duration_since(Instant::now()));
            }
            sleep_until(then).await;
        }
        Ok(())
    }
}
