//! Two counts over the last ten seconds. Must never read the clock on the wall.

use tokio::time::Instant;

/// How far back is counted.
const SECONDS: u64 = 10;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All is well, or just the first.
    Plain,
    /// What there should be little of.
    Odd,
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
    plain: u64,
    odd: u64,
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
            Kind::Plain => step.plain += 1,
            Kind::Odd => step.odd += 1,
        }
    }

    /// Plain ones and odd ones.
    pub(crate) fn sums(&self) -> (u64, u64) {
        let second = self.began.elapsed().as_secs();
        let steps = self.steps.iter().filter(|step| second - step.second < SECONDS);
        steps.fold((0, 0), |(plain, odd), step| (plain + step.plain, odd + step.odd))
    }
}
