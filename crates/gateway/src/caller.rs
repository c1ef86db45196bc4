//! Who calls. A caller is found by the digest of its legacy key, and has a line of its own to its
//! upstream.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use domain::visibility::Visibility;
use settings::{KeyDigest, Secret};
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::brownout::Brownouts;
use crate::error::Error;
use crate::line::Line;
use crate::observe::tally::Tally;
use crate::request::credential::Credential;

/// One caller.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: Arc<str>,
    /// What is counted of it.
    pub(crate) tally: Arc<Tally>,
    pub(crate) digest: KeyDigest,
    /// What it sees.
    pub(crate) visibility: Visibility,
    /// Whether it may ask how an answer came about.
    pub(crate) may_explain: bool,
    /// Whether it may place calls.
    pub(crate) may_call: bool,
    /// When endpoints answer it with an error on purpose.
    pub(crate) brownouts: Brownouts,
    /// Its share of the requests in flight.
    pub(crate) places: Semaphore,
    pub(crate) line: Line,
}

impl Caller {
    /// A place among the requests in flight; one caller never has more than its share.
    pub(crate) fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.places.try_acquire().map_err(|_| Error::TenantLimit)
    }

    /// The same place, kept for an answer that takes longer than its request.
    pub(crate) fn keep(self: &Arc<Self>, place: SemaphorePermit<'_>) -> KeptPlace {
        place.forget();
        KeptPlace(Arc::clone(self))
    }
}

/// A place that is given back when this is dropped.
pub(crate) struct KeptPlace(Arc<Caller>);

impl Drop for KeptPlace {
    fn drop(&mut self) {
        self.0.places.add_permits(1);
    }
}

/// All callers.
#[derive(Debug)]
pub(crate) struct Callers {
    by_digest: HashMap<KeyDigest, Arc<Caller>>,
    seen: Seen,
    in_order: Vec<Arc<Caller>>,
}

/// The callers whose keys came before, by a mark of the key: a digest costs as much as a twentieth of a small
/// request where the processor has no instructions for it. A mark is a pseudorandom function of the key (twice
/// SipHash, 128 bits) with keys of its own that nobody learns, so that nobody can aim a mark either.
#[derive(Debug, Default)]
struct Seen {
    halves: [RandomState; 2],
    callers: RwLock<BTreeMap<[u64; 2], Arc<Caller>>>,
}

impl Seen {
    fn mark(&self, key: &str) -> [u64; 2] {
        [self.halves[0].hash_one(key), self.halves[1].hash_one(key)]
    }

    fn find(&self, mark: &[u64; 2]) -> Option<Arc<Caller>> {
        self.callers.read().unwrap_or_else(PoisonError::into_inner).get(mark).cloned()
    }

    /// Only keys that are some caller's are kept, so there are no more marks than keys.
    fn keep(&self, mark: [u64; 2], caller: &Arc<Caller>) {
        let mut callers = self.callers.write().unwrap_or_else(PoisonError::into_inner);
        callers.insert(mark, Arc::clone(caller));
    }
}

impl Callers {
    pub(crate) fn new(in_order: Vec<Arc<Caller>>) -> Self {
        let by_digest = in_order.iter().map(|caller| (caller.digest, Arc::clone(caller)));
        Callers { by_digest: by_digest.collect(), seen: Seen::default(), in_order }
    }

    /// The caller of a key. What the look-up compares is a digest, so its time tells nothing about
    /// a key: nobody can aim a digest. The last comparison is constant-time all the same.
    pub(crate) fn find(&self, key: &Secret) -> Option<Arc<Caller>> {
        let mark = self.seen.mark(key.expose());
        if let Some(caller) = self.seen.find(&mark) {
            return Some(caller);
        }
        let digest = digest(key.expose());
        let (known, caller) = self.by_digest.get_key_value(&digest)?;
        if !bool::from(known.ct_eq(&digest)) {
            return None;
        }
        self.seen.keep(mark, caller);
        Some(Arc::clone(caller))
    }

    /// The caller of the one key that came with a request.
    pub(crate) fn of(&self, credential: &Credential) -> Result<Arc<Caller>, Error> {
        match credential {
            Credential::None => Err(Error::NoCredential),
            Credential::Ambiguous => Err(Error::AmbiguousCredential),
            Credential::One(key) => self.find(key).ok_or(Error::UnknownCredential),
        }
    }

    /// Whether a text is some caller's key; such a text must never be logged.
    pub(crate) fn knows(&self, text: &str) -> bool {
        self.by_digest.contains_key(&digest(text))
    }

    /// All of them, in the order of the configuration.
    pub(crate) fn all(&self) -> &[Arc<Caller>] {
        &self.in_order
    }
}

/// Digest of a key. The key itself is never kept, and a digest cannot be aimed: how long it takes to
/// look one up says nothing about a key.
fn digest(key: &str) -> KeyDigest {
    #[cfg(test)]
    tests::DIGESTS.set(tests::DIGESTS.get() + 1);
    settings::digest(key)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::line::key::KeyState;
    use crate::state::State;
    use settings::Config;

    thread_local! {
        /// How many digests this thread has made.
        pub(super) static DIGESTS: Cell<usize> = const { Cell::new(0) };
    }

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
    async fn d02_d03_an_unknown_key_costs_one_digest_each_time_and_a_known_one_once() {
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
        callers.all()[0].line.key.note_refusal(KeyState::Refused);
        assert_eq!(cost("LEGACY-key"), (1, true));
        for unknown in ["", "x", "LEGACY-ke", "LEGACY-keyy", "V4-key", &"k".repeat(5000)] {
            assert_eq!(cost(unknown), (1, false), "{} bytes", unknown.len());
            assert_eq!(cost(unknown), (1, false), "{} bytes, again", unknown.len());
        }
        assert_eq!(cost("LEGACY-key"), (0, true));
        assert_eq!(callers.seen.callers.read().unwrap().len(), 1);
    }
}
