//! `[[caller]]`: a caller's name, its keys here and upstream, and the users that it sees.

use std::collections::BTreeMap;
use std::fmt;

use domain::visibility::{Only, Visibility};
use http::HeaderValue;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};

use super::upstreams::Upstream;
use crate::error::ConfigError;
use crate::key_source::{Key, key_digest_of, secret};
use crate::near::question;
use crate::reader::{Field, Reader, field, field_in_list};
use crate::value::digest::{KeyDigest, digest};
use crate::value::secret::Secret;

/// `[[caller]]`.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Name in logs, metrics and `/callers`.
    pub name: String,
    /// SHA-256 of its legacy key.
    pub digest: KeyDigest,
    /// Name of its upstream.
    pub upstream: String,
    /// Its credential at its upstream.
    pub key: UpstreamKey,
    /// The users that it sees.
    pub sees: Visibility,
    /// Whether it may ask how an answer came about.
    pub explain: bool,
    /// What it may do to the world, beside reading.
    pub effects: Vec<Effect>,
    /// Percentage of its translated requests that control answers.
    pub control_percent: u32,
}

/// Something that a request does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A call is placed.
    Call,
}

/// A caller's credential at its upstream.
#[derive(Debug, Clone)]
pub enum UpstreamKey {
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

impl UpstreamKey {
    /// Whether it is, or has in it, the key of a digest.
    pub(crate) fn is_of(&self, key: &KeyDigest) -> bool {
        let is_one = |text: &str| digest(text) == *key;
        match self {
            UpstreamKey::Bearer(bearer) => bearer
                .to_str()
                .is_ok_and(|bearer| bearer.strip_prefix("Bearer ").is_some_and(is_one)),
            UpstreamKey::Client { id, secret } => is_one(id.expose()) || is_one(secret.expose()),
        }
    }
}

/// `Bearer <key>`, marked sensitive; `None` where no header can carry it.
pub fn bearer(key: &str) -> Option<HeaderValue> {
    let bearer = Secret::new(format!("Bearer {key}"));
    let mut value = HeaderValue::from_str(bearer.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `[[caller]]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedCaller {
    name: String,
    legacy_key: Key,
    upstream: String,
    upstream_key: Key,
    sees: Sees,
    #[serde(default)]
    effects: Vec<Effect>,
    #[serde(default)]
    explain: bool,
    #[serde(default, deserialize_with = "percent")]
    control_percent: u32,
}

/// `"everything"`, or lists.
#[derive(Debug)]
struct Sees(Visibility);

impl<'de> Deserialize<'de> for Sees {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct SeesVisitor;
        impl<'de> Visitor<'de> for SeesVisitor {
            type Value = Sees;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"everything\" or { teams = [..], groups = [..], users = [..] }")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Sees, E> {
                match text {
                    "everything" => Ok(Sees(Visibility::Everything)),
                    _ => Err(E::custom("must be \"everything\" or lists")),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sees, A::Error> {
                let lists = Lists::deserialize(MapAccessDeserializer::new(map))?;
                let spelled = |list: Vec<Spelled>| list.into_iter().map(|item| item.0).collect();
                Ok(Sees(Visibility::Only(Only {
                    teams: spelled(lists.teams),
                    groups: spelled(lists.groups),
                    users: lists.users,
                })))
            }
        }
        de.deserialize_any(SeesVisitor)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Lists {
    teams: Vec<Spelled>,
    groups: Vec<Spelled>,
    users: Vec<u64>,
}

/// An id or a name.
#[derive(Debug)]
struct Spelled(String);

impl<'de> Deserialize<'de> for Spelled {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct SpelledVisitor;
        impl Visitor<'_> for SpelledVisitor {
            type Value = Spelled;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or a name")
            }
            fn visit_str<E>(self, text: &str) -> Result<Spelled, E> {
                Ok(Spelled(text.to_owned()))
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Spelled, E> {
                Ok(Spelled(number.to_string()))
            }
        }
        de.deserialize_any(SpelledVisitor)
    }
}

fn percent<'de, D: Deserializer<'de>>(de: D) -> Result<u32, D::Error> {
    match u32::deserialize(de)? {
        percent @ 0..=100 => Ok(percent),
        _ => Err(D::Error::custom("must be 0 to 100")),
    }
}

/// The callers in file order. Control, which may answer them, is in a table of its own.
pub(crate) fn read(
    typed: &[TypedCaller],
    upstreams: &BTreeMap<String, Upstream>,
    has_control: bool,
    reader: &Reader<'_>,
) -> Result<Vec<Caller>, ConfigError> {
    if typed.is_empty() {
        return reader.refuse(&field(&["caller"]), "at least one [[caller]] is needed");
    }
    let mut callers: Vec<Caller> = Vec::new();
    for (index, typed) in typed.iter().enumerate() {
        let at = |key: &str| field_in_list(&["caller"], index, key);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if typed.name.is_empty() || typed.name.len() > 64 || !typed.name.chars().all(is_plain) {
            return reader.refuse(&at("name"), "must be 1 to 64 of A-Z a-z 0-9 - _ .");
        }
        if let Some(other) = callers.iter().position(|other| other.name == typed.name) {
            let first = field_in_list(&["caller"], other, "name");
            let what = format!("the caller of {} has this name", reader.place(&first));
            return reader.refuse_second(&at("name"), &first, what);
        }
        let digest = key_digest_of(&at("legacy_key"), &typed.legacy_key, reader)?;
        if let Some(other) = callers.iter().position(|other| other.digest == digest) {
            let first = field_in_list(&["caller"], other, "legacy_key");
            let place = reader.place(&first);
            let name = callers.get(other).map_or("", |other| &other.name);
            let what = format!("caller \"{name}\" has the same key, {place}");
            return reader.refuse_second(&at("legacy_key"), &first, what);
        }
        let Some(upstream) = upstreams.get(&typed.upstream) else {
            let question = question(&typed.upstream, upstreams.keys().map(String::as_str));
            let what = format!("there is no [upstream] of this name{question}");
            return reader.refuse(&at("upstream"), what);
        };
        let is_narrowed = match &typed.sees.0 {
            Visibility::Everything => false,
            Visibility::Only(Only { teams, groups, users }) => {
                if teams.is_empty() && groups.is_empty() && users.is_empty() {
                    let what = "lists nobody; say whom this caller sees";
                    return reader.refuse(&at("sees"), what);
                }
                true
            }
        };
        if typed.control_percent > 0 && !has_control {
            let what = "needs a [shadow] that says where control is";
            return reader.refuse(&at("control_percent"), what);
        }
        // In control's answers a caller sees all that its key shows there. `sees` has no effect on them.
        if typed.control_percent > 0 && is_narrowed {
            let what = "goes with sees = \"everything\" alone: control is not narrowed";
            return reader.refuse(&at("control_percent"), what);
        }
        if typed.effects.contains(&Effect::Call) && upstream.dialect.call_scope().is_none() {
            let what = "the dialect of this caller's upstream places no calls";
            return reader.refuse(&at("effects"), what);
        }
        callers.push(Caller {
            name: typed.name.clone(),
            digest,
            upstream: typed.upstream.clone(),
            key: upstream_key(&at("upstream_key"), &typed.upstream_key, upstream, reader)?,
            sees: typed.sees.0.clone(),
            effects: typed.effects.clone(),
            explain: typed.explain,
            control_percent: typed.control_percent,
        });
    }
    Ok(callers)
}

fn upstream_key(
    at: &Field,
    key: &Key,
    upstream: &Upstream,
    reader: &Reader<'_>,
) -> Result<UpstreamKey, ConfigError> {
    if key.digest.is_some() {
        return reader.refuse(at, "a digest cannot be sent; use env or file");
    }
    let secret = secret(at, key, reader)?;
    if upstream.token.is_some() {
        return match secret.expose().split_once(':') {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => Ok(UpstreamKey::Client {
                id: Secret::new(id.to_owned()),
                secret: Secret::new(secret.to_owned()),
            }),
            _ => reader.refuse(at, "must be client_id:client_secret for this dialect"),
        };
    }
    match bearer(secret.expose()) {
        Some(value) => Ok(UpstreamKey::Bearer(value)),
        None => reader.refuse(at, "holds characters that no header can carry"),
    }
}
