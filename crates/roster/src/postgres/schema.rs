//! The tables of the roster, and what begins every transaction. Must never change tables of a layout that is not known.

use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::error::RosterError;
use crate::postgres::faults::Fault;
use crate::postgres::link::Lent;

/// The layout in `layout.sql`. Each change of it needs the next number and a migration.
pub(crate) const SCHEMA: i64 = 2;
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

/// How a transaction sees what others write meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Isolation {
    /// Each statement sees what was committed before it; for those that hold a row.
    Statement,
    /// All statements see one state; for those that read.
    Whole,
}

/// A transaction that is open. Unless it is committed, its connection must not be used again: closing it undoes all.
pub(crate) struct Open<'a>(&'a Client);

impl Open<'_> {
    pub(crate) fn client(&self) -> &Client {
        self.0
    }

    /// To be called only where every statement has succeeded.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        Ok(self.0.batch_execute("COMMIT").await?)
    }

    /// Undoes all; the connection is good afterwards.
    pub(crate) async fn undo(self) -> Result<(), Fault> {
        Ok(self.0.batch_execute("ROLLBACK").await?)
    }
}

/// Begins a transaction. Its limits are set within it, because behind PgBouncer a setting of the connection would be
/// another client's as well. A replica that sleeps within a transaction loses it, and with it the lock on a scope.
pub(crate) async fn start(
    client: &Lent,
    isolation: Isolation,
    Patience(patience): Patience,
) -> Result<Open<'_>, Fault> {
    let isolation = match isolation {
        Isolation::Statement => "READ COMMITTED",
        Isolation::Whole => "REPEATABLE READ",
    };
    // In one message, so that the server is asked once.
    let statements = format!(
        "START TRANSACTION ISOLATION LEVEL {isolation};
         SET LOCAL statement_timeout = {patience};
         SET LOCAL lock_timeout = 5000;
         SET LOCAL idle_in_transaction_session_timeout = 15000"
    );
    client.batch_execute(&statements).await?;
    Ok(Open(client))
}

/// Makes the tables where there are none, brings older ones to the present layout, and refuses tables that this program
/// does not know.
pub(crate) async fn prepare(client: &Lent) -> Result<(), Fault> {
    // Without a lock and without the right to create anything: the usual case.
    if known(client).await? == Some(SCHEMA) {
        return Ok(());
    }
    let transaction = start(client, Isolation::Statement, Patience::USUAL).await?;
    let client = transaction.client();
    let held: [(&(dyn ToSql + Sync), Type); 1] = [(&LOCK, Type::INT8)];
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &held).await?;
    // Another process may have been faster.
    match known(client).await? {
        Some(SCHEMA) => {}
        None => {
            client.batch_execute(include_str!("layout.sql")).await?;
            let schema = format!("INSERT INTO tieline_roster (schema) VALUES ({SCHEMA})");
            client.batch_execute(&schema).await?;
        }
        Some(_) => {
            client.batch_execute(include_str!("layout_2.sql")).await.map_err(of_change)?;
            let schema = format!("UPDATE tieline_roster SET schema = {SCHEMA}");
            client.batch_execute(&schema).await?;
        }
    }
    transaction.commit().await
}

/// What a change of the tables meets: only their owner may change them, which no other right replaces.
fn of_change(error: tokio_postgres::Error) -> Fault {
    match Fault::from(error) {
        Fault { error: RosterError::Right, .. } => RosterError::NotOwner.into(),
        fault => fault,
    }
}

/// Whether the user may bring tables of an older layout to the present one.
pub(crate) async fn may_change(client: &Client) -> Result<bool, Fault> {
    let statement = "
        SELECT bool_and(pg_has_role(relowner, 'USAGE') AND has_table_privilege('tieline_roster', 'UPDATE'))
        FROM pg_catalog.pg_class
        WHERE relname = 'tieline_roster_scopes' AND relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(oid)";
    let row = client.query_typed_one(statement, &[]).await?;
    Ok(row.try_get::<_, Option<bool>>(0)?.unwrap_or(false))
}

/// The number of the layout, if this program knows it; nothing where there are no tables.
async fn known(client: &Client) -> Result<Option<i64>, Fault> {
    match found(client).await? {
        Some(found) if found > SCHEMA => {
            Err(RosterError::NewerSchema { found, known: SCHEMA }.into())
        }
        Some(..1) => Err(RosterError::Damaged.into()),
        layout => Ok(layout),
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
