//! What one caller's replicas read for each other: one reading for all, and values that outlive a restart. Must never
//! share between callers, nor between configurations: the caller has a scope of its own, and every question holds the
//! fingerprint of what shapes the caller's answers.

pub(crate) mod answers;
mod fingerprint;
#[cfg(test)]
mod tests;
mod told;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use commons::{Begun, Finish, Lease, Uses, Wish};
use limits::Aged;
use settings::{Caller, Config, Upstream};
use tokio::sync::Semaphore;
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

/// A value may be this many times as large as what it is stored as, which is compressed.
const PACKED_MAX: usize = 16;
/// What a seal adds to what is compressed, at most.
const SEAL_MAX: usize = 64;
/// As little effort as the seal makes.
const LEVEL: i32 = 1;
/// So many values are measured at once.
const MEASURED_MAX: usize = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Values {
    common: Common,
    /// Of everything that shapes the caller's answers.
    fingerprint: [u8; 32],
    bounds: Arc<Bounds>,
    speaks: &'static dyn domain::upstream::Dialect,
}

/// What may be stored.
#[derive(Debug)]
struct Bounds {
    /// Values that are larger when they are compressed and sealed are not shared.
    value_bytes_max: usize,
    too_large: TooLarge,
    /// Places for values that are being measured.
    measuring: Semaphore,
}

/// What was larger, by kind and words, and when.
#[derive(Debug, Default)]
struct TooLarge(Mutex<HashMap<Named, Instant>>);

/// A kind, and a digest of the words.
type Named = (&'static str, u64);

/// A value that replicas share.
pub(crate) trait Stored: Sized {
    /// Writes the value later, without borrowing it.
    type Writer: Writer;
    /// For writing the value in at most so many bytes. A long value is written only if a replica can use it.
    fn writer(&self, bytes_max: usize) -> Self::Writer;
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

/// Writes a value that it no longer needs; nothing where that would take too many bytes.
pub(crate) trait Writer: Send + 'static {
    fn written(self) -> Option<Vec<u8>>;
}

/// What is written already.
impl Writer for Option<Vec<u8>> {
    fn written(self) -> Option<Vec<u8>> {
        self
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

impl Wanted<'_> {
    fn named(self) -> Named {
        (self.kind, xxh3_64(self.words))
    }
}

/// The same body, if it may be stored when it is compressed and sealed.
fn measured(body: Vec<u8>, bytes_max: usize) -> Option<Vec<u8>> {
    let packed = zstd::bulk::compress(&body, LEVEL).ok()?;
    (packed.len() + SEAL_MAX <= bytes_max).then_some(body)
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
            bounds: Arc::new(Bounds {
                value_bytes_max: config.commons.as_ref().map_or(0, |setup| setup.value_bytes_max),
                too_large: TooLarge::default(),
                measuring: Semaphore::new(MEASURED_MAX),
            }),
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
        if self.bounds.too_large.has(wanted.named()) {
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
                    self.bounds.too_large.note(wanted.named());
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

    async fn begin(&self, wanted: Wanted<'_>) -> Begun {
        let Common { commons, scope } = &self.common;
        let parts = [wanted.kind.as_bytes(), &self.fingerprint[..], wanted.words];
        let question = commons.question(scope, &parts);
        let wish = Wish { fresh_for: wanted.fresh_for, deadline: wanted.deadline };
        commons.begin(&question, wish).await
    }

    fn finish<V: Stored>(&self, lease: Lease, wanted: Wanted<'_>, read: Result<&V, &Error>) {
        // An answer that nobody takes when it is over is of use only to those who follow it.
        let uses = if wanted.keep_for.is_zero() { Uses::Following } else { Uses::Later };
        let (commons, bounds) = (&self.common.commons, Arc::clone(&self.bounds));
        match read {
            Ok(value) => {
                let keep_for = wanted.keep_for.max(STORED_MIN).min(value.lasts());
                let (write, named) = (value.writer(bounds.body_max()), wanted.named());
                commons.finish_with(lease, uses, move || {
                    bounds.whole(write.written(), keep_for, named)
                });
            }
            Err(error) => commons.finish(lease, failed::<V>(error)),
        }
    }
}

/// What the others are told of a failure.
fn failed<V: Stored>(error: &Error) -> Finish {
    let told = if V::tells(error) { told::told(error) } else { None };
    told.map_or(Finish::Nothing, Finish::Failed)
}

impl Bounds {
    /// The most bytes of a value that is not compressed yet.
    fn body_max(&self) -> usize {
        self.value_bytes_max.saturating_mul(PACKED_MAX)
    }

    /// What the others get, for so long.
    fn whole(&self, body: Option<Vec<u8>>, keep_for: Duration, named: Named) -> Finish {
        let measured = match body {
            Some(body) if body.len() + SEAL_MAX <= self.value_bytes_max => Some(body),
            // Whether it may be stored is known when it is compressed.
            Some(body) => match self.measuring.try_acquire() {
                Ok(_place) => measured(body, self.value_bytes_max),
                Err(_) => return Finish::Nothing,
            },
            None => None,
        };
        match measured {
            Some(body) => Finish::Whole { body, keep_for },
            // Those who wait would wait for each other, one behind the other, for nothing.
            None => {
                self.too_large.note(named);
                Finish::Failed(told::too_large())
            }
        }
    }
}

impl TooLarge {
    fn has(&self, of: Named) -> bool {
        // Plain data, valid after any panic.
        let too_large = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = too_large.get(&of);
        noted.is_some_and(|then| then.elapsed() < TOO_LARGE_FOR)
    }

    fn note(&self, of: Named) {
        let mut too_large = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if too_large.len() >= TOO_LARGE_MAX {
            too_large.clear();
        }
        too_large.insert(of, Instant::now());
    }
}
