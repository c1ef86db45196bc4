//! The last requests, as the access line tells them: nothing that the log does not have. Must never make a
//! request wait: a place that somebody reads at that moment is passed over.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::legacy::UNTRANSLATED;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::account::{Account, Source};
use super::origin::Origin;
use super::tally::Tally;

/// How many are kept.
pub(crate) const RECENT_MAX: usize = 200;

/// See the module. Written without a lock that two requests would share, and without allocating.
#[derive(Debug)]
pub(crate) struct Recent {
    next: AtomicU64,
    places: Box<[Mutex<Option<Told>>]>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Its number.
    number: u64,
    ended: Instant,
    micros: u64,
    pub(crate) method: &'static str,
    pub(crate) endpoint: &'static str,
    untranslated: Option<usize>,
    caller: Option<Arc<Tally>>,
    origin: Arc<Origin>,
    pub(crate) status: u16,
    error: Option<&'static str>,
    source: Option<Source>,
    answered_by: &'static str,
    pub(crate) rows: u64,
    pages: u64,
    bytes: u64,
    epoch: u64,
}

/// What the account of a request does not say.
pub(crate) struct Ended<'a> {
    pub(crate) began: Instant,
    pub(crate) at: Instant,
    pub(crate) method: &'static str,
    pub(crate) origin: &'a Arc<Origin>,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

impl Recent {
    /// Numbers begin behind this one: a reader who knows the last number of the process before finds those of this one.
    pub(crate) fn behind(number: u64) -> Self {
        let places = (0..RECENT_MAX).map(|_| Mutex::default()).collect();
        Recent { next: AtomicU64::new(number), places }
    }

    /// Notes a request that has ended.
    pub(crate) fn note(&self, account: &Account, ended: &Ended<'_>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(number % RECENT_MAX as u64).unwrap_or(0);
        let Some(Ok(mut place)) = self.places.get(place).map(Mutex::try_lock) else { return };
        let micros = ended.at.saturating_duration_since(ended.began).as_micros();
        *place = Some(Told {
            number: number + 1,
            ended: ended.at,
            micros: u64::try_from(micros).unwrap_or(u64::MAX),
            method: ended.method,
            endpoint: account.endpoint.unwrap_or("none"),
            untranslated: account.untranslated,
            caller: account.caller.clone(),
            origin: Arc::clone(ended.origin),
            status: ended.status,
            error: account.error,
            source: account.source,
            answered_by: account.answered_by.map_or("", shadow::Side::as_str),
            rows: account.rows,
            pages: account.story.pages,
            bytes: ended.bytes,
            epoch: account.epoch,
        });
    }

    /// Those behind that number, the newest first.
    pub(crate) fn since(&self, number: u64) -> Vec<Told> {
        let mut found: Vec<Told> = Vec::new();
        for place in &self.places {
            // A writer passes over a place that is read, so none is held for long.
            let Ok(place) = place.lock() else { continue };
            if let Some(told) = place.as_ref().filter(|told| told.number > number) {
                found.push(told.clone());
            }
        }
        found.sort_unstable_by_key(|told| std::cmp::Reverse(told.number));
        found
    }
}

impl Told {
    /// When it ended, by the time that is now; both are in seconds since 1970.
    pub(crate) fn at(&self, now: f64) -> f64 {
        now - self.ended.elapsed().as_secs_f64()
    }

    pub(crate) fn legacy_path(&self) -> Option<&'static str> {
        self.untranslated.and_then(|place| UNTRANSLATED.get(place)).copied()
    }

    pub(crate) fn caller(&self) -> &str {
        self.caller.as_deref().map_or("none", Tally::name)
    }

    /// The slug of what went wrong; empty where nothing did.
    pub(crate) fn error(&self) -> &'static str {
        self.error.unwrap_or("")
    }

    pub(crate) fn source(&self) -> Option<&'static str> {
        self.source.map(Source::as_str)
    }

    /// How long it took, to a tenth of a millisecond.
    pub(crate) fn millis(&self) -> f64 {
        (self.micros as f64 / 1e2).round() / 10.0
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.origin.request_id
    }

    /// The same for programs.
    pub(crate) fn json(&self, now: f64) -> Value {
        json!({
            "n": self.number,
            "at": (self.at(now) * 1e3).round() / 1e3,
            "method": self.method,
            "endpoint": self.endpoint,
            "legacy_path": self.legacy_path(),
            "caller": self.caller(),
            "status": self.status,
            "err": self.error(),
            "answered_by": self.answered_by,
            "source": self.source(),
            "rows": self.rows,
            "pages": self.pages,
            "bytes_out": self.bytes,
            "ms": self.millis(),
            "epoch": self.epoch,
            "request_id": self.request_id(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_two_hundred_are_kept_and_the_newest_comes_first() {
        let recent = Recent::behind(0);
        let headers = http::HeaderMap::new();
        let origin = Arc::new(Origin::of(&headers, false, 0.0, |_| false));
        let caller = Arc::new(Tally::new("crm"));
        let began = Instant::now();
        for status in 1..=450 {
            let account = Account { caller: Some(Arc::clone(&caller)), ..Account::default() };
            let at = began + std::time::Duration::from_micros(1234);
            let ended = Ended { began, at, method: "GET", origin: &origin, status, bytes: 7 };
            recent.note(&account, &ended);
        }
        let since = |number| -> Vec<Value> {
            recent.since(number).iter().map(|told| told.json(1000.0)).collect()
        };
        let all = since(0);
        assert_eq!(all.len(), RECENT_MAX);
        assert_eq!((&all[0]["n"], &all[0]["status"]), (&json!(450), &json!(450)));
        assert_eq!(all[199]["n"], json!(251));
        assert_eq!(all[0]["ms"], json!(1.2));
        assert_eq!(all[0]["request_id"], json!(&*origin.request_id));
        assert_eq!(since(447).len(), 3);
        // A place that is read is passed over, and no request waits.
        let reading = recent.places[450 % RECENT_MAX].lock().unwrap();
        let ended = Ended { began, at: began, method: "GET", origin: &origin, status: 1, bytes: 0 };
        recent.note(&Account::default(), &ended);
        drop(reading);
        assert!(since(450).is_empty());
        // A caller of a configuration that is gone goes with its requests.
        for _ in 0..RECENT_MAX {
            recent.note(&Account::default(), &ended);
        }
        assert_eq!(Arc::strong_count(&caller), 1);
    }
}
