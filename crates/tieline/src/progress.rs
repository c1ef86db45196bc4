//! Lines on standard error about work that takes long, for people who wait: plain text, without control characters,
//! so that a file or a build server can have them too. Must never show a key or anything of a user.

use std::fmt;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Often enough to show that something happens.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Writes lines, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    are_shown: bool,
}

impl Lines {
    /// On a terminal, and where somebody wants them.
    pub(crate) fn new(are_wanted: bool) -> Lines {
        Lines { are_shown: are_wanted || std::io::stderr().is_terminal() }
    }

    /// One line.
    pub(crate) fn say(self, text: impl fmt::Display) {
        if self.are_shown {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Does the work, and says every now and then how it stands.
    pub(crate) async fn during<T>(
        self,
        work: impl Future<Output = T>,
        stands: impl Fn() -> String,
    ) -> T {
        let started = Instant::now();
        let mut ticks = interval_at(started + LINE_EVERY, LINE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    self.say(format_args!("{}, {} s so far", stands(), started.elapsed().as_secs()));
                }
            }
        }
    }
}
