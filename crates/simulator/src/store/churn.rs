//! Changes the data set while a client pages through it.
//!
//! There are two modes, alone or together: every N-th page of users (deterministic, for tests), and a
//! rate per second (for long runs). No task runs in the background. Due changes are made just before a
//! page is cut, which looks to a client like a busy database.

use tokio::time::Instant;

use crate::people::data::Dice;
use crate::store::{Change, Store};

/// At most this many changes before one page, so that a long pause can't block the server.
const CHANGES_AT_ONCE_MAX: u64 = 10_000;

/// How the data set changes. The weights say how often each kind of change happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Churn {
    /// One change before every N-th users page of the v4 face.
    pub every_requests: Option<u32>,
    pub per_second: Option<f64>,
    pub inserts: u32,
    /// Weight of deletes; the row vanishes.
    pub deletes: u32,
    /// Weight of renames; with `Order::Name` they move rows.
    pub renames: u32,
    /// Whether new users take free ids between the others, so that they can appear before a seam in any
    /// order. If not, they take the next id after the largest, as in a database.
    pub in_gaps: bool,
    pub seed: u64,
}

impl Default for Churn {
    /// One insert or delete, half and half, before every fifth page.
    fn default() -> Churn {
        Churn {
            every_requests: Some(5),
            per_second: None,
            inserts: 1,
            deletes: 1,
            renames: 0,
            in_gaps: true,
            seed: 1,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Churning {
    churn: Churn,
    dice: Dice,
    pages: u64,
    started: Option<Instant>,
    done_by_clock: u64,
}

impl Churning {
    pub(crate) fn new(churn: Churn) -> Churning {
        let dice = Dice::new(churn.seed, 0x6368_7572);
        Churning { churn, dice, pages: 0, started: None, done_by_clock: 0 }
    }

    /// Makes the changes that are due before the next page; returns how many.
    pub(crate) fn before_page(&mut self, store: &mut Store) -> u64 {
        self.pages += 1;
        let by_count = match self.churn.every_requests {
            Some(n) if n > 0 && self.pages.is_multiple_of(u64::from(n)) => 1,
            _ => 0,
        };
        let due = by_count + self.due_by_clock();
        for _ in 0..due {
            if let Some(change) = self.roll() {
                store.change(change, self.churn.in_gaps, &mut self.dice);
            }
        }
        due
    }

    fn due_by_clock(&mut self) -> u64 {
        let Some(rate) = self.churn.per_second else { return 0 };
        let started = *self.started.get_or_insert_with(Instant::now);
        let owed = (started.elapsed().as_secs_f64() * rate.max(0.0)) as u64;
        let due = owed.saturating_sub(self.done_by_clock).min(CHANGES_AT_ONCE_MAX);
        self.done_by_clock = owed;
        due
    }

    fn roll(&mut self) -> Option<Change> {
        let Churn { inserts, deletes, renames, .. } = self.churn;
        let (inserts, deletes) = (u64::from(inserts), u64::from(deletes));
        let all = inserts + deletes + u64::from(renames);
        if all == 0 {
            return None;
        }
        let at = self.dice.below(all);
        Some(match at {
            at if at < inserts => Change::Insert,
            at if at < inserts + deletes => Change::Delete,
            _ => Change::Rename,
        })
    }
}
