//! Whole answers of one caller, kept for as long as the configuration says, and the readings under
//! way. Never shared between callers: what one sees another may not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::plan::{GroupName, UserFilter};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;
use tracing::Instrument;

use crate::call::Whole;
use crate::error::Error;

/// What makes two requests of a caller equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) endpoint: &'static str,
    pub(crate) filter: UserFilter<GroupName>,
}

/// How long answers are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freshness {
    /// Younger, an answer is given without asking the upstream.
    pub(crate) fresh_for: Duration,
    /// For so much longer it is given where the upstream fails.
    pub(crate) stale_if_error: Duration,
}

impl Freshness {
    fn kept_for(self) -> Duration {
        if self.fresh_for.is_zero() && self.stale_if_error.is_zero() {
            return Duration::ZERO;
        }
        self.fresh_for.saturating_add(self.stale_if_error)
    }
}

/// An answer and how it was come by.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) whole: Arc<Whole>,
    pub(crate) source: Source,
    pub(crate) age: Duration,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Read for this request.
    Read,
    /// Read for another request that was under way.
    Shared,
    /// Kept and fresh.
    Kept,
    /// Kept, not fresh any more, and given because the upstream failed.
    Stale,
}

impl Source {
    /// The word in headers, metrics and explanations.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Source::Read => "read",
            Source::Shared => "shared",
            Source::Kept => "hit",
            Source::Stale => "stale",
        }
    }
}

type Reading = Shared<BoxFuture<'static, Result<Arc<Whole>, Error>>>;

#[derive(Debug)]
struct Entry {
    whole: Arc<Whole>,
    at: Instant,
}

/// See the module.
pub(crate) struct Answers {
    freshness: Freshness,
    kept: moka::sync::Cache<Question, Arc<Entry>>,
    readings: Mutex<Readings>,
}

#[derive(Default)]
struct Readings {
    under_way: HashMap<Question, Reading>,
    /// Counts up when everything is forgotten: a reading that began before is not kept.
    generation: u64,
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

/// What an answer costs beside its bytes.
const ENTRY_BYTES: usize = 512;

impl Answers {
    /// An empty store of so many bytes.
    pub(crate) fn new(freshness: Freshness, bytes_max: u64) -> Arc<Self> {
        let weigh = |_: &Question, entry: &Arc<Entry>| {
            u32::try_from(entry.whole.bytes.len() + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        let kept = moka::sync::Cache::builder()
            .max_capacity(bytes_max)
            .weigher(weigh)
            .time_to_live(freshness.kept_for().max(Duration::from_millis(1)))
            .build();
        Arc::new(Answers { freshness, kept, readings: Mutex::default() })
    }

    /// The answer: kept, under way, or read now by `read`, which runs in a task of its own, so that
    /// no client's leaving can cancel it.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        question: Question,
        read: impl FnOnce() -> F,
    ) -> Result<Given, Error>
    where
        F: Future<Output = Result<Whole, Error>> + Send + 'static,
    {
        let kept = self.kept.get(&question);
        if let Some(entry) = &kept
            && entry.at.elapsed() < self.freshness.fresh_for
        {
            return Ok(given(entry, Source::Kept));
        }
        let (reading, source) = {
            let mut readings = self.readings();
            match readings.under_way.get(&question) {
                Some(reading) => (reading.clone(), Source::Shared),
                None => {
                    let reading = self.start(question.clone(), readings.generation, read());
                    readings.under_way.insert(question, reading.clone());
                    (reading, Source::Read)
                }
            }
        };
        match (reading.await, kept) {
            (Ok(whole), _) => Ok(Given { whole, source, age: Duration::ZERO }),
            (Err(error), Some(entry)) if error.is_upstreams() && self.is_usable(&entry) => {
                Ok(given(&entry, Source::Stale))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn is_usable(&self, entry: &Entry) -> bool {
        !self.freshness.stale_if_error.is_zero() && entry.at.elapsed() < self.freshness.kept_for()
    }

    /// Forgets everything, and what is being read too: the upstream refused this caller.
    pub(crate) fn forget(&self) {
        self.kept.invalidate_all();
        self.readings().generation += 1;
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        // Plain data, valid after any panic.
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start<F>(self: &Arc<Self>, question: Question, generation: u64, read: F) -> Reading
    where
        F: Future<Output = Result<Whole, Error>> + Send + 'static,
    {
        let answers = Arc::clone(self);
        let task = tokio::spawn(
            async move {
                let under_way = UnderWay { answers: &answers, question: &question };
                let whole = Arc::new(read.await?);
                let keeps = !answers.freshness.kept_for().is_zero();
                if keeps && answers.readings().generation == generation {
                    let entry = Entry { whole: Arc::clone(&whole), at: Instant::now() };
                    answers.kept.insert(question.clone(), Arc::new(entry));
                    // What is too much goes now, not when somebody next asks.
                    answers.kept.run_pending_tasks();
                }
                drop(under_way);
                Ok(whole)
            }
            .in_current_span(),
        );
        // A task that panicked was logged where it did.
        async move { task.await.unwrap_or(Err(Error::Internal)) }.boxed().shared()
    }
}

fn given(entry: &Entry, source: Source) -> Given {
    Given { whole: Arc::clone(&entry.whole), source, age: entry.at.elapsed() }
}

/// Ends a reading, however it ended.
struct UnderWay<'a> {
    answers: &'a Answers,
    question: &'a Question,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.answers.readings().under_way.remove(self.question);
    }
}
