//! Opens or creates the file. Must never change a file that is not a roster of a known schema, and
//! must never make a new file readable for anyone but its owner.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::RosterError;

/// "TLRo": the number that distinguishes a roster from other SQLite files.
const APPLICATION_ID: i64 = 0x544c_526f;
/// The schema in `schema.sql`. Each change of it needs the next number and a migration.
const SCHEMA: i64 = 1;
/// How long to wait for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often switching to write-ahead logging is tried, and the pause in between; together as long
/// as [`BUSY_TIMEOUT`].
const WAL_TRIES_MAX: u32 = 100;
const WAL_PAUSE: Duration = Duration::from_millis(50);

/// Held while a file is created and opened. Closing any handle of a file releases all POSIX locks
/// that this process has on it, so no connection may exist while the creating handle is closed.
static OPENING: Mutex<()> = Mutex::new(());

/// One connection that writes, and one that can read committed data meanwhile.
pub(crate) struct Connections {
    pub(crate) reader: Connection,
    pub(crate) writer: Connection,
    pub(crate) place: Place,
}

/// The path of the file, and the identity of the file that was opened there. While a connection holds
/// the file open, the system does not reuse its inode number.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    fn of(path: PathBuf) -> Result<Self, RosterError> {
        let file = std::fs::metadata(&path)?;
        Ok(Self { path, device: file.dev(), inode: file.ino() })
    }

    /// Fails if the path leads to no file or to another one. Never opens the file, because closing
    /// that handle would release the locks of the connections.
    pub(crate) fn check(&self) -> Result<(), RosterError> {
        use io::ErrorKind::{NotADirectory, NotFound};
        match std::fs::metadata(&self.path) {
            Ok(file) if (file.dev(), file.ino()) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(RosterError::Replaced),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => {
                Err(RosterError::Replaced)
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn open(path: &Path) -> Result<Connections, RosterError> {
    // Absolute, so that SQLite cannot take it for a special name such as ":memory:".
    let path = std::path::absolute(path)?;
    let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    create(&path)?;
    // Read before the file is opened and checked again afterwards, so it describes the opened file.
    let place = Place::of(path.clone())?;
    refuse_foreign(&path)?;
    let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Until the checks are done, nothing may move from the log into the file. (An empty log is only a
    // trace of our own check, and is removed on closing.)
    let has_log = std::fs::metadata(beside(&path, "-wal")).is_ok_and(|log| log.len() > 0);
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    lay_out(&mut writer)?;
    check(&writer)?;
    log_ahead(&writer)?;
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    let reader = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    place.check()?;
    Ok(Connections { reader, writer, place })
}

/// Creates an empty file that only its owner can read, unless a file exists.
fn create(path: &Path) -> Result<(), RosterError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// Checks the first page without a lock, a log or a recovery, because each of these could change a
/// file that does not belong to us.
fn refuse_foreign(path: &Path) -> Result<(), RosterError> {
    let is_empty = std::fs::metadata(path)?.len() == 0;
    // A journal means that a transaction was interrupted, perhaps the one that turns an empty file into
    // a roster. The first page is not final until SQLite has rolled it back.
    if is_empty || beside(path, "-journal").exists() {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let header = Connection::open_with_flags(uri(path), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    match number(&header, "application_id") {
        Ok(APPLICATION_ID) => refuse_newer(number(&header, "user_version")?),
        Ok(_) => Err(RosterError::NotARoster),
        // While a log is moved into the file, or if that was interrupted, the first page may refer to
        // pages that are only in the log. SQLite decides, because it reads the log.
        Err(RosterError::Damaged) => Ok(()),
        Err(error) => Err(error),
    }
}

fn refuse_newer(found: i64) -> Result<(), RosterError> {
    if found > SCHEMA { Err(RosterError::NewerSchema { found, known: SCHEMA }) } else { Ok(()) }
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, RosterError> {
    // Our own lock lets one thread at a time use a connection.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Turns an empty file into a roster, in one transaction.
///
/// This happens before the switch to write-ahead logging, so that the application id is in the file
/// itself, where [`refuse_foreign`] looks for it, and not only in the log.
fn lay_out(connection: &mut Connection) -> Result<(), RosterError> {
    if number(connection, "application_id")? == APPLICATION_ID {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if number(&transaction, "application_id")? != APPLICATION_ID {
        let things: i64 =
            transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        let numbers =
            [number(&transaction, "application_id")?, number(&transaction, "user_version")?];
        if things != 0 || numbers != [0, 0] {
            return Err(RosterError::NotARoster);
        }
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Refuses a newer or damaged roster.
fn check(connection: &Connection) -> Result<(), RosterError> {
    let schema = number(connection, "user_version")?;
    refuse_newer(schema)?;
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('scopes', 'users', 'imported')",
        (),
        |row| row.get(0),
    )?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if schema == SCHEMA && tables == 3 && verdict == "ok" {
        Ok(())
    } else {
        Err(RosterError::Damaged)
    }
}

/// Switches write-ahead logging on. Then readers never wait for a writer, and a commit is one write to
/// the end of the log.
fn log_ahead(connection: &Connection) -> Result<(), RosterError> {
    for _ in 1..WAL_TRIES_MAX {
        match try_log_ahead(connection) {
            // If two processes switch at once, SQLite answers without waiting, to avoid a deadlock.
            Err(RosterError::Busy) => thread::sleep(WAL_PAUSE),
            answer => return answer,
        }
    }
    try_log_ahead(connection)
}

fn try_log_ahead(connection: &Connection) -> Result<(), RosterError> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(RosterError::Disk(io::ErrorKind::Unsupported)) }
}

pub(crate) fn number(connection: &Connection, pragma: &str) -> Result<i64, RosterError> {
    Ok(connection.pragma_query_value(None, pragma, |row| row.get(0))?)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The path as a URI that asks for the file without its log. Every byte with a special meaning is
/// escaped.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            // Writing to a string cannot fail.
            _ => _ = write!(uri, "%{byte:02x}"),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a power cut would show the difference; killing the process does not.
    #[test]
    fn every_commit_reaches_the_disk_before_the_call_returns() {
        let name = format!("tieline-roster-settings-{}.sqlite", std::process::id());
        let path = std::env::temp_dir().join(name);
        _ = std::fs::remove_file(&path);
        let Connections { reader, writer, .. } = open(&path).unwrap();
        assert_eq!(number(&writer, "synchronous").unwrap(), 2, "2 is FULL");
        assert_eq!(number(&writer, "busy_timeout").unwrap(), 5000);
        assert!(reader.is_readonly("main").unwrap());
        drop((reader, writer));
        std::fs::remove_file(path).unwrap();
    }
}
