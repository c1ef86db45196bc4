//! Compares answers in the background, a few at a time and at a limited rate. It must never retry at once,
//! and must end at once when it is stopped.

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use limits::{Level, Lifecycle, Pacer};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::asked::{CallerQuestion, Side, Unread};
use crate::control::{Control, Failed};
use crate::counts::Counts;
use crate::findings::{Again, Findings, Takes};
use crate::judge::{Difference, Judge, Listener, Question, Reply, word};
use crate::results::{Outcome, Results, Told, WRITTEN_EVERY};
use crate::shape;
use crate::standing::Purpose;

/// The target of the log lines. Filters of operators name it, so it stays when this file moves.
const TARGET: &str = "gateway::shadow::worker";

/// An answer that a client got, to be compared with the other side's.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) asked: CallerQuestion,
    /// The side that gave the answer.
    pub(crate) side: Side,
    pub(crate) reply: Reply,
    pub(crate) _held: Held,
}

/// Counts the bytes of a waiting comparison until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    pub(crate) fn of(all: &Arc<AtomicUsize>, bytes: usize) -> Self {
        all.fetch_add(bytes, Ordering::Relaxed);
        Held { all: Arc::clone(all), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

pub(crate) struct Worker {
    pub(crate) control: Arc<Control>,
    /// The deadline of candidate, and the most bytes of its answer.
    pub(crate) candidate: (Duration, usize),
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) pacer: Pacer,
    pub(crate) results: Arc<Results>,
    pub(crate) counts: Arc<dyn Counts>,
    pub(crate) lifecycle: Lifecycle,
}

/// The time limit for judging two answers. The longest lists take far less.
const JUDGED_FOR: Duration = Duration::from_secs(30);

/// Why two answers were not compared.
#[derive(Debug, Clone, Copy)]
enum Unmade {
    /// Something else needs the resources; the reason.
    Dropped(&'static str),
    Failed,
}

/// The work in the background.
pub(crate) struct Works {
    /// `None` where there is no judge.
    pub(crate) worker: Option<Worker>,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) at_once: usize,
    pub(crate) results: Arc<Results>,
    pub(crate) report_file: Option<PathBuf>,
}

/// Works until `stop`. Writes the report once a minute and at the end, if there is news.
pub(crate) async fn work(works: Works, stop: CancellationToken, has_ended: CancellationToken) {
    let _ended = has_ended.drop_guard();
    let Works { worker, jobs, at_once, results, report_file } = works;
    let (worker, jobs) = (worker.map(Arc::new), Arc::new(Mutex::new(jobs)));
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        let Some(worker) = worker.clone() else { break };
        let jobs = Arc::clone(&jobs);
        workers.spawn(async move {
            while let Some(job) = next(&jobs).await {
                // A panic is logged and counted where it happens, and costs this one comparison.
                let _ = AssertUnwindSafe(worker.compare(job)).catch_unwind().await;
            }
        });
    }
    // Results under an earlier configuration may have no file yet.
    let mut written = 0;
    loop {
        let has_stopped = stop.run_until_cancelled(sleep(WRITTEN_EVERY)).await.is_none();
        if has_stopped {
            // Comparisons under way are given up before the last report is written.
            workers.shutdown().await;
        }
        let noted = results.noted();
        if let Some(file) = report_file.clone().filter(|_| noted != written) {
            let results = Arc::clone(&results);
            let done = spawn_blocking(move || results.write(&file).map_err(|error| error.kind()));
            if let Ok(Err(kind)) = done.await {
                tracing::error!(target: TARGET, cause = %kind, "shadow.report_file cannot be written");
            }
            written = noted;
        }
        if has_stopped {
            return;
        }
    }
}

async fn next(jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    jobs.lock().await.recv().await
}

impl Worker {
    async fn compare(&self, job: Job) {
        let endpoint = job.asked.endpoint.name();
        // A comparison that is not made takes no turn from the others.
        let made = if self.control.is_compared(job.asked.caller.name()) {
            self.pacer.turn().await;
            self.told(&job).await
        } else {
            Err(Unmade::Dropped("paused"))
        };
        let told = match made {
            Ok(told) => told,
            Err(Unmade::Dropped(why)) => {
                self.counts.dropped(why);
                return self.results.note_dropped(why);
            }
            Err(Unmade::Failed) => Told::failed(),
        };
        if told.outcome == Outcome::Different {
            let caller = job.asked.caller.name();
            let found: u64 = told.causes.counts().map(|(_, count)| count).sum();
            tracing::warn!(target: TARGET, endpoint, caller, found, "control and candidate differ");
        }
        let causes = told.causes.counts().map(|(cause, count)| (word(cause), count));
        let causes: Vec<_> = causes.collect();
        self.counts.compared(endpoint, told.outcome.as_str(), &causes);
        self.results.note(endpoint, told);
    }

    /// Compares both answers. Where a difference is unexplained, both sides are asked again, because the
    /// data may have changed between the two readings. They are asked a third time where control has
    /// changed: only three values of control are noise.
    async fn told(&self, job: &Job) -> Result<Told, Unmade> {
        let (asked, given) = (&job.asked, job.reply.clone());
        let both = match job.side {
            Side::Candidate => (self.control(asked).await?, given),
            Side::Control => (given, self.candidate(asked).await?),
        };
        let findings = Findings::of(asked.endpoint.name(), &self.results.mask);
        let mut told = self.judged(asked, both, findings, self.tell(asked)).await?;
        loop {
            let findings = match told {
                ControlFlow::Break(told) => return Ok(told),
                ControlFlow::Continue(findings) => findings,
            };
            self.pacer.turn().await;
            let both = (self.control(asked).await?, self.candidate(asked).await?);
            let (again, tell) = (findings.again(), self.tell(asked));
            let made = move |again: Again| tell(findings.looked_at_again(&again));
            told = self.judged(asked, both, again, made).await?;
        }
    }

    /// Makes the report of the findings about a question, unless they need a further reading.
    fn tell(
        &self,
        asked: &CallerQuestion,
    ) -> impl FnOnce(Findings) -> ControlFlow<Told, Findings> + Send + use<> {
        let (caller, endpoint) = (Arc::clone(&asked.caller), asked.endpoint.name());
        move |found| match found.are_settled() {
            true => ControlFlow::Break(Told::of(endpoint, caller.name(), &found)),
            false => ControlFlow::Continue(found),
        }
    }

    async fn control(&self, asked: &CallerQuestion) -> Result<Reply, Unmade> {
        // An attempt has a limit of its own.
        let until = Instant::now() + WRITTEN_EVERY * 60;
        self.control.ask(asked, Purpose::Comparison, until).await.map_err(|error| match error {
            // Control was left alone while this comparison waited.
            Failed::LeftAlone => Unmade::Dropped("paused"),
            _ => Unmade::Failed,
        })
    }

    async fn candidate(&self, asked: &CallerQuestion) -> Result<Reply, Unmade> {
        let (within, bytes_max) = self.candidate;
        asked.caller.read(asked, within, bytes_max).await.map_err(|error| match error {
            Unread::Busy => Unmade::Dropped("busy"),
            Unread::TooLarge => Unmade::Dropped("too_large"),
            Unread::Failed => Unmade::Failed,
        })
    }

    /// Judges on a blocking thread, and passes the findings to `made`. It ends soon after its
    /// time is over or its future was dropped.
    async fn judged<K: Takes, T: Send + 'static>(
        &self,
        asked: &CallerQuestion,
        (control, candidate): (Reply, Reply),
        mut taker: K,
        made: impl FnOnce(K) -> T + Send + 'static,
    ) -> Result<T, Unmade> {
        // A comparison may take the last memory that is left.
        if self.lifecycle.level() > Level::Calm {
            return Err(Unmade::Dropped("memory"));
        }
        let (judge, asked) = (Arc::clone(&self.judge), asked.clone());
        let stop = CancellationToken::new();
        let until = Until { then: Instant::now() + JUDGED_FOR, stop: stop.clone() };
        let _given_up = stop.drop_guard();
        let judged = spawn_blocking(move || {
            let rows_max = asked.caller.rows_max();
            if !shape::is_comparable(asked.endpoint, control.status, &control.body, rows_max) {
                return Err(Unmade::Dropped("too_large"));
            }
            let question = Question {
                endpoint: asked.endpoint.name(),
                dialect: asked.caller.dialect(),
                filters: &asked.filters(),
                is_narrowed: asked.caller.is_narrowed(),
                timezone: asked.caller.timezone(),
                quirks: &asked.quirks,
            };
            taker.read(&control.body);
            let mut heard = Heard { taker: &mut taker, until: &until };
            judge.judge(&question, &control, &candidate, &mut heard);
            if until.has_come() { Err(Unmade::Dropped("timeout")) } else { Ok(made(taker)) }
        });
        // The panic was logged where it happened.
        judged.await.map_err(|_| Unmade::Failed)?
    }
}

/// The end of one comparison.
struct Until {
    then: Instant,
    stop: CancellationToken,
}

impl Until {
    fn has_come(&self) -> bool {
        self.stop.is_cancelled() || Instant::now() >= self.then
    }
}

/// Passes on the differences until the end of the comparison.
struct Heard<'a> {
    taker: &'a mut dyn Takes,
    until: &'a Until,
}

impl Listener for Heard<'_> {
    fn found(&mut self, one: Difference) {
        self.taker.take(one);
    }

    fn goes_on(&self) -> bool {
        !self.until.has_come()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{question, shadow};

    #[tokio::test(start_paused = true)]
    async fn the_report_is_written_once_a_minute_if_there_is_news_and_at_the_end() {
        let name = format!("tieline-report-{}.json", std::process::id());
        let (file, results) = (std::env::temp_dir().join(name), Arc::new(Results::default()));
        let (stop, has_ended) = (CancellationToken::new(), CancellationToken::new());
        let works = |results: &Arc<Results>| Works {
            worker: None,
            jobs: mpsc::channel(1).1,
            at_once: 1,
            results: Arc::clone(results),
            report_file: Some(file.clone()),
        };
        let working = tokio::spawn(work(works(&results), stop.clone(), has_ended.clone()));
        sleep(WRITTEN_EVERY * 2).await;
        assert!(!file.exists(), "there is no news");
        std::fs::write(&file, "of the process before").unwrap();
        results.note_dropped("paused");
        let read = || std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        for _ in 0..3 {
            sleep(WRITTEN_EVERY).await;
        }
        let written: Option<serde_json::Value> = read();
        assert_eq!(written, Some(results.json()));
        results.note_dropped("paused");
        stop.cancel();
        working.await.unwrap();
        assert!(has_ended.is_cancelled());
        assert_eq!(read(), Some(results.json()));
        let mut before = file.clone().into_os_string();
        before.push(".1");
        assert_eq!(std::fs::read(&before).unwrap(), b"of the process before");
        std::fs::remove_file(&file).unwrap();
        std::fs::remove_file(&before).unwrap();
        // A process without results leaves the file of the process before.
        let (stop, has_ended) = (CancellationToken::new(), CancellationToken::new());
        stop.cancel();
        work(works(&Arc::default()), stop, has_ended).await;
        assert!(!file.exists());
    }

    /// A judge that finds no difference.
    #[derive(Debug)]
    struct Content {
        is_endless: bool,
    }

    impl Judge for Content {
        fn judge(&self, _: &Question<'_>, _: &Reply, _: &Reply, listener: &mut dyn Listener) {
            while self.is_endless && listener.goes_on() {
                std::thread::yield_now();
            }
        }
    }

    fn working(is_endless: bool) -> (Worker, CallerQuestion) {
        let shadow = shadow();
        let worker = Worker {
            control: Arc::clone(&shadow.control),
            candidate: (WRITTEN_EVERY, 1 << 20),
            judge: Arc::new(Content { is_endless }),
            pacer: Pacer::per_second(1.0),
            results: Arc::clone(&shadow.results),
            counts: Arc::clone(&shadow.counts),
            lifecycle: shadow.lifecycle.clone(),
        };
        (worker, question())
    }

    /// The reason why two answers were not judged; `None` where they were.
    async fn dropped(worker: &Worker, asked: &CallerQuestion) -> Option<&'static str> {
        let both = [(); 2].map(|()| Reply::json(200, "[]".into()));
        let findings = Findings::of("v1_users", &worker.results.mask);
        match worker.judged(asked, both.into(), findings, |_| ()).await {
            Err(Unmade::Dropped(why)) => Some(why),
            _ => None,
        }
    }

    #[tokio::test]
    async fn where_memory_has_become_short_in_the_meantime_nothing_is_judged() {
        let (worker, asked) = working(false);
        for (level, why) in [(Level::Calm, None), (Level::Tight, Some("memory"))] {
            worker.lifecycle.set_level(level);
            assert_eq!(dropped(&worker, &asked).await, why);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_answers_are_judged_for_so_long_and_no_longer() {
        let (worker, asked) = working(true);
        let (why, ()) = tokio::join!(dropped(&worker, &asked), tokio::time::advance(JUDGED_FOR));
        assert_eq!(why, Some("timeout"));
    }
}
