//! The other side at work. With `[shadow]` a sample of what is asked of this gateway is also asked of the
//! legacy API, in the background, and both answers are compared; and callers may be answered by the
//! legacy API itself, so many of a hundred.
//!
//! Must never delay or change an answer for a comparison: what does not fit into its own small budget is
//! dropped and counted.

pub(crate) mod beside;
mod candidate;
mod control;
mod fields;
mod findings;
mod judge;
mod mask;
mod results;
mod shape;
mod standing;
mod turns;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::client::Lookup;

use crate::caller::{Caller, Callers};
use crate::limits::lifecycle::{Level, Lifecycle};
use crate::observe::account::Side;
use crate::observe::metrics::Metrics;
use crate::request::trail::Trail;
use candidate::Candidate;
use control::{CallerQuestion, Control};
pub use judge::{Cause, Difference, Judge, Listener, Question, Reply};
pub(crate) use results::Results;
use settings::Config;
use standing::Purpose;
use turns::Turns;
use worker::{Job, Worker};

/// Answers of control that clients wait for or are sent at once; one more client is answered by
/// candidate.
const ANSWERS_IN_FLIGHT_MAX: usize = 32;
/// All answers that wait to be compared may have so many times the bytes that one may have.
const QUEUED_ANSWERS_BYTES: usize = 2;
/// How long the end of the process waits for the last report.
const END_MAX: Duration = Duration::from_secs(2);

/// See the module. One for each configuration; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Shadow {
    settings: settings::Shadow,
    control: Arc<Control>,
    judge: Option<Arc<dyn Judge>>,
    results: Arc<Results>,
    metrics: Metrics,
    lifecycle: Lifecycle,
    queue: mpsc::Sender<Job>,
    /// Until the work begins.
    jobs: Mutex<Option<mpsc::Receiver<Job>>>,
    bytes_queued: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
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
    pub(crate) lifecycle: &'a Lifecycle,
    pub(crate) results: &'a Arc<Results>,
    /// The one until now.
    pub(crate) before: Option<&'a Shadow>,
}

impl Shadow {
    /// `None` where there is no `[shadow]`. Asks nothing yet.
    pub(crate) fn new(config: &Config, around: Around<'_>) -> Option<Arc<Self>> {
        let settings = config.shadow.clone()?;
        let Around { callers, lookup, judge, metrics, lifecycle, results, before } = around;
        let before = before.map(|before| before.control.as_ref());
        let control = Control::new(config, &settings, callers, lookup, metrics, before);
        let (queue, jobs) = mpsc::channel(settings.queue_max);
        let stop = CancellationToken::new();
        Some(Arc::new(Shadow {
            settings,
            control: Arc::new(control),
            judge,
            results: Arc::clone(results),
            metrics: metrics.clone(),
            lifecycle: lifecycle.clone(),
            queue,
            jobs: Mutex::new(Some(jobs)),
            bytes_queued: Arc::default(),
            answers: Arc::new(Semaphore::new(ANSWERS_IN_FLIGHT_MAX)),
            has_ended: CancellationToken::new(),
            _guard: stop.clone().drop_guard(),
            stop,
        }))
    }

    /// Begins to compare; asking this side once more may take until `deadline`. Once is enough.
    pub(crate) fn start(&self, deadline: Duration) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(jobs) = jobs else { return };
        let worker = self.judge.clone().map(|judge| Worker {
            control: Arc::clone(&self.control),
            candidate: Candidate { deadline, bytes_max: self.settings.answer_bytes_max },
            judge,
            turns: Turns::new(self.settings.requests_per_second_max),
            results: Arc::clone(&self.results),
            metrics: self.metrics.clone(),
            lifecycle: self.lifecycle.clone(),
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
    pub(crate) fn is_answered_by_control(&self, caller: &Caller) -> bool {
        self.control.is_next(caller)
    }

    /// Whether answers to this caller say whose they are.
    pub(crate) fn is_either_side(&self, caller: &Caller) -> bool {
        self.control.percent(caller) > 0
    }

    /// Whether a question comes round: control is this gateway itself, or leads to it.
    pub(crate) fn is_loop(&self, trail: &Trail) -> bool {
        self.control.is_loop(trail)
    }

    /// Whether this request is one of the sample.
    pub(crate) fn is_sampled(&self) -> bool {
        let sample = self.settings.sample;
        self.judge.is_some() && sample > 0.0 && rand::rng().random_bool(sample)
    }

    /// Control's answer for a client that waits for it, if control has one in the time it is given, and
    /// in half of the time there is: the other half is candidate's. The place goes with the answer.
    pub(crate) async fn answer(
        &self,
        asked: &CallerQuestion,
        deadline: Instant,
    ) -> Option<(Reply, OwnedSemaphorePermit)> {
        let now = Instant::now();
        let half = deadline.saturating_duration_since(now) / 2;
        let until = now + half.min(self.settings.answer_timeout);
        let answer = match self.place() {
            Some(place) => {
                let reply = self.control.ask(asked, Purpose::Client, until).await.ok();
                reply.map(|reply| (reply, place))
            }
            None => None,
        };
        let outcome = if answer.is_some() { "control" } else { "fallback" };
        self.metrics.shadow().control_answer(outcome);
        self.results.note_answer(outcome);
        answer
    }

    /// A place for one more answer of control, while there is memory for it.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let is_calm = self.lifecycle.level() == Level::Calm;
        is_calm.then(|| Arc::clone(&self.answers).try_acquire_owned().ok()).flatten()
    }

    /// A comparison to be made when there is time for it, or to be left.
    pub(crate) fn offer(&self, asked: CallerQuestion, side: Side, reply: Reply) {
        if let Err(why) = self.queued(asked, side, reply) {
            self.metrics.shadow().dropped(why);
            self.results.note_dropped(why);
        }
    }

    fn queued(&self, asked: CallerQuestion, side: Side, reply: Reply) -> Result<(), &'static str> {
        let bytes = reply.body.len();
        if self.lifecycle.level() > Level::Calm {
            return Err("memory");
        }
        if bytes > self.settings.answer_bytes_max {
            return Err("too_large");
        }
        if !self.control.is_compared(&asked.caller) {
            return Err("paused");
        }
        let bytes_max = self.settings.answer_bytes_max * QUEUED_ANSWERS_BYTES;
        let held = Held::of(&self.bytes_queued, bytes + asked.bytes());
        if self.bytes_queued.load(Ordering::Relaxed) > bytes_max {
            return Err("queue_full");
        }
        self.queue.try_send(Job { asked, side, reply, _held: held }).map_err(|_| "queue_full")
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    pub(super) const CONFIG: &str = r#"
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:9"
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
control_percent = 50
[shadow]
control = "http://127.0.0.1:9"
"#;

    #[tokio::test]
    async fn control_answers_as_many_as_there_are_places_for_and_nobody_where_memory_is_short() {
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-key")));
        let config = Config::parse(CONFIG, "t.toml", &env).unwrap();
        let state = State::new(config, crate::Surroundings::default()).unwrap();
        let shadow = state.shadow.as_ref().unwrap();
        let places: Vec<_> = (0..ANSWERS_IN_FLIGHT_MAX).filter_map(|_| shadow.place()).collect();
        assert_eq!((places.len(), shadow.place().is_some()), (ANSWERS_IN_FLIGHT_MAX, false));
        drop(places);
        for (level, has_place) in [(Level::Calm, true), (Level::Tight, false), (Level::Full, false)]
        {
            state.lifecycle.set_level(level);
            assert_eq!(shadow.place().is_some(), has_place, "{level:?}");
        }
    }
}
