//! `[shadow]` as typed.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Span, seconds};
use crate::config::units::Size;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Shadow {
    pub(in crate::config) control: String,
    pub(in crate::config) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(in crate::config) allow_private_addresses: bool,
    #[serde(default = "Shadow::sample")]
    pub(in crate::config) sample: f64,
    #[serde(default = "Shadow::requests_per_second_max")]
    pub(in crate::config) requests_per_second_max: f64,
    #[serde(default = "Shadow::requests_in_flight_max")]
    pub(in crate::config) requests_in_flight_max: usize,
    #[serde(default = "Shadow::queue_max")]
    pub(in crate::config) queue_max: usize,
    #[serde(default = "Shadow::answer_bytes_max")]
    pub(in crate::config) answer_bytes_max: Size,
    #[serde(default = "Shadow::attempt_timeout")]
    pub(in crate::config) attempt_timeout: Span,
    #[serde(default = "Shadow::answer_timeout")]
    pub(in crate::config) answer_timeout: Span,
    pub(in crate::config) report_file: Option<PathBuf>,
}

impl Shadow {
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
    fn answer_bytes_max() -> Size {
        Size(32 << 20)
    }
    fn attempt_timeout() -> Span {
        seconds(30)
    }
    fn answer_timeout() -> Span {
        seconds(5)
    }
}
