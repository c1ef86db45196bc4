//! How the process is: whether it is about to end, and how much memory it has left. Layers ask; must
//! never wait.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

/// See the module; clones share it, and so do all configurations of a process.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// When the drain will be cut; set when it begins.
    cut_at: OnceLock<Instant>,
    level: AtomicU8,
}

/// How little memory is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Enough.
    #[default]
    Calm,
    /// Connections end with their request, and nothing is kept.
    Tight,
    /// New work is refused.
    Full,
}

impl Level {
    /// As a metric shows it.
    pub fn number(self) -> i64 {
        match self {
            Level::Calm => 0,
            Level::Tight => 1,
            Level::Full => 2,
        }
    }
}

impl Lifecycle {
    /// The process begins to end. Connections that are still open are cut at `cut_at`.
    pub fn begin_drain(&self, cut_at: Instant) {
        // A drain begins once.
        let _ = self.0.cut_at.set(cut_at);
    }

    /// Whether the process is about to end.
    pub fn is_draining(&self) -> bool {
        self.0.cut_at.get().is_some()
    }

    /// Whether the time has come to cut open connections.
    pub fn is_cut(&self) -> bool {
        self.0.cut_at.get().is_some_and(|cut_at| *cut_at <= Instant::now())
    }

    /// How little memory is left.
    pub fn level(&self) -> Level {
        match self.0.level.load(Ordering::Relaxed) {
            0 => Level::Calm,
            1 => Level::Tight,
            _ => Level::Full,
        }
    }

    /// Takes note of a level and returns the one before.
    pub fn set_level(&self, level: Level) -> Level {
        let before = self.level();
        self.0.level.store(level as u8, Ordering::Relaxed);
        before
    }

    /// Whether a connection had better end with the request it carries.
    pub fn wants_to_part(&self) -> bool {
        self.is_draining() || self.level() > Level::Calm
    }
}
