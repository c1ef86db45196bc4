//! The other side at work. With `[shadow]` a sample of what is asked of this gateway is also asked of the
//! legacy API, in the background, and both answers are compared; and callers may be answered by the
//! legacy API itself, so many of a hundred.
//!
//! Must never delay or change an answer for a comparison: what does not fit into its own small budget is
//! dropped and counted.

mod candidate;
mod control;
mod findings;
mod judge;
mod results;
mod standing;
mod turns;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::plan::GroupName;
use rand::RngExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::client::Lookup;

use crate::call::{Call, Whole};
use crate::caller::{Caller, Callers};
use crate::condition::{Condition, Level};
use crate::config::{self, Config};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::svc::Stage;
use candidate::Candidate;
pub(crate) use control::Asked;
use control::Control;
pub(crate) use findings::Causes;
pub use judge::{Cause, Difference, Judge, Question, Reply};
pub(crate) use results::{Outcome, Results};
use turns::Turns;
use worker::{Job, Worker};

/// Why a comparison was not made; labels of a metric.
pub(crate) const DROPPED: [&str; 4] = ["memory", "paused", "queue_full", "too_large"];
/// Answers of control that clients wait for at once; one more client is answered by candidate.
const ANSWERS_IN_FLIGHT_MAX: usize = 32;
/// All answers that wait to be compared may have so many times the bytes that one may have.
const QUEUED_ANSWERS_BYTES: usize = 2;
/// How long the end of the process waits for the last report.
const END_MAX: Duration = Duration::from_secs(2);

/// Which side an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Control,
    Candidate,
}

impl Side {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Side::Control => "control",
            Side::Candidate => "candidate",
        }
    }
}

/// See the module. One for each configuration; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Shadow {
    settings: config::Shadow,
    control: Arc<Control>,
    judge: Option<Arc<dyn Judge>>,
    results: Arc<Results>,
    metrics: Metrics,
    condition: Condition,
    queue: mpsc::Sender<Job>,
    /// Until the work begins.
    jobs: Mutex<Option<mpsc::Receiver<Job>>>,
    bytes_queued: Arc<AtomicUsize>,
    answers: Semaphore,
    stop: CancellationToken,
    has_ended: CancellationToken,
    _guard: DropGuard,
}

/// What a shadow shares with the rest of a state.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    pub(crate) callers: &'a Callers,
    pub(crate) lookup: &'a Arc<dyn Lookup>,
    pub(crate) judge: Option<Arc<dyn Judge>>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) condition: &'a Condition,
    pub(crate) results: &'a Arc<Results>,
}

impl Shadow {
    /// `None` where there is no `[shadow]`. Asks nothing yet.
    pub(crate) fn new(config: &Config, around: Around<'_>) -> Option<Arc<Self>> {
        let settings = config.shadow.clone()?;
        let Around { callers, lookup, judge, metrics, condition, results } = around;
        let control = Control::new(config, &settings, callers, lookup, metrics);
        let (queue, jobs) = mpsc::channel(settings.queue_max);
        let stop = CancellationToken::new();
        Some(Arc::new(Shadow {
            settings,
            control: Arc::new(control),
            judge,
            results: Arc::clone(results),
            metrics: metrics.clone(),
            condition: condition.clone(),
            queue,
            jobs: Mutex::new(Some(jobs)),
            bytes_queued: Arc::default(),
            answers: Semaphore::new(ANSWERS_IN_FLIGHT_MAX),
            has_ended: CancellationToken::new(),
            _guard: stop.clone().drop_guard(),
            stop,
        }))
    }

    /// Begins to compare; `readings` is how this side is asked once more. Once is enough.
    pub(crate) fn start(&self, readings: Stage<Call<GroupName>, Whole>, deadline: Duration) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(jobs) = jobs else { return };
        let worker = self.judge.clone().map(|judge| Worker {
            control: Arc::clone(&self.control),
            candidate: Candidate { readings, deadline },
            judge,
            turns: Turns::new(self.settings.requests_per_second_max),
            results: Arc::clone(&self.results),
            metrics: self.metrics.clone(),
        });
        if worker.is_none() && self.settings.sample > 0.0 {
            tracing::warn!("nobody is there to compare answers, so none are");
        }
        let works = worker::Works {
            worker,
            jobs,
            at_once: self.settings.requests_in_flight_max,
            results: Arc::clone(&self.results),
            report_file: self.settings.report_file.clone(),
        };
        tokio::spawn(worker::work(works, self.stop.clone(), self.has_ended.clone()));
    }

    /// Ends all comparing at once; what is under way is given up.
    pub(crate) fn end(&self) {
        self.stop.cancel();
    }

    /// Waits until the last report is written, for a moment at most.
    pub(crate) async fn ended(&self) {
        let was_started = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if was_started {
            // A disk that does not answer keeps nobody.
            let _ = timeout(END_MAX, self.has_ended.cancelled()).await;
        }
    }

    /// Whether the next answer of this caller is control's.
    pub(crate) fn is_controls(&self, caller: &Caller) -> bool {
        self.control.is_next(caller)
    }

    /// Whether answers to this caller say whose they are.
    pub(crate) fn is_told(&self, caller: &Caller) -> bool {
        self.control.percent(caller) > 0
    }

    /// Whether this request is one of the sample.
    pub(crate) fn is_sampled(&self) -> bool {
        let sample = self.settings.sample;
        self.judge.is_some() && sample > 0.0 && rand::rng().random_bool(sample)
    }

    /// Control's answer for a client that waits for it, if control has one in half of the time there is:
    /// the other half is candidate's.
    pub(crate) async fn answer(&self, asked: &Asked, deadline: Instant) -> Option<Reply> {
        let now = Instant::now();
        let until = now + deadline.saturating_duration_since(now) / 2;
        let answer = match self.answers.try_acquire() {
            Ok(_place) => self.control.ask(asked, until).await.ok(),
            Err(_) => None,
        };
        let outcome = if answer.is_some() { "control" } else { "fallback" };
        self.metrics.shadow().control_answer(outcome);
        self.results.note_answer(outcome);
        answer
    }

    /// A comparison to be made when there is time for it, or to be left.
    pub(crate) fn offer(&self, asked: Asked, side: Side, reply: Reply) {
        if let Err(why) = self.queued(asked, side, reply) {
            self.metrics.shadow().dropped(why);
            self.results.note_dropped(why);
        }
    }

    fn queued(&self, asked: Asked, side: Side, reply: Reply) -> Result<(), &'static str> {
        let bytes = reply.body.len();
        if self.condition.level() > Level::Calm {
            return Err("memory");
        }
        if bytes > self.settings.answer_bytes_max {
            return Err("too_large");
        }
        if !self.control.is_asked(&asked.caller) {
            return Err("paused");
        }
        let bytes_max = self.settings.answer_bytes_max * QUEUED_ANSWERS_BYTES;
        let held = Held::of(&self.bytes_queued, bytes);
        if self.bytes_queued.load(Ordering::Relaxed) > bytes_max {
            return Err("queue_full");
        }
        self.queue.try_send(Job { asked, side, reply, _held: held }).map_err(|_| "queue_full")
    }
}

/// Our own answer as it is compared, from its bytes in no coding.
pub(crate) fn reply(body: bytes::Bytes) -> Reply {
    candidate::reply(200, body)
}

/// Our own error as it is compared, where it is about the question.
pub(crate) fn refused(error: &Error) -> Option<Reply> {
    candidate::refused(error)
}

/// Bytes that wait to be compared.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    fn of(all: &Arc<AtomicUsize>, bytes: usize) -> Self {
        all.fetch_add(bytes, Ordering::Relaxed);
        Held { all: Arc::clone(all), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
