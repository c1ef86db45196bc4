//! Counters kept at hand: each is found by its labels once, when it is first used, and not again for every
//! request. One tally for each caller of a configuration.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::legacy::{ENDPOINTS, UNTRANSLATED};
use domain::params::NearMiss;
use prometheus::{Histogram, IntCounter};
use tokio::time::Instant;

/// What requests are counted under beside legacy endpoints; the first stands for all others.
const OTHERS: [&str; 3] = ["none", "openapi", "passthrough"];

/// Statuses whose counters are kept at hand; others are looked up for each request.
const STATUSES: [u16; 9] = [200, 204, 304, 400, 401, 404, 429, 502, 503];

/// Where the counters of an endpoint stand.
pub(super) fn place(endpoint: &str) -> usize {
    let legacy = ENDPOINTS.iter().position(|known| known.name() == endpoint);
    let other = || OTHERS.iter().position(|known| *known == endpoint).unwrap_or(0);
    legacy.unwrap_or_else(|| ENDPOINTS.len() + other())
}

/// Something for each endpoint, and for what is none.
fn for_each<T>(new: impl FnMut(usize) -> T) -> Vec<T> {
    (0..ENDPOINTS.len() + OTHERS.len()).map(new).collect()
}

/// The counters of one caller.
#[derive(Debug)]
pub(crate) struct Tally {
    name: Arc<str>,
    endpoints: Vec<OfEndpoint>,
    near_misses: [AtomicU64; NearMiss::ALL.len()],
    untranslated: [AtomicU64; UNTRANSLATED.len()],
    /// Answers by the first digit of their status.
    answers: [AtomicU64; CLASSES],
    began: Instant,
    /// Milliseconds from then to the last answer; 0 before the first.
    last: AtomicU64,
}

/// First digits of statuses, from 0.
const CLASSES: usize = 6;

#[derive(Debug, Default)]
struct OfEndpoint {
    requests: [OnceLock<IntCounter>; STATUSES.len()],
    filters: Vec<OnceLock<IntCounter>>,
    losses: OnceLock<Losses>,
}

/// What the ledger says of an endpoint's answers, over the dialect of the caller's upstream.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) dialect: &'static str,
    pub(super) counters: Vec<IntCounter>,
}

impl Tally {
    pub(crate) fn new(name: &str) -> Self {
        let endpoint = |place: usize| {
            let filters = ENDPOINTS.get(place).map_or(0, |endpoint| endpoint.filters().count());
            let filters = (0..filters).map(|_| OnceLock::new()).collect();
            OfEndpoint { filters, ..OfEndpoint::default() }
        };
        let (near_misses, untranslated, answers, last) = Default::default();
        let (name, endpoints, began) = (name.into(), for_each(endpoint), Instant::now());
        Tally { name, endpoints, near_misses, untranslated, answers, began, last }
    }

    /// Counts an answer. Two stores and no lock, since every request does it.
    pub(crate) fn answered(&self, status: u16, at: Instant) {
        if let Some(count) = self.answers.get(usize::from(status / 100)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let millis = at.saturating_duration_since(self.began).as_millis();
        self.last.store(u64::try_from(millis).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// Answers since the configuration is in force, by class of status.
    pub(crate) fn answers(&self) -> [(&'static str, u64); 4] {
        let of =
            |class: usize| self.answers.get(class).map_or(0, |count| count.load(Ordering::Relaxed));
        [("2xx", of(2)), ("3xx", of(3)), ("4xx", of(4)), ("5xx", of(5))]
    }

    /// How long ago the last answer was; `None` before the first.
    pub(crate) fn quiet_for(&self) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed);
        let at = self.began + Duration::from_millis(last);
        (last > 0).then(|| Instant::now().saturating_duration_since(at))
    }

    /// Counts an ignored parameter that looks like a filter.
    pub(crate) fn near_miss(&self, miss: NearMiss) {
        if let Some(count) = self.near_misses.get(miss as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many of each there were since the configuration is in force.
    pub(crate) fn near_misses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.near_misses.iter().map(|count| count.load(Ordering::Relaxed));
        NearMiss::ALL.into_iter().map(NearMiss::as_str).zip(counts)
    }

    /// Counts a request for a documented legacy path that has no endpoint.
    pub(crate) fn untranslated(&self, place: usize) {
        if let Some(count) = self.untranslated.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many of each there were since the configuration is in force; none of those that there were not.
    pub(crate) fn untranslated_paths(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.untranslated.iter().map(|count| count.load(Ordering::Relaxed));
        UNTRANSLATED.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// The caller's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The counter of requests with that status, where one is kept at hand.
    pub(super) fn requests(&self, place: usize, status: u16) -> Option<&OnceLock<IntCounter>> {
        let known = STATUSES.iter().position(|known| *known == status)?;
        self.endpoints.get(place)?.requests.get(known)
    }

    /// The counter of requests with that filter.
    pub(super) fn filter(&self, place: usize, filter: &str) -> Option<&OnceLock<IntCounter>> {
        let mut filters = ENDPOINTS.get(place)?.filters();
        let known = filters.position(|known| known == filter)?;
        self.endpoints.get(place)?.filters.get(known)
    }

    /// The counters of what the ledger says of an endpoint's answers.
    pub(super) fn losses(&self, place: usize) -> Option<&OnceLock<Losses>> {
        self.endpoints.get(place).map(|endpoint| &endpoint.losses)
    }
}

/// The counters of attempts at one upstream.
#[derive(Debug)]
pub(crate) struct Attempts {
    pub(super) upstream: String,
    /// Of those that were answered with 200: nearly all.
    pub(super) good: OnceLock<IntCounter>,
}

impl Attempts {
    pub(crate) fn at(upstream: &str) -> Self {
        Attempts { upstream: upstream.to_owned(), good: OnceLock::new() }
    }
}

/// The counters of one endpoint, for all callers together.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) seconds: OnceLock<Histogram>,
    pub(super) rows: OnceLock<IntCounter>,
}

/// Those of every endpoint.
pub(super) fn shared() -> Vec<Shared> {
    for_each(|_| Shared::default())
}

/// An upstream's status or a slug, from a closed set: a status is any number an upstream likes.
pub(super) fn outcome_of(outcome: &str) -> &str {
    const KNOWN: &[&str] = &[
        "200", "304", "400", "401", "403", "404", "406", "409", "422", "429", "500", "502", "503",
        "504",
    ];
    let is_status = outcome.bytes().all(|byte| byte.is_ascii_digit());
    match (is_status, outcome.bytes().next()) {
        (true, first) if !KNOWN.contains(&outcome) => match first {
            Some(b'1') => "1xx",
            Some(b'2') => "2xx",
            Some(b'3') => "3xx",
            Some(b'4') => "4xx",
            Some(b'5') => "5xx",
            _ => "other",
        },
        _ => outcome,
    }
}
