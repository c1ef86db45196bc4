//! Places in a pace: asks that wait at the same moment are one call, since the pages of a list want theirs together.
//! Must never give a place to somebody who went away, and must never refuse many where one could have had its place.

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

/// Somebody who waits for one place.
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
            // A task of its own: it goes on if the first one leaves, and by the time it runs the others have come.
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
