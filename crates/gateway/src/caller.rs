//! Callers and upstreams at work: who called, with which v4 key it is answered, and what is kept for
//! it. Everything kept is kept per caller, so nothing can be answered from another's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::plan::Groups;
use domain::related::{Needs, Related};
use domain::upstream::{Dialect, Rules};
use domain::visibility::Visibility;
use http::HeaderValue;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use transport::client::Client;

use crate::cache::answers::Answers;
use crate::cache::kept::Kept;
use crate::config::{self, UpstreamKey};
use crate::error::Error;
use crate::keys::digest::{KeyDigest, digest};
use crate::keys::secret::Secret;
use crate::limits::breaker::{self, Breaker};
use crate::limits::budget::{Budget, CALLER_REPEATS_MIN};
use crate::limits::pacer::Pacer;

/// All callers, found by their legacy key.
#[derive(Debug)]
pub(crate) struct Callers {
    by_digest: HashMap<KeyDigest, Arc<Caller>>,
    in_order: Vec<Arc<Caller>>,
}

impl Callers {
    pub(crate) fn new(callers: Vec<(KeyDigest, Arc<Caller>)>) -> Self {
        let in_order = callers.iter().map(|(_, caller)| Arc::clone(caller)).collect();
        Callers { by_digest: callers.into_iter().collect(), in_order }
    }

    /// The caller of a key. What the look-up compares is a digest, so its time tells nothing about
    /// a key: nobody can aim a digest. The last comparison is constant-time all the same.
    pub(crate) fn find(&self, key: &Secret) -> Option<Arc<Caller>> {
        let digest = digest(key.expose());
        let (known, caller) = self.by_digest.get_key_value(&digest)?;
        bool::from(known.ct_eq(&digest)).then(|| Arc::clone(caller))
    }

    /// Whether a text is some caller's key; such a text must never be logged.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.by_digest.contains_key(&digest(text))
    }

    pub(crate) fn all(&self) -> &[Arc<Caller>] {
        &self.in_order
    }
}

/// One caller at work.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) visibility: Visibility,
    pub(crate) may_explain: bool,
    pub(crate) share: Share,
    key: UpstreamKey,
    /// The access token in use, where the key is a client's.
    token: tokio::sync::Mutex<Option<Token>>,
    /// A connection pool of this caller's own: an upstream that loses step on a connection can only
    /// confuse a caller with itself.
    client: Client,
    groups: GroupCache,
    answers: Arc<Answers>,
    /// What is joined to user rows, by what was needed.
    related: Mutex<HashMap<Needs, Arc<Kept<Joined>>>>,
    pace: Mutex<Pace>,
    /// How many of its attempts may be repeats.
    pub(crate) repeats: Budget,
}

/// What a caller may have at the same time of what all callers share.
#[derive(Debug)]
pub(crate) struct Share {
    /// Requests in flight.
    pub(crate) requests: Semaphore,
    /// Requests to the upstream.
    pub(crate) upstream: Semaphore,
}

/// What is joined to user rows, and what it cost to read.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) related: Arc<Related>,
    pub(crate) pages: u64,
}

/// An access token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// `Bearer <token>`, marked sensitive.
    pub(crate) authorization: HeaderValue,
    /// From then on it is not used any more.
    pub(crate) good_until: Instant,
}

/// A caller's groups, one cache per caller with one entry: reading the users tells all groups.
pub(crate) type GroupCache = moka::future::Cache<(), Arc<KnownGroups>>;

/// All groups a caller sees, and since when that is known.
#[derive(Debug)]
pub(crate) struct KnownGroups {
    pub(crate) groups: Groups,
    pub(crate) at: Instant,
}

/// What the upstream last told this caller.
#[derive(Debug, Default)]
struct Pace {
    /// Nothing is sent before this.
    not_before: Option<Instant>,
    /// The v4 key was refused, and when.
    refused: Option<(KeyState, Instant)>,
    /// Why no token could be had, and when.
    no_token: Option<(Error, Instant)>,
    has_answered: bool,
}

/// What is known of a caller's v4 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// Not used yet.
    Untested,
    /// The upstream took it.
    Accepted,
    /// 401.
    Refused,
    /// 403: the scope is missing.
    Forbidden,
}

impl KeyState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            KeyState::Untested => "untested",
            KeyState::Accepted => "accepted",
            KeyState::Refused => "refused",
            KeyState::Forbidden => "forbidden",
        }
    }
}

/// How long a refusal is believed without asking again, so that a broken poller does not knock on.
const REFUSAL_KEPT_FOR: Duration = Duration::from_secs(5);

impl Caller {
    pub(crate) fn new(
        config: &config::Caller,
        upstream: Arc<Upstream>,
        client: Client,
        groups: GroupCache,
        answers: Arc<Answers>,
        share: Share,
    ) -> Self {
        Caller {
            name: config.name.clone(),
            upstream,
            visibility: config.sees.clone(),
            may_explain: config.explain,
            share,
            key: config.key.clone(),
            token: tokio::sync::Mutex::default(),
            client,
            groups,
            answers,
            related: Mutex::default(),
            pace: Mutex::default(),
            repeats: Budget::new(CALLER_REPEATS_MIN),
        }
    }

    pub(crate) fn key(&self) -> &UpstreamKey {
        &self.key
    }

    /// The token in use; held while a new one is fetched, so that there is one fetch at a time. A
    /// fetch that is dropped lets the next one begin.
    pub(crate) async fn token(&self) -> tokio::sync::MutexGuard<'_, Option<Token>> {
        self.token.lock().await
    }

    /// The upstream refused this access token: the next request is to have another one.
    pub(crate) async fn forget_token(&self, refused: &HeaderValue) {
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.authorization == *refused) {
            *kept = None;
        }
    }

    pub(crate) fn note_token_failure(&self, error: Error) {
        self.pace().no_token = Some((error, Instant::now()));
    }

    /// Why no token could be had a moment ago.
    pub(crate) fn token_failure(&self, moment: Duration) -> Option<Error> {
        let pace = self.pace();
        let (error, at) = pace.no_token.as_ref()?;
        (at.elapsed() < moment).then(|| error.clone())
    }

    /// What is kept to be joined to user rows.
    pub(crate) fn related(&self, needs: Needs) -> Arc<Kept<Joined>> {
        let mut related = self.related.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(related.entry(needs).or_default())
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) fn answers(&self) -> &Arc<Answers> {
        &self.answers
    }

    pub(crate) fn groups(&self) -> &GroupCache {
        &self.groups
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        // Plain data, valid after any panic.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole caller pauses until then: other pages of it would be refused as well.
    pub(crate) fn pause_until(&self, then: Instant) {
        let mut pace = self.pace();
        pace.not_before = pace.not_before.max(Some(then));
    }

    /// Until when nothing is sent, if so.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.pace().not_before.filter(|then| *then > Instant::now())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused_until().is_some()
    }

    /// Whether what no client waits for may be asked now: nobody was told to wait, and the upstream works.
    pub(crate) fn is_at_ease(&self) -> bool {
        !self.is_paused() && self.upstream.breaker.state() == breaker::State::Closed
    }

    /// Waits out the pause that some page of this caller was told; gives up at once if it lasts
    /// beyond the deadline.
    pub(crate) async fn wait_for_pause(&self, deadline: Instant) -> Result<(), Error> {
        while let Some(then) = self.paused_until() {
            if then >= deadline {
                return Err(Error::RateLimited {
                    retry_after: then.duration_since(Instant::now()),
                });
            }
            tokio::time::sleep_until(then).await;
        }
        Ok(())
    }

    /// The upstream refused this caller: nothing that was kept for it is shown any more.
    pub(crate) fn note_refusal(&self, state: KeyState) {
        self.pace().refused = Some((state, Instant::now()));
        self.answers.forget();
        self.groups.invalidate_all();
        self.related.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn note_acceptance(&self) {
        let mut pace = self.pace();
        pace.has_answered = true;
        pace.refused = None;
    }

    /// A refusal fresh enough to be believed without asking.
    pub(crate) fn fresh_refusal(&self) -> Option<KeyState> {
        let (state, at) = self.pace().refused?;
        (at.elapsed() < REFUSAL_KEPT_FOR).then_some(state)
    }

    pub(crate) fn key_state(&self) -> KeyState {
        let pace = self.pace();
        match pace.refused {
            Some((state, _)) => state,
            None if pace.has_answered => KeyState::Accepted,
            None => KeyState::Untested,
        }
    }
}

/// One upstream at work.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) rules: Rules,
    pub(crate) settings: config::Upstream,
    /// Requests in flight, all callers together.
    pub(crate) permits: Semaphore,
    /// Requests per minute, all callers together.
    pub(crate) pacer: Option<Arc<Pacer>>,
    /// How many attempts may be repeats, all callers together.
    pub(crate) repeats: Budget,
    /// Whether it is asked at all.
    pub(crate) breaker: Breaker,
    paging_proven: AtomicBool,
    /// When a page was last looked through for fields nobody knows.
    looked_through: Mutex<Option<Instant>>,
}

/// A field that is new is new for long: looking for one once in this time is enough.
const LOOKED_THROUGH_EVERY: Duration = Duration::from_secs(3600);

/// Repeats in ten seconds that a quiet upstream has in any case: twice a caller's, so that one caller
/// that fails leaves some to the others.
const UPSTREAM_REPEATS_MIN: u64 = 2 * CALLER_REPEATS_MIN;

impl Upstream {
    /// `before` is the upstream of that name until now: where address and rate are the same, its pace
    /// goes on, for what was begun before goes on as well.
    pub(crate) fn new(name: &str, settings: &config::Upstream, before: Option<&Upstream>) -> Self {
        let is_same = |before: &&Upstream| {
            before.settings.base_url == settings.base_url
                && before.settings.requests_per_minute_max == settings.requests_per_minute_max
        };
        let pacer = before.filter(is_same).and_then(|before| before.pacer.clone());
        let new = || settings.requests_per_minute_max.map(Pacer::per_minute).map(Arc::new);
        Upstream {
            name: name.to_owned(),
            dialect: settings.dialect,
            rules: settings.rules.clone(),
            permits: Semaphore::new(settings.requests_in_flight_max),
            pacer: pacer.or_else(new),
            repeats: Budget::new(UPSTREAM_REPEATS_MIN),
            breaker: Breaker::new(name, breaker_rules(settings)),
            settings: settings.clone(),
            paging_proven: AtomicBool::new(false),
            looked_through: Mutex::default(),
        }
    }

    /// Whether a page of users is to be looked through for fields nobody knows: once an hour.
    pub(crate) fn due_for_field_scan(&self) -> bool {
        // Plain data, valid after any panic.
        let mut last = self.looked_through.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|then| then.elapsed() >= LOOKED_THROUGH_EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }

    /// Whether this upstream has shown that it honours offsets.
    pub(crate) fn is_paging_proven(&self) -> bool {
        self.paging_proven.load(Ordering::Relaxed)
    }

    pub(crate) fn set_paging_proven(&self, is_proven: bool) {
        self.paging_proven.store(is_proven, Ordering::Relaxed);
    }
}

fn breaker_rules(settings: &config::Upstream) -> Option<breaker::Rules> {
    let failures_min = u64::from(settings.breaker_failures_min?);
    Some(breaker::Rules { failures_min, open_for: settings.breaker_open_for })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::keys::digest::counted::DIGESTS;
    use crate::state::State;

    const CONFIG: &str = r#"
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:9"
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
"#;

    #[tokio::test]
    async fn d02_d03_an_unknown_key_costs_the_one_digest_that_a_refused_one_costs() {
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-key")));
        let state = {
            let config = Config::parse(CONFIG, "t.toml", &env).unwrap();
            State::new(config, crate::Surroundings::default()).unwrap()
        };
        let callers = &state.callers;
        let cost = |key: &str| {
            let before = DIGESTS.get();
            let found = callers.find(&Secret::new(key.to_owned()));
            (DIGESTS.get() - before, found.is_some())
        };
        callers.all()[0].note_refusal(KeyState::Refused);
        assert_eq!(cost("LEGACY-key"), (1, true));
        for unknown in ["", "x", "LEGACY-ke", "LEGACY-keyy", "V4-key", &"k".repeat(5000)] {
            assert_eq!(cost(unknown), (1, false), "{} bytes", unknown.len());
        }
    }
}
