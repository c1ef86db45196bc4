//! `[limits]`: the limits of all requests together, and of each.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

use crate::value::check::{
    count, positive, queue, some_count, some_queue, some_size, some_size_within, time,
};

/// `[limits]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest a whole request may take.
    #[serde(deserialize_with = "positive")]
    pub request_deadline: Duration,
    /// Requests answered at once; more wait, for a moment.
    #[serde(deserialize_with = "count")]
    pub requests_in_flight_max: usize,
    /// How many may wait; more are refused with 503.
    #[serde(deserialize_with = "queue")]
    pub requests_queued_max: usize,
    /// The longest they wait before they are refused with 503.
    #[serde(deserialize_with = "time")]
    pub queue_wait_max: Duration,
    #[serde(deserialize_with = "some_count")]
    requests_per_caller_max: Option<usize>,
    #[serde(deserialize_with = "some_queue")]
    lists_queued_max: Option<usize>,
    #[serde(deserialize_with = "some_size_within::<LISTS_BYTES_MIN, LISTS_BYTES_MAX, _, _>")]
    lists_bytes_max: Option<u64>,
    #[serde(deserialize_with = "some_size_within::<LISTS_BYTES_MIN, LISTS_BYTES_MAX, _, _>")]
    lists_bytes_per_caller_max: Option<u64>,
    /// The longest that the answer to a wrong key is held back; zero holds none.
    #[serde(deserialize_with = "wrong_key_delay")]
    pub wrong_key_delay_max: Duration,
    /// For how long a process that is to stop goes on accepting.
    #[serde(deserialize_with = "drain_delay")]
    pub drain_delay: Duration,
    /// Memory the process should use at most, where no control group says so.
    #[serde(deserialize_with = "some_size")]
    pub memory_max: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request_deadline: Duration::from_secs(25),
            requests_in_flight_max: 1024,
            requests_queued_max: 256,
            queue_wait_max: Duration::from_secs(1),
            requests_per_caller_max: None,
            lists_queued_max: None,
            lists_bytes_max: None,
            lists_bytes_per_caller_max: None,
            wrong_key_delay_max: Duration::from_secs(2),
            drain_delay: Duration::from_secs(5),
            memory_max: None,
        }
    }
}

impl Limits {
    /// The same limits with a share for each of so many callers, unless the file says one.
    pub(crate) fn shared_by(mut self, callers: usize) -> Self {
        if callers > 1 {
            let share = self.requests_in_flight_max.div_ceil(2);
            self.requests_per_caller_max.get_or_insert(share);
        }
        self
    }

    /// Requests of one caller answered at once; more are refused with 429. Where there is one caller,
    /// there is nobody to protect from it.
    pub fn requests_per_caller_max(&self) -> usize {
        self.requests_per_caller_max.unwrap_or(self.requests_in_flight_max)
    }

    /// Lists of one caller that have more than one page and wait for their turn; more are refused with 429. All
    /// that it may have may be such lists.
    pub fn lists_queued_max(&self) -> usize {
        self.lists_queued_max.unwrap_or_else(|| self.requests_per_caller_max())
    }

    /// Bytes that lists hold while they are read and until they are taken, all together, where there is so
    /// much memory.
    pub fn lists_bytes_max(&self, memory: u64) -> u64 {
        self.lists_bytes_max.unwrap_or(memory / 4)
    }

    /// The part of those bytes that one of so many callers may hold.
    pub fn lists_bytes_per_caller_max(&self, all: u64, callers: usize) -> u64 {
        let share = if callers > 1 { all / 2 } else { all };
        self.lists_bytes_per_caller_max.unwrap_or(share)
    }
}

/// With less, hardly any list of two pages could be read.
const LISTS_BYTES_MIN: usize = 1 << 20;
const LISTS_BYTES_MAX: usize = 1 << 40;

/// The longest useful wait for traffic to go elsewhere; more is most likely a mistake.
const DRAIN_DELAY_MAX: Duration = Duration::from_secs(3600);

/// A longer wait helps no more: it ties up a connection of the client and one of ours.
const WRONG_KEY_DELAY_MAX: Duration = Duration::from_secs(10);

fn wrong_key_delay<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
    match time(de)? {
        delay if delay > WRONG_KEY_DELAY_MAX => Err(D::Error::custom("must be at most 10s")),
        delay => Ok(delay),
    }
}

fn drain_delay<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
    match time(de)? {
        delay if delay > DRAIN_DELAY_MAX => Err(D::Error::custom("must be at most 1h")),
        delay => Ok(delay),
    }
}
