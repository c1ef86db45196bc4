//! The SQL statements: rows in, rows out. Must never decide anything, never begin or end a transaction, and never
//! prepare a statement by name: behind PgBouncer the next one runs on another connection.

use std::pin::pin;

use futures_util::TryStreamExt;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::error::RosterError;
use crate::mirror::{Entry, Fingerprints};
use crate::postgres::faults::Fault;
use crate::postgres::spelling::{read, stored};
use crate::postgres::steps::{self, Step};
use crate::postgres::weigh::{Marked, Users};
use crate::shapes::{self, Counts, Former, Scope, Sighting};
use crate::store::list;
use crate::tally::{Marks, ScopeState};
use crate::whole::WholeScope;

/// The time of the database. Both ends of a sweep are rounded down, so that a sweep that began in the millisecond in
/// which another one ended began before its end.
pub(crate) const TIME: &str = "floor(extract(epoch FROM now()) * 1000)::bigint";
/// Whether writes would be refused.
const READ_ONLY: &str = "(pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on')";

/// The most steps that are kept of a scope: several replicas poll between two polls of one of them.
const STEPS_MAX: usize = 16;

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A scope as it is now.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) row: i64,
    pub(crate) version: String,
    pub(crate) state: ScopeState,
    /// When the transaction began.
    pub(crate) now: u64,
}

/// The time, from a server that takes writes.
pub(crate) async fn time(client: &Client) -> Result<u64, Fault> {
    let row = client.query_typed_one(&format!("SELECT {TIME}, {READ_ONLY}"), &[]).await?;
    writable(row.try_get(1)?)?;
    Ok(row.try_get::<_, i64>(0)?.cast_unsigned())
}

/// Fails where writes would be refused: a server that takes none may be behind.
pub(crate) async fn take_writes(client: &Client) -> Result<(), Fault> {
    let row = client.query_typed_one(&format!("SELECT {READ_ONLY}"), &[]).await?;
    writable(row.try_get(0)?)
}

fn writable(is_read_only: bool) -> Result<(), Fault> {
    if is_read_only { Err(RosterError::ReadOnly.into()) } else { Ok(()) }
}

/// The scope; `locked` holds it until the transaction ends.
pub(crate) async fn scope(
    client: &Client,
    scope: &Scope,
    locked: bool,
) -> Result<Option<Found>, Fault> {
    let lock = if locked { "FOR UPDATE" } else { "" };
    let statement = format!(
        "SELECT id, version::text, last_ended, observed_until, doubts, {TIME}, {READ_ONLY}
         FROM tieline_roster_scopes WHERE caller = $1 AND upstream = $2 {lock}"
    );
    let (caller, upstream) = (stored(&scope.caller), stored(&scope.upstream));
    let parameters: [Parameter<'_>; 2] = [(&caller, Type::TEXT), (&upstream, Type::TEXT)];
    let Some(row) = client.query_typed_opt(&statement, &parameters).await? else { return Ok(None) };
    writable(row.try_get(6)?)?;
    let doubts: i16 = row.try_get(4)?;
    Ok(Some(Found {
        row: row.try_get(0)?,
        version: row.try_get(1)?,
        state: ScopeState {
            last_ended: unsigned(row.try_get(2)?),
            observed_until: unsigned(row.try_get(3)?),
            doubts: doubts.try_into().map_err(|_| Fault::from(RosterError::Damaged))?,
        },
        now: row.try_get::<_, i64>(5)?.cast_unsigned(),
    }))
}

/// The scope, held until the transaction ends, and whether it is new.
pub(crate) async fn held_scope(client: &Client, of: &Scope) -> Result<(Found, bool), Fault> {
    if let Some(found) = scope(client, of, true).await? {
        return Ok((found, false));
    }
    let (caller, upstream) = (stored(&of.caller), stored(&of.upstream));
    let parameters: [Parameter<'_>; 2] = [(&caller, Type::TEXT), (&upstream, Type::TEXT)];
    let statement =
        "INSERT INTO tieline_roster_scopes (caller, upstream, doubts) VALUES ($1, $2, 0)
                     ON CONFLICT DO NOTHING";
    let added = client.execute_typed(statement, &parameters).await?;
    // Another replica may have been faster.
    let found = scope(client, of, true).await?;
    Ok((found.ok_or(Fault::from(RosterError::NoTables))?, added == 1))
}

/// Writes the state; after a step the scope has a new version, which is returned. The last steps are kept, as long as
/// each of them led to the next one: a program that knows nothing of steps may have written in between.
pub(crate) async fn write_state(
    client: &Client,
    scope: i64,
    state: ScopeState,
    step: Option<Step>,
) -> Result<String, Fault> {
    let statement = format!(
        "UPDATE tieline_roster_scopes AS scopes
         SET last_ended = $2, observed_until = $3, doubts = $4,
             version = CASE WHEN $5 THEN new.version ELSE scopes.version END,
             steps_to = CASE WHEN $5 THEN new.version ELSE steps_to END,
             steps = CASE WHEN NOT $5 THEN steps
                          WHEN $6 IS NULL THEN '{{}}'
                          WHEN steps_to = scopes.version
                          THEN steps[cardinality(steps) - {STEPS_MAX} + 2:] || (scopes.version::text || $6)
                          ELSE ARRAY[scopes.version::text || $6] END
         FROM (SELECT gen_random_uuid() AS version) AS new
         WHERE id = $1 RETURNING scopes.version::text"
    );
    let ScopeState { last_ended, observed_until, doubts } = state;
    let (last_ended, observed_until) = (signed(last_ended), signed(observed_until));
    let doubts = i16::from(doubts);
    let (is_changed, step) = (step.is_some(), step.and_then(|step| step.stored()));
    let parameters: [Parameter<'_>; 6] = [
        (&scope, Type::INT8),
        (&last_ended, Type::INT8),
        (&observed_until, Type::INT8),
        (&doubts, Type::INT2),
        (&is_changed, Type::BOOL),
        (&step, Type::TEXT),
    ];
    Ok(client.query_typed_one(&statement, &parameters).await?.try_get(0)?)
}

/// The ids of the users who were changed since this version of their scope, if the last steps tell.
pub(crate) async fn changed_since(
    client: &Client,
    scope: i64,
    version: &str,
) -> Result<Option<Vec<i64>>, Fault> {
    let statement = "SELECT steps FROM tieline_roster_scopes WHERE id = $1 AND steps_to = version";
    let parameters: [Parameter<'_>; 1] = [(&scope, Type::INT8)];
    let Some(row) = client.query_typed_opt(statement, &parameters).await? else { return Ok(None) };
    let changed = steps::since(&row.try_get::<_, Vec<String>>(0)?, version);
    Ok(changed.map(|ids| ids.into_iter().map(u64::cast_signed).collect()))
}

const USER: &str = "id, name, group_id, group_name, teams, supervised_teams, is_deleted";

/// Every user of a scope, or only these, ascending by id, in as much memory as the mirror needs.
pub(crate) async fn entries(
    client: &Client,
    scope: i64,
    only: Option<&Vec<i64>>,
    fingerprints: &Fingerprints,
) -> Result<Vec<Entry>, Fault> {
    let mut statement =
        format!("SELECT {USER}, absences, seen_until FROM tieline_roster_users WHERE scope = $1");
    let mut parameters: Vec<Parameter<'_>> = vec![(&scope, Type::INT8)];
    if let Some(ids) = only {
        statement.push_str(" AND id = ANY($2)");
        parameters.push((ids, Type::INT8_ARRAY));
    }
    let mut rows = pin!(client.query_typed_raw(&statement, parameters).await?);
    let (mut entries, mut prints) = (Vec::new(), fingerprints.writer());
    while let Some(row) = rows.try_next().await? {
        let user = sighting(&row)?;
        entries.push(Entry {
            id: user.id,
            fingerprint: prints.of(&user),
            absences: absences(&row, 7)?,
            seen_until: unsigned(row.try_get(8)?),
        });
    }
    entries.sort_unstable_by_key(|entry| entry.id);
    Ok(entries)
}

/// Everything of a scope.
pub(crate) async fn whole(client: &Client, of: &Scope) -> Result<Option<WholeScope>, Fault> {
    let Some(Found { row, state, .. }) = scope(client, of, false).await? else { return Ok(None) };
    let users = whole_users(client, row).await?;
    let imported = imported(client, row).await?;
    Ok(Some(WholeScope { scope: of.clone(), state, users, imported }))
}

/// Every user of a scope with everything that is known.
async fn whole_users(client: &Client, scope: i64) -> Result<Vec<(Sighting, Marks)>, Fault> {
    let statement = format!(
        "SELECT {USER}, absences, seen_until, vanished_at FROM tieline_roster_users WHERE scope = $1 ORDER BY id"
    );
    let parameters: [Parameter<'_>; 1] = [(&scope, Type::INT8)];
    let rows = client.query_typed(&statement, &parameters).await?;
    let whole = |row: &Row| {
        let marks = Marks {
            absences: absences(row, 7)?,
            seen_until: unsigned(row.try_get(8)?),
            vanished_at: unsigned(row.try_get(9)?),
        };
        Ok((sighting(row)?, marks))
    };
    rows.iter().map(whole).collect()
}

/// The users who have vanished.
async fn vanished(client: &Client, scope: i64) -> Result<Vec<Sighting>, Fault> {
    let statement = format!(
        "SELECT {USER} FROM tieline_roster_users WHERE scope = $1 AND vanished_at IS NOT NULL"
    );
    let parameters: [Parameter<'_>; 1] = [(&scope, Type::INT8)];
    client.query_typed(&statement, &parameters).await?.iter().map(sighting).collect()
}

/// Vanished and imported users, ascending by id.
pub(crate) async fn former(client: &Client, scope: i64) -> Result<Vec<Former>, Fault> {
    let vanished = vanished(client, scope).await?;
    Ok(shapes::former(vanished, imported(client, scope).await?))
}

/// Lets no other process write until the transaction ends.
pub(crate) async fn hold_all(client: &Client) -> Result<(), Fault> {
    let statement = "LOCK TABLE tieline_roster_scopes IN SHARE ROW EXCLUSIVE MODE";
    Ok(client.batch_execute(statement).await?)
}

/// Adds or replaces whole rows, by one statement.
pub(crate) async fn write_users(client: &Client, scope: i64, users: &Users) -> Result<(), Fault> {
    if users.id.is_empty() {
        return Ok(());
    }
    let statement = "
        INSERT INTO tieline_roster_users (scope, id, name, group_id, group_name, teams,
                                          supervised_teams, is_deleted, absences, seen_until,
                                          vanished_at)
        SELECT $1, * FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (scope, id) DO UPDATE SET
            name = excluded.name, group_id = excluded.group_id, group_name = excluded.group_name,
            teams = excluded.teams, supervised_teams = excluded.supervised_teams,
            is_deleted = excluded.is_deleted, absences = excluded.absences,
            seen_until = excluded.seen_until, vanished_at = excluded.vanished_at";
    let parameters: [Parameter<'_>; 11] = [
        (&scope, Type::INT8),
        (&users.id, Type::INT8_ARRAY),
        (&users.name, Type::TEXT_ARRAY),
        (&users.group_id, Type::TEXT_ARRAY),
        (&users.group_name, Type::TEXT_ARRAY),
        (&users.teams, Type::TEXT_ARRAY),
        (&users.supervised_teams, Type::TEXT_ARRAY),
        (&users.is_deleted, Type::BOOL_ARRAY),
        (&users.marks.absences, Type::INT2_ARRAY),
        (&users.marks.seen_until, Type::INT8_ARRAY),
        (&users.marks.vanished_at, Type::INT8_ARRAY),
    ];
    client.execute_typed(statement, &parameters).await?;
    Ok(())
}

/// Writes the marks of rows that are there, by one statement.
pub(crate) async fn write_marks(client: &Client, scope: i64, marks: &Marked) -> Result<(), Fault> {
    if marks.id.is_empty() {
        return Ok(());
    }
    let statement = "
        UPDATE tieline_roster_users AS users
        SET absences = new.absences, seen_until = new.seen_until, vanished_at = new.vanished_at
        FROM unnest($2, $3, $4, $5) AS new (id, absences, seen_until, vanished_at)
        WHERE users.scope = $1 AND users.id = new.id";
    let parameters: [Parameter<'_>; 5] = [
        (&scope, Type::INT8),
        (&marks.id, Type::INT8_ARRAY),
        (&marks.absences, Type::INT2_ARRAY),
        (&marks.seen_until, Type::INT8_ARRAY),
        (&marks.vanished_at, Type::INT8_ARRAY),
    ];
    client.execute_typed(statement, &parameters).await?;
    Ok(())
}

/// The imported baseline of a scope.
pub(crate) async fn imported(
    client: &Client,
    scope: i64,
) -> Result<Vec<(u64, Option<String>)>, Fault> {
    let statement = "SELECT id, name FROM tieline_roster_imported WHERE scope = $1 ORDER BY id";
    let parameters: [Parameter<'_>; 1] = [(&scope, Type::INT8)];
    let rows = client.query_typed(statement, &parameters).await?;
    let row = |row: &Row| {
        let name: Option<String> = row.try_get(1)?;
        Ok((row.try_get::<_, i64>(0)?.cast_unsigned(), name.map(read)))
    };
    rows.iter().map(row).collect()
}

/// Adds or renames rows of the baseline, by one statement.
pub(crate) async fn write_imported(
    client: &Client,
    scope: i64,
    rows: impl Iterator<Item = (u64, &Option<String>)>,
) -> Result<(), Fault> {
    let (ids, names): (Vec<i64>, Vec<Option<String>>) = rows
        .map(|(id, name)| (id.cast_signed(), name.as_ref().map(|name| stored(name).into_owned())))
        .unzip();
    let statement = "
        INSERT INTO tieline_roster_imported (scope, id, name) SELECT $1, * FROM unnest($2, $3)
        ON CONFLICT (scope, id) DO UPDATE SET name = excluded.name";
    let parameters: [Parameter<'_>; 3] =
        [(&scope, Type::INT8), (&ids, Type::INT8_ARRAY), (&names, Type::TEXT_ARRAY)];
    client.execute_typed(statement, &parameters).await?;
    Ok(())
}

/// Every scope, by caller and upstream.
pub(crate) async fn scopes(client: &Client) -> Result<Vec<Scope>, Fault> {
    let statement = "SELECT caller, upstream FROM tieline_roster_scopes ORDER BY caller, upstream";
    let rows = client.query_typed(statement, &[]).await?;
    let scope =
        |row: &Row| Ok(Scope { caller: read(row.try_get(0)?), upstream: read(row.try_get(1)?) });
    rows.iter().map(scope).collect()
}

/// The numbers of one scope, or of all.
pub(crate) async fn counts(client: &Client, scope: Option<i64>) -> Result<Counts, Fault> {
    let statement = "
        SELECT count(*), count(*) FILTER (WHERE is_deleted),
               count(*) FILTER (WHERE vanished_at IS NOT NULL),
               (SELECT count(*) FROM tieline_roster_imported WHERE $1 IS NULL OR scope = $1)
        FROM tieline_roster_users WHERE $1 IS NULL OR scope = $1";
    let parameters: [Parameter<'_>; 1] = [(&scope, Type::INT8)];
    let row = client.query_typed_one(statement, &parameters).await?;
    let count = |column| -> Result<usize, Fault> {
        let count: i64 = row.try_get(column)?;
        Ok(usize::try_from(count).map_err(|_| RosterError::Damaged)?)
    };
    Ok(Counts {
        remembered: count(0)?,
        deleted: count(1)?,
        vanished: count(2)?,
        imported: count(3)?,
        last_sweep_ended: None,
    })
}

fn absences(row: &Row, column: usize) -> Result<u8, Fault> {
    let absences: i16 = row.try_get(column)?;
    Ok(absences.try_into().map_err(|_| RosterError::Damaged)?)
}

/// Reads the columns of [`USER`].
fn sighting(row: &Row) -> Result<Sighting, Fault> {
    let group_id: Option<String> = row.try_get(2)?;
    let group_name: Option<String> = row.try_get(3)?;
    Ok(Sighting {
        id: row.try_get::<_, i64>(0)?.cast_unsigned(),
        name: row.try_get::<_, Option<String>>(1)?.map(read),
        group: group_id.map(|id| (read(id), group_name.map(read))),
        teams: list(row.try_get(4)?)?,
        supervised_teams: list(row.try_get(5)?)?,
        is_deleted: row.try_get(6)?,
    })
}

fn signed(number: Option<u64>) -> Option<i64> {
    number.map(u64::cast_signed)
}

fn unsigned(number: Option<i64>) -> Option<u64> {
    number.map(i64::cast_unsigned)
}
