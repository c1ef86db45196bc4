//! Errors of a roster. They must never contain a path, SQL text, or anything about a user.

use std::io;

use rusqlite::ffi;

/// Why a call failed. A failed call wrote nothing, with one exception: a commit may have reached the
/// disk although the system reported an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    #[error("the file is not a roster; it was left as it is")]
    NotARoster,
    /// A later version of the program wrote the file. It was not changed.
    #[error("the roster has schema {found}, this program knows schemas up to {known}")]
    NewerSchema { found: i64, known: i64 },
    #[error("the roster is damaged; restore it from a copy")]
    Damaged,
    /// The opened file was removed, or another one is in its place. Nothing is read or written any
    /// more, because the data would be lost.
    #[error("the roster's file was removed or replaced; restart the gateway")]
    Replaced,
    /// Another process kept the file or a row locked for longer than five seconds, the longest we wait; or all
    /// connections to the database were in use for two.
    #[error("the roster was locked or in use for too long")]
    Busy,
    /// The file system refused, for example because of a missing folder, permissions or space.
    #[error("the roster's file could not be used: {0}")]
    Disk(io::ErrorKind),
    /// Something is remembered already where everything of another roster was to go.
    #[error("the roster to fill is not empty; it was left as it is")]
    NotEmpty,
    /// The work ended before its result, because the program ends or the work panicked.
    #[error("the roster's work was interrupted")]
    Interrupted,
    /// No host of the database answers, or none in time.
    #[error("the roster's database cannot be reached")]
    Unreachable,
    /// A call took longer than it may.
    #[error("the roster's database took too long")]
    Slow,
    /// The certificate is not trusted, or the server speaks no TLS.
    #[error("the roster's database has no TLS that can be trusted")]
    Tls,
    /// The user, the password or the database's name is not accepted.
    #[error("the roster's database refuses the user, the password or the database's name")]
    Denied,
    /// A right on a table or on the schema is missing.
    #[error("the roster's database refuses a right that the roster needs")]
    Right,
    /// The tables are of an older layout, and only their owner may bring them to the present one.
    #[error(
        "the roster's tables are of an older layout and the database's user does not own them; start this version once with the owner's name"
    )]
    NotOwner,
    /// It is a standby, or was told to take no writes. What it says may be old, so nothing is read either.
    #[error("the roster's database takes no writes now")]
    ReadOnly,
    /// No disk space, no memory or no connection is left.
    #[error("the roster's database has no space or connection left")]
    Full,
    /// Names in it could not all be written.
    #[error("the roster's database must have the encoding UTF8")]
    Encoding,
    /// The tables were there and are not any more. New ones would tell an empty list of deleted users as the whole.
    #[error(
        "the roster's tables are gone from the database; restore them, or restart the gateway to make new ones"
    )]
    NoTables,
    /// Any other failure of PostgreSQL, with its SQLSTATE.
    #[error("PostgreSQL failed (SQLSTATE {text})", text = text(.0))]
    Postgres([u8; 5]),
    /// Any other failure of SQLite, with its extended result code.
    #[error("SQLite failed: {text} (result code {0})", text = ffi::code_to_str(*.0))]
    Sqlite(i32),
}

impl From<io::Error> for RosterError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.kind())
    }
}

/// Keeps the code and drops the message, because SQLite's messages may quote SQL.
impl From<rusqlite::Error> for RosterError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error {
            E::SqliteFailure(failure, _) => Self::from_code(failure.extended_code),
            E::SqlInputError { error, .. } => Self::from_code(error.extended_code),
            // A value whose type or range the schema does not allow.
            _ => Self::Damaged,
        }
    }
}

/// A SQLSTATE has five letters and digits.
fn text(state: &[u8; 5]) -> &str {
    std::str::from_utf8(state).unwrap_or("?????")
}

impl RosterError {
    /// Whether only a person can mend it: the roster is of a later version, damaged, or none at all.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::NotARoster | Self::NewerSchema { .. } | Self::Damaged | Self::Encoding)
    }

    fn from_code(code: i32) -> Self {
        // The low byte is the primary result code.
        match code & 0xff {
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Self::Busy,
            ffi::SQLITE_CORRUPT => Self::Damaged,
            ffi::SQLITE_NOTADB => Self::NotARoster,
            ffi::SQLITE_FULL => Self::Disk(io::ErrorKind::StorageFull),
            ffi::SQLITE_PERM | ffi::SQLITE_AUTH => Self::Disk(io::ErrorKind::PermissionDenied),
            ffi::SQLITE_READONLY => Self::Disk(io::ErrorKind::ReadOnlyFilesystem),
            _ => Self::Sqlite(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_sqlite_are_never_repeated() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let error = connection.execute("INSERT INTO secrets VALUES ('Jane')", ()).unwrap_err();
        let error = RosterError::from(error);
        assert_eq!(error, RosterError::Sqlite(ffi::SQLITE_ERROR));
        assert_eq!(error.to_string(), "SQLite failed: SQL logic error (result code 1)");
        assert!(!format!("{error:?}").contains("Jane"));
    }

    #[test]
    fn codes_are_sorted_by_the_operators_remedy() {
        let sorted = |code| RosterError::from_code(code);
        assert_eq!(sorted(ffi::SQLITE_BUSY_SNAPSHOT), RosterError::Busy);
        assert_eq!(sorted(ffi::SQLITE_CORRUPT_VTAB), RosterError::Damaged);
        assert_eq!(sorted(ffi::SQLITE_FULL), RosterError::Disk(io::ErrorKind::StorageFull));
        assert_eq!(sorted(ffi::SQLITE_IOERR_READ), RosterError::Sqlite(ffi::SQLITE_IOERR_READ));
    }
}
