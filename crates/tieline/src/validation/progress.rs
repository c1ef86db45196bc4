//! How far a validation is, and how long it will still take: a bar on a terminal, plain lines elsewhere.
//! Must never show a value.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parity::run::Progress;
use report::{Outcome, ScenarioReport};
use tokio::time::Instant;

/// A plain line is written for every so many questions.
const LINE_EVERY: u64 = 25;

/// Tells standard error.
pub(crate) struct Told {
    bar: ProgressBar,
    is_terminal: bool,
    all: AtomicU64,
    done: AtomicU64,
    different: AtomicU64,
    undecided: AtomicU64,
    /// The moment at which the number of questions was known, and how many were done then.
    started: OnceLock<(Instant, u64)>,
}

impl Told {
    pub(crate) fn new() -> Told {
        let is_terminal = std::io::stderr().is_terminal();
        let target = match is_terminal {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len}, {elapsed} gone{msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let zero = AtomicU64::default;
        let (all, done, different, undecided) = (zero(), zero(), zero(), zero());
        Told { bar, is_terminal, all, done, different, undecided, started: OnceLock::new() }
    }

    /// No more is coming.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, done: u64) {
        let all = self.all.load(Ordering::Relaxed);
        let different = self.different.load(Ordering::Relaxed);
        let undecided = self.undecided.load(Ordering::Relaxed);
        let left = self.left(done);
        // Standard error may be closed.
        let _ = writeln!(
            std::io::stderr(),
            "{done} of {all} questions, {different} with unexplained differences, {undecided} \
             undecided{left}"
        );
    }

    /// `, about 2 min left`; nothing before the first question and behind the last.
    fn left(&self, done: u64) -> String {
        let Some((started, before)) = self.started.get() else { return String::new() };
        let all = self.all.load(Ordering::Relaxed);
        let left = left(started.elapsed(), done.saturating_sub(*before), all.saturating_sub(done));
        left.map(|left| format!(", about {} left", rough(left))).unwrap_or_default()
    }
}

impl Progress for Told {
    fn planned(&self, questions: usize, known: usize) {
        let (questions, known) = (questions as u64, known as u64);
        let asked = self.done.load(Ordering::Relaxed);
        self.all.store(questions + asked, Ordering::Relaxed);
        self.done.fetch_add(known, Ordering::Relaxed);
        self.bar.set_length(questions + asked);
        self.bar.set_position(asked + known);
        // Answers of an earlier run took no time now.
        self.started.get_or_init(|| (Instant::now(), asked + known));
        if !self.is_terminal {
            self.line(asked + known);
        }
    }

    fn checked(&self, name: &str, holds: bool) {
        self.different.fetch_add(u64::from(!holds), Ordering::Relaxed);
        self.step(name);
    }

    fn asked(&self, scenario: &ScenarioReport) {
        match scenario.outcome {
            Outcome::Different => self.different.fetch_add(1, Ordering::Relaxed),
            Outcome::Undecided => self.undecided.fetch_add(1, Ordering::Relaxed),
            Outcome::Equal | Outcome::Explained => 0,
        };
        self.step(&format!("{} ({})", scenario.endpoint, scenario.group));
    }
}

impl Told {
    fn step(&self, what: &str) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_message(format!("{}  {what}", self.left(done)));
        self.bar.set_position(done);
        let all = self.all.load(Ordering::Relaxed);
        if !self.is_terminal && all > 0 && (done.is_multiple_of(LINE_EVERY) || done == all) {
            self.line(done);
        }
    }
}

/// How long the questions that are left will take, at the pace of those that are done.
fn left(elapsed: Duration, done: u64, left: u64) -> Option<Duration> {
    (done > 0 && left > 0).then(|| elapsed.mul_f64(left as f64 / done as f64))
}

/// A time as people say it.
fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=90 => format!("{} s", seconds.max(1)),
        seconds @ 91..=5400 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_pace_so_far() {
        let second = Duration::from_secs(1);
        assert_eq!(left(second * 10, 20, 100), Some(second * 50));
        assert_eq!(left(second * 10, 0, 100), None);
        assert_eq!(left(second * 10, 100, 0), None);
        for (seconds, said) in [(0, "1 s"), (90, "90 s"), (91, "2 min"), (5401, "2 h")] {
            assert_eq!(rough(second * seconds), said);
        }
    }
}
