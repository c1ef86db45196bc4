//! Two counts over the last ten seconds. Must never read the clock on the wall.

use tokio::time::Instant;

/// How far back is counted.
const SECONDS: u64 = 10;

/// The counted events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The usual event: a first attempt, an attempt that worked.
    Usual,
    /// The rare event: a repeat, an attempt that failed.
    Rare,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    began: Instant,
    steps: [Step; SECONDS as usize],
}

#[derive(Debug, Clone, Copy, Default)]
struct Step {
    second: u64,
    usual: u64,
    rare: u64,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Recent { began: Instant::now(), steps: Default::default() }
    }

    pub(crate) fn note(&mut self, kind: Kind) {
        let second = self.began.elapsed().as_secs();
        let Some(step) = self.steps.get_mut((second % SECONDS) as usize) else { return };
        if step.second != second {
            *step = Step { second, ..Step::default() };
        }
        match kind {
            Kind::Usual => step.usual += 1,
            Kind::Rare => step.rare += 1,
        }
    }

    /// How many were usual, and how many rare.
    pub(crate) fn sums(&self) -> (u64, u64) {
        let second = self.began.elapsed().as_secs();
        let steps = self.steps.iter().filter(|step| second - step.second < SECONDS);
        steps.fold((0, 0), |(usual, rare), step| (usual + step.usual, rare + step.rare))
    }
}
