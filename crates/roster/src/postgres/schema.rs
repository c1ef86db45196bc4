//! The tables of the roster, and what begins every transaction. Must never change tables of a layout that is not known.

use deadpool_postgres::{ClientWrapper, Transaction};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, IsolationLevel};

use crate::error::RosterError;
use crate::postgres::faults::Fault;

/// The layout in `layout.sql`. Each change of it needs the next number and a migration.
pub(crate) const SCHEMA: i64 = 1;
/// "TLRo": the advisory lock under which one process at a time makes or changes tables.
const LOCK: i64 = 0x544c_526f;

/// How long one statement of a transaction may take, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience(pub(crate) u32);

impl Patience {
    /// A first sweep of a million users.
    pub(crate) const USUAL: Patience = Patience(30_000);
    /// Everything there is, for a person who waits.
    pub(crate) const LONG: Patience = Patience(600_000);
}

/// Begins a transaction. Its limits are set within it, because behind PgBouncer a setting of the connection would be
/// another client's as well. A replica that sleeps within a transaction loses it, and with it the lock on a scope.
pub(crate) async fn start(
    client: &mut ClientWrapper,
    isolation: IsolationLevel,
    Patience(patience): Patience,
) -> Result<Transaction<'_>, Fault> {
    let transaction = client.build_transaction().isolation_level(isolation).start().await?;
    let limits = format!(
        "SET LOCAL statement_timeout = {patience};
         SET LOCAL lock_timeout = 5000;
         SET LOCAL idle_in_transaction_session_timeout = 15000"
    );
    transaction.batch_execute(&limits).await?;
    Ok(transaction)
}

/// Makes the tables where there are none, and refuses tables that this program does not know.
pub(crate) async fn prepare(client: &mut ClientWrapper) -> Result<(), Fault> {
    // Without a lock and without the right to create anything: the usual case.
    if is_current(client).await? {
        return Ok(());
    }
    let transaction = start(client, IsolationLevel::ReadCommitted, Patience::USUAL).await?;
    let held: [(&(dyn ToSql + Sync), Type); 1] = [(&LOCK, Type::INT8)];
    transaction.query_typed("SELECT pg_advisory_xact_lock($1)", &held).await?;
    // Another process may have been faster.
    if !is_current(transaction.client()).await? {
        transaction.batch_execute(include_str!("layout.sql")).await?;
        let schema = format!("INSERT INTO tieline_roster (schema) VALUES ({SCHEMA})");
        transaction.batch_execute(&schema).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Whether the tables are there, in the layout that this program knows.
async fn is_current(client: &Client) -> Result<bool, Fault> {
    match found(client).await? {
        None => Ok(false),
        Some(SCHEMA) => Ok(true),
        Some(found) if found > SCHEMA => {
            Err(RosterError::NewerSchema { found, known: SCHEMA }.into())
        }
        Some(_) => Err(RosterError::Damaged.into()),
    }
}

/// The number of the layout; nothing where there are no tables.
pub(crate) async fn found(client: &Client) -> Result<Option<i64>, Fault> {
    // From the rows of the catalogue and not by `to_regclass`, which within a transaction may go by what the server has
    // cached before the wait for the lock.
    let statement = "
        SELECT current_setting('server_encoding') = 'UTF8',
               coalesce(bool_or(relname = 'tieline_roster'), false),
               (count(*) FILTER (WHERE relname <> 'tieline_roster'))::int
        FROM pg_catalog.pg_class
        WHERE relname IN ('tieline_roster', 'tieline_roster_scopes', 'tieline_roster_users',
                          'tieline_roster_imported')
              AND relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(oid)";
    let row = client.query_typed_one(statement, &[]).await?;
    if !row.try_get::<_, bool>(0)? {
        return Err(RosterError::Encoding.into());
    }
    match (row.try_get(1)?, row.try_get(2)?) {
        (false, 0_i32) => Ok(None),
        (true, 3) => {
            let rows = client.query_typed("SELECT schema FROM tieline_roster", &[]).await?;
            let [row] = &rows[..] else { return Err(RosterError::Damaged.into()) };
            Ok(Some(i64::from(row.try_get::<_, i32>(0)?)))
        }
        _ => Err(RosterError::Damaged.into()),
    }
}
