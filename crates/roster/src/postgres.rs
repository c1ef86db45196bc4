//! A roster in a PostgreSQL database that replicas share. Must never tell a part of the users as all of them, and never
//! go by a clock of its own.
//!
//! A sweep is recorded in one transaction that holds the scope's row, so that replicas take turns and each tallies
//! what the others have recorded. Users of a scope are mirrored in memory; the scope's *version*, which changes
//! whenever rows of users do, tells whether the mirror is still good.

pub(crate) mod examine;
#[cfg(test)]
mod fake;
mod faults;
mod link;
mod rows;
mod schema;
pub(crate) mod setup;
mod spelling;
#[cfg(test)]
mod tests;
mod tls;
mod turns;
mod weigh;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio::time::{Instant, timeout};
use tokio_postgres::IsolationLevel;

use crate::error::RosterError;
use crate::mirror::{Entry, Fingerprints};
use crate::postgres::faults::Fault;
use crate::postgres::link::{Lent, Link};
use crate::postgres::schema::Patience;
use crate::postgres::setup::{BadPostgres, PostgresSetup};
use crate::postgres::turns::Turns;
use crate::postgres::weigh::{Users, Weighed};
use crate::shapes::{Changes, Counts, Former, ImportCounts, Scope, Sighting, Started, Sweep};
use crate::tally::ScopeState;
use crate::whole::WholeScope;

/// How long everything there is may take.
const LONG_MAX: Duration = Duration::from_secs(3600);
/// How long the numbers of all scopes are kept: counting reads all rows, and each replica is asked for metrics.
const TOTALS_FRESH_FOR: Duration = Duration::from_secs(60);
/// How long counting may take: somebody waits for the metrics.
const TOTALS_MAX: Duration = Duration::from_secs(5);
/// Users of all scopes kept in memory, as in a file's mirror.
const USERS_MAX: usize = 1_000_000;
/// From this many users on, a comparison runs on a thread that may take its time.
const INLINE_MAX: usize = 500;
/// Rows that one statement writes when a whole roster is moved.
const ROWS_MAX: usize = 50_000;

/// An open roster in a database. Clones share it.
#[derive(Clone)]
pub struct PostgresRoster {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    /// In milliseconds.
    record_every: u64,
    /// Whether the tables were checked. Tables that are gone later are an error, not made again.
    is_prepared: AtomicBool,
    turns: Turns,
    fingerprints: Arc<Fingerprints>,
    mirrors: Mutex<HashMap<Scope, Mirrored>>,
    totals: Mutex<Option<(Instant, Result<Counts, RosterError>)>>,
}

/// The users of a scope, ascending by id, as they are in one version of it.
struct Mirrored {
    version: String,
    entries: Arc<Vec<Entry>>,
}

/// A sweep that is to be recorded.
struct Reading<'a> {
    scope: &'a Scope,
    started: Started,
    /// Both ends, where somebody else knows them.
    given: Option<Sweep>,
    sightings: &'a Arc<Vec<Sighting>>,
}

impl Reading<'_> {
    /// The sweep, if it ended now. One without a start ends before it began, so that no absence counts.
    fn ended(&self, now: u64) -> Sweep {
        let started = self.started.0.unwrap_or(u64::MAX);
        self.given.unwrap_or(Sweep { started, ended: now })
    }
}

impl PostgresRoster {
    /// Connects nothing yet.
    pub(crate) fn new(setup: &PostgresSetup) -> Result<Self, BadPostgres> {
        let inner = Inner {
            link: Link::new(setup)?,
            record_every: u64::try_from(setup.record_every.as_millis()).unwrap_or(u64::MAX),
            is_prepared: AtomicBool::new(false),
            turns: Turns::default(),
            fingerprints: Arc::default(),
            mirrors: Mutex::default(),
            totals: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) async fn prepare(&self) -> Result<(), RosterError> {
        self.twice(|| async {
            self.lent().await?.done();
            Ok(())
        })
        .await
    }

    /// The database's time, if it tells it.
    pub(crate) async fn begin(&self) -> Started {
        let time = self.twice(|| async {
            let lent = self.lent().await?;
            let time = self.inner.link.quick(rows::time(&lent)).await?;
            lent.done();
            Ok(time)
        });
        Started(time.await.ok())
    }

    /// See [`crate::Roster::record`]; with a limit, [`crate::Roster::tell`].
    ///
    /// A task of its own does it, so that a request that ends first does not undo it. It ends by the limits of its
    /// transaction, or with the runtime: then the server undoes what was not committed.
    pub(crate) async fn record(
        &self,
        scope: &Scope,
        started: Started,
        sightings: Vec<Sighting>,
        limit: Option<Duration>,
    ) -> Result<Changes, RosterError> {
        self.inner.link.is_here()?;
        // Before any connection, so that one scope has no more than one of them.
        let turn = match limit {
            None => self.inner.turns.next(scope).await,
            Some(_) => match self.inner.turns.free(scope) {
                Some(turn) => turn,
                None => return Ok(Changes::default()),
            },
        };
        let (roster, scope, sightings) = (self.clone(), scope.clone(), Arc::new(sightings));
        let recording = tokio::spawn(async move {
            let _held = turn;
            let (scope, sightings) = (&scope, &sightings);
            let reading = || Reading { scope, started, given: None, sightings };
            roster.twice(|| roster.recorded(reading())).await
        });
        let ended = async { recording.await.unwrap_or(Err(RosterError::Interrupted)) };
        match limit {
            None => ended.await,
            Some(limit) => timeout(limit, ended).await.unwrap_or(Err(RosterError::Slow)),
        }
    }

    /// Records a sweep whose two ends are known, as a file does. For checks that compare the two.
    ///
    /// # Errors
    ///
    /// As [`crate::Roster::record`].
    #[doc(hidden)]
    pub async fn record_as(
        &self,
        scope: &Scope,
        sweep: Sweep,
        sightings: Vec<Sighting>,
    ) -> Result<Changes, RosterError> {
        let (started, given, sightings) = (Started(None), Some(sweep), &Arc::new(sightings));
        self.twice(|| self.recorded(Reading { scope, started, given, sightings })).await
    }

    /// Repeating it is safe even if the first try was committed: the sweep then began before the end of the last
    /// observation, which is itself, and counts no absence a second time.
    async fn recorded(&self, reading: Reading<'_>) -> Result<Changes, Fault> {
        let mut lent = self.lent().await?;
        let changes = match self.nothing_new(&lent, &reading).await? {
            Some(changes) => changes,
            None => self.inner.link.transaction(self.written(&mut lent, &reading)).await?,
        };
        lent.done();
        Ok(changes)
    }

    /// What a sweep changed that has nothing new and follows another one within `record_every`: nothing, and no row is
    /// locked. Nothing at all, if it must be recorded.
    async fn nothing_new(
        &self,
        lent: &Lent,
        reading: &Reading<'_>,
    ) -> Result<Option<Changes>, Fault> {
        if reading.given.is_some() || self.inner.record_every == 0 {
            return Ok(None);
        }
        let found = self.inner.link.quick(rows::scope(lent, reading.scope, false)).await?;
        let Some(found) = found else { return Ok(None) };
        let is_recent = |last: u64| found.now.abs_diff(last) < self.inner.record_every;
        if !found.state.last_ended.is_some_and(is_recent) {
            return Ok(None);
        }
        let Some(entries) = self.mirrored(reading.scope, &found.version) else { return Ok(None) };
        let weighed = self.weighed(entries, found.state, reading.ended(found.now), reading).await?;
        let changes = Changes { counted: false, ..weighed.changes };
        Ok(weighed.is_quiet(found.state).then_some(changes))
    }

    async fn written(&self, lent: &mut Lent, reading: &Reading<'_>) -> Result<Changes, Fault> {
        let start = schema::start(lent, IsolationLevel::ReadCommitted, Patience::USUAL);
        let transaction = self.inner.link.quick(start).await?;
        let client = transaction.client();
        // Its time is that of the beginning of the transaction, before any wait for another replica.
        let (found, is_new) = rows::held_scope(client, reading.scope).await?;
        let entries = match self.mirrored(reading.scope, &found.version) {
            Some(entries) => entries,
            None if is_new => Arc::default(),
            None => Arc::new(rows::entries(client, found.row, &self.inner.fingerprints).await?),
        };
        let weighed = self.weighed(entries, found.state, reading.ended(found.now), reading).await?;
        rows::write_users(client, found.row, &weighed.users).await?;
        rows::write_marks(client, found.row, &weighed.marks).await?;
        let version = match weighed.has_rows() || weighed.state != found.state {
            true => rows::write_state(client, found.row, weighed.state, weighed.has_rows()).await?,
            false => found.version,
        };
        transaction.commit().await?;
        self.mirror(reading.scope, version, weighed.entries);
        Ok(weighed.changes)
    }

    async fn weighed(
        &self,
        entries: Arc<Vec<Entry>>,
        state: ScopeState,
        sweep: Sweep,
        reading: &Reading<'_>,
    ) -> Result<Weighed, Fault> {
        let (sightings, prints) = (reading.sightings, &self.inner.fingerprints);
        if entries.len().max(sightings.len()) <= INLINE_MAX {
            return Ok(Weighed::of(&entries, state, sweep, sightings, prints));
        }
        let (sightings, prints) = (Arc::clone(sightings), Arc::clone(prints));
        let weigh = move || Weighed::of(&entries, state, sweep, &sightings, &prints);
        let weighed = tokio::task::spawn_blocking(weigh).await;
        weighed.map_err(|_| RosterError::Interrupted.into())
    }

    pub(crate) async fn import(
        &self,
        scope: &Scope,
        rows: &[(u64, Option<String>)],
    ) -> Result<ImportCounts, RosterError> {
        let rows: &BTreeMap<u64, &Option<String>> =
            &rows.iter().map(|(id, name)| (*id, name)).collect();
        let imported = || async {
            let mut lent = self.lent().await?;
            let transaction =
                schema::start(&mut lent, IsolationLevel::ReadCommitted, Patience::USUAL).await?;
            let client = transaction.client();
            let (found, _) = rows::held_scope(client, scope).await?;
            let before = rows::imported(client, found.row).await?;
            let before: BTreeMap<u64, Option<String>> = before.into_iter().collect();
            let mut counts = ImportCounts::default();
            let changed = rows.iter().filter(|(id, name)| {
                let count = match before.get(id) {
                    None => &mut counts.added,
                    Some(known) if known != **name => &mut counts.updated,
                    Some(_) => &mut counts.unchanged,
                };
                *count += 1;
                before.get(id) != Some(**name)
            });
            let changed: Vec<_> = changed.map(|(id, name)| (*id, *name)).collect();
            rows::write_imported(client, found.row, changed.into_iter()).await?;
            transaction.commit().await?;
            lent.done();
            Ok(counts)
        };
        self.twice(|| self.inner.link.transaction(imported())).await
    }

    pub(crate) async fn former(&self, scope: &Scope) -> Result<Vec<Former>, RosterError> {
        let former = || async {
            let mut lent = self.lent().await?;
            let transaction = self.reading(&mut lent, Patience::USUAL).await?;
            let client = transaction.client();
            let former = match rows::scope(client, scope, false).await? {
                Some(found) => rows::former(client, found.row).await?,
                None => Vec::new(),
            };
            transaction.commit().await?;
            lent.done();
            Ok(former)
        };
        self.twice(|| self.inner.link.transaction(former())).await
    }

    pub(crate) async fn counts(&self, scope: &Scope) -> Result<Counts, RosterError> {
        let counts = || async {
            let mut lent = self.lent().await?;
            let transaction = self.reading(&mut lent, Patience::USUAL).await?;
            let client = transaction.client();
            let counts = match rows::scope(client, scope, false).await? {
                Some(found) => Counts {
                    last_sweep_ended: found.state.last_ended,
                    ..rows::counts(client, Some(found.row)).await?
                },
                None => Counts::default(),
            };
            transaction.commit().await?;
            lent.done();
            Ok(counts)
        };
        self.twice(|| self.inner.link.transaction(counts())).await
    }

    pub(crate) async fn totals(&self) -> Result<Counts, RosterError> {
        let kept = *self.inner.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, counts)) = kept
            && since.elapsed() < TOTALS_FRESH_FOR
        {
            return counts;
        }
        let counts = || async {
            let mut lent = self.lent().await?;
            let transaction = self.reading(&mut lent, Patience::USUAL).await?;
            let counts = rows::counts(transaction.client(), None).await?;
            transaction.commit().await?;
            lent.done();
            Ok(counts)
        };
        let counts = self.twice(|| within(TOTALS_MAX, counts())).await;
        // A database in which counting takes too long is not asked again for each look at the metrics.
        if matches!(counts, Ok(_) | Err(RosterError::Slow)) {
            let now = Some((Instant::now(), counts));
            *self.inner.totals.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
        counts
    }

    pub(crate) async fn scopes(&self) -> Result<Vec<Scope>, RosterError> {
        let scopes = || async {
            let mut lent = self.lent().await?;
            let transaction = self.reading(&mut lent, Patience::USUAL).await?;
            let scopes = rows::scopes(transaction.client()).await?;
            transaction.commit().await?;
            lent.done();
            Ok(scopes)
        };
        self.twice(|| self.inner.link.transaction(scopes())).await
    }

    pub(crate) async fn whole(&self) -> Result<Vec<WholeScope>, RosterError> {
        let whole = || async {
            let mut lent = self.lent().await?;
            let transaction = self.reading(&mut lent, Patience::LONG).await?;
            let client = transaction.client();
            let mut all = Vec::new();
            for scope in rows::scopes(client).await? {
                all.extend(rows::whole(client, &scope).await?);
            }
            transaction.commit().await?;
            lent.done();
            Ok(all)
        };
        self.twice(|| within(LONG_MAX, whole())).await
    }

    /// The same of one scope, for checks.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    #[doc(hidden)]
    pub async fn whole_of(&self, scope: &Scope) -> Result<Option<WholeScope>, RosterError> {
        let whole = || async {
            let mut lent = self.lent().await?;
            let transaction = self.reading(&mut lent, Patience::USUAL).await?;
            let whole = rows::whole(transaction.client(), scope).await?;
            transaction.commit().await?;
            lent.done();
            Ok(whole)
        };
        self.twice(|| self.inner.link.transaction(whole())).await
    }

    pub(crate) async fn fill(&self, all: &[WholeScope]) -> Result<(), RosterError> {
        let filled = async {
            let mut lent = self.lent().await?;
            let start = schema::start(&mut lent, IsolationLevel::ReadCommitted, Patience::LONG);
            let transaction = self.inner.link.quick(start).await?;
            let client = transaction.client();
            rows::hold_all(client).await?;
            if !rows::scopes(client).await?.is_empty() {
                return Err(RosterError::NotEmpty.into());
            }
            for WholeScope { scope, state, users, imported } in all {
                let (found, _) = rows::held_scope(client, scope).await?;
                for part in users.chunks(ROWS_MAX) {
                    let mut rows = Users::default();
                    part.iter().for_each(|(user, marks)| rows.push(user, *marks));
                    rows::write_users(client, found.row, &rows).await?;
                }
                let imported = imported.iter().map(|(id, name)| (*id, name));
                rows::write_imported(client, found.row, imported).await?;
                rows::write_state(client, found.row, *state, true).await?;
            }
            transaction.commit().await?;
            lent.done();
            Ok(())
        };
        within(LONG_MAX, filled).await.map_err(|fault| fault.error)
    }

    /// A transaction that sees one state of everything.
    async fn reading<'a>(
        &self,
        lent: &'a mut Lent,
        patience: Patience,
    ) -> Result<Transaction<'a>, Fault> {
        let start = schema::start(lent, IsolationLevel::RepeatableRead, patience);
        let transaction = self.inner.link.quick(start).await?;
        rows::take_writes(transaction.client()).await?;
        Ok(transaction)
    }

    /// A connection to a database whose tables were checked once.
    async fn lent(&self) -> Result<Lent, Fault> {
        let mut lent = self.inner.link.connection().await?;
        if !self.inner.is_prepared.load(Ordering::Acquire) {
            self.inner.link.transaction(schema::prepare(&mut lent)).await?;
            self.inner.is_prepared.store(true, Ordering::Release);
        }
        Ok(lent)
    }

    /// Makes a call, and once more if the connection it used was no good: a database that was restarted or failed over
    /// costs no request.
    async fn twice<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        call: impl Fn() -> F,
    ) -> Result<T, RosterError> {
        let first = call().await;
        let done = match first {
            Err(Fault { is_of_connection: true, .. }) => {
                self.inner.link.drop_connections();
                call().await
            }
            done => done,
        };
        done.map_err(|fault| fault.error)
    }

    fn mirrors(&self) -> MutexGuard<'_, HashMap<Scope, Mirrored>> {
        // Whole values are put in, so it is good after any panic.
        self.inner.mirrors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mirrored(&self, scope: &Scope, version: &str) -> Option<Arc<Vec<Entry>>> {
        let mirrors = self.mirrors();
        let mirrored = mirrors.get(scope).filter(|mirrored| mirrored.version == version)?;
        Some(Arc::clone(&mirrored.entries))
    }

    fn mirror(&self, scope: &Scope, version: String, entries: Vec<Entry>) {
        let mut mirrors = self.mirrors();
        mirrors.remove(scope);
        let others: usize = mirrors.values().map(|mirrored| mirrored.entries.len()).sum();
        if others + entries.len() > USERS_MAX {
            mirrors.clear();
        }
        let entries = Arc::new(entries);
        mirrors.insert(scope.clone(), Mirrored { version, entries });
    }
}

impl fmt::Debug for PostgresRoster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresRoster").finish_non_exhaustive()
    }
}

/// Gives a call up after so long.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    timeout(limit, call).await.unwrap_or_else(|_| Err(RosterError::Slow.into()))
}
