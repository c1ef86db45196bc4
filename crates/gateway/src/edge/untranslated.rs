//! Who asks for what has no endpoint here. Its caller is named, and a documented legacy path is noted by its name
//! in the closed list, so that an operator can see which calls a client still makes. Must never note a path
//! itself: some have a key in them.

use std::sync::Arc;

use domain::legacy::{is_foreign, untranslated_at};
use http::Request;

use crate::caller::Callers;
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

/// Notes the caller of a request that nothing answers, by the key that it came with.
pub(crate) fn note_caller<B>(request: &Request<B>, callers: &Callers, account: &SharedAccount) {
    let credential = Credential::of(request.headers(), request.uri().query());
    if let Ok(caller) = callers.of(&credential) {
        account.note(|account| account.caller = Some(Arc::clone(&caller.tally)));
    }
}
