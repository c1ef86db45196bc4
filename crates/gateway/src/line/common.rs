//! What one caller shares with the other replicas of this gateway. Must never share between callers: the scope holds
//! the caller, its upstream, and the digest of its key there.

use commons::{Commons, Scope};
use settings::{Caller, KeyDigest, Upstream, UpstreamKey};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) commons: Commons,
    /// This caller at this upstream with this key: pauses, refusals and values of it. The upstream is also what it
    /// speaks and where its tokens come from: what a wrong `token_url` refuses is no refusal of the key.
    pub(crate) scope: Scope,
}

impl Common {
    /// What a caller shares.
    pub(crate) fn of(commons: &Commons, caller: &Caller, upstream: &Upstream) -> Self {
        let (name, base) = (caller.name.as_bytes(), upstream.base_url.as_bytes());
        let dialect = upstream.dialect.name().as_bytes();
        let token = format!("{:?}", upstream.token);
        let bytes = joined(&[name, base, dialect, token.as_bytes(), &digest(&caller.key)]);
        Common { commons: commons.clone(), scope: commons.scope(&bytes) }
    }
}

/// Who a caller is at its upstream.
pub(super) fn digest(key: &UpstreamKey) -> KeyDigest {
    match key {
        UpstreamKey::Bearer(value) => settings::digest(value.to_str().unwrap_or_default()),
        UpstreamKey::Client { id, secret } => {
            settings::digest(&format!("{}:{}", id.expose(), secret.expose()))
        }
    }
}

/// Parts of a scope, each with its length before it, so that no name runs into the next.
pub(super) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(*part);
    }
    bytes
}
