//! `[legacy]`: settings of all legacy endpoints, and in `[legacy.<endpoint>]` the quirks of each one, as
//! far as settings of one table contradict each other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use domain::legacy::{ENDPOINTS, Endpoint};
use domain::quirks::Quirks;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::ConfigError;
use crate::near::question;
use crate::reader::{Reader, field};

/// The use of the body of a translated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyParameters {
    /// A JSON object or a form has parameters, which go over those of the query.
    #[default]
    Read,
    /// It is waited for, and means nothing.
    Ignore,
}

/// `[legacy]` as typed: settings of its own beside one table for each endpoint.
#[derive(Debug, Default)]
pub(crate) struct TypedLegacy {
    pub(crate) body_parameters: BodyParameters,
    pub(crate) endpoints: BTreeMap<String, Quirks>,
}

impl<'de> Deserialize<'de> for TypedLegacy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Tables)
    }
}

struct Tables;

impl<'de> Visitor<'de> for Tables {
    type Value = TypedLegacy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<TypedLegacy, A::Error> {
        let mut typed = TypedLegacy::default();
        while let Some(name) = tables.next_key::<String>()? {
            if name == "body_parameters" {
                typed.body_parameters = tables.next_value()?;
            } else {
                typed.endpoints.insert(name, tables.next_value()?);
            }
        }
        Ok(typed)
    }
}

/// The quirks of every endpoint; those of one that is not named are the defaults.
pub(crate) fn read(
    typed: &BTreeMap<String, Quirks>,
    reader: &Reader<'_>,
) -> Result<BTreeMap<&'static str, Arc<Quirks>>, ConfigError> {
    for (name, quirks) in typed {
        if !ENDPOINTS.iter().any(|endpoint| endpoint.name() == name) {
            let names = ENDPOINTS.iter().map(|endpoint| endpoint.name());
            let what = format!("no legacy endpoint has this name{}", question(name, names));
            return reader.refuse(&field(&["legacy", name]), what);
        }
        if quirks.invalid_key.as_ref().is_some_and(|answer| !(400..=499).contains(&answer.status)) {
            let at = field(&["legacy", name, "invalid_key", "status"]);
            return reader.refuse(&at, "must be 400 to 499");
        }
        retirement(name, quirks, reader)?;
    }
    let quirks = |name: &str| typed.get(name).cloned().unwrap_or_default();
    let of = |endpoint: &Endpoint| Arc::new(endpoint.settled(quirks(endpoint.name())));
    Ok(ENDPOINTS.iter().map(|endpoint| (endpoint.name(), of(endpoint))).collect())
}

/// The dates of one endpoint in order, and a link that fits a header.
fn retirement(endpoint: &str, quirks: &Quirks, reader: &Reader<'_>) -> Result<(), ConfigError> {
    let at = |name| field(&["legacy", endpoint, name]);
    if let (Some(deprecation), Some(sunset)) = (quirks.deprecation, quirks.sunset)
        && sunset < deprecation
    {
        return reader.refuse(&at("sunset"), "must not be before deprecation");
    }
    let Some(link) = &quirks.link else { return Ok(()) };
    if quirks.deprecation.is_none() && quirks.sunset.is_none() {
        return reader.refuse(&at("link"), "goes with deprecation or sunset");
    }
    let is_web = ["https://", "http://"].iter().any(|scheme| {
        link.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    let is_plain = link.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b));
    match is_web && is_plain {
        true => Ok(()),
        false => reader.refuse(&at("link"), "must be a URL that begins with https:// or http://"),
    }
}
