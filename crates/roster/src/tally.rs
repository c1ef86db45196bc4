//! Decides what a sweep changes: who is new, changed, back, absent, vanished. Must never touch a
//! file or a clock; all it knows comes in, all it decides goes out.
//!
//! # When an absence counts
//!
//! - The sweep must have started after the end of the last one that was an observation of its own.
//!   Two that overlap look at one moment, and a user missed by both was missed once.
//! - The sweep must have started after the end of every sweep that saw the user.
//! - The sweep must be believed, see below.
//!
//! A sweep that was recorded late, and ended before the user was last seen, says nothing about that
//! user at all.
//!
//! # When a sweep is not believed
//!
//! More than half of more than [`UNGUARDED_MAX`] users do not leave between two sweeps; far more
//! likely the upstream had a bad moment, or the key lost its rights. Such a sweep still shows who is
//! there, but no absence in it counts. Only when [`DOUBTS_MAX`] observations in a row had that gap,
//! the next with that gap is believed, and so are those that follow without interruption.

use crate::mirror::{Entry, Fingerprints};
use crate::shapes::{Changes, Sighting, Sweep};

/// Absent from so many consecutive observations, a user has vanished.
pub(crate) const VANISHED_AFTER: u8 = 2;
/// How many observations with a suspicious gap are not believed.
const DOUBTS_MAX: u8 = 2;
/// Up to so many users, a gap of more than half is believed at once.
const UNGUARDED_MAX: usize = 10;

/// What is remembered of the sweeps of one scope.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScopeState {
    /// The latest end of all sweeps.
    pub(crate) last_ended: Option<u64>,
    /// The end of the last sweep that was an observation of its own.
    pub(crate) observed_until: Option<u64>,
    /// How many observations in a row had a suspicious gap, up to one more than [`DOUBTS_MAX`].
    pub(crate) doubts: u8,
}

/// A row to write.
#[derive(Debug)]
pub(crate) enum Edit<'a> {
    /// All of it.
    Whole(&'a Sighting, Marks),
    /// The marks of a user by id.
    Marks(u64, Marks),
}

/// What a row says about a user's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) absences: u8,
    pub(crate) seen_until: Option<u64>,
    pub(crate) vanished_at: Option<u64>,
}

/// What a sweep comes to.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    /// Every user there is afterwards, by ascending id.
    pub(crate) entries: Vec<Entry>,
    /// The rows that differ, by ascending id.
    pub(crate) edits: Vec<Edit<'a>>,
    pub(crate) state: ScopeState,
    pub(crate) changes: Changes,
}

/// Compares a sweep with what is remembered. `entries` ascend by id; `sightings` may come in any
/// order, and the last one of an id is the one that is taken.
pub(crate) fn tally<'a>(
    entries: &[Entry],
    state: ScopeState,
    sweep: Sweep,
    sightings: &'a [Sighting],
    fingerprints: &Fingerprints,
) -> Outcome<'a> {
    let sightings = by_id(sightings);
    let has_gap = has_gap(entries, &sightings);
    let is_observation = sweep.started <= sweep.ended
        && state.observed_until.is_none_or(|until| sweep.started > until);
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
        ended_before: state.last_ended.unwrap_or(0),
        ended_after: state.last_ended.map_or(sweep.ended, |ended| ended.max(sweep.ended)),
        fingerprints,
        entries: Vec::with_capacity(entries.len().max(sightings.len())),
        edits: Vec::new(),
        changes,
    };
    let mut seen = sightings.into_iter().peekable();
    for entry in entries {
        while let Some(sighting) = seen.next_if(|sighting| sighting.id < entry.id) {
            tally.added(sighting);
        }
        match seen.next_if(|sighting| sighting.id == entry.id) {
            Some(sighting) => tally.seen(*entry, sighting),
            None => tally.missed(*entry),
        }
    }
    seen.for_each(|sighting| tally.added(sighting));
    Outcome {
        state: ScopeState {
            last_ended: Some(tally.ended_after),
            observed_until: if is_observation { Some(sweep.ended) } else { state.observed_until },
            doubts,
        },
        entries: tally.entries,
        edits: tally.edits,
        changes: tally.changes,
    }
}

/// One sighting per id, the last one given, by ascending id.
fn by_id(sightings: &[Sighting]) -> Vec<&Sighting> {
    let mut sorted: Vec<&Sighting> = sightings.iter().rev().collect();
    // Stable: of one id the last one given now comes first, and stays.
    sorted.sort_by_key(|sighting| sighting.id);
    sorted.dedup_by_key(|sighting| sighting.id);
    sorted
}

/// Whether more of those who should be there are missing than is plausible. The vanished are not
/// expected back, so that years of leavers do not hide an empty sweep.
fn has_gap(entries: &[Entry], sightings: &[&Sighting]) -> bool {
    let mut expected = 0;
    let mut found = 0;
    let mut seen = sightings.iter().peekable();
    for entry in entries.iter().filter(|entry| !entry.has_vanished()) {
        while seen.next_if(|sighting| sighting.id < entry.id).is_some() {}
        expected += 1;
        found += usize::from(seen.peek().is_some_and(|sighting| sighting.id == entry.id));
    }
    expected > UNGUARDED_MAX && (expected - found) * 2 > expected
}

struct Tally<'a, 'f> {
    sweep: Sweep,
    /// The latest end of all sweeps, without and with this one.
    ended_before: u64,
    ended_after: u64,
    fingerprints: &'f Fingerprints,
    entries: Vec<Entry>,
    edits: Vec<Edit<'a>>,
    changes: Changes,
}

impl<'a> Tally<'a, '_> {
    fn added(&mut self, sighting: &'a Sighting) {
        let marks = self.present();
        self.changes.added += 1;
        self.edits.push(Edit::Whole(sighting, marks));
        self.keep(sighting.id, self.fingerprints.of(sighting), marks);
    }

    fn seen(&mut self, entry: Entry, sighting: &'a Sighting) {
        if self.sweep.ended < entry.seen_until.unwrap_or(self.ended_before) {
            // Recorded late: a sweep that ended later has seen this user, and knows better.
            self.entries.push(entry);
            return;
        }
        let marks = self.present();
        let fingerprint = self.fingerprints.of(sighting);
        self.changes.returned += usize::from(entry.has_vanished());
        if fingerprint != entry.fingerprint {
            self.changes.updated += 1;
            self.edits.push(Edit::Whole(sighting, marks));
        } else if entry.absences != 0 || entry.seen_until != marks.seen_until {
            self.edits.push(Edit::Marks(entry.id, marks));
        }
        self.keep(entry.id, fingerprint, marks);
    }

    fn missed(&mut self, entry: Entry) {
        if entry.has_vanished() {
            self.entries.push(entry);
            return;
        }
        let last_seen = entry.seen_until.unwrap_or(self.ended_before);
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

    /// The marks of a user that this sweep saw. Almost always they say "as the scope", so that a
    /// user who is simply there costs no write.
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
