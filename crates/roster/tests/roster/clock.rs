//! Tests clocks that were ahead for a while, or jump. Their times must not keep a later sweep from
//! counting, and no other times may change.

use roster::{Changes, FileRoster as Roster, Scope};
use rusqlite::Connection;

use crate::{Folder, scope, sweep, users, vanished};

const HOUR: u64 = 60 * 60 * 1000;
const NOW: u64 = 1_780_000_000_000;
const AHEAD: u64 = NOW + 20 * 365 * 24 * HOUR;

/// Records a sweep of ten milliseconds.
fn record(
    roster: &Roster,
    scope: &Scope,
    started: u64,
    ids: impl IntoIterator<Item = u64>,
) -> Changes {
    roster.record(scope, &sweep(started, started + 10), &users(ids)).unwrap()
}

const COUNTED: Changes = Changes {
    added: 0,
    updated: 0,
    returned: 0,
    absent: 0,
    vanished: 0,
    counted: true,
    suspicious: false,
    clock_was_ahead: false,
};

#[test]
fn a_missing_user_vanishes_even_if_everything_was_recorded_twenty_years_ahead() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, AHEAD, 1..=3);
    let changes = record(&roster, &acme, NOW, 1..=2);
    assert_eq!(changes, Changes { absent: 1, clock_was_ahead: true, ..COUNTED });
    assert_eq!(roster.counts(&acme).unwrap().last_sweep_ended, Some(NOW + 10));
    // The corrected time is also recorded.
    drop(roster);
    let roster = folder.roster();
    assert_eq!(record(&roster, &acme, NOW + 20, 1..=2), Changes { vanished: 1, ..COUNTED });
    assert_eq!(vanished(&roster, &acme), [3]);
}

#[test]
fn a_user_who_vanished_by_a_clock_that_was_ahead_stays_vanished_and_may_return() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, AHEAD, 1..=5);
    record(&roster, &acme, AHEAD + 20, 1..=4);
    record(&roster, &acme, AHEAD + 40, 1..=3);
    assert_eq!(vanished(&roster, &acme), [5]);
    // User 4 was missing once by that clock, and is now missing again.
    let changes = record(&roster, &acme, NOW, 1..=3);
    assert_eq!(changes, Changes { vanished: 1, clock_was_ahead: true, ..COUNTED });
    assert_eq!(vanished(&roster, &acme), [4, 5]);
    // No time is left to correct, not even for vanished users.
    let file = Connection::open(folder.file()).unwrap();
    let times = "SELECT count(*) FROM users WHERE seen_until > ?1 OR vanished_at > ?1";
    let left: i64 = file.query_row(times, [(NOW + 10).cast_signed()], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    assert_eq!(record(&roster, &acme, NOW + 20, 1..=3), COUNTED);
    assert_eq!(record(&roster, &acme, NOW + 40, 1..=5), Changes { returned: 2, ..COUNTED });
    assert!(vanished(&roster, &acme).is_empty());
}

#[test]
fn a_time_up_to_an_hour_ahead_counts_as_late() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, NOW, 1..=3);
    let late = record(&roster, &acme, NOW - HOUR, 1..=2);
    assert_eq!(late, Changes::default());
    let changes = record(&roster, &acme, NOW - HOUR - 1, 1..=2);
    assert_eq!(changes, Changes { absent: 1, clock_was_ahead: true, ..COUNTED });
}

#[test]
fn only_times_that_are_ahead_are_corrected() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, NOW, 1..=4);
    // The clock jumps ahead during a sweep, which overlaps the first and sees users 1 to 3.
    let jump = roster.record(&acme, &sweep(NOW + 5, AHEAD), &users(1..=3)).unwrap();
    assert_eq!(jump, Changes::default());
    // The clock is right again. This sweep also overlaps the first, which a right clock recorded.
    let changes = record(&roster, &acme, NOW + 7, 1..=2);
    assert_eq!(changes, Changes { clock_was_ahead: true, ..Changes::default() });
    assert_eq!(record(&roster, &acme, NOW + 20, 1..=2), Changes { absent: 2, ..COUNTED });
}

#[test]
fn a_clock_set_back_during_a_sweep_is_right_at_its_end() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, AHEAD, 1..=3);
    // Its absences do not count, but its sightings do, and the next sweep counts.
    let back = roster.record(&acme, &sweep(AHEAD + 20, NOW), &users([1, 2, 4])).unwrap();
    assert_eq!(back, Changes { added: 1, clock_was_ahead: true, ..Changes::default() });
    assert_eq!(roster.counts(&acme).unwrap().last_sweep_ended, Some(NOW));
    assert_eq!(record(&roster, &acme, NOW + 10, [1, 2]), Changes { absent: 2, ..COUNTED });
    assert_eq!(record(&roster, &acme, NOW + 30, [1, 2]), Changes { vanished: 2, ..COUNTED });
}

#[test]
fn a_clock_that_jumps_back_and_forth_makes_every_sweep_an_observation() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, NOW, 1..=2);
    for turn in 1..10 {
        let (time, clock_was_ahead) =
            if turn % 2 == 0 { (NOW + turn * 20, true) } else { (AHEAD + turn * 20, false) };
        let seen = if turn % 3 == 0 { 1..=2 } else { 1..=1 };
        let (absent, vanished, returned) = [(0, 0, 1), (1, 0, 0), (0, 1, 0)][turn as usize % 3];
        let changes = Changes { absent, vanished, returned, clock_was_ahead, ..COUNTED };
        assert_eq!(record(&roster, &acme, time, seen), changes, "turn {turn}");
    }
}

#[test]
fn doubts_survive_a_change_of_the_clock() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, AHEAD, 1..=20);
    let doubted = Changes { suspicious: true, ..Changes::default() };
    assert_eq!(record(&roster, &acme, AHEAD + 20, []), doubted);
    // The first sweep by the right clock is a second doubt, and not believed either.
    let changes = record(&roster, &acme, NOW, []);
    assert_eq!(changes, Changes { clock_was_ahead: true, ..doubted });
    assert_eq!(record(&roster, &acme, NOW + 20, []), Changes { absent: 20, ..COUNTED });
    assert_eq!(record(&roster, &acme, NOW + 40, []), Changes { vanished: 20, ..COUNTED });
}

#[test]
fn a_sweep_without_most_users_is_doubted_whatever_the_clock() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    record(&roster, &acme, AHEAD, 1..=20);
    for (turn, clock_was_ahead) in [(0, true), (1, false)] {
        let changes = record(&roster, &acme, NOW + turn * 20, [1]);
        assert_eq!(changes, Changes { suspicious: true, clock_was_ahead, ..Changes::default() });
    }
    assert_eq!(record(&roster, &acme, NOW + 40, 1..=20), COUNTED);
    assert!(vanished(&roster, &acme).is_empty());
}
