//! How far a validation is: bars on a terminal, plain lines elsewhere. Must never show a value.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parity::run::Progress;
use report::{Outcome, ScenarioReport};

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
}

impl Told {
    pub(crate) fn new() -> Told {
        let is_terminal = std::io::stderr().is_terminal();
        let target = match is_terminal {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let zero = AtomicU64::default;
        Told { bar, is_terminal, all: zero(), done: zero(), different: zero(), undecided: zero() }
    }

    /// No more is coming.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, done: u64) {
        let all = self.all.load(Ordering::Relaxed);
        let different = self.different.load(Ordering::Relaxed);
        let undecided = self.undecided.load(Ordering::Relaxed);
        // Nobody has to read it.
        let _ = writeln!(
            std::io::stderr(),
            "{done} of {all} questions, {different} with unexplained differences, {undecided} \
             undecided"
        );
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
        if !self.is_terminal {
            self.line(asked + known);
        }
    }

    fn checked(&self, name: &str, holds: bool) {
        self.different.fetch_add(u64::from(!holds), Ordering::Relaxed);
        self.bar.set_message(name.to_owned());
        self.step();
    }

    fn asked(&self, scenario: &ScenarioReport) {
        match scenario.outcome {
            Outcome::Different => self.different.fetch_add(1, Ordering::Relaxed),
            Outcome::Undecided => self.undecided.fetch_add(1, Ordering::Relaxed),
            Outcome::Equal | Outcome::Explained => 0,
        };
        self.bar.set_message(format!("{} ({})", scenario.endpoint, scenario.group));
        self.step();
    }
}

impl Told {
    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_position(done);
        let all = self.all.load(Ordering::Relaxed);
        if !self.is_terminal && all > 0 && (done.is_multiple_of(LINE_EVERY) || done == all) {
            self.line(done);
        }
    }
}
