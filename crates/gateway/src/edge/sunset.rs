//! What the configuration says about the end of an endpoint, on every answer of it, errors included:
//! `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and a `Link` to a page about either.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use domain::legacy::Endpoint;
use domain::quirks::Quirks;
use http::header::LINK;
use http::{HeaderMap, HeaderName, HeaderValue};

/// See RFC 9745.
pub(super) const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// The headers of each endpoint that has an end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends(BTreeMap<&'static str, HeaderMap>);

impl Ends {
    /// From the quirks by endpoint name.
    pub(crate) fn of(quirks: &BTreeMap<&'static str, Arc<Quirks>>) -> Self {
        let ends = quirks.iter().map(|(name, quirks)| (*name, headers(quirks)));
        Ends(ends.filter(|(_, headers)| !headers.is_empty()).collect())
    }
}

impl Ends {
    /// Says what there is to say of an endpoint.
    pub(crate) fn add(&self, endpoint: Option<&Endpoint>, answer: &mut HeaderMap) {
        if let Some(headers) = endpoint.and_then(|endpoint| self.0.get(endpoint.name())) {
            answer.extend(headers.clone());
        }
    }
}

fn headers(quirks: &Quirks) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: String| {
        headers.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
    };
    let mut relations = Vec::new();
    if let Some(deprecation) = quirks.deprecation {
        add(DEPRECATION, format!("@{}", deprecation.seconds()));
        relations.push("deprecation");
    }
    if let Some(sunset) = quirks.sunset {
        let at = UNIX_EPOCH + Duration::from_secs(sunset.seconds());
        add(SUNSET, httpdate::fmt_http_date(at));
        relations.push("sunset");
    }
    if let Some(link) = &quirks.link {
        let links: Vec<String> =
            relations.iter().map(|relation| format!("<{link}>; rel=\"{relation}\"")).collect();
        add(LINK, links.join(", "));
    }
    headers
}
