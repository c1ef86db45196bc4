//! `[traces]`: where spans go, and of how many requests.

use super::{ConfigError, Reader, field};

/// `[traces]`.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// The collector, `http://HOST:PORT`, that takes OTLP over gRPC; `None`: nothing is recorded.
    pub otlp_endpoint: Option<String>,
    /// The share of requests recorded of those that come without a trace of their own, 0 to 1.
    pub sampled: f64,
}

impl Reader<'_> {
    pub(super) fn traces(&self) -> Result<Traces, ConfigError> {
        let raw = &self.raw.traces;
        if let Some(endpoint) = &raw.otlp_endpoint {
            let uri = endpoint.parse::<http::Uri>().ok();
            let is_bare = |uri: &http::Uri| {
                matches!(uri.path_and_query().map(|p| p.as_str()), None | Some("/"))
            };
            let is_fit = uri.is_some_and(|uri| {
                uri.scheme_str() == Some("http")
                    && uri.authority().is_some_and(|who| !who.as_str().contains('@'))
                    && is_bare(&uri)
            });
            if !is_fit {
                let text =
                    "must be http://HOST:PORT, a collector that takes OTLP over gRPC".to_owned();
                return Err(self.document.error(&field(&["traces", "otlp_endpoint"]), text));
            }
        }
        if !(0.0..=1.0).contains(&raw.sampled) {
            let text = "must be a number from 0 to 1".to_owned();
            return Err(self.document.error(&field(&["traces", "sampled"]), text));
        }
        Ok(Traces { otlp_endpoint: raw.otlp_endpoint.clone(), sampled: raw.sampled })
    }
}
