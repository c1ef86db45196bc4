//! Counts of the simulator's requests and answers.
//!
//! Holds only counts and the queries for users, never a header or a form, so never a key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::locked::lock;

/// Further paths are counted as one, because paths come from outside.
const PATHS_MAX: usize = 64;
/// How many queries for users are kept, the first ones.
const QUERIES_MAX: usize = 4_096;

/// A snapshot of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// All requests except those for these counts.
    pub requests: u64,
    /// Requests by path; for the Vonage face by kind of path, such as
    /// `/useradmin/groups/{groupId}/users`.
    pub by_path: BTreeMap<String, u64>,
    /// Requests for a page of `GET /api/v4/users` or `GET /useradmin/users`.
    pub users_pages: u64,
    /// Their query strings, in order of arrival (the first 4,096).
    pub users_queries: Vec<String>,
    /// Other requests under `/useradmin`.
    pub useradmin_requests: u64,
    /// Requests for a token.
    pub token_requests: u64,
    /// Requests being answered now.
    pub in_flight: u64,
    /// The most requests answered at the same time.
    pub in_flight_max: u64,
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of all bodies.
    pub body_bytes: u64,
    /// Requests whose caller left before the answer.
    pub abandoned: u64,
    pub changes: u64,
    /// Calls that were placed.
    pub calls: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(Arc<Mutex<Stats>>);

impl Counters {
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Stats) -> T) -> T {
        f(&mut lock(&self.0))
    }

    /// Resets everything except the requests being answered.
    pub(crate) fn reset(&self) {
        self.with(|stats| {
            let in_flight = stats.in_flight;
            *stats = Stats { in_flight, in_flight_max: in_flight, ..Stats::default() };
        });
    }

    pub(crate) fn users_page(&self, query: &str) {
        self.with(|stats| {
            stats.users_pages += 1;
            if stats.users_queries.len() < QUERIES_MAX {
                stats.users_queries.push(query.to_owned());
            }
        });
    }

    /// Counts a request; dropping the guard ends it, even if the caller leaves.
    pub(crate) fn enter(&self, path: &str) -> Guard {
        self.with(|stats| {
            stats.requests += 1;
            let known = stats.by_path.len() < PATHS_MAX || stats.by_path.contains_key(path);
            let path = if known { path } else { "(other)" };
            *stats.by_path.entry(path.to_owned()).or_default() += 1;
            stats.in_flight += 1;
            stats.in_flight_max = stats.in_flight_max.max(stats.in_flight);
        });
        Guard { counters: self.clone(), answered: None }
    }
}

#[derive(Debug)]
pub(crate) struct Guard {
    counters: Counters,
    /// Status and bytes of the answer.
    answered: Option<(u16, usize)>,
}

impl Guard {
    pub(crate) fn leave(mut self, status: u16, body_bytes: usize) {
        self.answered = Some((status, body_bytes));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let answered = self.answered;
        self.counters.with(|stats| {
            stats.in_flight = stats.in_flight.saturating_sub(1);
            match answered {
                Some((status, bytes)) => {
                    *stats.statuses.entry(status).or_default() += 1;
                    stats.body_bytes += bytes as u64;
                }
                None => stats.abandoned += 1,
            }
        });
    }
}
