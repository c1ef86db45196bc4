//! The pace of an upstream, or of one key there: kept by this process, or by all replicas together. Nobody else need
//! know which it is. Must never outlive a change of what it is a pace of, and must never begin anew otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use commons::{Ask, Commons, Rate, Taken};
use limits::Pacer;
use settings::{Caller, PaceBy, PaceCounts, Upstream};
use tokio::time::{Instant, sleep_until};

use super::common;

/// See the module.
#[derive(Debug)]
pub(crate) enum Pace {
    /// Of this process.
    Own(Pacer),
    /// Of all replicas.
    Shared(Box<Shared>),
}

/// A pace that replicas keep together.
#[derive(Debug)]
pub(crate) struct Shared {
    commons: Commons,
    pace: commons::Pace,
}

impl Pace {
    /// Waits for a place; gives up at once where there is none before the deadline, and says after how
    /// long there is one.
    pub(crate) async fn wait(&self, deadline: Instant) -> Result<(), Duration> {
        match self {
            Pace::Own(pacer) => pacer.wait(deadline).await,
            // Boxed, so that pages of one process stay small.
            Pace::Shared(shared) => Box::pin(shared.wait(Ask::places(1, deadline))).await,
        }
    }

    /// Takes a place that is free at once, if there is one.
    pub(crate) async fn take(&self) -> bool {
        match self {
            Pace::Own(pacer) => pacer.take(),
            Pace::Shared(shared) => Box::pin(shared.wait(Ask::at_once())).await.is_ok(),
        }
    }

    /// When its next places are, if nothing is sent before `start`. What was said less than `known_for` ago will do.
    pub(crate) async fn look(&self, start: Instant, known_for: Duration) -> Outlook<'_> {
        match self {
            Pace::Own(pacer) => Outlook::Own(pacer, start),
            Pace::Shared(shared) => {
                let Shared { commons, pace } = &**shared;
                Outlook::Shared(Box::pin(commons.look(pace, start, known_for)).await)
            }
        }
    }

    /// How long a request that comes now would wait; `None` where other replicas decide it.
    pub(crate) fn wait_now(&self) -> Option<Duration> {
        match self {
            Pace::Own(pacer) => Some(pacer.wait_now()),
            Pace::Shared(_) => None,
        }
    }

    /// Whether a question costs a call to another machine, so that it is worth asking once.
    pub(crate) fn is_far(&self) -> bool {
        matches!(self, Pace::Shared(_))
    }
}

/// When the next places are.
#[derive(Debug)]
pub(crate) enum Outlook<'a> {
    Own(&'a Pacer, Instant),
    Shared(commons::Outlook),
}

impl Outlook<'_> {
    /// Whether so many more requests can have places before the deadline. If not, after how long they could if there
    /// were no others.
    pub(crate) fn admits(&self, requests: u64, deadline: Instant) -> Result<(), Duration> {
        match self {
            Outlook::Own(pacer, start) => pacer.admits(requests, *start, deadline),
            Outlook::Shared(outlook) => outlook.admits(requests, deadline),
        }
    }
}

impl Shared {
    async fn wait(&self, ask: Ask) -> Result<(), Duration> {
        match self.commons.take(&self.pace, ask).await {
            Taken::Full(wait) => Err(wait),
            Taken::Places(places) => match places.first() {
                Some(place) => {
                    in_time(*place, ask.deadline)?;
                    // A timer wakes at whole milliseconds, so that one for now would cost one.
                    if *place > Instant::now() {
                        sleep_until(*place).await;
                    }
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }
}

/// Nobody waits for a place beyond the deadline: then after how long it comes. One that is there already is taken,
/// however long the question took.
fn in_time(place: Instant, deadline: Instant) -> Result<(), Duration> {
    let wait = place.saturating_duration_since(Instant::now());
    if wait.is_zero() || place < deadline { Ok(()) } else { Err(wait) }
}

/// The paces of a configuration: of what, and how fast.
pub(crate) type Known = BTreeMap<(Vec<u8>, Duration, Duration), Arc<Pace>>;

/// Makes the paces of a configuration.
pub(crate) struct Paces<'a> {
    /// Those of the configuration before, which go on: what was begun before goes on as well.
    before: &'a Known,
    commons: Option<&'a Commons>,
    known: Known,
}

impl<'a> Paces<'a> {
    pub(crate) fn after(before: &'a Known, commons: Option<&'a Commons>) -> Self {
        Paces { before, commons, known: Known::new() }
    }

    /// The pace of a caller's requests to the upstream of that name, where there is one.
    pub(crate) fn of(
        &mut self,
        caller: &Caller,
        name: &str,
        upstream: &Upstream,
    ) -> Option<Arc<Pace>> {
        let settings::Pace { burst, counts, by } = upstream.pace;
        let per_minute = upstream.requests_per_minute_max?;
        let rate = match counts {
            PaceCounts::Sustained => Rate::sustained(per_minute, burst),
            PaceCounts::EveryMinute => Rate::every_minute(per_minute, burst),
        };
        let base = upstream.base_url.as_bytes();
        let scope = match by {
            PaceBy::Upstream => common::joined(&[b"upstream", base, name.as_bytes()]),
            // The same key at the same place is the same one, whichever upstream names the place.
            PaceBy::Key => common::joined(&[b"key", base, &common::digest(&caller.key)]),
        };
        let (before, commons) = (self.before, self.commons);
        let what = (scope, rate.interval, rate.burst);
        let pace = self.known.entry(what).or_insert_with_key(|what| {
            let new = || match commons {
                None => Pace::Own(Pacer::new(rate.interval, rate.burst)),
                Some(commons) => {
                    let pace = commons.pace(&what.0, rate);
                    Pace::Shared(Box::new(Shared { commons: commons.clone(), pace }))
                }
            };
            before.get(what).cloned().unwrap_or_else(|| Arc::new(new()))
        });
        Some(Arc::clone(pace))
    }

    pub(crate) fn known(self) -> Known {
        self.known
    }
}

#[cfg(test)]
mod tests;
