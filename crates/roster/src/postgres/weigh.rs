//! A sweep compared with the users remembered, as columns that one statement writes. Must never decide anything: the
//! tally does.

use crate::mirror::{Entry, Fingerprints};
use crate::postgres::spelling::stored;
use crate::postgres::steps::Step;
use crate::shapes::{Changes, Sighting, Sweep};
use crate::store::json;
use crate::tally::{self, Edit, Marks, Place, ScopeState};

/// A list in the order in which it is compared. Made once, because this takes longest, and compared as often as needed.
pub(crate) struct Ordered {
    sightings: Vec<Sighting>,
    order: Vec<Place>,
}

impl Ordered {
    /// Takes milliseconds for each ten thousand users.
    pub(crate) fn of(sightings: Vec<Sighting>, fingerprints: &Fingerprints) -> Self {
        let order = tally::order(&sightings, fingerprints);
        Ordered { sightings, order }
    }

    pub(crate) fn len(&self) -> usize {
        self.sightings.len()
    }
}

/// What a sweep changes, without a borrow.
#[derive(Debug)]
pub(crate) struct Weighed {
    /// All users afterwards, by ascending id.
    pub(crate) entries: Vec<Entry>,
    pub(crate) users: Users,
    pub(crate) marks: Marked,
    pub(crate) state: ScopeState,
    pub(crate) changes: Changes,
}

impl Weighed {
    /// Compares. The list must be ordered with the fingerprints of the entries.
    pub(crate) fn of(
        entries: &[Entry],
        state: ScopeState,
        sweep: Sweep,
        Ordered { sightings, order }: &Ordered,
    ) -> Self {
        let seen = tally::in_order(sightings, order);
        let outcome = tally::tally(entries, state, sweep, &seen);
        let (mut users, mut marks) = (Users::default(), Marked::default());
        for edit in &outcome.edits {
            match edit {
                Edit::Whole(user, of) => users.push(user, *of),
                Edit::Marks(id, of) => marks.push(*id, *of),
            }
        }
        let (state, changes, entries) = (outcome.state, outcome.changes, outcome.entries);
        Weighed { entries, users, marks, state, changes }
    }

    pub(crate) fn has_rows(&self) -> bool {
        !self.users.id.is_empty() || !self.marks.id.is_empty()
    }

    /// Whose rows change.
    pub(crate) fn step(&self) -> Step {
        let ids = self.users.id.iter().chain(&self.marks.id);
        Step::of(ids.map(|id| id.cast_unsigned()))
    }

    /// Whether the sweep says nothing that is not known already, but that it was there.
    pub(crate) fn is_quiet(&self, before: ScopeState) -> bool {
        !self.has_rows() && self.state.doubts == before.doubts && !self.changes.clock_was_ahead
    }
}

/// Whole rows.
#[derive(Debug, Default)]
pub(crate) struct Users {
    pub(crate) id: Vec<i64>,
    pub(crate) name: Vec<Option<String>>,
    pub(crate) group_id: Vec<Option<String>>,
    pub(crate) group_name: Vec<Option<String>>,
    pub(crate) teams: Vec<String>,
    pub(crate) supervised_teams: Vec<String>,
    pub(crate) is_deleted: Vec<bool>,
    pub(crate) marks: Marked,
}

impl Users {
    pub(crate) fn push(&mut self, user: &Sighting, marks: Marks) {
        let kept = |text: &String| stored(text).into_owned();
        let group = user.group.as_ref();
        self.id.push(user.id.cast_signed());
        self.name.push(user.name.as_ref().map(kept));
        self.group_id.push(group.map(|(id, _)| kept(id)));
        self.group_name.push(group.and_then(|(_, name)| name.as_ref()).map(kept));
        self.teams.push(json(&user.teams));
        self.supervised_teams.push(json(&user.supervised_teams));
        self.is_deleted.push(user.is_deleted);
        self.marks.push(user.id, marks);
    }
}

/// Marks of rows.
#[derive(Debug, Default)]
pub(crate) struct Marked {
    pub(crate) id: Vec<i64>,
    pub(crate) absences: Vec<i16>,
    pub(crate) seen_until: Vec<Option<i64>>,
    pub(crate) vanished_at: Vec<Option<i64>>,
}

impl Marked {
    fn push(&mut self, id: u64, marks: Marks) {
        self.id.push(id.cast_signed());
        self.absences.push(marks.absences.into());
        self.seen_until.push(marks.seen_until.map(u64::cast_signed));
        self.vanished_at.push(marks.vanished_at.map(u64::cast_signed));
    }
}
