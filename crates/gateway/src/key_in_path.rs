//! A key in a path that has no endpoint: `/api/v1/{key}/..`. It is a credential like any other. Must never take
//! a part of a path for a key where no documented path has one, unless it is a caller's.

use std::sync::Arc;

use domain::legacy::{Untranslated, key_place, untranslated_at};
use settings::Secret;

use crate::caller::{Caller, Callers};
use crate::error::Error;

/// See the module.
pub(crate) struct KeyInPath {
    pub(crate) key: Secret,
    /// Whose it is.
    pub(crate) caller: Option<Arc<Caller>>,
}

/// The key in a path.
pub(crate) fn find(path: &str, callers: &Callers) -> Option<KeyInPath> {
    of(path, untranslated_at(path), callers)
}

/// The same for a path of which it is known whether it is a documented one.
pub(crate) fn of(
    path: &str,
    documented: Option<Untranslated>,
    callers: &Callers,
) -> Option<KeyInPath> {
    let (key, is_documented) = match documented {
        Some(documented) => (documented.key?, true),
        None => (key_place(path)?, false),
    };
    let key = Secret::new(key);
    let caller = callers.find(&key);
    (is_documented || caller.is_some()).then_some(KeyInPath { key, caller })
}

/// The error of a path that leads nowhere. What stands in it where documented paths have a key is a wrong key like any
/// other, unless the request shows in another way whose it is.
pub(crate) fn not_found(path: &str, is_known: bool) -> Error {
    match !is_known && key_place(path).is_some() {
        true => Error::NotFoundWithKey,
        false => Error::NotFound,
    }
}
