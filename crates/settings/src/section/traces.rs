//! `[traces]`: where spans go, and of how many requests.

use std::path::PathBuf;

use http::Uri;
use serde::{Deserialize, Deserializer, de::Error};
use transport::tls::ClientTls;

use crate::error::ConfigError;
use crate::reader::{Reader, field};
use crate::value::base_url;
use crate::value::check::share;

/// Where a collector takes traces, below its base URL.
const TRACES_PATH: &str = "/v1/traces";

/// `[traces]`.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The collector of the spans; `None`: nothing is recorded.
    pub collector: Option<Collector>,
    /// The share of requests recorded of those that come without a trace of their own, 0 to 1.
    pub sampled: f64,
}

/// A collector that takes OTLP over HTTP.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Where spans are posted, the whole URL.
    pub url: Uri,
    /// The certificates to trust on `https`.
    pub tls: ClientTls,
    /// The file with further roots, if there is one.
    pub ca_file: Option<PathBuf>,
}

/// `[traces]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TypedTraces {
    #[serde(deserialize_with = "otlp_endpoint")]
    otlp_endpoint: Option<Uri>,
    ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "share")]
    sampled: f64,
}

impl Default for TypedTraces {
    fn default() -> Self {
        TypedTraces { otlp_endpoint: None, ca_file: None, sampled: 1.0 }
    }
}

impl TypedTraces {
    /// What it means.
    pub(crate) fn read(self, reader: &Reader<'_>) -> Result<Traces, ConfigError> {
        let at = field(&["traces", "ca_file"]);
        let tls = reader.client_tls(&at, self.ca_file.as_deref())?;
        let ca_file = self.ca_file;
        let collector = self.otlp_endpoint.map(|url| Collector { url, tls, ca_file });
        Ok(Traces { collector, sampled: self.sampled })
    }
}

fn otlp_endpoint<'de, D: Deserializer<'de>>(de: D) -> Result<Option<Uri>, D::Error> {
    match traces_url(&String::deserialize(de)?) {
        Some(url) => Ok(Some(url)),
        None => Err(D::Error::custom(format_args!(
            "{}, of a collector that takes OTLP over HTTP",
            base_url::WANTED
        ))),
    }
}

/// The endpoint itself where it names the path of traces already; else that path below it.
fn traces_url(endpoint: &str) -> Option<Uri> {
    let base = base_url::read(endpoint)?;
    let url = if base.ends_with(TRACES_PATH) { base } else { base + TRACES_PATH };
    url.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_to_the_path_of_traces_below_the_endpoint() {
        for (endpoint, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otel.example/collect/", "https://otel.example/collect/v1/traces"),
            ("https://otel.example:4318/v1/traces", "https://otel.example:4318/v1/traces"),
            ("http://[::1]:4318/a/v1/traces/", "http://[::1]:4318/a/v1/traces"),
        ] {
            assert_eq!(traces_url(endpoint).unwrap(), url, "{endpoint}");
        }
        for endpoint in [
            "127.0.0.1:4318",
            "grpc://127.0.0.1:4317",
            "http://user:canary@127.0.0.1:4318",
            "http://127.0.0.1:4318/?key=canary",
            "http://127.0.0.1:4318/#canary",
            "http://",
        ] {
            assert_eq!(traces_url(endpoint), None, "{endpoint}");
        }
    }
}
