//! The commons of one process, which shares with nobody. Must never start a task or open a socket.

use crate::Pace;
use crate::lease::Begun;
use crate::news::LASTS_MAX;
use crate::outlook::Outlook;
use crate::shapes::{Ask, News, Scope, Standing, Taken};

/// See the module.
pub(crate) struct Local;

impl Local {
    pub(crate) fn take(&self, pace: &Pace, ask: Ask) -> Taken {
        pace.share().only(ask)
    }

    pub(crate) fn look(&self, pace: &Pace, ask: Ask) -> Outlook {
        pace.share().look_only(ask)
    }

    /// Equal requests of one process share a reading elsewhere, so that there is nobody to wait for here.
    pub(crate) fn begin(&self) -> Begun {
        Begun::Alone
    }

    pub(crate) fn tell(&self, scope: &Scope, news: News) {
        match news {
            News::Pause(lasts) => scope.0.pause(lasts.min(LASTS_MAX)),
            News::Refusal(lasts) => {
                scope.0.refuse(lasts.min(LASTS_MAX), true);
                scope.0.settle(0, 1);
            }
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing { replicas: 1, is_alone: false, errors: Vec::new(), members: Vec::new() }
    }
}
