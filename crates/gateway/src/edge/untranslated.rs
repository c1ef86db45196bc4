//! Who asks for what has no endpoint here. Its caller is named, and a documented legacy path is noted by its name
//! in the closed list, so that an operator can see which calls a client still makes. Must never note a path
//! itself: some have a key in them.

use std::sync::Arc;

use domain::legacy::{Untranslated, untranslated_at};
use http::Request;
use settings::Secret;

use crate::caller::Callers;
use crate::observe::account::SharedAccount;
use crate::request::credential::Credential;

/// Notes the documented legacy path of a request, and whose key stands in it.
pub(crate) fn note_path<B>(request: &Request<B>, callers: &Callers, account: &SharedAccount) {
    let Some(Untranslated { place, key }) = untranslated_at(request.uri().path()) else { return };
    account.note(|account| account.untranslated = Some(place));
    let caller = key.and_then(|key| callers.find(&Secret::new(key)));
    if let Some(caller) = caller {
        account.note(|account| account.caller = Some(Arc::clone(&caller.tally)));
    }
}

/// Notes the caller of a request that nothing answers, by the key that it came with.
pub(crate) fn note_caller<B>(request: &Request<B>, callers: &Callers, account: &SharedAccount) {
    let credential = Credential::of(request.headers(), request.uri().query());
    if let Ok(caller) = callers.of(&credential) {
        account.note(|account| account.caller = Some(Arc::clone(&caller.tally)));
    }
}
