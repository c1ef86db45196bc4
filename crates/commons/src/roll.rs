//! What the roll knows: how many replicas there are, and the news that wait to be told. Must never forget news before
//! the server has taken them, as long as they last.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::news::LASTS_MAX;
use crate::shapes::{News, Scope};

/// A replica that is silent for so long is gone.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// More replicas than this are not believed.
const REPLICAS_MAX: u32 = 1024;

/// How many replicas there are, as far as is known.
pub(crate) struct Roll {
    replicas: AtomicU32,
    counts: Mutex<Vec<(Instant, u32)>>,
}

/// News that wait to be told; one piece of each kind for each scope, so that there are never many.
#[derive(Default)]
pub(crate) struct Outbox {
    pieces: Mutex<Vec<Pending>>,
    pub(crate) has_more: Notify,
}

/// News on their way: first to the scope's own keys, then to the stream that all replicas read.
pub(crate) struct Pending {
    pub(crate) scope: Scope,
    pub(crate) news: News,
    at: Instant,
    /// How many refusals wait for a generation with this piece.
    pub(crate) refusals: u32,
    pub(crate) generation: Option<u64>,
    /// Others heard of it, though without a generation.
    pub(crate) is_heard: bool,
}

impl Outbox {
    /// Tells all replicas soon, in the background.
    pub(crate) fn put(&self, scope: Scope, news: News) {
        let refusals = u32::from(matches!(news, News::Refusal(_)));
        self.add(Pending {
            scope,
            news,
            at: Instant::now(),
            refusals,
            generation: None,
            is_heard: false,
        });
        self.has_more.notify_one();
    }

    /// Joins what says the same of one scope.
    pub(crate) fn add(&self, piece: Pending) {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = pieces.iter_mut().find(|known| known.is_like(&piece)) else {
            pieces.push(piece);
            return;
        };
        known.refusals += piece.refusals;
        known.generation = None;
        known.is_heard &= piece.is_heard;
        // A pause is never shortened.
        if piece.ends() > known.ends() {
            (known.news, known.at) = (piece.news, piece.at);
        }
    }

    pub(crate) fn all(&self) -> Vec<Pending> {
        std::mem::take(&mut *self.pieces.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pending {
    fn is_like(&self, other: &Self) -> bool {
        let kind = std::mem::discriminant::<News>;
        self.scope.0.code == other.scope.0.code && kind(&self.news) == kind(&other.news)
    }

    pub(crate) fn ends(&self) -> Instant {
        self.at + lasts(self.news)
    }
}

impl Roll {
    pub(crate) fn new(replicas_max: u32) -> Self {
        Roll { replicas: AtomicU32::new(replicas_max.max(1)), counts: Mutex::default() }
    }

    pub(crate) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed)
    }

    pub(crate) fn has_met(&self) -> bool {
        !self.counts.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The most that were counted within the time after which a silent one is gone. A server that comes back empty
    /// knows nobody at first, so a lower count needs this time to be believed.
    pub(crate) fn count(&self, members: u32) {
        let now = Instant::now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|(then, _)| now.duration_since(*then) <= SILENCE);
        counts.push((now, members.clamp(1, REPLICAS_MAX)));
        let most = counts.iter().map(|(_, members)| *members).max();
        self.replicas.store(most.unwrap_or(1), Ordering::Relaxed);
    }
}

fn lasts(news: News) -> Duration {
    let (News::Pause(lasts) | News::Refusal(lasts)) = news;
    lasts.min(LASTS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_comes_back_empty_does_not_make_one_replica_of_four() {
        let roll = Roll::new(8);
        assert_eq!(roll.replicas(), 8, "who never met the others leaves room for all");
        roll.count(4);
        assert_eq!(roll.replicas(), 4);
        tokio::time::sleep(Duration::from_secs(1)).await;
        roll.count(1);
        assert_eq!(roll.replicas(), 4);
        tokio::time::sleep(SILENCE).await;
        roll.count(2);
        assert_eq!(roll.replicas(), 2);
        roll.count(0);
        tokio::time::sleep(SILENCE + Duration::from_secs(1)).await;
        roll.count(u32::MAX);
        assert_eq!(roll.replicas(), REPLICAS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_longest_pause_of_a_scope_is_sent() {
        let (outbox, scope) = (Outbox::default(), Scope::new([1; 16]));
        for seconds in [2, 9, 4] {
            outbox.put(scope.clone(), News::Pause(Duration::from_secs(seconds)));
        }
        for _ in 0..2 {
            outbox.put(scope.clone(), News::Refusal(Duration::ZERO));
        }
        outbox.put(Scope::new([2; 16]), News::Pause(Duration::from_secs(1)));
        let pieces = outbox.all();
        let all: Vec<(News, u32)> =
            pieces.iter().map(|piece| (piece.news, piece.refusals)).collect();
        let pause = |seconds| News::Pause(Duration::from_secs(seconds));
        assert_eq!(all, [(pause(9), 0), (News::Refusal(Duration::ZERO), 2), (pause(1), 0)]);
    }
}
