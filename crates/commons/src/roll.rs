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
/// A longer time without an answer is a gap. One failed turn makes no gap, two in a row do. After a shorter time the
/// counts from before it still hold for the rest of [`SILENCE`], and within that all replicas come back.
const GAP: Duration = Duration::from_millis(2_500);
/// More replicas than this are not believed.
const REPLICAS_MAX: u32 = 1024;

/// How many replicas there are. Keeps the highest count of the last [`SILENCE`].
///
/// An empty server counts only the replicas that have already come to it, and so does one that was away for longer
/// than [`SILENCE`]. Of four replicas that come one after the other the first counts one, the second two. If the
/// server went away then and each divided the rate by its own count, together they would send twice the rate. After a
/// gap, the belief from before therefore counts as a new answer, and so does `replicas_max` at the start: a lower
/// count is believed only after [`SILENCE`] of answers.
pub(crate) struct Roll {
    replicas: AtomicU32,
    /// When the server answered, and how many replicas it counted; the latest answer last.
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

    /// Takes in how many members the server counts. A higher count is believed at once.
    pub(crate) fn count(&self, members: u32) {
        let now = Instant::now();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.last().is_none_or(|(then, _)| now.duration_since(*then) > GAP) {
            counts.push((now, self.replicas()));
        }
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
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What a replica believes after each of some answers, a second apart.
    async fn believed<const N: usize>(roll: &Roll, counts: [u32; N]) -> [u32; N] {
        let mut believed = [0; N];
        for (believed, count) in believed.iter_mut().zip(counts) {
            sleep(SECOND).await;
            roll.count(count);
            *believed = roll.replicas();
        }
        believed
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_count_is_believed_after_five_seconds_of_answers() {
        let roll = Roll::new(8);
        assert_eq!(roll.replicas(), 8, "no server has answered yet");
        assert_eq!(believed(&roll, [4; 7]).await, [8, 8, 8, 8, 8, 8, 4]);
        // A server that lost its data does not make one replica of four.
        assert_eq!(believed(&roll, [1, 2, 3, 2, 2, 2]).await, [4, 4, 4, 4, 4, 3]);
        // One failed turn changes nothing; two in a row are a gap, and the five seconds begin again.
        sleep(SECOND).await;
        assert_eq!(believed(&roll, [2, 2]).await, [3, 2]);
        assert_eq!(believed(&roll, [1, 1]).await, [2, 2]);
        sleep(2 * SECOND).await;
        assert_eq!(believed(&roll, [1; 7]).await, [2, 2, 2, 2, 2, 2, 1]);
        // A higher count is believed at once, whatever was configured.
        assert_eq!(believed(&roll, [9, 0, u32::MAX]).await, [9, 9, REPLICAS_MAX]);
    }

    #[tokio::test(start_paused = true)]
    async fn replicas_that_meet_one_after_the_other_keep_to_one_rate() {
        let replicas = [(); 4].map(|()| Roll::new(4));
        let rate = || replicas.iter().map(|roll| 100 / roll.replicas()).sum::<u32>();
        // At the start, and after the server was away for longer than a silent replica counts. Each time it goes away
        // again when the last replica has come.
        for away in [Duration::ZERO, SILENCE + SECOND, SILENCE + SECOND] {
            sleep(away).await;
            for (come, roll) in (1..).zip(&replicas) {
                sleep(SECOND / 5).await;
                roll.count(come);
                assert_eq!(rate(), 100, "{come} have come after {away:?}");
            }
        }
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
