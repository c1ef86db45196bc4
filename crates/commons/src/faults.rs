//! What goes wrong with the server: counted by kind, logged once a minute, and kept away from requests by a
//! breaker. Must never hold an address, a user, a password or a word of the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::Instant;

const LINE_EVERY: Duration = Duration::from_secs(60);
/// The breaker opens after so many failures in a row ...
const IN_A_ROW: u32 = 3;
/// ... or after so many ...
const OF_LAST: u32 = 5;
/// ... of the last so many calls.
const LAST: u32 = 10;

macro_rules! kinds {
    ($($kind:ident = $label:literal, $text:literal;)*) => {
        /// What can go wrong, as a label of the error counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault { $(#[doc = $text] $kind,)* }

        const KINDS: &[(&str, &str)] = &[$(($label, $text),)*];
    };
}

kinds! {
    Unreachable = "unreachable", "the server cannot be reached";
    Timeout = "timeout", "the server did not answer in time";
    Denied = "denied", "the server refuses the user or the password";
    Right = "right", "the user lacks a right on the server";
    Away = "away", "the server is no primary, is loading, or its cluster is down";
    Full = "full", "the server has no memory left";
    Mode = "mode", "the server is in a cluster and the configuration says it is not, or the other way round";
    Version = "version", "the server is older than Redis 6.2";
    Answer = "answer", "the server sent an answer that the gateway cannot read";
    Auth = "auth", "a stored value was changed, moved or forged";
    Clock = "clock", "the clock of the server was far behind, or somebody else wrote a number";
    Dropped = "dropped", "too much waits to be stored, so some of it was not";
    Other = "other", "the server refused a command";
}

impl Fault {
    pub(crate) fn of(error: &RedisError) -> Self {
        // What a script may not do has no code of its own: Redis and Valkey say it in words.
        let lacks_right = |words: &str| {
            words.contains("can't run this command") || words.contains("ACL failure in script")
        };
        if error.detail().is_some_and(lacks_right) {
            return Fault::Right;
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => Fault::Denied,
            ErrorKind::Server(kind) => match kind {
                ServerErrorKind::NoPerm => Fault::Right,
                ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain => Fault::Away,
                ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot => {
                    Fault::Mode
                }
                _ => Fault::Other,
            },
            ErrorKind::Extension => match error.code() {
                Some("NOAUTH" | "WRONGPASS") => Fault::Denied,
                Some("OOM") => Fault::Full,
                Some("NOREPLICAS" | "MISCONF" | "UNKILLABLE" | "BUSY") => Fault::Away,
                _ => Fault::Other,
            },
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Fault::Answer,
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => {
                if error.is_timeout() {
                    Fault::Timeout
                } else {
                    Fault::Unreachable
                }
            }
            _ => Fault::Other,
        }
    }

    /// Whether another connection, or another primary, is what helps.
    pub(crate) fn ends_connection(self) -> bool {
        matches!(
            self,
            Fault::Unreachable
                | Fault::Away
                | Fault::Answer
                | Fault::Mode
                | Fault::Denied
                | Fault::Auth
        )
    }

    /// What is wrong, in words.
    pub(crate) fn text(self) -> &'static str {
        self.label().1
    }

    fn label(self) -> (&'static str, &'static str) {
        KINDS[self as usize]
    }
}

/// Counts faults and logs them.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    counts: [AtomicU64; KINDS.len()],
    lines: Mutex<[Option<Instant>; KINDS.len()]>,
}

impl Faults {
    pub(crate) fn note(&self, fault: Fault) {
        self.counts[fault as usize].fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut lines[fault as usize];
        if last.is_none_or(|last| now.duration_since(last) >= LINE_EVERY) {
            *last = Some(now);
            let (kind, text) = fault.label();
            tracing::warn!(kind, "commons: {text}; this replica keeps to its own share meanwhile");
        }
    }

    /// How often each kind happened, those that never did too.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        KINDS.iter().map(|(label, _)| *label).zip(counts).collect()
    }
}

/// Keeps requests from a server that fails. Only the roll's probe closes it.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    /// A bit for each of the last calls, the latest one lowest; set where it failed.
    failures: u32,
    in_a_row: u32,
    is_open: bool,
}

impl Breaker {
    pub(crate) fn is_open(&self) -> bool {
        self.recent().is_open
    }

    /// One more call of a request.
    pub(crate) fn note(&self, is_good: bool) {
        let mut recent = self.recent();
        recent.failures = (recent.failures << 1 | u32::from(!is_good)) & ((1 << LAST) - 1);
        recent.in_a_row = if is_good { 0 } else { recent.in_a_row + 1 };
        if recent.in_a_row >= IN_A_ROW || recent.failures.count_ones() >= OF_LAST {
            recent.is_open = true;
        }
    }

    pub(crate) fn close(&self) {
        *self.recent() = Recent::default();
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_breaker_opens_after_three_in_a_row_and_after_five_of_ten() {
        let breaker = Breaker::default();
        for is_good in [false, false, true, false, false] {
            breaker.note(is_good);
        }
        assert!(!breaker.is_open());
        breaker.note(true);
        breaker.note(false);
        assert!(breaker.is_open(), "five of seven");
        // A good call does not close it; the probe does.
        breaker.note(true);
        assert!(breaker.is_open());
        breaker.close();
        for _ in 0..2 {
            breaker.note(false);
        }
        assert!(!breaker.is_open());
        breaker.note(false);
        assert!(breaker.is_open());
    }

    #[test]
    fn old_failures_are_forgotten() {
        let breaker = Breaker::default();
        for index in 0..100 {
            breaker.note(index % 3 != 0);
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn every_kind_has_a_label_of_its_own() {
        let mut labels: Vec<&str> = KINDS.iter().map(|(label, _)| *label).collect();
        assert_eq!(Fault::Other.label().0, "other");
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), KINDS.len());
        let faults = Faults::default();
        faults.note(Fault::Clock);
        assert!(faults.counts().contains(&("clock", 1)) && faults.counts().contains(&("auth", 0)));
    }
}
