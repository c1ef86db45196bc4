//! The SQL statements: rows in, rows out. Must never decide anything, and must never begin or end a
//! transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::RosterError;
use crate::mirror::{Entry, Fingerprints};
use crate::shapes::{self, Counts, Former, Scope, Sighting};
use crate::tally::{Edit, Marks, ScopeState};
use crate::whole::WholeScope;

pub(crate) type ScopeRow = i64;

pub(crate) fn find_scope(
    connection: &Connection,
    scope: &Scope,
) -> Result<Option<(ScopeRow, ScopeState)>, RosterError> {
    let found = connection.query_row(
        "SELECT id, last_ended, observed_until, doubts FROM scopes
         WHERE caller = ?1 AND upstream = ?2",
        params![scope.caller, scope.upstream],
        |row| {
            let state = ScopeState {
                last_ended: unsigned(row.get(1)?),
                observed_until: unsigned(row.get(2)?),
                doubts: row.get(3)?,
            };
            Ok((row.get(0)?, state))
        },
    );
    Ok(found.optional()?)
}

pub(crate) fn find_or_add_scope(
    connection: &Connection,
    scope: &Scope,
) -> Result<(ScopeRow, ScopeState), RosterError> {
    if let Some(found) = find_scope(connection, scope)? {
        return Ok(found);
    }
    connection.execute(
        "INSERT INTO scopes (caller, upstream, doubts) VALUES (?1, ?2, 0)",
        params![scope.caller, scope.upstream],
    )?;
    Ok((connection.last_insert_rowid(), ScopeState::default()))
}

pub(crate) fn write_state(
    connection: &Connection,
    scope: ScopeRow,
    state: ScopeState,
) -> Result<(), RosterError> {
    connection.execute(
        "UPDATE scopes SET last_ended = ?2, observed_until = ?3, doubts = ?4 WHERE id = ?1",
        params![scope, signed(state.last_ended), signed(state.observed_until), state.doubts],
    )?;
    Ok(())
}

/// Every user of a scope, ascending by id.
pub(crate) fn entries(
    connection: &Connection,
    scope: ScopeRow,
    fingerprints: &Fingerprints,
) -> Result<Vec<Entry>, RosterError> {
    let mut statement = connection.prepare(
        "SELECT id, name, group_id, group_name, teams, supervised_teams, is_deleted, absences,
                seen_until
         FROM users WHERE scope = ?1",
    )?;
    let mut rows = statement.query([scope])?;
    let (mut entries, mut prints) = (Vec::new(), fingerprints.writer());
    while let Some(row) = rows.next()? {
        let user = sighting(row)?;
        entries.push(Entry {
            id: user.id,
            fingerprint: prints.of(&user),
            absences: row.get(7)?,
            seen_until: unsigned(row.get(8)?),
        });
    }
    entries.sort_unstable_by_key(|entry| entry.id);
    Ok(entries)
}

/// Everything of a scope.
pub(crate) fn whole(
    connection: &Connection,
    of: &Scope,
) -> Result<Option<WholeScope>, RosterError> {
    let Some((row, state)) = find_scope(connection, of)? else { return Ok(None) };
    let users = whole_users(connection, row)?;
    let imported = imported(connection, row)?.into_iter().collect();
    Ok(Some(WholeScope { scope: of.clone(), state, users, imported }))
}

/// Every user of a scope with everything that is known.
fn whole_users(
    connection: &Connection,
    scope: ScopeRow,
) -> Result<Vec<(Sighting, Marks)>, RosterError> {
    let mut statement = connection.prepare(
        "SELECT id, name, group_id, group_name, teams, supervised_teams, is_deleted, absences,
                seen_until, vanished_at
         FROM users WHERE scope = ?1",
    )?;
    let mut rows = statement.query([scope])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        let marks = Marks {
            absences: row.get(7)?,
            seen_until: unsigned(row.get(8)?),
            vanished_at: unsigned(row.get(9)?),
        };
        users.push((sighting(row)?, marks));
    }
    Ok(users)
}

pub(crate) fn write_users(
    connection: &Connection,
    scope: ScopeRow,
    edits: &[Edit<'_>],
) -> Result<(), RosterError> {
    let mut whole = connection.prepare(
        "INSERT OR REPLACE INTO users (scope, id, name, group_id, group_name, teams,
                                       supervised_teams, is_deleted, absences, seen_until,
                                       vanished_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let mut marked = connection.prepare(
        "UPDATE users SET absences = ?3, seen_until = ?4, vanished_at = ?5
         WHERE scope = ?1 AND id = ?2",
    )?;
    for edit in edits {
        match edit {
            Edit::Whole(user, marks) => whole.execute(params![
                scope,
                user.id.cast_signed(),
                user.name,
                user.group.as_ref().map(|(id, _)| id),
                user.group.as_ref().and_then(|(_, name)| name.as_ref()),
                json(&user.teams),
                json(&user.supervised_teams),
                user.is_deleted,
                marks.absences,
                signed(marks.seen_until),
                signed(marks.vanished_at),
            ])?,
            Edit::Marks(id, marks) => marked.execute(params![
                scope,
                id.cast_signed(),
                marks.absences,
                signed(marks.seen_until),
                signed(marks.vanished_at),
            ])?,
        };
    }
    Ok(())
}

/// Vanished and imported users, ascending by id.
pub(crate) fn former(connection: &Connection, scope: ScopeRow) -> Result<Vec<Former>, RosterError> {
    let mut statement = connection.prepare(
        "SELECT id, name, group_id, group_name, teams, supervised_teams, is_deleted
         FROM users WHERE scope = ?1 AND vanished_at IS NOT NULL",
    )?;
    let mut rows = statement.query([scope])?;
    let mut vanished = Vec::new();
    while let Some(row) = rows.next()? {
        vanished.push(sighting(row)?);
    }
    Ok(shapes::former(vanished, imported(connection, scope)?))
}

pub(crate) fn imported(
    connection: &Connection,
    scope: ScopeRow,
) -> Result<BTreeMap<u64, Option<String>>, RosterError> {
    let mut statement = connection.prepare("SELECT id, name FROM imported WHERE scope = ?1")?;
    let rows = statement.query_map([scope], |row| {
        let id: i64 = row.get(0)?;
        Ok((id.cast_unsigned(), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn write_imported<'a>(
    connection: &Connection,
    scope: ScopeRow,
    rows: impl Iterator<Item = (u64, &'a Option<String>)>,
) -> Result<(), RosterError> {
    let mut statement = connection
        .prepare("INSERT OR REPLACE INTO imported (scope, id, name) VALUES (?1, ?2, ?3)")?;
    for (id, name) in rows {
        statement.execute(params![scope, id.cast_signed(), name])?;
    }
    Ok(())
}

pub(crate) fn scopes(connection: &Connection) -> Result<Vec<Scope>, RosterError> {
    let mut statement =
        connection.prepare("SELECT caller, upstream FROM scopes ORDER BY caller, upstream")?;
    let rows =
        statement.query_map((), |row| Ok(Scope { caller: row.get(0)?, upstream: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn counts(
    connection: &Connection,
    scope: ScopeRow,
    state: ScopeState,
) -> Result<Counts, RosterError> {
    let count = |sql| -> Result<usize, RosterError> {
        let count: i64 = connection.query_row(sql, [scope], |row| row.get(0))?;
        usize::try_from(count).map_err(|_| RosterError::Damaged)
    };
    Ok(Counts {
        remembered: count("SELECT count(*) FROM users WHERE scope = ?1")?,
        deleted: count("SELECT count(*) FROM users WHERE scope = ?1 AND is_deleted <> 0")?,
        vanished: count("SELECT count(*) FROM users WHERE scope = ?1 AND vanished_at IS NOT NULL")?,
        imported: count("SELECT count(*) FROM imported WHERE scope = ?1")?,
        last_sweep_ended: state.last_ended,
    })
}

/// Reads the columns `id` to `is_deleted`.
fn sighting(row: &Row<'_>) -> Result<Sighting, RosterError> {
    let id: i64 = row.get(0)?;
    let group_id: Option<String> = row.get(2)?;
    let group_name: Option<String> = row.get(3)?;
    Ok(Sighting {
        id: id.cast_unsigned(),
        name: row.get(1)?,
        group: group_id.map(|id| (id, group_name)),
        teams: list(row.get_ref(4)?.as_str().map_err(|_| RosterError::Damaged)?)?,
        supervised_teams: list(row.get_ref(5)?.as_str().map_err(|_| RosterError::Damaged)?)?,
        is_deleted: row.get(6)?,
    })
}

pub(crate) fn json(list: &[String]) -> String {
    if list.is_empty() { "[]".to_owned() } else { serde_json::Value::from(list).to_string() }
}

pub(crate) fn list(json: &str) -> Result<Vec<String>, RosterError> {
    serde_json::from_str(json).map_err(|_| RosterError::Damaged)
}

fn signed(number: Option<u64>) -> Option<i64> {
    number.map(u64::cast_signed)
}

fn unsigned(number: Option<i64>) -> Option<u64> {
    number.map(i64::cast_unsigned)
}
