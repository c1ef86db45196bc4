//! What one caller's replicas read for each other: one reading for all, and values that outlive a restart. Must never
//! share between callers, nor between configurations: the caller has a scope of its own, and every question holds the
//! fingerprint of what shapes the caller's answers.

pub(crate) mod answers;
mod fingerprint;
#[cfg(test)]
mod tests;
mod told;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use commons::{Begun, Finish, Lease, Wish};
use limits::Aged;
use settings::{Caller, Config, Upstream};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::common::Common;
use crate::error::Error;

/// Replicas that follow a reading look for its end ten times a second, so a value is stored at least for so long.
const STORED_MIN: Duration = Duration::from_secs(5);
/// A value that was too large to be shared stays so for a while: nobody waits for another replica's in vain.
const TOO_LARGE_FOR: Duration = Duration::from_secs(600);
/// So many such values are remembered.
const TOO_LARGE_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub(crate) struct Values {
    common: Common,
    /// Of everything that shapes the caller's answers.
    fingerprint: [u8; 32],
    /// Larger values are not shared.
    value_bytes_max: usize,
    /// What was larger, by kind and words, and when.
    too_large: Mutex<HashMap<(&'static str, u64), Instant>>,
    speaks: &'static dyn domain::upstream::Dialect,
}

/// A value that replicas share.
pub(crate) trait Stored: Sized {
    /// The value in at most so many bytes.
    fn written(&self, bytes_max: usize) -> Option<Vec<u8>>;
    /// The same value, whose reading began so long ago at another replica.
    fn read(body: Vec<u8>, age: Duration) -> Option<Self>;
    /// For how long it may be used at all.
    fn lasts(&self) -> Duration {
        Duration::MAX
    }
    /// Whether others are told of a failure to read it. If not, they read it themselves.
    fn tells(_: &Error) -> bool {
        true
    }
}

/// What is asked of the others before something is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) kind: &'static str,
    /// What tells it from others of its kind.
    pub(crate) words: &'a [u8],
    /// How old it may be. Zero takes part in a reading that is under way, and takes nothing older.
    pub(crate) fresh_for: Duration,
    /// How long others may have use of it.
    pub(crate) keep_for: Duration,
    /// Half of the time until then is spent waiting for another replica.
    pub(crate) deadline: Instant,
}

/// What was had.
#[derive(Debug)]
pub(crate) struct Had<V> {
    pub(crate) value: V,
    /// How old it is, if another replica read it.
    pub(crate) elsewhere: Option<Duration>,
}

impl<V> From<Had<V>> for Aged<V> {
    fn from(Had { value, elsewhere }: Had<V>) -> Self {
        Aged { value, age: elsewhere.unwrap_or_default() }
    }
}

impl Values {
    /// What a caller shares.
    pub(crate) fn of(
        common: &Common,
        config: &Config,
        caller: &Caller,
        upstream: &Upstream,
    ) -> Self {
        Values {
            common: common.clone(),
            fingerprint: fingerprint::of(config, caller, upstream),
            too_large: Mutex::default(),
            value_bytes_max: config.commons.as_ref().map_or(0, |setup| setup.value_bytes_max),
            speaks: upstream.dialect,
        }
    }

    /// What another replica has read or reads just now; else what `read` reads, for all.
    pub(crate) async fn read<V: Stored>(
        &self,
        wanted: Wanted<'_>,
        read: impl Future<Output = Result<V, Error>>,
    ) -> Result<Had<V>, Error> {
        let here = |value| Had { value, elsewhere: None };
        if self.was_too_large(wanted) {
            return read.await.map(here);
        }
        match self.begin(wanted).await {
            Begun::Kept { body, age } => {
                if let Some(value) = V::read(body, age) {
                    return Ok(Had { value, elsewhere: Some(age) });
                }
            }
            Begun::Failed(told) => {
                if told == told::too_large() {
                    self.note_too_large(wanted);
                } else if let Some(error) = told::heard(&told, self.speaks) {
                    return Err(error);
                }
            }
            Begun::Lead(lease) => {
                let read = read.await;
                self.finish(lease, wanted, read.as_ref());
                return read.map(here);
            }
            Begun::Alone => {}
        }
        read.await.map(here)
    }

    /// Puts a value in the place of one that others would take otherwise. Where another replica reads, it does so.
    pub(crate) async fn replace<V: Stored>(&self, wanted: Wanted<'_>, value: &V) {
        let wanted = Wanted { fresh_for: Duration::ZERO, deadline: Instant::now(), ..wanted };
        if let Begun::Lead(lease) = self.begin(wanted).await {
            self.finish(lease, wanted, Ok(value));
        }
    }

    fn was_too_large(&self, wanted: Wanted<'_>) -> bool {
        // Plain data, valid after any panic.
        let too_large = self.too_large.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = too_large.get(&(wanted.kind, xxh3_64(wanted.words)));
        noted.is_some_and(|then| then.elapsed() < TOO_LARGE_FOR)
    }

    fn note_too_large(&self, wanted: Wanted<'_>) {
        let mut too_large = self.too_large.lock().unwrap_or_else(PoisonError::into_inner);
        if too_large.len() >= TOO_LARGE_MAX {
            too_large.clear();
        }
        too_large.insert((wanted.kind, xxh3_64(wanted.words)), Instant::now());
    }

    async fn begin(&self, wanted: Wanted<'_>) -> Begun {
        let Common { commons, scope } = &self.common;
        let parts = [wanted.kind.as_bytes(), &self.fingerprint[..], wanted.words];
        let question = commons.question(scope, &parts);
        let wish = Wish { fresh_for: wanted.fresh_for, deadline: wanted.deadline };
        commons.begin(&question, wish).await
    }

    fn finish<V: Stored>(&self, lease: Lease, wanted: Wanted<'_>, read: Result<&V, &Error>) {
        self.common.commons.finish(lease, self.outcome(wanted, read));
    }

    /// What the others are told.
    fn outcome<V: Stored>(&self, wanted: Wanted<'_>, read: Result<&V, &Error>) -> Finish {
        match read {
            Ok(value) => match value.written(self.value_bytes_max) {
                Some(body) => {
                    let keep_for = wanted.keep_for.max(STORED_MIN).min(value.lasts());
                    Finish::Whole { body, keep_for }
                }
                // Those who wait would wait for each other, one behind the other, for nothing.
                None => {
                    self.note_too_large(wanted);
                    Finish::Failed(told::too_large())
                }
            },
            Err(error) if V::tells(error) => {
                told::told(error).map_or(Finish::Nothing, Finish::Failed)
            }
            Err(_) => Finish::Nothing,
        }
    }
}
