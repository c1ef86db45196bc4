//! What an error of the database means for the roster. Must keep nothing of its text: a server's messages quote rows.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::error::RosterError;

/// An error, and whether the same call on a new connection may succeed: the one that was used had ended, or leads to a
/// server that is no primary any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) error: RosterError,
    pub(crate) is_of_connection: bool,
}

impl From<RosterError> for Fault {
    fn from(error: RosterError) -> Self {
        Self { error, is_of_connection: matches!(error, RosterError::ReadOnly) }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Some(state) = error.code() else {
            return Self { error: without_state(&error), is_of_connection: true };
        };
        let error = of_state(state);
        let is_of_connection = matches!(error, RosterError::Unreachable | RosterError::ReadOnly);
        Self { error, is_of_connection }
    }
}

fn of_state(state: &SqlState) -> RosterError {
    let code = state.code();
    match code {
        "42501" => RosterError::Right,
        "25006" => RosterError::ReadOnly,
        "55P03" => RosterError::Busy,
        "57014" | "25P03" | "25P04" => RosterError::Slow,
        "3D000" => RosterError::Denied,
        "42P01" => RosterError::NoTables,
        // A column is missing.
        "42703" => RosterError::Damaged,
        _ if code.starts_with("28") => RosterError::Denied,
        _ if code.starts_with("53") => RosterError::Full,
        _ if code.starts_with("08") || code.starts_with("57P") => RosterError::Unreachable,
        _ => code.as_bytes().try_into().map_or(RosterError::Unreachable, RosterError::Postgres),
    }
}

/// Errors that the server did not tell. The client tells their kinds by nothing but its own fixed texts.
fn without_state(error: &Error) -> RosterError {
    let text = error.to_string();
    if text.starts_with("error performing TLS") {
        return RosterError::Tls;
    }
    if text.starts_with("authentication error") || text.starts_with("invalid configuration") {
        return RosterError::Denied;
    }
    if text.starts_with("error deserializing") || text.starts_with("invalid column") {
        return RosterError::Damaged;
    }
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source.map(io::Error::kind) {
        // So the client says that no host takes writes.
        Some(io::ErrorKind::PermissionDenied) => RosterError::ReadOnly,
        _ => RosterError::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_sorted_by_the_operators_remedy() {
        for (code, expected) in [
            ("28P01", RosterError::Denied),
            ("3D000", RosterError::Denied),
            ("42501", RosterError::Right),
            ("25006", RosterError::ReadOnly),
            ("53100", RosterError::Full),
            ("53300", RosterError::Full),
            ("55P03", RosterError::Busy),
            ("57014", RosterError::Slow),
            ("57P01", RosterError::Unreachable),
            ("08006", RosterError::Unreachable),
            ("42P01", RosterError::NoTables),
            ("42703", RosterError::Damaged),
            ("XX001", RosterError::Postgres(*b"XX001")),
        ] {
            assert_eq!(of_state(&SqlState::from_code(code)), expected, "{code}");
        }
        let text = RosterError::Postgres(*b"XX001").to_string();
        assert_eq!(text, "PostgreSQL failed (SQLSTATE XX001)");
    }
}
