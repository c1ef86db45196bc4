//! One upstream at work: what its callers share of it. None of it is anybody's data.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::listing::Listing;
use domain::upstream::{Dialect, Place, Rules};
use limits::{Breaker, BreakerRules, BreakerState, Budget, CALLER_REPEATS_MIN};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::pause::Pause;
use crate::observe::tally::Attempts;
use crate::request::base::Base;

/// One upstream at work.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) rules: Rules,
    pub(crate) settings: settings::Upstream,
    /// Where it is. The configuration's check of the URL leaves none out.
    pub(crate) base: Option<Base>,
    /// Requests in flight, all callers together.
    pub(crate) permits: Semaphore,
    /// How many attempts may be repeats, all callers together.
    pub(crate) repeats: Budget,
    /// What is counted of attempts.
    pub(crate) attempts: Attempts,
    /// Whether it is asked at all.
    pub(crate) breaker: Breaker,
    /// The places where teams may be listed; empty where the dialect knows the one.
    pub(crate) team_places: Vec<Arc<Place>>,
    /// Which of them had the list last, if one had.
    teams_at: AtomicUsize,
    paging_proven: AtomicBool,
    /// When a page was last scanned for fields that no documentation has.
    scanned: Mutex<Option<Instant>>,
    /// When it was last said that no user has a documented field.
    warned: Mutex<Option<Instant>>,
    /// When a failed page was last searched for the rows that fail.
    searched: Mutex<Option<Instant>>,
}

/// A field that is new is new for long, and a page that fails for good fails for long: looking once in
/// this time is enough.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Repeats in ten seconds that a quiet upstream has in any case: twice a caller's, so that one caller
/// that fails leaves some to the others.
const UPSTREAM_REPEATS_MIN: u64 = 2 * CALLER_REPEATS_MIN;

impl Upstream {
    /// The upstream of that name.
    pub(crate) fn new(name: &str, settings: &settings::Upstream) -> Self {
        Upstream {
            name: name.to_owned(),
            dialect: settings.dialect,
            rules: settings.rules.clone(),
            permits: Semaphore::new(settings.requests_in_flight_max),
            repeats: Budget::new(UPSTREAM_REPEATS_MIN),
            attempts: Attempts::at(name),
            breaker: Breaker::new(name, breaker_rules(settings)),
            base: Base::of(&settings.base_url),
            team_places: team_places(settings),
            teams_at: AtomicUsize::new(NOWHERE),
            settings: settings.clone(),
            paging_proven: AtomicBool::new(false),
            scanned: Mutex::default(),
            warned: Mutex::default(),
            searched: Mutex::default(),
        }
    }

    /// Whether background requests may be sent now: the caller was not told to wait, and the upstream
    /// works.
    pub(crate) fn is_at_ease(&self, pause: &Pause) -> bool {
        !pause.is_on() && self.breaker.state() == BreakerState::Closed
    }

    /// Whether a page of users is to be scanned for fields that no documentation has: once an hour.
    pub(crate) fn due_for_field_scan(&self) -> bool {
        is_due(&self.scanned)
    }

    /// Whether it is to be said that no user has a documented field: once an hour.
    pub(crate) fn due_for_absence(&self) -> bool {
        is_due(&self.warned)
    }

    /// Whether a failed page is to be searched for the rows that fail: once an hour.
    pub(crate) fn due_for_row_search(&self) -> bool {
        is_due(&self.searched)
    }

    /// Which of the places of teams had the list last.
    pub(crate) fn teams_at(&self) -> Option<usize> {
        Some(self.teams_at.load(Ordering::Relaxed)).filter(|at| *at != NOWHERE)
    }

    pub(crate) fn set_teams_at(&self, at: Option<usize>) {
        self.teams_at.store(at.unwrap_or(NOWHERE), Ordering::Relaxed);
    }

    /// Whether this upstream has shown that it honours offsets.
    pub(crate) fn is_paging_proven(&self) -> bool {
        self.paging_proven.load(Ordering::Relaxed)
    }

    pub(crate) fn set_paging_proven(&self, is_proven: bool) {
        self.paging_proven.store(is_proven, Ordering::Relaxed);
    }
}

/// The number of no place.
const NOWHERE: usize = usize::MAX;

/// The one place of the settings, or all that the dialect knows.
fn team_places(settings: &settings::Upstream) -> Vec<Arc<Place>> {
    let places = match &settings.teams_path {
        Some(path) => vec![Place { path: path.clone().into(), may_be_id: false }],
        None => settings.dialect.places(&Listing::Teams).to_vec(),
    };
    places.into_iter().map(Arc::new).collect()
}

/// Whether something that is done once in a while is due; then it counts as done.
fn is_due(last: &Mutex<Option<Instant>>) -> bool {
    // Plain data, valid after any panic.
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = last.is_none_or(|then| then.elapsed() >= LOOK_EVERY);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

fn breaker_rules(settings: &settings::Upstream) -> Option<BreakerRules> {
    let failures_min = u64::from(settings.breaker_failures_min?);
    Some(BreakerRules { failures_min, open_for: settings.breaker_open_for })
}
