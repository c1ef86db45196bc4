//! `[shadow]`: the other side, and how much it may be asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::legacy::ENDPOINTS;
use serde::{Deserialize, Deserializer, de::Error};
use transport::tls::ClientTls;

use crate::error::ConfigError;
use crate::reader::{Reader, field};
use crate::value::base_url::{base_url, repeated};
use crate::value::check::{count_to, positive, share, size_within};

/// `[shadow]`.
#[derive(Debug, Clone)]
pub struct Shadow {
    /// The legacy API: scheme and authority, and a path prefix without a slash at its end.
    pub control: String,
    /// The certificates to trust on `https`.
    pub tls: ClientTls,
    /// Whether its name may lead to private addresses.
    pub allow_private_addresses: bool,
    /// The share of translated requests that both sides are asked, 0 to 1.
    pub sample: f64,
    /// How often anything is asked for a comparison.
    pub requests_per_second_max: f64,
    /// Comparisons at once.
    pub requests_in_flight_max: usize,
    /// Comparisons that wait.
    pub queue_max: usize,
    /// Bytes of one answer.
    pub answer_bytes_max: usize,
    /// One question to control, from sending to the last byte.
    pub attempt_timeout: Duration,
    /// One answer of control that a client waits for.
    pub answer_timeout: Duration,
    /// The file of the results.
    pub report_file: Option<PathBuf>,
}

/// `[shadow]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedShadow {
    #[serde(deserialize_with = "base_url")]
    control: String,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    allow_private_addresses: bool,
    #[serde(default = "TypedShadow::sample", deserialize_with = "share")]
    sample: f64,
    #[serde(
        default = "TypedShadow::requests_per_second_max",
        deserialize_with = "requests_per_second_max"
    )]
    requests_per_second_max: f64,
    #[serde(
        default = "TypedShadow::requests_in_flight_max",
        deserialize_with = "count_to::<64, _>"
    )]
    requests_in_flight_max: usize,
    #[serde(default = "TypedShadow::queue_max", deserialize_with = "count_to::<10_000, _>")]
    queue_max: usize,
    #[serde(
        default = "TypedShadow::answer_bytes_max",
        deserialize_with = "size_within::<{ 64 << 10 }, { 1 << 30 }, _, _>"
    )]
    answer_bytes_max: usize,
    #[serde(default = "TypedShadow::attempt_timeout", deserialize_with = "positive")]
    attempt_timeout: Duration,
    #[serde(default = "TypedShadow::answer_timeout", deserialize_with = "positive")]
    answer_timeout: Duration,
    report_file: Option<PathBuf>,
}

impl TypedShadow {
    fn sample() -> f64 {
        0.01
    }
    fn requests_per_second_max() -> f64 {
        1.0
    }
    fn requests_in_flight_max() -> usize {
        1
    }
    fn queue_max() -> usize {
        64
    }
    fn answer_bytes_max() -> usize {
        32 << 20
    }
    fn attempt_timeout() -> Duration {
        Duration::from_secs(30)
    }
    fn answer_timeout() -> Duration {
        Duration::from_secs(5)
    }

    /// What it means.
    pub(crate) fn read(self, reader: &Reader<'_>) -> Result<Shadow, ConfigError> {
        let report_file = self.report_file.as_ref().map(|file| reader.path(file));
        if let Some(what) = report_file.as_deref().and_then(unfit_for_a_report) {
            if let Some(file) = &report_file {
                reader.files.borrow_mut().add_with_folder(file);
            }
            return reader.refuse(&field(&["shadow", "report_file"]), what);
        }
        let paths = ENDPOINTS.iter().flat_map(|endpoint| endpoint.paths());
        // Two parts, such as `/api/v3`, are no folder of the vendor's host.
        if let Some(what) = paths.filter_map(|path| repeated(&self.control, path, 2)).next() {
            return reader.refuse(&field(&["shadow", "control"]), what);
        }
        Ok(Shadow {
            control: self.control,
            tls: reader.client_tls(&field(&["shadow", "ca_file"]), self.ca_file.as_deref())?,
            allow_private_addresses: self.allow_private_addresses,
            sample: self.sample,
            requests_per_second_max: self.requests_per_second_max,
            requests_in_flight_max: self.requests_in_flight_max,
            queue_max: self.queue_max,
            answer_bytes_max: self.answer_bytes_max,
            attempt_timeout: self.attempt_timeout,
            answer_timeout: self.answer_timeout,
            report_file,
        })
    }
}

fn requests_per_second_max<'de, D: Deserializer<'de>>(de: D) -> Result<f64, D::Error> {
    let rate = f64::deserialize(de)?;
    match (0.001..=1000.0).contains(&rate) {
        true => Ok(rate),
        false => Err(D::Error::custom("must be a number from 0.001 to 1000")),
    }
}

/// Why nothing can be written there, as far as that is known beforehand.
fn unfit_for_a_report(file: &Path) -> Option<&'static str> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    match () {
        () if file.file_name().is_none() || file.is_dir() => Some("must be a file"),
        () if !folder.unwrap_or(Path::new(".")).is_dir() => {
            Some("is in a folder that there is not")
        }
        () => None,
    }
}
