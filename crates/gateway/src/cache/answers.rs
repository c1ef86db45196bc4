//! Whole answers of one caller, kept for as long as the configuration says, and the readings under
//! way. Never shared between callers: what one sees another may not.

use std::collections::{HashMap, hash_map};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::plan::{GroupName, Plan, UserFilter};
use domain::slice::Slice;
use futures_util::future::select;
use limits::{Lead, Reading, reading, whose};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::whole::Whole;
use crate::error::Error;
use crate::observe::account::Source;
use crate::request::coding;

/// What makes two requests of a caller equal. A clone is one pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question(Arc<Words>);

#[derive(Debug, PartialEq, Eq)]
struct Words {
    /// Of all the rest, with a key of the process's own; found once, since a question is looked up often.
    hash: u64,
    endpoint: &'static str,
    filter: UserFilter<GroupName>,
    slice: Option<Slice>,
    /// How long its answer is used, where that is a setting of the endpoint.
    fresh_for: Option<Duration>,
}

impl Question {
    pub(crate) fn new(
        endpoint: &'static str,
        plan: &Plan<GroupName>,
        fresh_for: Option<Duration>,
    ) -> Self {
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let (filter, slice) = (plan.filter.clone(), plan.slice);
        let hash = KEY.hash_one((endpoint, &filter));
        Question(Arc::new(Words { hash, endpoint, filter, slice, fresh_for }))
    }
}

impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

/// How long answers are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freshness {
    /// Younger, an answer is given without asking the upstream.
    pub(crate) fresh_for: Duration,
    /// For so much longer it is given where the upstream fails.
    pub(crate) stale_if_error: Duration,
    /// Younger, it is believed that no user fits a question that took a whole list.
    pub(crate) misses_fresh_for: Duration,
    /// The longest that an endpoint has its own answers used.
    pub(crate) own_fresh_for_max: Duration,
}

impl Freshness {
    fn kept_for(self) -> Duration {
        if self.fresh_for.is_zero() && self.stale_if_error.is_zero() {
            return Duration::ZERO;
        }
        self.fresh_for.saturating_add(self.stale_if_error)
    }

    /// That of a question, whose endpoint may have one of its own. What is asked for by the second is of no use when
    /// it is old, so that such an answer covers no failure.
    fn of(self, question: &Question) -> Self {
        match question.0.fresh_for {
            Some(fresh_for) => Freshness { fresh_for, stale_if_error: Duration::ZERO, ..self },
            None => self,
        }
    }

    /// What of this share the answers have: all where every endpoint's are kept.
    pub(crate) fn room(self, share: u64) -> u64 {
        match (self.kept_for().is_zero(), self.own_fresh_for_max.is_zero()) {
            (false, _) => share,
            (true, false) => share.min(OWN_BYTES_MAX),
            (true, true) => share.min(MISSES_BYTES_MAX),
        }
    }

    fn is_fresh(self, entry: &Entry) -> bool {
        let age = entry.at.elapsed();
        age < self.fresh_for || (entry.is_miss && age < self.misses_fresh_for)
    }

    /// Whether it may be given where the upstream fails.
    fn is_usable(self, entry: &Entry) -> bool {
        !self.stale_if_error.is_zero() && entry.at.elapsed() < self.kept_for()
    }
}

/// An answer and how it was come by.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) whole: Arc<Whole>,
    pub(crate) source: Source,
    pub(crate) age: Duration,
}

type Wholes = Reading<Whole, Error>;

#[derive(Debug)]
struct Entry {
    whole: Arc<Whole>,
    at: Instant,
    /// Whether no user fits the question, which took more than one page to find out.
    is_miss: bool,
}

/// See the module.
pub(crate) struct Answers {
    freshness: Freshness,
    kept: moka::sync::Cache<Question, Arc<Entry>>,
    readings: Mutex<Readings>,
    /// For readings under way.
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Readings {
    /// Each with a number of its own: one that ends late must not end another in its place.
    under_way: HashMap<Question, (u64, Wholes)>,
    begun: u64,
    /// Counts up when everything is forgotten: a reading that began before is not kept, and nothing
    /// that was kept before is given.
    generation: u64,
    /// When a kept answer was last passed over because a client would not have it.
    passed_over: Option<Instant>,
}

/// A client that will not have kept answers is heard no more often, so that it cannot switch them off.
const PASSED_OVER_EVERY: Duration = Duration::from_secs(1);

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers")
    }
}

/// Where no answers are kept, it is believed of so many questions that no user fits them: about a thousand.
const MISSES_BYTES_MAX: u64 = 1 << 20;

/// Where only endpoints with a freshness of their own have their answers kept: room for the status of 10,000 agents
/// with long e-mails, in every coding.
const OWN_BYTES_MAX: u64 = 8 << 20;

/// What an answer costs beside its bytes.
const ENTRY_BYTES: usize = 512;

impl Answers {
    /// An empty store of so many bytes, of answers that are also kept in so many codings; so many
    /// readings may be under way at once, those included that nobody waits for any more.
    pub(crate) fn new(
        freshness: Freshness,
        bytes_max: u64,
        codings: usize,
        readings_max: usize,
    ) -> Arc<Self> {
        let weigh = move |question: &Question, entry: &Arc<Entry>| {
            let plain = entry.whole.bytes.len();
            let bytes = plain + coding::bytes_max(plain, codings);
            u32::try_from(bytes + question.0.filter.bytes() + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        let kept = moka::sync::Cache::builder()
            .max_capacity(freshness.room(bytes_max))
            .weigher(weigh)
            .time_to_live(
                freshness
                    .kept_for()
                    .max(freshness.misses_fresh_for)
                    .max(freshness.own_fresh_for_max)
                    .max(Duration::from_millis(1)),
            )
            .build();
        let places = Arc::new(Semaphore::new(readings_max));
        Arc::new(Answers { freshness, kept, readings: Mutex::default(), places })
    }

    /// The answer: a kept one, one under way, or one that `read` reads now. A reading goes on when
    /// clients leave. With `wants_fresh` no kept answer is given.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        question: Question,
        wants_fresh: bool,
        read: impl FnOnce() -> F,
    ) -> Result<Given, Error>
    where
        F: Future<Output = Result<Whole, Error>> + Send + 'static,
    {
        let freshness = self.freshness.of(&question);
        let is_kept = !freshness.kept_for().is_zero();
        let is_empty = self.freshness.kept_for().is_zero() && self.kept.entry_count() == 0;
        let kept = if is_empty { None } else { self.kept.get(&question) };
        if let Some(entry) = &kept
            && freshness.is_fresh(entry)
            && !(wants_fresh && self.passes_over())
        {
            return Ok(given(entry, Source::Kept));
        }
        let (lead, result, source, generation) = {
            let mut readings = self.readings();
            let generation = readings.generation;
            match readings.under_way.get(&question) {
                Some((_, result)) => (None, result.clone(), Source::Shared, generation),
                None => {
                    // Who leaves gives the place of its request back, and its reading goes on.
                    let place = Arc::clone(&self.places).try_acquire_owned();
                    let place = place.map_err(|_| Error::TenantLimit)?;
                    readings.begun += 1;
                    let number = readings.begun;
                    let ids = (number, generation);
                    let (lead, result) = self.start(question.clone(), ids, place, read());
                    readings.under_way.insert(question, (number, result.clone()));
                    (Some((lead, number)), result, Source::Read, generation)
                }
            }
        };
        let answer = match lead {
            Some((lead, number)) => {
                Leading { lead: Some(lead), answers: self, number, is_kept }.take_further().await
            }
            None => result.wait().await,
        };
        match (answer, kept) {
            (Ok(whole), _) if whole.is_from_elsewhere => {
                // Those who share it here as well have what was read a while ago.
                let age = whole.since.elapsed();
                let source = if source == Source::Read { Source::Replica } else { source };
                Ok(Given { whole, source, age })
            }
            (Ok(whole), _) => Ok(Given { whole, source, age: Duration::ZERO }),
            (Err(error), Some(entry))
                if error.may_be_covered()
                    && freshness.is_usable(&entry)
                    && self.readings().generation == generation =>
            {
                tracing::warn!(err = error.slug(), "stale_on_error");
                Ok(given(&entry, Source::Stale))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Whether a kept answer may be passed over now.
    fn passes_over(&self) -> bool {
        let mut readings = self.readings();
        let now = Instant::now();
        let is_heard =
            readings.passed_over.is_none_or(|then| now.duration_since(then) >= PASSED_OVER_EVERY);
        if is_heard {
            readings.passed_over = Some(now);
        }
        is_heard
    }

    /// Forgets everything, and what is being read too: the upstream refused this caller.
    pub(crate) fn forget(&self) {
        let forgotten = {
            let mut readings = self.readings();
            readings.generation += 1;
            self.kept.invalidate_all();
            std::mem::take(&mut readings.under_way)
        };
        // The end of a reading asks for the lock.
        drop(forgotten);
    }

    /// Drops what is kept, for its memory. What is being read is still shared.
    pub(crate) fn drop_kept(&self) {
        self.kept.invalidate_all();
        // It would otherwise be dropped when somebody next asks, and nobody may be let in.
        self.kept.run_pending_tasks();
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        // Plain data, valid after any panic.
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start<F>(
        self: &Arc<Self>,
        question: Question,
        (number, generation): (u64, u64),
        place: OwnedSemaphorePermit,
        read: F,
    ) -> (Lead<Whole, Error>, Wholes)
    where
        F: Future<Output = Result<Whole, Error>> + Send + 'static,
    {
        let answers = Arc::clone(self);
        reading(async move {
            let _place = place;
            let under_way = UnderWay { answers: &answers, question: &question, number };
            let whole = Arc::new(read.await?);
            let is_miss =
                whole.rows == 0 && whole.story.pages > 1 && !question.0.filter.is_everyone();
            if !answers.freshness.of(&question).kept_for().is_zero() || is_miss {
                answers.keep(&question, generation, &whole, is_miss);
            }
            drop(under_way);
            Ok(whole)
        })
    }
}

impl Answers {
    fn keep(&self, question: &Question, generation: u64, whole: &Arc<Whole>, is_miss: bool) {
        // A user may be made at any time after the first page was asked for.
        let is_old = is_miss || whole.is_from_elsewhere;
        let at = if is_old { whole.since } else { Instant::now() };
        let entry = Entry { whole: Arc::clone(whole), at, is_miss };
        // Held until it is in, so that nothing is forgotten in between.
        let readings = self.readings();
        if readings.generation == generation {
            self.kept.insert(question.clone(), Arc::new(entry));
        }
        drop(readings);
        // What is too much goes now, not when somebody next asks.
        self.kept.run_pending_tasks();
    }
}

fn given(entry: &Entry, source: Source) -> Given {
    Given { whole: Arc::clone(&entry.whole), source, age: entry.at.elapsed() }
}

/// How often it is looked whether somebody waits for a reading whose first client has left. Where nobody
/// does at two looks, it ends, unless its answer is to be kept.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

/// The client that takes a reading further.
struct Leading<'a> {
    lead: Option<Lead<Whole, Error>>,
    answers: &'a Arc<Answers>,
    number: u64,
    /// Whether the answer is for those, too, who come later.
    is_kept: bool,
}

impl Leading<'_> {
    async fn take_further(mut self) -> Result<Arc<Whole>, Error> {
        let Some(lead) = &mut self.lead else { return Err(Error::Internal) };
        lead.take_further().await
    }
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        let Some(lead) = self.lead.take().filter(|_| !self.is_kept) else { return };
        // Without a runtime the process is about to end.
        if let (Some(work), Ok(runtime)) = (lead.into_work(), Handle::try_current()) {
            let (answers, number) = (Arc::clone(self.answers), self.number);
            let work = Box::pin(async move {
                select(work, pin!(answers.deserted(number))).await;
            });
            runtime.spawn(whose::of_the_same(work));
        }
    }
}

impl Answers {
    /// Waits until nobody waits for a reading any more; then nobody finds it either.
    async fn deserted(&self, number: u64) {
        let mut was_deserted = false;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let mut readings = self.readings();
            let mut under_way = readings.under_way.iter();
            // One that was forgotten has no place to be found in; those who wait still get it.
            let found = under_way.find(|(_, (of, _))| *of == number);
            let Some((question, (_, result))) = found else { continue };
            let is_deserted = result.waiting() == 0;
            if is_deserted && was_deserted {
                let question = question.clone();
                let ended = readings.under_way.remove(&question);
                drop(readings);
                return drop(ended);
            }
            was_deserted = is_deserted;
        }
    }
}

/// Ends a reading, however it ended.
struct UnderWay<'a> {
    answers: &'a Answers,
    question: &'a Question,
    number: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut readings = self.answers.readings();
        if let hash_map::Entry::Occupied(reading) = readings.under_way.entry(self.question.clone())
            && reading.get().0 == self.number
        {
            let ended = reading.remove();
            drop(readings);
            drop(ended);
        }
    }
}

#[cfg(test)]
mod tests;
