//! What is looked at when somebody asks for the metrics. Must never count anything itself.

use commons::Standing;
use limits::{BreakerState, Level};
use prometheus::{IntCounterVec, IntGaugeVec};

use super::brownouts::Announced;
use super::{Counters, bound, system};
use crate::observe::process;

/// What is looked at when somebody asks.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Name of each caller, and what its upstream last said to its key.
    pub(crate) callers: Vec<(String, &'static str)>,
    /// Users of the roster by what they are, where there is a roster that can be read.
    pub(crate) roster: Vec<(&'static str, usize)>,
    /// Name of each upstream, and what its breaker does.
    pub(crate) breakers: Vec<(String, BreakerState)>,
    /// Requests that wait for a place.
    pub(crate) queued: usize,
    /// How little memory is left.
    pub(crate) level: Level,
    /// When the certificate that is shown ends, in seconds since 1970; 0 where there is none.
    pub(crate) certificate: i64,
    /// The brownouts that are on or come next.
    pub(crate) brownouts: Announced,
    /// How the replicas stand, where there are several.
    pub(crate) commons: Option<Standing>,
}

/// What a caller's key is when there is something to do.
pub(super) const BAD_KEYS: [&str; 2] = ["refused", "forbidden"];

/// Upstreams whose breakers are shown; of those beyond, the one that is most open stands for all.
const BREAKERS_MAX: usize = 50;

/// Callers with such a key that are named at once.
const REFUSED_MAX: usize = 50;

impl Counters {
    /// Sets everything that is only looked at.
    pub(super) fn look_at(&self, snapshot: &Snapshot) {
        self.refused.reset();
        for state in ["untested", "accepted", "refused", "forbidden"] {
            let of = snapshot.callers.iter().filter(|(_, key)| *key == state);
            set(&self.callers, &[state], i64::try_from(of.count()).ok());
        }
        let bad = snapshot.callers.iter().filter(|(_, key)| BAD_KEYS.contains(key));
        for (place, (name, state)) in bad.enumerate() {
            let name = if place < REFUSED_MAX { name } else { bound::OTHER };
            self.refused.with_label_values(&[name, state]).inc();
        }
        for (state, count) in &snapshot.roster {
            set(&self.roster, &[state], i64::try_from(*count).ok());
        }
        self.breakers.reset();
        for (name, state) in snapshot.breakers.iter().take(BREAKERS_MAX) {
            set(&self.breakers, &[name], Some(*state as i64));
        }
        let others = snapshot.breakers.iter().skip(BREAKERS_MAX).map(|(_, state)| *state as i64);
        if let Some(most) = others.max() {
            set(&self.breakers, &[bound::OTHER], Some(most));
        }
        set(&self.queue, &[], i64::try_from(snapshot.queued).ok());
        set(&self.overload, &[], Some(snapshot.level.number()));
        set(&self.certificate, &[], Some(snapshot.certificate));
        grow(&self.panics, process::panics());
        grow(&self.log_lost, process::lost_log_lines());
        set(&self.resident, &[], system::resident_bytes());
        set(&self.open_files, &[], system::open_files());
        self.brownouts.look_at(&snapshot.brownouts);
        self.replicas.look_at(snapshot.commons.as_ref());
    }
}

pub(super) fn set(gauge: &IntGaugeVec, labels: &[&str], value: Option<i64>) {
    if let Some(value) = value {
        gauge.with_label_values(labels).set(value);
    }
}

/// Brings a counter without labels to what was counted elsewhere.
fn grow(counter: &IntCounterVec, now: u64) {
    let counter = counter.with_label_values::<&str>(&[]);
    counter.inc_by(now.saturating_sub(counter.get()));
}
