//! How an upstream's requests are kept to a number a minute. Must never decide what the number is.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

use crate::value::check::time;

/// Vendors count minutes, so that nothing is gained by saving up more.
const BURST_MAX: Duration = Duration::from_secs(60);

/// How requests are kept to a number a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A quiet time saves up as many requests as fit into this.
    pub burst: Duration,
    /// What the number means.
    pub counts: PaceCounts,
    /// What the vendor counts by.
    pub by: PaceBy,
}

/// What a number of requests a minute means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceCounts {
    /// The rate in the long run; a minute may see what was saved up, too.
    #[default]
    Sustained,
    /// No minute sees more.
    EveryMinute,
}

/// What a vendor counts by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceBy {
    /// All callers of the upstream together: an account.
    #[default]
    Upstream,
    /// Each key of the upstream by itself.
    Key,
}

/// A quarter of a minute's requests.
pub(crate) fn burst() -> Duration {
    Duration::from_secs(15)
}

/// At most a minute.
pub(crate) fn some_burst<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
    match time(de)? {
        burst if burst > BURST_MAX => Err(D::Error::custom("must be at most 60s")),
        burst => Ok(burst),
    }
}
