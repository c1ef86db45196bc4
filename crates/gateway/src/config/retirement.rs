//! The end of a legacy endpoint, as far as settings of one table contradict each other.

use domain::quirks::Quirks;

use super::{ConfigError, Reader, field};

impl Reader<'_> {
    /// The dates of one endpoint in order, and a link that fits a header.
    pub(super) fn retirement(&self, endpoint: &str, quirks: &Quirks) -> Result<(), ConfigError> {
        let at = |name| field(&["legacy", endpoint, name]);
        if let (Some(deprecation), Some(sunset)) = (quirks.deprecation, quirks.sunset)
            && sunset < deprecation
        {
            return self.refuse(&at("sunset"), "must not be before deprecation");
        }
        let Some(link) = &quirks.link else { return Ok(()) };
        if quirks.deprecation.is_none() && quirks.sunset.is_none() {
            return self.refuse(&at("link"), "goes with deprecation or sunset");
        }
        let is_web = ["https://", "http://"].iter().any(|scheme| {
            link.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
        let is_plain = link.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b));
        match is_web && is_plain {
            true => Ok(()),
            false => self.refuse(&at("link"), "must be a URL that begins with https:// or http://"),
        }
    }
}
