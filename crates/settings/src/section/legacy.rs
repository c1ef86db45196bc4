//! `[legacy.<endpoint>]`: the quirks of each legacy endpoint, as far as settings of one table contradict
//! each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::legacy::ENDPOINTS;
use domain::quirks::Quirks;

use crate::error::ConfigError;
use crate::reader::{Reader, field};

/// The quirks of every endpoint; those of one that is not named are the defaults.
pub(crate) fn read(
    typed: &BTreeMap<String, Quirks>,
    reader: &Reader<'_>,
) -> Result<BTreeMap<&'static str, Arc<Quirks>>, ConfigError> {
    for (name, quirks) in typed {
        if !ENDPOINTS.iter().any(|endpoint| endpoint.name() == name) {
            let what = "no legacy endpoint has this name";
            return reader.refuse(&field(&["legacy", name]), what);
        }
        if !(400..=499).contains(&quirks.invalid_key.status) {
            let at = field(&["legacy", name, "invalid_key", "status"]);
            return reader.refuse(&at, "must be 400 to 499");
        }
        retirement(name, quirks, reader)?;
    }
    let of = |name: &str| Arc::new(typed.get(name).cloned().unwrap_or_default());
    Ok(ENDPOINTS.iter().map(|endpoint| (endpoint.name(), of(endpoint.name()))).collect())
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
