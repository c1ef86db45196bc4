//! Who asks for what passes through: a caller, by the one key of the request, or nobody who is known. Must never take a
//! part of a path for a key beside another one.

use std::sync::Arc;

use http::Uri;
use settings::Secret;

use crate::caller::{Caller, Callers};
use crate::error::Error;
use crate::key_in_path::{self, KeyInPath};
use crate::request::credential::Credential;

/// Who asks.
pub(super) struct Who {
    /// A known caller.
    pub(super) caller: Option<Arc<Caller>>,
    /// The key it came with.
    pub(super) key: Option<Secret>,
    /// Whether it stands in the path, where none takes its place.
    pub(super) has_key_in_path: bool,
    /// What there is to say of a request without a known caller.
    pub(super) refusal: Error,
}

impl Who {
    /// The one look-up of the key.
    pub(super) fn of(credential: Credential, callers: &Callers) -> Self {
        let (refusal, key) = match credential {
            Credential::Ambiguous => (Error::AmbiguousCredential, None),
            Credential::None => (Error::NoCredential, None),
            Credential::One(key) => (Error::UnknownCredential, Some(key)),
        };
        let caller = key.as_ref().and_then(|key| callers.find(key));
        Who { caller, key, has_key_in_path: false, refusal }
    }

    /// What it is told of a path that has no route: a key in it may be a wrong one.
    pub(super) fn told(&self, error: Error, uri: &Uri) -> Error {
        let is_known = self.caller.is_some() || self.refusal == Error::AmbiguousCredential;
        if error == Error::NotFound { key_in_path::not_found(uri.path(), is_known) } else { error }
    }

    /// The same for a key in the path, which was looked up already.
    pub(super) fn in_path(found: KeyInPath, beside: &Credential) -> Self {
        let KeyInPath { key, caller } = found;
        match beside {
            Credential::None => {
                let (key, refusal) = (Some(key), Error::UnknownKeyInPath);
                Who { caller, key, has_key_in_path: true, refusal }
            }
            Credential::One(_) | Credential::Ambiguous => {
                let (caller, key, refusal) = (None, None, Error::AmbiguousCredential);
                Who { caller, key, has_key_in_path: true, refusal }
            }
        }
    }
}
