//! What is known of a caller's key for its upstream. A refusal makes everything forgotten that was kept
//! for the caller, whichever replica got it: what it may not read any more is not shown either.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use commons::News;
use tokio::time::Instant;

use super::common::Common;

/// How long a refusal is believed without asking again, so that a broken poller does not knock on.
const REFUSAL_KEPT_FOR: Duration = Duration::from_secs(5);

/// What the upstream last said to the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
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

/// See the module.
pub(crate) struct Key {
    told: Mutex<Told>,
    /// Where other replicas learn of a refusal, and this one of theirs.
    common: Option<Common>,
    /// What is kept was read in this epoch of theirs.
    epoch: AtomicU64,
    /// Held while what is kept is forgotten, so that nobody else passes meanwhile.
    heeding: Mutex<()>,
    /// Forgets all that is kept for the caller.
    forget: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Default)]
struct Told {
    /// The key was refused, and when.
    refused: Option<(KeyState, Instant)>,
    was_accepted: bool,
}

impl Key {
    /// An untested key; `forget` is called with each refusal.
    pub(crate) fn new(common: Option<Common>, forget: impl Fn() + Send + Sync + 'static) -> Self {
        let epoch = common.as_ref().map_or(0, |common| common.scope.epoch()).into();
        let (told, heeding) = Default::default();
        Key { told, common, epoch, heeding, forget: Box::new(forget) }
    }

    /// The upstream refused the key.
    pub(crate) fn note_refusal(&self, state: KeyState) {
        self.told().refused = Some((state, Instant::now()));
        match &self.common {
            None => (self.forget)(),
            Some(Common { commons, scope }) => {
                commons.tell(scope, News::Refusal(REFUSAL_KEPT_FOR));
                self.heed();
            }
        }
    }

    /// Forgets what is kept if another replica's key was refused since. Before anything kept is shown.
    pub(crate) fn heed(&self) {
        let Some(common) = &self.common else { return };
        if self.epoch.load(Ordering::Acquire) == common.scope.epoch() {
            return;
        }
        let _heeding = self.heeding.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = common.scope.epoch();
        if self.epoch.load(Ordering::Acquire) != epoch {
            (self.forget)();
            // Afterwards, since from then on nobody waits here.
            self.epoch.store(epoch, Ordering::Release);
        }
    }

    /// The upstream took the key.
    pub(crate) fn note_acceptance(&self) {
        *self.told() = Told { refused: None, was_accepted: true };
    }

    /// A refusal fresh enough to be believed without asking.
    pub(crate) fn fresh_refusal(&self) -> Option<KeyState> {
        let own = self.told().refused.filter(|(_, at)| at.elapsed() < REFUSAL_KEPT_FOR);
        let heard = || {
            let common = self.common.as_ref()?;
            common.scope.refused_until().map(|_| KeyState::Refused)
        };
        own.map(|(state, _)| state).or_else(heard)
    }

    pub(crate) fn state(&self) -> KeyState {
        let told = self.told();
        match told.refused {
            Some((state, _)) => state,
            None if told.was_accepted => KeyState::Accepted,
            None => KeyState::Untested,
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Plain data, valid after any panic.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use commons::Commons;

    use super::*;

    /// The key of a caller at one of two replicas, and how often what was kept for it was forgotten.
    fn key(common: &Common) -> (Key, Arc<AtomicU32>) {
        let count = Arc::<AtomicU32>::default();
        let noted = Arc::clone(&count);
        let forget = move || {
            noted.fetch_add(1, Ordering::Relaxed);
        };
        (Key::new(Some(common.clone()), forget), count)
    }

    #[tokio::test(start_paused = true)]
    async fn j20_a_refusal_that_another_replica_got_is_believed_and_empties_what_is_kept_here() {
        let commons = Commons::one();
        let common = Common { scope: commons.scope(b"crm"), commons };
        let ((here, kept_here), (there, kept_there)) = (key(&common), key(&common));
        let forgotten = || [&kept_here, &kept_there].map(|count| count.load(Ordering::Relaxed));
        here.heed();
        there.heed();
        assert_eq!((forgotten(), here.fresh_refusal()), ([0, 0], None));
        there.note_refusal(KeyState::Forbidden);
        assert_eq!(there.fresh_refusal(), Some(KeyState::Forbidden));
        assert_eq!(here.fresh_refusal(), Some(KeyState::Refused));
        for _ in 0..2 {
            here.heed();
            there.heed();
            assert_eq!(forgotten(), [1, 1], "once for each refusal");
        }
        tokio::time::sleep(REFUSAL_KEPT_FOR).await;
        assert_eq!((here.fresh_refusal(), here.state()), (None, KeyState::Untested));
        // The key of another caller is another matter.
        let other = Common { scope: common.commons.scope(b"bi"), commons: common.commons.clone() };
        let (other, kept) = key(&other);
        there.note_refusal(KeyState::Refused);
        other.heed();
        assert_eq!((other.fresh_refusal(), kept.load(Ordering::Relaxed)), (None, 0));
    }

    #[test]
    fn nobody_passes_while_another_thread_forgets() {
        let commons = Commons::one();
        let common = Common { scope: commons.scope(b"crm"), commons };
        let (began, forgotten) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
        let (noted, ended) = (Arc::clone(&began), Arc::clone(&forgotten));
        let here = Key::new(Some(common.clone()), move || {
            noted.store(1, Ordering::SeqCst);
            // Another thread comes meanwhile.
            (0..10_000).for_each(|_| std::thread::yield_now());
            ended.fetch_add(1, Ordering::SeqCst);
        });
        Key::new(Some(common), || {}).note_refusal(KeyState::Refused);
        std::thread::scope(|threads| {
            threads.spawn(|| here.heed());
            while began.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            here.heed();
            assert_eq!(forgotten.load(Ordering::SeqCst), 1);
        });
        assert_eq!(forgotten.load(Ordering::SeqCst), 1, "once");
    }
}
