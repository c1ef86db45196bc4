//! Places in a pace: asks that wait at the same moment are one call, since the pages of a list want theirs together.
//! Must never ask for a place for a request that went away, and must never refuse many where
//! one could have had its place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::law::{Law, WANT_MAX};
use crate::shapes::{Ask, Taken};
use crate::share::Share;
use crate::shared::Shared;

/// An ask with less time left goes by itself: all of a call must lie before the first of its deadlines.
const TIME_LEFT_MIN: Duration = Duration::from_millis(100);

/// A pace that all replicas keep together.
#[derive(Clone, Debug)]
pub struct Pace(Arc<PaceInner>);

#[derive(Debug)]
struct PaceInner {
    key: String,
    share: Mutex<Share>,
    crowd: Mutex<Vec<Waiting>>,
}

/// A request that waits for one place.
#[derive(Debug)]
struct Waiting {
    deadline: Instant,
    /// Without an answer it asks by itself.
    told: oneshot::Sender<Taken>,
}

impl Pace {
    pub(crate) fn new(key: String, law: Law) -> Self {
        let (share, crowd) = (Mutex::new(Share::new(law)), Mutex::default());
        Pace(Arc::new(PaceInner { key, share, crowd }))
    }

    /// The name of its number on the server.
    pub(crate) fn key(&self) -> &str {
        &self.0.key
    }

    pub(crate) fn share(&self) -> MutexGuard<'_, Share> {
        // Plain data, valid after any panic.
        self.0.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn crowd(&self) -> MutexGuard<'_, Vec<Waiting>> {
        // Plain data, valid after any panic.
        self.0.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The places that are asked for. One that can wait is asked for with all others that wait just now.
    pub(crate) async fn take(self: &Arc<Self>, pace: &Pace, ask: Ask) -> Taken {
        let left = ask.deadline.saturating_duration_since(Instant::now());
        if ask.want != 1 || ask.not_before.is_some() || ask.only_look || left < TIME_LEFT_MIN {
            return self.take_alone(pace, ask).await;
        }
        let (told, answer) = oneshot::channel();
        let is_first = {
            let mut crowd = pace.crowd();
            crowd.push(Waiting { deadline: ask.deadline, told });
            crowd.len() == 1
        };
        if is_first {
            // A task of its own: it goes on if the first one leaves, and most of the others come before it runs.
            tokio::spawn(give(Arc::clone(self), pace.clone()));
        }
        match answer.await {
            Ok(taken) => taken,
            Err(_) => self.take_alone(pace, ask).await,
        }
    }

    /// The same with a call of its own.
    async fn take_alone(&self, pace: &Pace, ask: Ask) -> Taken {
        let (sent, asked) = {
            let share = pace.share();
            (share.now(), share.asked(ask))
        };
        match self.placed(pace, asked).await {
            Some(answer) => {
                let returned = self.control.returned();
                pace.share().shared(sent, asked, answer, returned, self.roll.replicas())
            }
            None => pace.share().alone(self.roll.replicas(), ask),
        }
    }
}

/// Gives places to all who wait now.
async fn give(shared: Arc<Shared>, pace: Pace) {
    let mut crowd = std::mem::take(&mut *pace.crowd());
    crowd.retain(|waiting| !waiting.told.is_closed());
    // The belt may put the last place of many beyond the deadline of all; then each asks by itself.
    if pace.share().is_settling(shared.control.returned()) {
        return;
    }
    while !crowd.is_empty() {
        let rest = crowd.split_off(crowd.len().min(WANT_MAX as usize));
        let (want, first) = (crowd.len(), crowd.iter().map(|waiting| waiting.deadline).min());
        let Some(deadline) = first else { return };
        let ask = Ask::places(u32::try_from(want).unwrap_or(WANT_MAX), deadline);
        match shared.take_alone(&pace, ask).await {
            Taken::Places(places) if places.len() == want => {
                for (waiting, place) in crowd.into_iter().zip(places) {
                    let _ = waiting.told.send(Taken::Places(vec![place]));
                }
            }
            full if want == 1 => {
                if let Some(waiting) = crowd.pop() {
                    let _ = waiting.told.send(full);
                }
            }
            // Some of them may have places all the same.
            _ => drop(crowd),
        }
        crowd = rest;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::{Commons, Rate, SealKey, Setup};

    /// A replica whose server nobody can reach, and a pace of which it has a place a second.
    fn alone() -> (Commons, Pace) {
        let setup = Setup::one("redis://127.0.0.1:9", SealKey::new([7; 32]), 1);
        let commons = Commons::shared(&setup).unwrap();
        let pace = commons.pace(b"account", Rate::sustained(60, Duration::ZERO));
        (commons, pace)
    }

    fn places(all: Vec<Taken>) -> Vec<Instant> {
        let place = |taken| if let Taken::Places(places) = taken { Some(places) } else { None };
        all.into_iter().filter_map(place).flatten().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_together_have_places_one_behind_the_other() {
        let (commons, pace) = alone();
        let deadline = Instant::now() + Duration::from_secs(60);
        let asks = (0..5).map(|_| commons.take(&pace, Ask::places(1, deadline)));
        let places = places(join_all(asks).await);
        assert_eq!(places.len(), 5);
        let second = Duration::from_secs(1);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] == second), "{places:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_with_little_time_left_takes_no_place_from_the_others() {
        let (commons, pace) = alone();
        let now = Instant::now();
        let deadlines = [60, 60, 2, 60].map(|seconds| now + Duration::from_secs(seconds));
        let asks = deadlines.map(|deadline| commons.take(&pace, Ask::places(1, deadline)));
        let all = join_all(asks).await;
        let full = all.iter().filter(|taken| matches!(taken, Taken::Full(_))).count();
        assert!(full <= 1, "{all:?}");
        // Six at once do not fit into 2.5 s; those that do have their places.
        let (commons, pace) = alone();
        let deadline = Instant::now() + Duration::from_millis(2_500);
        let asks = (0..6).map(|_| commons.take(&pace, Ask::places(1, deadline)));
        let all = places(join_all(asks).await);
        assert!((2..=3).contains(&all.len()), "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_went_away_takes_no_place() {
        let (commons, pace) = alone();
        let deadline = Instant::now() + Duration::from_secs(60);
        let ask = || Box::pin(commons.take(&pace, Ask::places(1, deadline)));
        let (first, mut left, mut stays) = (places(vec![ask().await]), ask(), ask());
        assert!(futures_util::poll!(&mut left).is_pending());
        assert!(futures_util::poll!(&mut stays).is_pending());
        drop(left);
        let stays = places(vec![stays.await]);
        assert_eq!(stays[0] - first[0], Duration::from_secs(1));
    }
}
