//! The values that go into a roster and come out of it. Must never know how they are stored.

use std::collections::BTreeMap;

/// The users of one caller, as one upstream shows them. Scopes never see each other's users.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    pub caller: String,
    /// Distinguishes the upstream from others: its name in the configuration.
    pub upstream: String,
}

/// When the reading of all users began, by the clock that the roster goes by. [`crate::Roster::begin`] makes it, and
/// [`crate::Roster::record`] takes it.
#[derive(Debug, Clone, Copy)]
pub struct Started(pub(crate) Option<u64>);

/// The time of a complete, unfiltered reading of all users, in milliseconds since 1970.
///
/// A sweep may end before it started, if the clock was set back meanwhile. It still shows which users
/// were seen, but no absence counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Before its first page was requested.
    pub started: u64,
    /// After its last page was read.
    pub ended: u64,
}

/// A user as a sweep saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The user's number for legacy clients.
    pub id: u64,
    pub name: Option<String>,
    /// Id and name of the security access group.
    pub group: Option<(String, Option<String>)>,
    /// Ids of the teams the user belongs to, in upstream order.
    pub teams: Vec<String>,
    /// Ids of the teams the user supervises, in upstream order.
    pub supervised_teams: Vec<String>,
    /// Whether the upstream itself lists the user as deleted. Such a user counts as seen.
    pub is_deleted: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Seen for the first time.
    pub added: usize,
    /// Known before, with changed details.
    pub updated: usize,
    /// Seen again after they had vanished.
    pub returned: usize,
    /// Absent for the first time since they were last seen.
    pub absent: usize,
    /// Absent for the second time in a row, so they have vanished.
    pub vanished: usize,
    /// Whether this sweep was a separate observation, so that its absences count. `false` if it
    /// overlaps the one before, or is [`Changes::suspicious`].
    pub counted: bool,
    /// Whether more than half of the users were missing and the sweep was not believed.
    pub suspicious: bool,
    /// Whether a recorded time was more than an hour after this sweep: a clock was ahead then, or is
    /// behind now. Such times are now recorded as just before this sweep.
    pub clock_was_ahead: bool,
}

/// A user who has vanished, or was deleted when the baseline was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The number legacy clients know the user by.
    pub id: u64,
    /// Display name; for a vanished user the last one seen.
    pub name: Option<String>,
    /// Absent from two consecutive sweeps.
    pub is_vanished: bool,
    /// Listed in an imported baseline.
    pub is_imported: bool,
    /// Id and name of the security access group, as last seen. `None` for a user who was only imported.
    pub group: Option<(String, Option<String>)>,
    /// Ids of the teams the user belonged to. Empty for a user who was only imported.
    pub teams: Vec<String>,
    /// Ids of the teams the user supervised. Empty for a user who was only imported.
    pub supervised_teams: Vec<String>,
}

/// How many distinct ids an import changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    pub added: usize,
    /// Imported before with another name.
    pub updated: usize,
    /// Imported before with the same name.
    pub unchanged: usize,
}

/// Counts for one scope, for a status line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users ever seen, including vanished ones.
    pub remembered: usize,
    /// Users that the upstream itself listed as deleted when they were last seen.
    pub deleted: usize,
    /// Users who vanished and did not return.
    pub vanished: usize,
    /// Ids imported as a baseline.
    pub imported: usize,
    /// The latest end of all sweeps, in milliseconds since 1970.
    pub last_sweep_ended: Option<u64>,
}

/// The vanished and the imported users, ascending by id. A user who is both appears once.
pub(crate) fn former(
    vanished: impl IntoIterator<Item = Sighting>,
    imported: impl IntoIterator<Item = (u64, Option<String>)>,
) -> Vec<Former> {
    let mut former = BTreeMap::new();
    for user in vanished {
        let Sighting { id, name, group, teams, supervised_teams, is_deleted: _ } = user;
        let (is_vanished, is_imported) = (true, false);
        let user = Former { id, name, is_vanished, is_imported, group, teams, supervised_teams };
        former.insert(id, user);
    }
    for (id, name) in imported {
        let entry = former.entry(id).or_insert_with(|| Former {
            id,
            name,
            is_vanished: false,
            is_imported: true,
            group: None,
            teams: Vec::new(),
            supervised_teams: Vec::new(),
        });
        entry.is_imported = true;
    }
    former.into_values().collect()
}
