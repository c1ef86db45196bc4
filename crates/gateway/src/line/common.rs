//! What one caller shares with the other replicas of this gateway. Must never share between callers: the scope holds
//! the caller, its upstream and the digest of its key there.

use commons::{Commons, Scope};
use settings::{Caller, Upstream, UpstreamKey};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) commons: Commons,
    /// This caller at this upstream with this key: pauses, refusals and values of it.
    pub(crate) scope: Scope,
}

impl Common {
    /// What a caller shares.
    pub(crate) fn of(commons: &Commons, caller: &Caller, upstream: &Upstream) -> Self {
        let key = match &caller.key {
            UpstreamKey::Bearer(value) => settings::digest(value.to_str().unwrap_or_default()),
            UpstreamKey::Client { id, secret } => {
                settings::digest(&format!("{}:{}", id.expose(), secret.expose()))
            }
        };
        // Told apart by their lengths, so that no name runs into the next.
        let mut bytes = Vec::new();
        for part in [caller.name.as_bytes(), upstream.base_url.as_bytes(), &key[..]] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part);
        }
        Common { commons: commons.clone(), scope: commons.scope(&bytes) }
    }
}
