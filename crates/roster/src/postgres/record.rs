//! Records sweeps. Must never hold a scope's row while it does what it could have done before: replicas wait for each other
//! at that row.
//!
//! A list costs what its users cost to hash, once, before the database is asked. A list in which nothing is new is then
//! compared with the mirror, without a lock; only what must be written takes the row.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::try_join3;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::error::RosterError;
use crate::mirror::{Entry, Shelf};
use crate::postgres::faults::Fault;
use crate::postgres::link::Lent;
use crate::postgres::rows::{self, Found};
use crate::postgres::schema::{self, Isolation, Patience};
use crate::postgres::steps;
use crate::postgres::weigh::{Ordered, Weighed};
use crate::postgres::{Mirrored, PostgresRoster};
use crate::shapes::{Changes, Scope, Sighting, Started, Sweep};
use crate::tally::ScopeState;

/// From this many users on, work on a list runs on a thread that may take its time.
const INLINE_MAX: usize = 500;

/// A sweep that is to be recorded.
struct Reading<'a> {
    scope: &'a Scope,
    started: Started,
    /// Both ends, where somebody else knows them.
    given: Option<Sweep>,
    list: &'a Arc<Ordered>,
}

impl Reading<'_> {
    /// The sweep, if it ended now. One without a start ends before it began, so that no absence counts.
    fn ended(&self, now: u64) -> Sweep {
        let started = self.started.0.unwrap_or(u64::MAX);
        self.given.unwrap_or(Sweep { started, ended: now })
    }

    /// Whether comparing it, or reading as many users, takes so long that nobody should wait for it.
    fn is_long(&self) -> bool {
        self.list.len() > INLINE_MAX
    }
}

impl PostgresRoster {
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
        let (roster, scope) = (self.clone(), scope.clone());
        let recording = tokio::spawn(async move {
            let _held = turn;
            roster.ordered(&scope, started, None, sightings).await
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
        self.ordered(scope, Started(None), Some(sweep), sightings).await
    }

    async fn ordered(
        &self,
        scope: &Scope,
        started: Started,
        given: Option<Sweep>,
        sightings: Vec<Sighting>,
    ) -> Result<Changes, RosterError> {
        let (is_long, prints) =
            (sightings.len() > INLINE_MAX, Arc::clone(&self.inner.fingerprints));
        let order = move || Arc::new(Ordered::of(sightings, &prints));
        let list = match is_long {
            true => spawn_blocking(order).await.map_err(|_| RosterError::Interrupted)?,
            false => order(),
        };
        let reading = || Reading { scope, started, given, list: &list };
        let recorded = self.twice(|| self.recorded(reading())).await;
        if is_long {
            // Freeing it takes as long as comparing it, and nobody has to wait for that.
            drop(spawn_blocking(move || drop(list)));
        }
        recorded
    }

    /// Repeating it is safe even if the first try was committed: the sweep then began before the end of the last
    /// observation, which is itself, and counts no absence a second time.
    async fn recorded(&self, reading: Reading<'_>) -> Result<Changes, Fault> {
        let lent = self.lent().await?;
        let mut is_last = !reading.is_long();
        let changes = loop {
            if let Some(changes) = self.nothing_new(&lent, &reading).await? {
                break changes;
            }
            let written = self.written(&lent, &reading, is_last);
            if let Some(changes) = self.inner.link.transaction(written).await? {
                break changes;
            }
            is_last = true;
        };
        lent.done();
        Ok(changes)
    }

    /// What a sweep changed that has nothing new and follows another one within `record_every`: nothing, and no row is
    /// locked. Nothing at all, if it must be recorded. In any case the users of a long list are mirrored now.
    async fn nothing_new(
        &self,
        lent: &Lent,
        reading: &Reading<'_>,
    ) -> Result<Option<Changes>, Fault> {
        let may_skip = reading.given.is_none() && self.inner.record_every != 0;
        if !may_skip && !reading.is_long() {
            return Ok(None);
        }
        let found = self.inner.link.quick(rows::scope(lent, reading.scope, false)).await?;
        let Some(found) = found else { return Ok(None) };
        let is_near = |last: u64| found.now.abs_diff(last) < self.inner.record_every;
        let is_recent = may_skip && found.state.last_ended.is_some_and(is_near);
        if !is_recent && !reading.is_long() {
            return Ok(None);
        }
        let mirrored = self.mirrored(reading.scope, &found.version);
        let (found, entries) = match mirrored {
            Some(entries) => (found, entries),
            None => match self.inner.link.transaction(self.read_anew(lent, reading.scope)).await? {
                Some(read) => read,
                None => return Ok(None),
            },
        };
        if !is_recent {
            return Ok(None);
        }
        let weighed = self.weighed(entries, found.state, reading.ended(found.now), reading).await?;
        let changes = Changes { counted: false, ..weighed.changes };
        Ok(weighed.is_quiet(found.state).then_some(changes))
    }

    /// A scope and its users in one state, while others may write. They are mirrored.
    async fn read_anew(
        &self,
        lent: &Lent,
        scope: &Scope,
    ) -> Result<Option<(Found, Arc<Vec<Entry>>)>, Fault> {
        let transaction = self.reading(lent, Patience::USUAL).await?;
        let client = transaction.client();
        let found = rows::scope(client, scope, false).await?;
        let read = match found {
            None => None,
            Some(found) => {
                let entries = self.entries(client, scope, &found).await?;
                self.mirror(scope, found.version.clone(), &entries);
                Some((found, entries))
            }
        };
        transaction.commit().await?;
        Ok(read)
    }

    /// Compares a sweep and writes what it changes, while the scope's row is held. Nothing, if another replica has
    /// changed users since they were mirrored: they are then read without the row, unless this is the last try.
    async fn written(
        &self,
        lent: &Lent,
        reading: &Reading<'_>,
        is_last: bool,
    ) -> Result<Option<Changes>, Fault> {
        let start = schema::start(lent, Isolation::Statement, Patience::USUAL);
        let transaction = self.inner.link.quick(start).await?;
        let client = transaction.client();
        // Its time is that of the beginning of the transaction, before any wait for another replica.
        let (found, is_new) = rows::held_scope(client, reading.scope).await?;
        let entries = match self.mirrored(reading.scope, &found.version) {
            Some(entries) => entries,
            None if is_new => Arc::default(),
            None if !is_last => {
                transaction.undo().await?;
                return Ok(None);
            }
            None => self.entries(client, reading.scope, &found).await?,
        };
        let weighed = self.weighed(entries, found.state, reading.ended(found.now), reading).await?;
        let (row, step) = (found.row, weighed.has_rows().then(|| weighed.step()));
        let version = match step.is_some() || weighed.state != found.state {
            true => {
                // Sent together, so that the row is held for one answer and not for three.
                let users = rows::write_users(client, row, &weighed.users);
                let marks = rows::write_marks(client, row, &weighed.marks);
                let state = rows::write_state(client, row, weighed.state, step);
                // They are polled in this order, so the first failure is told and not what follows from it.
                try_join3(users, marks, state).await?.2
            }
            false => found.version,
        };
        transaction.commit().await?;
        self.mirror(reading.scope, version, &Arc::new(weighed.entries));
        Ok(Some(weighed.changes))
    }

    async fn weighed(
        &self,
        entries: Arc<Vec<Entry>>,
        state: ScopeState,
        sweep: Sweep,
        reading: &Reading<'_>,
    ) -> Result<Weighed, Fault> {
        if entries.len().max(reading.list.len()) <= INLINE_MAX {
            return Ok(Weighed::of(&entries, state, sweep, reading.list));
        }
        let list = Arc::clone(reading.list);
        let weighed = spawn_blocking(move || Weighed::of(&entries, state, sweep, &list)).await;
        weighed.map_err(|_| RosterError::Interrupted.into())
    }

    fn mirrors(&self) -> MutexGuard<'_, Shelf<Mirrored>> {
        // Whole values are put in, so it is good after any panic.
        self.inner.mirrors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mirrored(&self, scope: &Scope, version: &str) -> Option<Arc<Vec<Entry>>> {
        let mirrors = self.mirrors();
        let mirrored = mirrors.get(scope).filter(|mirrored| mirrored.version == version)?;
        Some(Arc::clone(&mirrored.entries))
    }

    fn mirror(&self, scope: &Scope, version: String, entries: &Arc<Vec<Entry>>) {
        let mirrored = Mirrored { version, entries: Arc::clone(entries) };
        self.mirrors().put(scope, entries.len(), mirrored);
    }

    /// The users of a scope that others have changed since they were mirrored, or that were never mirrored. The
    /// transaction must see one state of the scope, or hold it.
    async fn entries(
        &self,
        client: &Client,
        scope: &Scope,
        found: &Found,
    ) -> Result<Arc<Vec<Entry>>, Fault> {
        let prints = &self.inner.fingerprints;
        let mirrored = self.mirrors().get(scope).cloned();
        let changed = match &mirrored {
            Some(mirrored) => rows::changed_since(client, found.row, &mirrored.version).await?,
            None => None,
        };
        Ok(Arc::new(match (mirrored, changed) {
            (Some(mirrored), Some(ids)) => {
                let changed = rows::entries(client, found.row, Some(&ids), prints).await?;
                steps::applied(&mirrored.entries, &changed)
            }
            _ => rows::entries(client, found.row, None, prints).await?,
        }))
    }
}
