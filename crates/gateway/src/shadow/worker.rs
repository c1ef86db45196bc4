//! Compares, one thing at a time or a few, in turns of its own. Must never retry in a hurry, and must end
//! at once when it is told to.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use domain::visibility::Visibility;
use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::candidate::{Candidate, Unread};
use super::control::{Asked, Control, Failed};
use super::findings::Findings;
use super::judge::{Difference, Judge, Question, Reply};
use super::results::{Outcome, Results, Told, WRITTEN_EVERY};
use super::standing::Purpose;
use super::turns::Turns;
use super::{Held, Side};
use crate::metrics::Metrics;

/// One answer that a client got, to be compared with the other side's.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) asked: Asked,
    /// Who gave it.
    pub(super) side: Side,
    pub(super) reply: Reply,
    pub(super) _held: Held,
}

/// See the module.
pub(super) struct Worker {
    pub(super) control: Arc<Control>,
    pub(super) candidate: Candidate,
    pub(super) judge: Arc<dyn Judge>,
    pub(super) turns: Turns,
    pub(super) results: Arc<Results>,
    pub(super) metrics: Metrics,
}

/// Why two answers were not compared.
#[derive(Debug, Clone, Copy)]
enum Unmade {
    /// Others need what it would take; why.
    Dropped(&'static str),
    /// One side had no answer.
    Failed,
}

/// All that is done in the background.
pub(super) struct Works {
    /// `None` where nobody judges.
    pub(super) worker: Option<Worker>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) at_once: usize,
    pub(super) results: Arc<Results>,
    pub(super) report_file: Option<PathBuf>,
}

/// Works until `stop`, writes the report now and then, and once more at the end.
pub(super) async fn work(works: Works, stop: CancellationToken, has_ended: CancellationToken) {
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
    let mut written = results.noted();
    loop {
        let has_stopped = stop.run_until_cancelled(sleep(WRITTEN_EVERY)).await.is_none();
        if has_stopped {
            // What was under way is given up before the last report is written.
            workers.shutdown().await;
        }
        let noted = results.noted();
        if let Some(file) = report_file.clone().filter(|_| noted != written || has_stopped) {
            let results = Arc::clone(&results);
            let done = spawn_blocking(move || results.write(&file).map_err(|error| error.kind()));
            if let Ok(Err(kind)) = done.await {
                tracing::error!(cause = %kind, "shadow.report_file cannot be written");
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
        self.turns.wait().await;
        let endpoint = job.asked.endpoint.name();
        let told = match self.told(&job).await {
            Ok(told) => told,
            Err(Unmade::Dropped(why)) => {
                self.metrics.shadow().dropped(why);
                return self.results.note_dropped(why);
            }
            Err(Unmade::Failed) => Told::failed(),
        };
        if told.outcome == Outcome::Different {
            let caller = job.asked.caller.name.as_str();
            let found: u64 = told.causes.counts().map(|(_, count)| count).sum();
            tracing::warn!(endpoint, caller, found, "control and candidate differ");
        }
        self.metrics.shadow().compared(endpoint, told.outcome, &told.causes);
        self.results.note(endpoint, told);
    }

    /// What differs, looked at twice where nothing explains it: both sides may have been asked in the
    /// middle of a change.
    async fn told(&self, job: &Job) -> Result<Told, Unmade> {
        let (asked, given) = (&job.asked, job.reply.clone());
        let (control, candidate) = match job.side {
            Side::Candidate => (self.control(asked).await?, given),
            Side::Control => (given, self.candidate(asked).await?),
        };
        let tell = self.tell(asked);
        let first = self.judged(asked, control, candidate, move |found| {
            let first = Findings::of(found);
            if first.are_explained() { Ok(tell(&first)) } else { Err(first) }
        });
        let first = match first.await? {
            Ok(told) => return Ok(told),
            Err(first) => first,
        };
        self.turns.wait().await;
        let (control, candidate) = (self.control(asked).await?, self.candidate(asked).await?);
        let tell = self.tell(asked);
        let again = move |second: Vec<Difference>| tell(&first.looked_at_again(&second));
        self.judged(asked, control, candidate, again).await
    }

    /// How what was found is made ready to be noted.
    fn tell(&self, asked: &Asked) -> impl FnOnce(&Findings) -> Told + Send + use<> {
        let (results, endpoint) = (Arc::clone(&self.results), asked.endpoint.name());
        let caller = Arc::clone(&asked.caller);
        move |found| results.told(endpoint, &caller.name, found)
    }

    async fn control(&self, asked: &Asked) -> Result<Reply, Unmade> {
        // An attempt has a limit of its own.
        let until = Instant::now() + WRITTEN_EVERY * 60;
        self.control.ask(asked, Purpose::Comparison, until).await.map_err(|error| match error {
            // It came to be left alone while this one waited.
            Failed::LeftAlone => Unmade::Dropped("paused"),
            _ => Unmade::Failed,
        })
    }

    async fn candidate(&self, asked: &Asked) -> Result<Reply, Unmade> {
        self.candidate.read(asked).await.map_err(|error| match error {
            Unread::Busy => Unmade::Dropped("busy"),
            Unread::Failed => Unmade::Failed,
        })
    }

    /// What the judge finds, and what is made of that, on a thread that serves nobody.
    async fn judged<T: Send + 'static>(
        &self,
        asked: &Asked,
        control: Reply,
        candidate: Reply,
        made: impl FnOnce(Vec<Difference>) -> T + Send + 'static,
    ) -> Result<T, Unmade> {
        let (judge, asked) = (Arc::clone(&self.judge), asked.clone());
        let judged = spawn_blocking(move || {
            let question = Question {
                endpoint: asked.endpoint.name(),
                dialect: asked.caller.upstream.dialect.name(),
                filters: &asked.filters(),
                is_narrowed: asked.caller.visibility != Visibility::Everything,
                quirks: &asked.quirks,
            };
            made(judge.judge(&question, &control, &candidate))
        });
        // What panicked was logged where it did.
        judged.await.map_err(|_| Unmade::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_report_is_written_once_a_minute_if_there_is_news_and_at_the_end() {
        let name = format!("tieline-report-{}.json", std::process::id());
        let (file, results) = (std::env::temp_dir().join(name), Arc::new(Results::new()));
        let (stop, has_ended) = (CancellationToken::new(), CancellationToken::new());
        let works = Works {
            worker: None,
            jobs: mpsc::channel(1).1,
            at_once: 1,
            results: Arc::clone(&results),
            report_file: Some(file.clone()),
        };
        let working = tokio::spawn(work(works, stop.clone(), has_ended.clone()));
        sleep(WRITTEN_EVERY * 2).await;
        assert!(!file.exists(), "there is no news");
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
        std::fs::remove_file(&file).unwrap();
    }
}
