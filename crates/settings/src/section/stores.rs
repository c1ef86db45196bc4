//! `[lookups]` and `[cache]`: the memory between requests.

use std::time::Duration;

use serde::Deserialize;

use crate::value::check::{size, time};

/// `[lookups]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lookups {
    /// How long found ids are used.
    #[serde(deserialize_with = "time")]
    pub fresh_for: Duration,
    /// How long "there is none" is believed.
    #[serde(deserialize_with = "time")]
    pub negative_for: Duration,
    /// Names kept per caller.
    pub entries_max: u64,
}

impl Default for Lookups {
    fn default() -> Self {
        Lookups {
            fresh_for: Duration::from_secs(60),
            negative_for: Duration::from_secs(5),
            entries_max: 10_000,
        }
    }
}

/// `[cache]`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Younger, an answer is given without asking the upstream.
    #[serde(deserialize_with = "time")]
    pub fresh_for: Duration,
    /// For so much longer it is given where the upstream fails.
    #[serde(deserialize_with = "time")]
    pub stale_if_error: Duration,
    /// Bytes of all of them together, kept pages included.
    #[serde(deserialize_with = "size")]
    pub bytes_max: u64,
    /// Whether pages are kept to ask the upstream whether they have changed; see [`Self::revalidates`].
    pub revalidate: Option<bool>,
    /// The longest that the upstream is believed that a page has not changed.
    #[serde(deserialize_with = "time")]
    pub revalidate_max: Duration,
}

impl Cache {
    /// Whether pages are kept to ask the upstream whether they have changed. If nothing is said of it, only where
    /// the upstream is asked for every answer.
    pub fn revalidates(&self) -> bool {
        self.revalidate.unwrap_or(self.fresh_for.is_zero()) && !self.revalidate_max.is_zero()
    }
}

impl Default for Cache {
    fn default() -> Self {
        Cache {
            fresh_for: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            bytes_max: 64 << 20,
            revalidate: None,
            revalidate_max: Duration::from_secs(300),
        }
    }
}
