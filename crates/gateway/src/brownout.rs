//! Windows of time in which an endpoint answers with an error on purpose, so that forgotten clients show before the
//! endpoint ends. A caller has the windows that concern it.
//!
//! Must never be asked before the caller is known: who has no key learns nothing, and a wrong key stays 401.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;

/// The windows of one caller, the earliest first. Nothing is looked at, the clock included, where it has none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brownouts(Option<Arc<[Window]>>);

/// One window; without an endpoint it is one of every translated endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    endpoint: Option<&'static str>,
    start: u64,
    end: u64,
}

/// The windows of every caller; those who have the same share them.
pub(crate) struct OfCallers<'a> {
    all: &'a [settings::Brownout],
    common: Brownouts,
}

impl<'a> OfCallers<'a> {
    /// Of the windows of a configuration.
    pub(crate) fn new(all: &'a [settings::Brownout]) -> Self {
        let common = Brownouts::of(all.iter().filter(|window| window.caller.is_none()));
        OfCallers { all, common }
    }

    /// Those of one caller, by its name.
    pub(crate) fn of(&self, caller: &str) -> Brownouts {
        let is_own = |window: &&settings::Brownout| window.caller.as_deref() == Some(caller);
        if !self.all.iter().any(|window| is_own(&window)) {
            return self.common.clone();
        }
        let concerns = |window: &&settings::Brownout| window.caller.is_none() || is_own(window);
        Brownouts::of(self.all.iter().filter(concerns))
    }
}

impl Brownouts {
    fn of<'a>(windows: impl Iterator<Item = &'a settings::Brownout>) -> Self {
        let window = |window: &settings::Brownout| Window {
            endpoint: window.endpoint,
            start: window.start,
            end: window.end,
        };
        let mut windows: Vec<Window> = windows.map(window).collect();
        windows.sort_by_key(|window| window.start);
        Brownouts((!windows.is_empty()).then(|| windows.into()))
    }

    /// Refuses a request to an endpoint that is in one of the windows now.
    ///
    /// # Errors
    /// [`Error::Brownout`], and no other.
    pub(crate) fn check(&self, endpoint: &str) -> Result<(), Error> {
        match &self.0 {
            None => Ok(()),
            Some(windows) => at(windows, endpoint, now()),
        }
    }
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// What a request to an endpoint gets at a time. The windows go by their start; of those that overlap or touch the last
/// end counts.
fn at(windows: &[Window], endpoint: &str, now: Duration) -> Result<(), Error> {
    let seconds = now.as_secs();
    let mut on: Option<(u64, u64)> = None;
    for window in windows.iter().filter(|window| window.concerns(endpoint)) {
        on = match on {
            None if window.start <= seconds && seconds < window.end => {
                Some((window.start, window.end))
            }
            Some((began, end)) if window.start <= end => Some((began, end.max(window.end))),
            on => on,
        };
    }
    let Some((began, end)) = on else { return Ok(()) };
    let retry_after = Duration::from_secs(end).saturating_sub(now);
    Err(Error::Brownout { began, retry_after })
}

impl Window {
    fn concerns(&self, endpoint: &str) -> bool {
        self.endpoint.map_or(endpoint != settings::Brownout::PASSTHROUGH, |own| own == endpoint)
    }
}

/// The label of a window in metrics: its endpoint, or all.
pub(crate) fn label(window: &settings::Brownout) -> &'static str {
    window.endpoint.unwrap_or("all")
}

/// What a window is at a time, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It has begun.
    On,
    /// It will begin.
    Coming,
    /// It has ended.
    Over,
}

impl Phase {
    /// The phase of a window.
    pub(crate) fn of(window: &settings::Brownout, now: u64) -> Self {
        match now {
            now if now < window.start => Phase::Coming,
            now if now < window.end => Phase::On,
            _ => Phase::Over,
        }
    }

    /// The word on the console.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::On => "on",
            Phase::Coming => "coming",
            Phase::Over => "over",
        }
    }
}

/// Of each label its window that is on, else the next one: label, start and end.
pub(crate) fn announced(all: &[settings::Brownout]) -> Vec<(&'static str, u64, u64)> {
    if all.is_empty() {
        return Vec::new();
    }
    next_of_each(all, now().as_secs())
}

fn next_of_each(all: &[settings::Brownout], now: u64) -> Vec<(&'static str, u64, u64)> {
    let mut ahead: Vec<_> = all
        .iter()
        .map(|window| (Phase::of(window, now), window))
        .filter(|(phase, _)| *phase != Phase::Over)
        .map(|(_, window)| (label(window), window.start, window.end))
        .collect();
    ahead.sort_unstable();
    ahead.dedup_by_key(|(label, ..)| *label);
    ahead
}

#[cfg(test)]
mod tests {
    use settings::Brownout;

    use super::*;

    const PASSTHROUGH: &str = Brownout::PASSTHROUGH;

    fn window(
        endpoint: Option<&'static str>,
        caller: Option<&str>,
        start: u64,
        end: u64,
    ) -> settings::Brownout {
        settings::Brownout { endpoint, caller: caller.map(str::to_owned), start, end }
    }

    /// The seconds that are left, rounded up as clients are told; `None` where the endpoint answers.
    fn left(all: &[settings::Brownout], caller: &str, endpoint: &str, millis: u64) -> Option<u64> {
        let own = OfCallers::new(all).of(caller);
        let windows = own.0.as_deref().unwrap_or_default();
        match at(windows, endpoint, Duration::from_millis(millis)) {
            Err(Error::Brownout { retry_after, .. }) => {
                Some(retry_after.as_millis().div_ceil(1000) as u64)
            }
            _ => None,
        }
    }

    #[test]
    fn a_window_holds_from_its_start_up_to_its_end_and_for_nothing_but_what_it_names() {
        let all = [
            window(Some("v1_users"), Some("crm"), 100, 160),
            window(None, Some("wallboard"), 100, 160),
            window(Some(PASSTHROUGH), None, 100, 160),
        ];
        for (caller, endpoint, millis, wanted) in [
            ("crm", "v1_users", 99_999, None),
            ("crm", "v1_users", 100_000, Some(60)),
            ("crm", "v1_users", 159_001, Some(1)),
            ("crm", "v1_users", 159_999, Some(1)),
            ("crm", "v1_users", 160_000, None),
            ("crm", "v3_cdr_users", 120_000, None),
            ("other", "v1_users", 120_000, None),
            ("wallboard", "v3_cdr_users", 120_500, Some(40)),
            ("wallboard", "v1_click2call", 120_500, Some(40)),
            ("other", PASSTHROUGH, 120_000, Some(40)),
        ] {
            let found = left(&all, caller, endpoint, millis);
            assert_eq!(found, wanted, "{caller} {endpoint} at {millis} ms");
        }
        // What passes through is left alone unless it is named.
        assert_eq!(left(&all[..2], "wallboard", PASSTHROUGH, 120_000), None);
    }

    #[test]
    fn windows_that_overlap_or_touch_end_together() {
        let all = [
            window(None, None, 100, 200),
            window(Some("v1_users"), None, 150, 300),
            window(Some("v1_users"), Some("crm"), 160, 250),
        ];
        assert_eq!(left(&all, "crm", "v1_users", 170_000), Some(130));
        assert_eq!(left(&all, "crm", "v3_cdr_users", 170_000), Some(30));
        // The second begins before the first ends, and the next where another ends.
        assert_eq!(left(&all, "crm", "v1_users", 140_000), Some(160));
        let touching = [
            window(None, None, 100, 200),
            window(None, None, 200, 300),
            window(None, None, 301, 400),
            window(Some(PASSTHROUGH), None, 300, 500),
        ];
        assert_eq!(left(&touching, "crm", "v1_users", 150_000), Some(150));
    }

    #[test]
    fn callers_without_a_window_have_none_and_those_with_the_same_share_them() {
        let own = [window(None, Some("crm"), 1, 2)];
        assert!(OfCallers::new(&own).of("other").0.is_none());
        let common = [window(None, None, 1, 2), window(None, Some("crm"), 5, 6)];
        let windows = OfCallers::new(&common);
        let (one, other) = (windows.of("a").0.unwrap(), windows.of("b").0.unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        assert_eq!((one.len(), windows.of("crm").0.unwrap().len()), (1, 2));
    }

    #[test]
    fn each_endpoint_announces_the_window_that_is_on_or_else_the_next() {
        let all = [
            window(Some("v1_users"), Some("crm"), 300, 400),
            window(Some("v1_users"), None, 100, 200),
            window(Some("v1_users"), None, 10, 20),
            window(None, None, 50, 60),
        ];
        let users = |start, end| ("v1_users", start, end);
        assert_eq!(next_of_each(&all, 0), [("all", 50, 60), users(10, 20)]);
        assert_eq!(next_of_each(&all, 150), [users(100, 200)]);
        assert_eq!(next_of_each(&all, 200), [users(300, 400)]);
        assert_eq!(next_of_each(&all, 400), []);
        let phases = [9, 10, 19, 20].map(|now| Phase::of(&all[2], now).as_str());
        assert_eq!(phases, ["coming", "on", "on", "over"]);
    }
}
