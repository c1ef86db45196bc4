//! Who asks for what has no endpoint here. Its caller is named, and a documented legacy path is noted by its name
//! in the closed list, so that an operator can see which calls a client still makes. Must never note a path
//! itself: some have a key in them.

use std::sync::Arc;

use domain::legacy::{is_foreign, untranslated_at};
use http::Request;

use crate::caller::Callers;
use crate::error::Error;
use crate::key_in_path::{self, KeyInPath};
use crate::observe::account::SharedAccount;
use crate::request::credential::Credential;

/// Notes the documented legacy path of a request, and whose key stands in it.
pub(crate) fn note_path<B>(
    request: &Request<B>,
    callers: &Callers,
    account: &SharedAccount,
) -> Option<Box<KeyInPath>> {
    let path = request.uri().path();
    if is_foreign(path) {
        return None;
    }
    let documented = untranslated_at(path);
    if let Some(documented) = &documented {
        account.note(|account| account.untranslated = Some(documented.place));
    }
    let found = Box::new(key_in_path::of(path, documented, callers)?);
    if let Some(caller) = &found.caller {
        account.note(|account| account.caller = Some(Arc::clone(&caller.tally)));
    }
    Some(found)
}

/// Notes the caller of a request that nothing answers, by the key that it came with, and says what it is told.
pub(crate) fn nowhere<B>(
    request: &Request<B>,
    in_path: Option<&KeyInPath>,
    callers: &Callers,
    account: &SharedAccount,
) -> Error {
    let credential = Credential::of(request.headers(), request.uri().query());
    let caller = callers.of(&credential);
    if let Ok(caller) = &caller {
        account.note(|account| account.caller = Some(Arc::clone(&caller.tally)));
    }
    // Several keys are no guess anywhere.
    let is_known = matches!(caller, Ok(_) | Err(Error::AmbiguousCredential))
        || in_path.is_some_and(|found| found.caller.is_some());
    key_in_path::not_found(request.uri().path(), is_known)
}
