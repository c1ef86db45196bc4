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

#[cfg(test)]
mod tests {
    use commons::Commons;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn j19_a_pause_that_one_replica_was_told_holds_the_caller_at_another() {
        let commons = Commons::one();
        let common = Common { scope: commons.scope(b"crm"), commons };
        let [here, there] = [(); 2].map(|()| Pause::of(Some(common.clone())));
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        // One page of many was refused by chance.
        there.extend(began + second);
        assert_eq!((here.is_on(), there.until()), (false, Some(began + second)));
        there.extend_for_all(5 * second);
        assert_eq!(here.wait(began + 5 * second).await, Err(5 * second));
        assert_eq!(here.wait(began + 6 * second).await, Ok(()));
        assert_eq!((began.elapsed(), here.is_on()), (5 * second, false));
    }
}
