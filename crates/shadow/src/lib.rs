//! Shadowing. With `[shadow]` in the configuration, a sample of the requests to this gateway is also sent
//! to the legacy API in the background, and both answers are compared. Control also answers a percentage of
//! each caller's requests itself.
//!
//! A comparison must never delay or change an answer to a client. Comparisons that exceed their small
//! budget are dropped and counted.

mod asked;
mod control;
mod counts;
mod fields;
mod findings;
mod judge;
mod mask;
mod results;
mod shape;
mod standing;
mod target;
mod trail;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use limits::{Level, Lifecycle, Pacer};
use rand::RngExt;
use settings::Config;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::client::Lookup;

pub use asked::{Asker, CallerQuestion, Side, Unread};
use control::Control;
pub use counts::{Counts, DROPPED};
pub use judge::{Difference, Judge, Listener, Question, Reply};
pub use report::Cause;
pub use results::{Outcome, Results};
use standing::Purpose;
pub use target::Target;
pub use trail::{ASKED_BY, Name, Trail};
use worker::{Held, Job, Worker};

/// The most answers of control for clients at the same time. Candidate answers further clients.
const ANSWERS_IN_FLIGHT_MAX: usize = 32;
/// The waiting answers together may have this many times the bytes of one answer.
const QUEUED_ANSWERS_BYTES: usize = 2;
/// How long a stopping process waits for the last report.
const END_MAX: Duration = Duration::from_secs(2);

/// One for each configuration. It ends when it is dropped.
#[derive(Debug)]
pub struct Shadow {
    settings: settings::Shadow,
    control: Arc<Control>,
    judge: Option<Arc<dyn Judge>>,
    results: Arc<Results>,
    counts: Arc<dyn Counts>,
    lifecycle: Lifecycle,
    queue: mpsc::Sender<Job>,
    /// `None` once the work has begun.
    jobs: Mutex<Option<mpsc::Receiver<Job>>>,
    bytes_queued: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
    stop: CancellationToken,
    has_ended: CancellationToken,
    _guard: DropGuard,
}

/// The parts that a shadow shares with the gateway.
#[derive(Debug)]
pub struct Around<'a> {
    /// Resolves the host name of control.
    pub lookup: &'a Arc<dyn Lookup>,
    pub judge: Option<Arc<dyn Judge>>,
    pub counts: &'a Arc<dyn Counts>,
    pub lifecycle: &'a Lifecycle,
    pub results: &'a Arc<Results>,
    /// The shadow of the previous configuration.
    pub before: Option<&'a Shadow>,
}

impl Shadow {
    /// `None` without `[shadow]` in the configuration. It asks nothing before [`Shadow::start`].
    pub fn new(config: &Config, around: Around<'_>) -> Option<Arc<Self>> {
        let settings = config.shadow.clone()?;
        let Around { lookup, judge, counts, lifecycle, results, before } = around;
        let before = before.map(|before| before.control.as_ref());
        let control = Control::new(config, &settings, lookup, counts, before);
        let (queue, jobs) = mpsc::channel(settings.queue_max);
        let stop = CancellationToken::new();
        Some(Arc::new(Shadow {
            settings,
            control: Arc::new(control),
            judge,
            results: Arc::clone(results),
            counts: Arc::clone(counts),
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

    /// Starts comparing. `deadline` is the time limit for an answer of candidate. Further calls have no
    /// effect.
    pub fn start(&self, deadline: Duration) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(jobs) = jobs else { return };
        let worker = self.judge.clone().map(|judge| Worker {
            control: Arc::clone(&self.control),
            candidate: (deadline, self.settings.answer_bytes_max),
            judge,
            pacer: Pacer::per_second(self.settings.requests_per_second_max),
            results: Arc::clone(&self.results),
            counts: Arc::clone(&self.counts),
            lifecycle: self.lifecycle.clone(),
        });
        if worker.is_none() && self.settings.sample > 0.0 {
            tracing::warn!(target: "gateway::shadow", "there is no judge, so no answers are compared");
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

    /// Ends all comparisons at once.
    pub fn end(&self) {
        self.stop.cancel();
    }

    /// Waits until the last report is written, for two seconds at most.
    pub async fn ended(&self) {
        let was_started = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if was_started {
            // A slow disk must not keep the process.
            let _ = timeout(END_MAX, self.has_ended.cancelled()).await;
        }
    }

    /// Whether control answers the next request of this caller.
    pub fn is_answered_by_control(&self, caller: &str) -> bool {
        self.control.is_next(caller)
    }

    /// Whether answers to this caller name the side that gave them.
    pub fn is_either_side(&self, caller: &str) -> bool {
        self.control.percent(caller) > 0
    }

    /// Whether a question came from this gateway: control is the gateway itself, or leads to it.
    pub fn is_loop(&self, trail: &Trail) -> bool {
        trail.is_loop(&self.control.name)
    }

    pub fn is_sampled(&self) -> bool {
        let sample = self.settings.sample;
        self.judge.is_some() && sample > 0.0 && rand::rng().random_bool(sample)
    }

    /// Control's answer for a waiting client, if it comes within `answer_timeout` and half of the time that
    /// is left. The other half is for candidate. The permit belongs to the answer.
    pub async fn answer(
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
        self.counts.control_answer(outcome);
        self.results.note_answer(outcome);
        answer
    }

    /// A permit for one more answer of control, if there is memory for it.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let is_calm = self.lifecycle.level() == Level::Calm;
        is_calm.then(|| Arc::clone(&self.answers).try_acquire_owned().ok()).flatten()
    }

    /// Queues a comparison, or drops it.
    pub fn offer(&self, asked: CallerQuestion, side: Side, reply: Reply) {
        if let Err(why) = self.queued(asked, side, reply) {
            self.counts.dropped(why);
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
        if !self.control.is_compared(asked.caller.name()) {
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

#[cfg(test)]
mod tests {
    use domain::params::Params;
    use futures_util::future::BoxFuture;
    use settings::Secret;
    use transport::client::{LookupFailure, SystemLookup};

    use super::*;

    const CONFIG: &str = r#"
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

    /// Counts nothing.
    #[derive(Debug)]
    struct Uncounted;

    impl Counts for Uncounted {
        fn dns_failed(&self, _: LookupFailure) {}
        fn control_request(&self, _: &'static str) {}
        fn control_answer(&self, _: &'static str) {}
        fn dropped(&self, _: &'static str) {}
        fn compared(&self, _: &'static str, _: &'static str, _: &[(&'static str, u64)]) {}
    }

    /// The caller `crm`. Candidate has no answer for it.
    #[derive(Debug)]
    struct Crm;

    impl Asker for Crm {
        fn name(&self) -> &str {
            "crm"
        }
        fn dialect(&self) -> &'static str {
            "voiso-v4"
        }
        fn is_narrowed(&self) -> bool {
            false
        }
        fn timezone(&self) -> Option<&str> {
            None
        }
        fn rows_max(&self) -> u64 {
            100_000
        }
        fn read<'a>(
            &'a self,
            _: &'a CallerQuestion,
            _: Duration,
            _: usize,
        ) -> BoxFuture<'a, Result<Reply, Unread>> {
            Box::pin(async { Err(Unread::Failed) })
        }
    }

    pub(crate) fn shadow() -> Arc<Shadow> {
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-key")));
        let config = Config::parse(CONFIG, "t.toml", &env).unwrap();
        let around = Around {
            lookup: &(Arc::new(SystemLookup) as Arc<dyn Lookup>),
            judge: None,
            counts: &(Arc::new(Uncounted) as Arc<dyn Counts>),
            lifecycle: &Lifecycle::default(),
            results: &Arc::new(Results::default()),
            before: None,
        };
        Shadow::new(&config, around).unwrap()
    }

    pub(crate) fn question() -> CallerQuestion {
        CallerQuestion {
            endpoint: domain::legacy::ENDPOINTS[0],
            quirks: Arc::default(),
            caller: Arc::new(Crm),
            params: Params::parse(""),
            target: Target::of(&"/".parse().unwrap()),
            trail: Trail::default(),
            key: Secret::new("LEGACY-key".to_owned()),
        }
    }

    #[tokio::test]
    async fn control_answers_as_many_clients_as_it_has_places_and_none_where_memory_is_short() {
        let shadow = shadow();
        let places: Vec<_> = (0..ANSWERS_IN_FLIGHT_MAX).filter_map(|_| shadow.place()).collect();
        assert_eq!((places.len(), shadow.place().is_some()), (ANSWERS_IN_FLIGHT_MAX, false));
        drop(places);
        for (level, has_place) in [(Level::Calm, true), (Level::Tight, false), (Level::Full, false)]
        {
            shadow.lifecycle.set_level(level);
            assert_eq!(shadow.place().is_some(), has_place, "{level:?}");
        }
    }
}
