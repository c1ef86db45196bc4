//! What goes into a roster and what comes out. Must never know how it is kept.

/// Whose users, and as which upstream shows them. Nothing of one scope is ever seen in another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The caller's name.
    pub caller: String,
    /// What tells the upstream from another one, for example its base URL.
    pub upstream: String,
}

/// When a complete, unfiltered reading of all users took place, in milliseconds since 1970.
///
/// A sweep that ended before it started (the clock was set back meanwhile) still shows who was seen,
/// but nobody is counted absent by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Before its first page was asked for.
    pub started: u64,
    /// After its last page was read.
    pub ended: u64,
}

/// A user as a sweep saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The number legacy clients know the user by.
    pub id: u64,
    /// Display name.
    pub name: Option<String>,
    /// Id and name of the security access group.
    pub group: Option<(String, Option<String>)>,
    /// Ids of the teams the user belongs to, in upstream order.
    pub teams: Vec<String>,
    /// Ids of the teams the user supervises, in upstream order.
    pub supervised_teams: Vec<String>,
    /// Whether the upstream itself lists the user as deleted. Such a user is seen, not absent.
    pub is_deleted: bool,
}

/// What a sweep changed, as numbers of users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Seen for the first time.
    pub added: usize,
    /// Known, and something about them is new.
    pub updated: usize,
    /// Had vanished, and were seen again.
    pub returned: usize,
    /// Absent for the first time since they were last seen.
    pub absent: usize,
    /// Absent for the second time in a row, and thereby vanished.
    pub vanished: usize,
    /// Whether this sweep was an observation of its own, so that absences in it count. `false` when
    /// it overlaps the one before, or is [`Changes::suspicious`].
    pub counted: bool,
    /// Whether more than half of the users were missing, and that was not believed.
    pub suspicious: bool,
    /// Whether anything was recorded as more than an hour after this sweep: a clock was ahead then,
    /// or is behind now. It is now recorded as just before this sweep.
    pub clock_was_ahead: bool,
}

/// A user that is gone, or was gone when the baseline was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The number legacy clients know the user by.
    pub id: u64,
    /// Display name; the one last seen, when the user vanished.
    pub name: Option<String>,
    /// Absent from two consecutive sweeps.
    pub is_vanished: bool,
    /// Listed in an imported baseline.
    pub is_imported: bool,
    /// Id and name of the security access group, as last seen. `None` for one only imported.
    pub group: Option<(String, Option<String>)>,
    /// Ids of the teams the user belonged to. Empty for one only imported.
    pub teams: Vec<String>,
    /// Ids of the teams the user supervised. Empty for one only imported.
    pub supervised_teams: Vec<String>,
}

/// What an import changed, as numbers of distinct ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Not imported before.
    pub added: usize,
    /// Imported before with another name.
    pub updated: usize,
    /// Imported before just so.
    pub unchanged: usize,
}

/// What is remembered of one scope, for a status line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users ever seen, the vanished ones included.
    pub remembered: usize,
    /// Users the upstream itself listed as deleted when they were last seen.
    pub deleted: usize,
    /// Users that vanished and did not return.
    pub vanished: usize,
    /// Ids imported as a baseline.
    pub imported: usize,
    /// The latest end of all sweeps, in milliseconds since 1970.
    pub last_sweep_ended: Option<u64>,
}
