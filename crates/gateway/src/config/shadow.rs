//! `[shadow]` and `control_percent`: the other side, how much it may be asked, and who may be answered
//! by it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::visibility::Visibility;
use transport::tls::ClientTls;

use super::{ConfigError, Field, Reader, base_url, field, raw};

/// `[shadow]`.
#[derive(Debug, Clone)]
pub struct Shadow {
    /// The legacy API: scheme and authority, and a path prefix without a slash at its end.
    pub control: String,
    /// Whom to believe on `https`.
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
    /// Where what was found is written.
    pub report_file: Option<PathBuf>,
}

/// What a comparison may cost at most, whatever is configured.
const PER_SECOND: std::ops::RangeInclusive<f64> = 0.001..=1000.0;
const IN_FLIGHT_MAX: usize = 64;
const QUEUE_MAX: usize = 10_000;
const ANSWER_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=1 << 30;

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

impl Reader<'_> {
    pub(super) fn shadow(&self) -> Result<Option<Shadow>, ConfigError> {
        let Some(raw) = &self.raw.shadow else { return Ok(None) };
        let at = |key: &str| field(&["shadow", key]);
        let Some(control) = base_url::read(&raw.control) else {
            return self.refuse(&at("control"), base_url::WANTED);
        };
        if !(0.0..=1.0).contains(&raw.sample) {
            return self.refuse(&at("sample"), "must be a number from 0 to 1");
        }
        if !PER_SECOND.contains(&raw.requests_per_second_max) {
            let what = "must be a number from 0.001 to 1000";
            return self.refuse(&at("requests_per_second_max"), what);
        }
        for (key, count, most) in [
            ("requests_in_flight_max", raw.requests_in_flight_max, IN_FLIGHT_MAX),
            ("queue_max", raw.queue_max, QUEUE_MAX),
        ] {
            if !(1..=most).contains(&count) {
                return self.refuse(&at(key), format!("must be 1 to {most}"));
            }
        }
        if !ANSWER_BYTES.contains(&raw.answer_bytes_max.0) {
            return self.refuse(&at("answer_bytes_max"), "must be 64KiB to 1GiB");
        }
        self.positive(&at("attempt_timeout"), raw.attempt_timeout.0)?;
        self.positive(&at("answer_timeout"), raw.answer_timeout.0)?;
        let report_file = raw.report_file.as_ref().map(|file| self.folder.join(file));
        if let Some(what) = report_file.as_deref().and_then(unfit_for_a_report) {
            return self.refuse(&at("report_file"), what);
        }
        Ok(Some(Shadow {
            control,
            tls: self.client_tls(&at("ca_file"), raw.ca_file.as_deref())?,
            allow_private_addresses: raw.allow_private_addresses,
            sample: raw.sample,
            requests_per_second_max: raw.requests_per_second_max,
            requests_in_flight_max: raw.requests_in_flight_max,
            queue_max: raw.queue_max,
            answer_bytes_max: raw.answer_bytes_max.0,
            attempt_timeout: raw.attempt_timeout.0,
            answer_timeout: raw.answer_timeout.0,
            report_file,
        }))
    }

    /// Who is answered by control sees what its key shows there, whatever `sees` says here.
    pub(super) fn control_percent(&self, at: &Field, raw: &raw::Caller) -> Result<(), ConfigError> {
        if raw.control_percent > 100 {
            return self.refuse(at, "must be 0 to 100");
        }
        if raw.control_percent == 0 {
            return Ok(());
        }
        if self.raw.shadow.is_none() {
            return self.refuse(at, "needs a [shadow] that says where control is");
        }
        match raw.sees.0 {
            Visibility::Everything => Ok(()),
            Visibility::Only(_) => {
                self.refuse(at, "goes with sees = \"everything\" alone: control is not narrowed")
            }
        }
    }
}
