//! How a reading failed, as it is told to replicas that wait for it, so that each of them fails in the same way and
//! not each of them asks anew. Only what the upstream itself said is told: one replica's bad network, full memory or
//! deadline is no other replica's. Must never hold text of an upstream or a client.

use std::time::Duration;

use domain::listing::Listing;
use domain::sweep::Failure;
use domain::upstream::{Dialect, SchemaError, SchemaKind};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// See the module.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    /// It did not fail; it is larger than what is shared.
    TooLarge,
    KeyRefused,
    Forbidden {
        scope: String,
    },
    RateLimited {
        ms: u64,
    },
    Unavailable {
        ms: u64,
    },
    UpstreamFailed {
        status: u16,
    },
    RefusedCall {
        status: u16,
    },
    BadToken,
    ListShrunk,
    Redirect,
    BadType,
    List(Failure),
    Schema {
        listing: String,
        path: String,
        kind: SchemaKind,
    },
}

/// That a value is not shared because of its size.
pub(super) fn too_large() -> Vec<u8> {
    written(&Told::TooLarge).unwrap_or_default()
}

/// What others are told of an error; `None` where it says nothing about them.
pub(super) fn told(error: &Error) -> Option<Vec<u8>> {
    let ms = |wait: &Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    written(&match error {
        Error::MappedKeyRefused => Told::KeyRefused,
        Error::Forbidden { scope } => Told::Forbidden { scope: (*scope).to_owned() },
        Error::RateLimited { retry_after } => Told::RateLimited { ms: ms(retry_after) },
        Error::Unavailable { retry_after } => Told::Unavailable { ms: ms(retry_after) },
        Error::UpstreamFailed { status } => Told::UpstreamFailed { status: *status },
        Error::RefusedCall { status } => Told::RefusedCall { status: *status },
        Error::BadToken => Told::BadToken,
        Error::ListShrunk => Told::ListShrunk,
        Error::Redirect => Told::Redirect,
        Error::BadType => Told::BadType,
        Error::List(failure) => Told::List(*failure),
        Error::Schema { listing, error: SchemaError { path, kind }, .. } => {
            Told::Schema { listing: (*listing).to_owned(), path: path.clone(), kind: *kind }
        }
        _ => return None,
    })
}

/// The error that another replica had; `None` where one has to read for oneself.
pub(super) fn heard(told: &[u8], dialect: &'static dyn Dialect) -> Option<Error> {
    let retry_after = Duration::from_millis;
    Some(match serde_json::from_slice(told).ok()? {
        Told::TooLarge => return None,
        Told::KeyRefused => Error::MappedKeyRefused,
        Told::Forbidden { scope } => {
            let known = [dialect.facts().scope, dialect.scope(&Listing::Teams)];
            Error::Forbidden { scope: known.into_iter().find(|known| *known == scope)? }
        }
        Told::RateLimited { ms } => Error::RateLimited { retry_after: retry_after(ms) },
        Told::Unavailable { ms } => Error::Unavailable { retry_after: retry_after(ms) },
        Told::UpstreamFailed { status } => Error::UpstreamFailed { status },
        Told::RefusedCall { status } => Error::RefusedCall { status },
        Told::BadToken => Error::BadToken,
        Told::ListShrunk => Error::ListShrunk,
        Told::Redirect => Error::Redirect,
        Told::BadType => Error::BadType,
        Told::List(failure) => Error::List(failure),
        Told::Schema { listing, path, kind } => {
            let listing = Listing::NAMES.into_iter().find(|known| *known == listing)?;
            let error = SchemaError { path, kind };
            Error::Schema { dialect: dialect.name(), listing, error }
        }
    })
}

fn written(told: &Told) -> Option<Vec<u8>> {
    serde_json::to_vec(told).ok()
}

#[cfg(test)]
mod tests {
    use domain::upstream::DIALECTS;

    use super::*;

    #[test]
    fn what_the_upstream_said_is_the_same_error_at_another_replica() {
        let dialect = DIALECTS[0];
        let retry_after = Duration::from_millis(2500);
        let schema = |path: &str, kind| {
            let (dialect, listing) = (dialect.name(), "teams");
            Error::Schema { dialect, listing, error: SchemaError { path: path.to_owned(), kind } }
        };
        for error in [
            Error::MappedKeyRefused,
            Error::Forbidden { scope: dialect.facts().scope },
            Error::Forbidden { scope: dialect.scope(&Listing::Teams) },
            Error::RateLimited { retry_after },
            Error::Unavailable { retry_after },
            Error::UpstreamFailed { status: 500 },
            Error::RefusedCall { status: 404 },
            Error::BadToken,
            Error::ListShrunk,
            Error::Redirect,
            Error::BadType,
            Error::List(Failure::TooLarge { rows_max: 7 }),
            Error::List(Failure::Unstable),
            schema("users[3].id", SchemaKind::BadId),
            schema(".", SchemaKind::BadJson { at: 12 }),
        ] {
            let told = told(&error).unwrap();
            assert!(told.len() <= 256, "{error:?}");
            assert_eq!(heard(&told, dialect).as_ref(), Some(&error));
        }
    }

    #[test]
    fn what_only_this_replica_knows_is_nobody_elses_error() {
        for error in [
            Error::Deadline,
            Error::UpstreamTimeout,
            Error::TenantLimit,
            Error::Overloaded,
            Error::Internal,
            Error::Oversize,
            Error::BreakerOpen { retry_after: Duration::from_secs(1) },
        ] {
            assert_eq!(told(&error), None, "{error:?}");
        }
        assert_eq!(heard(&too_large(), DIALECTS[0]), None);
        assert_eq!(heard(b"upstream_5xx", DIALECTS[0]), None);
    }
}
