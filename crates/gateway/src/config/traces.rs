//! `[traces]`: where spans go, and of how many requests.

use std::path::PathBuf;

use http::Uri;
use transport::tls::ClientTls;

use super::{ConfigError, Reader, base_url, field};

/// Where a collector takes traces, below its base URL.
const TRACES_PATH: &str = "/v1/traces";

/// `[traces]`.
#[derive(Debug, Clone)]
pub struct Traces {
    /// Who takes the spans; `None`: nothing is recorded.
    pub collector: Option<Collector>,
    /// The share of requests recorded of those that come without a trace of their own, 0 to 1.
    pub sampled: f64,
}

/// A collector that takes OTLP over HTTP.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Where spans are posted, the whole URL.
    pub url: Uri,
    /// Whom to believe on `https`.
    pub tls: ClientTls,
    /// The file with further roots, if there is one.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Reader<'_> {
    pub(super) fn traces(&self) -> Result<Traces, ConfigError> {
        let raw = &self.raw.traces;
        if !(0.0..=1.0).contains(&raw.sampled) {
            return self.refuse(&field(&["traces", "sampled"]), "must be a number from 0 to 1");
        }
        let tls = self.client_tls(&field(&["traces", "ca_file"]), raw.ca_file.as_deref())?;
        let collector = match &raw.otlp_endpoint {
            None => None,
            Some(endpoint) => {
                let Some(url) = traces_url(endpoint) else {
                    let what =
                        format!("{}, of a collector that takes OTLP over HTTP", base_url::WANTED);
                    return self.refuse(&field(&["traces", "otlp_endpoint"]), what);
                };
                Some(Collector { url, tls, ca_file: raw.ca_file.clone() })
            }
        };
        Ok(Traces { collector, sampled: raw.sampled })
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
