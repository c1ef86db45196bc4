//! `[[caller]]`: who calls, with which key it is known, what it shows its upstream, what it sees.

use std::collections::BTreeMap;

use domain::visibility::Visibility;
use http::HeaderValue;

use super::{ConfigError, Field, Reader, Upstream, field, locate, raw};
use crate::keys::digest::{KeyDigest, digest, parse_digest};
use crate::keys::secret::Secret;

/// `[[caller]]`.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Name in logs, metrics and `/callers`.
    pub name: String,
    /// SHA-256 of its legacy key.
    pub(crate) digest: KeyDigest,
    /// Name of its upstream.
    pub upstream: String,
    /// What it shows its upstream.
    pub(crate) key: UpstreamKey,
    /// What it sees.
    pub sees: Visibility,
    /// Whether it may ask how an answer came about.
    pub explain: bool,
    /// Of a hundred of its translated requests, so many are answered by control.
    pub control_percent: u32,
}

/// What a caller shows its upstream.
#[derive(Debug, Clone)]
pub(crate) enum UpstreamKey {
    /// `Bearer <v4 key>`, marked sensitive.
    Bearer(HeaderValue),
    /// An OAuth client, for which tokens are fetched.
    Client {
        /// Its id.
        id: Secret,
        /// Its secret.
        secret: Secret,
    },
}

/// `Bearer <key>`, marked sensitive; `None` where no header can carry it.
pub(crate) fn bearer(key: &str) -> Option<HeaderValue> {
    let bearer = Secret::new(format!("Bearer {key}"));
    let mut value = HeaderValue::from_str(bearer.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Reader<'_> {
    pub(super) fn callers(
        &self,
        upstreams: &BTreeMap<String, Upstream>,
    ) -> Result<Vec<Caller>, ConfigError> {
        if self.raw.caller.is_empty() {
            return self.refuse(&field(&["caller"]), "at least one [[caller]] is needed");
        }
        let mut callers: Vec<Caller> = Vec::new();
        for (index, raw) in self.raw.caller.iter().enumerate() {
            let at = |key: &str| {
                let mut at = field(&["caller"]);
                at.extend([locate::Step::Index(index), locate::Step::Key(key.to_owned())]);
                at
            };
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.chars().all(is_plain) {
                return self.refuse(&at("name"), "must be 1 to 64 of A-Z a-z 0-9 - _ .");
            }
            if callers.iter().any(|other| other.name == raw.name) {
                return self.refuse(&at("name"), "another caller has this name");
            }
            let digest = self.legacy_key(&at("legacy_key"), &raw.legacy_key)?;
            if let Some(other) = callers.iter().find(|other| other.digest == digest) {
                let what = format!("caller \"{}\" has the same key", other.name);
                return self.refuse(&at("legacy_key"), what);
            }
            let Some(upstream) = upstreams.get(&raw.upstream) else {
                return self.refuse(&at("upstream"), "there is no [upstream] of this name");
            };
            if let Visibility::Only(only) = &raw.sees.0
                && only.teams.is_empty()
                && only.groups.is_empty()
                && only.users.is_empty()
            {
                return self.refuse(&at("sees"), "lists nobody; say whom this caller sees");
            }
            self.control_percent(&at("control_percent"), raw)?;
            callers.push(Caller {
                name: raw.name.clone(),
                digest,
                upstream: raw.upstream.clone(),
                key: self.upstream_key(&at("upstream_key"), &raw.upstream_key, upstream)?,
                sees: raw.sees.0.clone(),
                explain: raw.explain,
                control_percent: raw.control_percent,
            });
        }
        Ok(callers)
    }

    fn legacy_key(&self, at: &Field, key: &raw::Key) -> Result<KeyDigest, ConfigError> {
        match &key.digest {
            Some(text) if key.env.is_none() && key.file.is_none() => match parse_digest(text) {
                Some(digest) => Ok(digest),
                None => self.refuse(at, "digest must be sha256: and 64 hex digits"),
            },
            None => Ok(digest(self.secret(at, key)?.expose())),
            Some(_) => self.refuse(at, "needs one of digest, env and file, not several"),
        }
    }

    fn upstream_key(
        &self,
        at: &Field,
        key: &raw::Key,
        upstream: &Upstream,
    ) -> Result<UpstreamKey, ConfigError> {
        if key.digest.is_some() {
            return self.refuse(at, "a digest cannot be sent; use env or file");
        }
        let secret = self.secret(at, key)?;
        if secret.expose().contains(char::is_whitespace) {
            return self.refuse(at, "holds white space; give the key alone, without \"Bearer\"");
        }
        if upstream.token.is_some() {
            return match secret.expose().split_once(':') {
                Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
                    Ok(UpstreamKey::Client {
                        id: Secret::new(id.to_owned()),
                        secret: Secret::new(secret.to_owned()),
                    })
                }
                _ => self.refuse(at, "must be client_id:client_secret for this dialect"),
            };
        }
        match bearer(secret.expose()) {
            Some(value) => Ok(UpstreamKey::Bearer(value)),
            None => self.refuse(at, "holds characters that no header can carry"),
        }
    }

    /// A secret from the environment or a file; white space around it is a habit of editors.
    fn secret(&self, at: &Field, key: &raw::Key) -> Result<Secret, ConfigError> {
        let text = match (&key.env, &key.file) {
            (Some(name), None) => match self.env.iter().find(|(known, _)| known == name) {
                Some((_, value)) => value.clone(),
                None => {
                    return self.refuse(at, format!("the variable {} is not set", key.env_shown()));
                }
            },
            (None, Some(file)) => match std::fs::read_to_string(self.file(file)) {
                Ok(text) => text,
                Err(error) => {
                    return self.refuse(at, format!("the file cannot be read: {}", error.kind()));
                }
            },
            (Some(_), Some(_)) => return self.refuse(at, "needs one of env and file, not both"),
            (None, None) => return self.refuse(at, "needs env = \"NAME\" or file = \"PATH\""),
        };
        let secret = text.trim();
        if secret.is_empty() {
            return self.refuse(at, "is empty");
        }
        Ok(Secret::new(secret.to_owned()))
    }
}
