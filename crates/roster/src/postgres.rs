//! A roster in a PostgreSQL database that replicas share. Must never tell a part of the users as all of them, and never
//! go by a clock of its own.
//!
//! A sweep is recorded in one transaction that holds the scope's row, so that replicas take turns and each tallies
//! what the others have recorded. Users of a scope are mirrored in memory; the scope's *version*, which changes
//! whenever rows of users do, tells whether the mirror is still good. The scope's last *steps* tell which users it lacks.

mod addresses;
pub(crate) mod examine;
#[cfg(test)]
mod fake;
mod faults;
mod link;
mod record;
mod rows;
mod schema;
pub(crate) mod setup;
mod spelling;
mod steps;
#[cfg(test)]
mod tests;
mod tls;
mod turns;
mod weigh;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::error::RosterError;
use crate::mirror::{Entry, Fingerprints, Shelf};
use crate::postgres::faults::Fault;
use crate::postgres::link::{Lent, Link};
use crate::postgres::schema::{Isolation, Open, Patience};
use crate::postgres::setup::{BadPostgres, PostgresSetup};
use crate::postgres::steps::Step;
use crate::postgres::turns::Turns;
use crate::postgres::weigh::Users;
use crate::shapes::{Counts, Former, ImportCounts, Scope, Started};
use crate::whole::WholeScope;

/// How long everything there is may take.
const LONG_MAX: Duration = Duration::from_secs(3600);
/// How long the numbers of all scopes are kept: counting reads all rows, and each replica is asked for metrics.
const TOTALS_FRESH_FOR: Duration = Duration::from_secs(60);
/// How long counting may take: somebody waits for the metrics.
const TOTALS_MAX: Duration = Duration::from_secs(5);
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
    mirrors: Mutex<Shelf<Mirrored>>,
    totals: Mutex<Option<(Instant, Result<Counts, RosterError>)>>,
}

/// The users of a scope, ascending by id, as they are in one version of it.
#[derive(Clone)]
struct Mirrored {
    version: String,
    entries: Arc<Vec<Entry>>,
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

    pub(crate) async fn import(
        &self,
        scope: &Scope,
        rows: &[(u64, Option<String>)],
    ) -> Result<ImportCounts, RosterError> {
        let rows: &BTreeMap<u64, &Option<String>> =
            &rows.iter().map(|(id, name)| (*id, name)).collect();
        let imported = || async {
            let lent = self.lent().await?;
            let transaction = schema::start(&lent, Isolation::Statement, Patience::USUAL).await?;
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
            let lent = self.lent().await?;
            let transaction = self.reading(&lent, Patience::USUAL).await?;
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
            let lent = self.lent().await?;
            let transaction = self.reading(&lent, Patience::USUAL).await?;
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
            let lent = self.lent().await?;
            let transaction = self.reading(&lent, Patience::USUAL).await?;
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
            let lent = self.lent().await?;
            let transaction = self.reading(&lent, Patience::USUAL).await?;
            let scopes = rows::scopes(transaction.client()).await?;
            transaction.commit().await?;
            lent.done();
            Ok(scopes)
        };
        self.twice(|| self.inner.link.transaction(scopes())).await
    }

    pub(crate) async fn whole(&self) -> Result<Vec<WholeScope>, RosterError> {
        let whole = || async {
            let lent = self.lent().await?;
            let transaction = self.reading(&lent, Patience::LONG).await?;
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
            let lent = self.lent().await?;
            let transaction = self.reading(&lent, Patience::USUAL).await?;
            let whole = rows::whole(transaction.client(), scope).await?;
            transaction.commit().await?;
            lent.done();
            Ok(whole)
        };
        self.twice(|| self.inner.link.transaction(whole())).await
    }

    pub(crate) async fn fill(&self, all: &[WholeScope]) -> Result<(), RosterError> {
        let filled = async {
            let lent = self.lent().await?;
            let start = schema::start(&lent, Isolation::Statement, Patience::LONG);
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
                rows::write_state(client, found.row, *state, Some(Step::Large)).await?;
            }
            transaction.commit().await?;
            lent.done();
            Ok(())
        };
        within(LONG_MAX, filled).await.map_err(|fault| fault.error)
    }

    /// A transaction that sees one state of everything.
    async fn reading<'a>(&self, lent: &'a Lent, patience: Patience) -> Result<Open<'a>, Fault> {
        let start = schema::start(lent, Isolation::Whole, patience);
        let transaction = self.inner.link.quick(start).await?;
        rows::take_writes(transaction.client()).await?;
        Ok(transaction)
    }

    /// A connection to a database whose tables were checked once.
    async fn lent(&self) -> Result<Lent, Fault> {
        let lent = self.inner.link.connection().await?;
        if !self.inner.is_prepared.load(Ordering::Acquire) {
            self.inner.link.transaction(schema::prepare(&lent)).await?;
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
