//! Decides which users a sweep adds, changes, brings back, counts as absent, or takes for vanished. Must
//! never touch a file or a clock: everything it knows is an argument, every decision is a result.
//!
//! # When an absence counts
//!
//! - The sweep must have started after the end of the last separate observation. Two overlapping sweeps
//!   look at the same moment, so a user missing from both was missing once.
//! - The sweep must have started after the end of every sweep that saw the user.
//! - The sweep must be believed, see below.
//!
//! A sweep that is recorded late, and ended before the user was last seen, changes nothing about that
//! user.
//!
//! # When a sweep is not believed
//!
//! More than half of more than [`UNGUARDED_MAX`] users do not leave between two sweeps. It is far more
//! likely that the upstream had a fault, or that the key lost its rights. Such a sweep still shows which
//! users are present, but none of its absences counts. After [`DOUBTS_MAX`] observations in a row with
//! that gap, the next one is believed, and so are those that follow without interruption.
//!
//! # When a recorded time is not believed
//!
//! A reading takes minutes, so none is recorded [`LATENESS_MAX`] late. A time that is later than that
//! after a sweep's end comes from another clock: either that one was ahead, or this one is behind. It
//! does not matter which one is right, because the sweep was recorded after all earlier ones. So each
//! such time is replaced by the moment just before the sweep; smaller deviations stay. Absences and
//! doubts counted by that clock stay counted, and the next sweep continues them.

use crate::mirror::{Entry, Fingerprints, VANISHED_AFTER};
use crate::shapes::{Changes, Sighting, Sweep};

/// How many observations with a suspicious gap are not believed.
const DOUBTS_MAX: u8 = 2;
/// With at most this many users, a gap of more than half is believed at once.
const UNGUARDED_MAX: usize = 10;

/// How much earlier, in milliseconds, a sweep may have ended than one that was recorded before it.
const LATENESS_MAX: u64 = 60 * 60 * 1000;

/// The memory of the sweeps of one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScopeState {
    /// The latest end of all sweeps.
    pub(crate) last_ended: Option<u64>,
    /// The end of the last sweep that was a separate observation.
    pub(crate) observed_until: Option<u64>,
    /// How many observations in a row had a suspicious gap, up to one more than [`DOUBTS_MAX`].
    pub(crate) doubts: u8,
}

#[derive(Debug)]
pub(crate) enum Edit<'a> {
    /// The complete row.
    Whole(&'a Sighting, Marks),
    /// Only the marks of a user, by id.
    Marks(u64, Marks),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) absences: u8,
    pub(crate) seen_until: Option<u64>,
    pub(crate) vanished_at: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    /// All users afterwards, by ascending id.
    pub(crate) entries: Vec<Entry>,
    /// The changed rows, by ascending id.
    pub(crate) edits: Vec<Edit<'a>>,
    pub(crate) state: ScopeState,
    pub(crate) changes: Changes,
}

/// A sighting with copies of its id and fingerprint. So sorting and comparing need not read the
/// sightings, which are scattered in memory; those reads would take most of the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    id: u64,
    fingerprint: u64,
    sighting: &'a Sighting,
}

/// Where a sighting stands in its list, with copies of its id and fingerprint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    id: u64,
    fingerprint: u64,
    at: usize,
}

/// The places of the last given sighting of each id, by ascending id.
pub(crate) fn order(sightings: &[Sighting], fingerprints: &Fingerprints) -> Vec<Place> {
    let mut prints = fingerprints.writer();
    let place = |(at, sighting): (usize, &Sighting)| Place {
        id: sighting.id,
        fingerprint: prints.of(sighting),
        at,
    };
    let mut sorted: Vec<Place> = sightings.iter().enumerate().rev().map(place).collect();
    // The sort is stable, so the last given sighting of an id now comes first and stays.
    sorted.sort_by_key(|place| place.id);
    sorted.dedup_by_key(|place| place.id);
    sorted
}

/// The sightings in the order that [`order`] found for this list.
pub(crate) fn in_order<'a>(sightings: &'a [Sighting], order: &[Place]) -> Vec<Seen<'a>> {
    let seen =
        |&Place { id, fingerprint, at }: &Place| Seen { id, fingerprint, sighting: &sightings[at] };
    order.iter().map(seen).collect()
}

/// The last given sighting of each id, by ascending id.
pub(crate) fn by_id<'a>(sightings: &'a [Sighting], fingerprints: &Fingerprints) -> Vec<Seen<'a>> {
    in_order(sightings, &order(sightings, fingerprints))
}

/// Compares a sweep with the remembered users. `entries` and `seen` ascend by id.
pub(crate) fn tally<'a>(
    entries: &[Entry],
    state: ScopeState,
    sweep: Sweep,
    seen: &[Seen<'a>],
) -> Outcome<'a> {
    let mut clock = Clock::of(sweep);
    let last_ended = state.last_ended.map(|time| clock.adjusted(time));
    let observed_until = state.observed_until.map(|time| clock.adjusted(time));
    let has_gap = has_gap(entries, seen);
    let is_observation =
        sweep.started <= sweep.ended && observed_until.is_none_or(|until| sweep.started > until);
    let doubts = match (has_gap, is_observation) {
        (false, _) => 0,
        (true, false) => state.doubts,
        (true, true) => (DOUBTS_MAX + 1).min(state.doubts + 1),
    };
    let suspicious = has_gap && doubts <= DOUBTS_MAX;
    let changes =
        Changes { counted: is_observation && !suspicious, suspicious, ..Changes::default() };
    let mut tally = Tally {
        sweep,
        clock,
        ended_before: last_ended.unwrap_or(0),
        ended_after: last_ended.map_or(sweep.ended, |ended| ended.max(sweep.ended)),
        entries: Vec::with_capacity(entries.len().max(seen.len())),
        edits: Vec::new(),
        changes,
    };
    let mut seen = seen.iter().peekable();
    for entry in entries {
        while let Some(new) = seen.next_if(|seen| seen.id < entry.id) {
            tally.added(new);
        }
        match seen.next_if(|seen| seen.id == entry.id) {
            Some(seen) => tally.seen(*entry, seen),
            None => tally.missed(*entry),
        }
    }
    seen.for_each(|new| tally.added(new));
    tally.changes.clock_was_ahead = tally.clock.was_ahead;
    Outcome {
        state: ScopeState {
            last_ended: Some(tally.ended_after),
            observed_until: if is_observation { Some(sweep.ended) } else { observed_until },
            doubts,
        },
        entries: tally.entries,
        edits: tally.edits,
        changes: tally.changes,
    }
}

/// Whether more users are missing than is plausible. Vanished users are not expected, so that years of
/// departures do not hide an empty sweep.
fn has_gap(entries: &[Entry], seen: &[Seen<'_>]) -> bool {
    let mut expected = 0;
    let mut found = 0;
    let mut seen = seen.iter().map(|seen| seen.id).peekable();
    for entry in entries.iter().filter(|entry| !entry.has_vanished()) {
        while seen.next_if(|id| *id < entry.id).is_some() {}
        expected += 1;
        found += usize::from(seen.peek() == Some(&entry.id));
    }
    expected > UNGUARDED_MAX && (expected - found) * 2 > expected
}

/// Detects times that do not come from the sweep's clock.
struct Clock {
    /// The latest time that is believed.
    latest: u64,
    /// Replaces a later one. If a clock was set back during the sweep, it is right at the sweep's end.
    before: u64,
    /// Whether a later one was replaced.
    was_ahead: bool,
}

impl Clock {
    fn of(sweep: Sweep) -> Self {
        Self {
            latest: sweep.ended.saturating_add(LATENESS_MAX),
            before: sweep.started.min(sweep.ended).saturating_sub(1),
            was_ahead: false,
        }
    }

    /// The time, or its replacement.
    fn adjusted(&mut self, time: u64) -> u64 {
        let is_ahead = time > self.latest;
        self.was_ahead |= is_ahead;
        if is_ahead { self.before } else { time }
    }
}

struct Tally<'a> {
    sweep: Sweep,
    clock: Clock,
    /// The latest end of all sweeps, without and with this sweep.
    ended_before: u64,
    ended_after: u64,
    entries: Vec<Entry>,
    edits: Vec<Edit<'a>>,
    changes: Changes,
}

impl<'a> Tally<'a> {
    fn added(&mut self, new: &Seen<'a>) {
        let marks = self.present();
        self.changes.added += 1;
        self.edits.push(Edit::Whole(new.sighting, marks));
        self.keep(new.id, new.fingerprint, marks);
    }

    fn seen(&mut self, entry: Entry, seen: &Seen<'a>) {
        if self.sweep.ended < self.last_seen(entry) {
            // Recorded late: a sweep that ended later saw this user, and its details are newer.
            self.entries.push(entry);
            return;
        }
        let marks = self.present();
        self.changes.returned += usize::from(entry.has_vanished());
        if seen.fingerprint != entry.fingerprint {
            self.changes.updated += 1;
            self.edits.push(Edit::Whole(seen.sighting, marks));
        } else if entry.absences != 0 || entry.seen_until != marks.seen_until {
            self.edits.push(Edit::Marks(entry.id, marks));
        }
        self.keep(entry.id, seen.fingerprint, marks);
    }

    fn missed(&mut self, entry: Entry) {
        let last_seen = self.last_seen(entry);
        if entry.has_vanished() {
            if entry.seen_until.is_none_or(|until| until == last_seen) {
                self.entries.push(entry);
                return;
            }
            // By that clock, the sweep that missed the user came even later.
            let time = Some(last_seen);
            let marks = Marks { absences: entry.absences, seen_until: time, vanished_at: time };
            self.edits.push(Edit::Marks(entry.id, marks));
            self.keep(entry.id, entry.fingerprint, marks);
            return;
        }
        let mut marks = Marks {
            absences: entry.absences,
            seen_until: (last_seen != self.ended_after).then_some(last_seen),
            vanished_at: None,
        };
        if self.changes.counted && self.sweep.started > last_seen {
            marks.absences += 1;
            if marks.absences >= VANISHED_AFTER {
                marks.vanished_at = Some(self.sweep.ended);
                self.changes.vanished += 1;
            } else {
                self.changes.absent += 1;
            }
        }
        if marks.absences != entry.absences || marks.seen_until != entry.seen_until {
            self.edits.push(Edit::Marks(entry.id, marks));
        }
        self.keep(entry.id, entry.fingerprint, marks);
    }

    /// The latest end of the sweeps before this one that saw the user.
    fn last_seen(&mut self, entry: Entry) -> u64 {
        entry.seen_until.map_or(self.ended_before, |until| self.clock.adjusted(until))
    }

    /// The marks of a user whom this sweep saw. Usually they refer to the scope's own time, so that an
    /// unchanged user costs no write.
    fn present(&self) -> Marks {
        let ended = self.sweep.ended;
        let seen_until = (ended != self.ended_after).then_some(ended);
        Marks { absences: 0, seen_until, vanished_at: None }
    }

    fn keep(&mut self, id: u64, fingerprint: u64, marks: Marks) {
        let Marks { absences, seen_until, .. } = marks;
        self.entries.push(Entry { id, fingerprint, absences, seen_until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sightings(ids: impl Iterator<Item = u64>) -> Vec<Sighting> {
        let sighting = |id| Sighting {
            id,
            name: None,
            group: None,
            teams: Vec::new(),
            supervised_teams: Vec::new(),
            is_deleted: false,
        };
        ids.map(sighting).collect()
    }

    /// The ids of the rows that each sweep of a series writes.
    fn written(series: &[Vec<Sighting>]) -> Vec<Vec<u64>> {
        let fingerprints = Fingerprints::default();
        let mut entries = Vec::new();
        let mut state = ScopeState::default();
        let mut written = Vec::new();
        for (seen, started) in series.iter().zip((10..).step_by(10)) {
            let sweep = Sweep { started, ended: started + 5 };
            let outcome = tally(&entries, state, sweep, &by_id(seen, &fingerprints));
            let ids = outcome.edits.iter().map(|edit| match edit {
                Edit::Whole(sighting, _) => sighting.id,
                Edit::Marks(id, _) => *id,
            });
            written.push(ids.collect());
            (entries, state) = (outcome.entries, outcome.state);
        }
        written
    }

    #[test]
    fn times_up_to_an_hour_after_the_sweep_are_believed() {
        let mut clock = Clock::of(Sweep { started: 100, ended: 200 });
        let latest = 200 + 3_600_000;
        for time in [0, 99, 150, 201, latest] {
            assert_eq!(clock.adjusted(time), time);
        }
        assert!(!clock.was_ahead);
        assert_eq!(clock.adjusted(latest + 1), 99);
        assert!(clock.was_ahead);
        // The clock was set back during the sweep.
        let mut clock = Clock::of(Sweep { started: u64::MAX, ended: 200 });
        assert_eq!(clock.adjusted(u64::MAX), 199);
        // The arithmetic does not overflow.
        let mut clock = Clock::of(Sweep { started: 0, ended: 0 });
        assert_eq!(clock.adjusted(u64::MAX), 0);
        let mut clock = Clock::of(Sweep { started: u64::MAX - 1, ended: u64::MAX - 1 });
        assert_eq!(clock.adjusted(u64::MAX), u64::MAX);
    }

    #[test]
    fn only_changed_rows_are_written() {
        let all = || sightings(0..100);
        let without_seven = || sightings((0..100).filter(|id| *id != 7));
        let mut renamed = all();
        renamed[50].name = Some("New".to_owned());
        let series = [
            all(),
            all(),
            renamed.clone(),
            renamed,
            all(),
            // Absent, then vanished, then unchanged.
            without_seven(),
            without_seven(),
            without_seven(),
            without_seven(),
            // Returned, then unchanged.
            all(),
            all(),
        ];
        let none = Vec::new();
        let expected = [
            (0..100).collect(),
            none.clone(),
            vec![50],
            none.clone(),
            vec![50],
            vec![7],
            vec![7],
            none.clone(),
            none.clone(),
            vec![7],
            none,
        ];
        assert_eq!(written(&series), expected);
    }
}
