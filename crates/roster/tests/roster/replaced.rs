//! Tests files that are removed or replaced while they are open. The removed file must no longer be
//! used, and the new one must not be touched.

use std::fs;

use roster::{FileRoster as Roster, RosterError};

use crate::{Folder, scope, sweep, users, vanished};

/// An open roster that remembers three users, of whom one has vanished.
fn opened(folder: &Folder) -> Roster {
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    roster.record(&acme, &sweep(3, 4), &users(1..=2)).unwrap();
    roster.record(&acme, &sweep(5, 6), &users(1..=2)).unwrap();
    assert_eq!(vanished(&roster, &acme), [3]);
    roster
}

#[track_caller]
fn refuses_all(roster: &Roster) {
    let acme = scope("acme");
    for _ in 0..2 {
        let recorded = roster.record(&acme, &sweep(7, 8), &users(1..=3));
        assert_eq!(recorded.unwrap_err(), RosterError::Replaced);
        assert_eq!(roster.import(&acme, &[(9, None)]).unwrap_err(), RosterError::Replaced);
        assert_eq!(roster.former(&acme).unwrap_err(), RosterError::Replaced);
        assert_eq!(roster.export(&acme).unwrap_err(), RosterError::Replaced);
        assert_eq!(roster.counts(&acme).unwrap_err(), RosterError::Replaced);
        assert_eq!(roster.scopes().unwrap_err(), RosterError::Replaced);
    }
}

#[test]
fn a_removed_file_is_noticed_and_only_created_again_by_opening_it() {
    let folder = Folder::new();
    let roster = opened(&folder);
    let clone = roster.clone();
    fs::remove_file(folder.file()).unwrap();
    refuses_all(&roster);
    refuses_all(&clone);
    assert!(!folder.file().exists());
    drop((roster, clone));
    // The log that the old file left behind brings none of its data back.
    let roster = folder.roster();
    assert_eq!(roster.scopes().unwrap(), []);
    assert_eq!(roster.record(&scope("acme"), &sweep(7, 8), &users([1])).unwrap().added, 1);
}

#[test]
fn a_removed_folder_is_noticed() {
    let folder = Folder::new();
    let roster = opened(&folder);
    fs::remove_dir_all(&folder.0).unwrap();
    refuses_all(&roster);
    // A file replaces the folder.
    fs::write(&folder.0, "").unwrap();
    refuses_all(&roster);
    fs::remove_file(&folder.0).unwrap();
}

#[test]
fn a_new_roster_under_the_same_name_is_another_one_and_stays_intact() {
    let folder = Folder::new();
    let roster = opened(&folder);
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(folder.0.join(format!("roster.sqlite{suffix}"))).unwrap();
    }
    let acme = scope("acme");
    let other = folder.roster();
    other.record(&acme, &sweep(1, 2), &users(5..=8)).unwrap();
    refuses_all(&roster);
    // Closing the old roster touches neither the new one nor its log.
    drop(roster);
    assert_eq!(other.record(&acme, &sweep(3, 4), &users(5..=9)).unwrap().added, 1);
    drop(other);
    assert_eq!(folder.roster().counts(&acme).unwrap().remembered, 5);
}

#[test]
fn a_roster_moved_over_the_file_is_another_one() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let roster = opened(&folder);
    drop(opened(&elsewhere));
    let copy = fs::read(elsewhere.file()).unwrap();
    fs::rename(elsewhere.file(), folder.file()).unwrap();
    refuses_all(&roster);
    drop(roster);
    assert!(fs::read(folder.file()).unwrap() == copy, "the other roster was changed");
}

#[test]
fn garbage_under_the_same_name_is_not_taken_for_the_roster() {
    let folder = Folder::new();
    let roster = opened(&folder);
    fs::remove_file(folder.file()).unwrap();
    fs::write(folder.file(), "not a roster").unwrap();
    refuses_all(&roster);
    drop(roster);
    assert_eq!(fs::read(folder.file()).unwrap(), b"not a roster");
    assert_eq!(Roster::open(folder.file()).unwrap_err(), RosterError::NotARoster);
}

#[test]
fn a_file_that_is_moved_away_and_back_is_still_the_same() {
    let folder = Folder::new();
    let roster = opened(&folder);
    let away = folder.0.join("away");
    fs::rename(folder.file(), &away).unwrap();
    refuses_all(&roster);
    fs::rename(&away, folder.file()).unwrap();
    assert_eq!(vanished(&roster, &scope("acme")), [3]);
    let changes = roster.record(&scope("acme"), &sweep(7, 8), &users(1..=3)).unwrap();
    assert_eq!(changes.returned, 1);
}

#[test]
fn the_message_says_what_to_do() {
    let message = "the roster's file was removed or replaced; restart the gateway";
    assert_eq!(RosterError::Replaced.to_string(), message);
}
