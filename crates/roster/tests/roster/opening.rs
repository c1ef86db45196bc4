//! Tests which files are opened, created and refused. A refused file must keep every byte.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use roster::{FileRoster as Roster, RosterError};
use rusqlite::Connection;

use crate::{Folder, contents, scope, sweep, users};

#[track_caller]
fn refused(path: &Path, expected: RosterError) {
    let folder = path.parent().unwrap();
    let before = contents(folder);
    assert_eq!(Roster::open(path).unwrap_err(), expected);
    assert!(contents(folder) == before, "a refused file was changed");
}

/// A closed roster with several pages.
fn filled(folder: &Folder) {
    let roster = folder.roster();
    roster.record(&scope("acme"), &sweep(1, 2), &users(1..=500)).unwrap();
}

#[test]
fn only_the_owner_can_use_a_new_file() {
    let folder = Folder::new();
    let roster = folder.roster();
    roster.record(&scope("acme"), &sweep(1, 2), &users(1..=500)).unwrap();
    let files = contents(&folder.0);
    assert_eq!(files.len(), 3, "the file, its log and the log's index");
    for (path, _) in files {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_closed_roster_is_one_file_and_opens_again() {
    let folder = Folder::new();
    filled(&folder);
    assert_eq!(contents(&folder.0).len(), 1);
    assert_eq!(folder.roster().counts(&scope("acme")).unwrap().remembered, 500);
}

#[test]
fn an_empty_file_becomes_a_roster() {
    let folder = Folder::new();
    fs::write(folder.file(), "").unwrap();
    filled(&folder);
    assert_eq!(folder.roster().counts(&scope("acme")).unwrap().remembered, 500);
}

#[test]
fn special_characters_in_a_file_name_have_no_meaning() {
    let folder = Folder::new();
    for name in [":memory:", "file:x?mode=memory", "per%20cent#?&=.db", "Zoë 名前", "a'b\"c"] {
        let path = folder.0.join(name);
        drop(Roster::open(&path).unwrap());
        drop(Roster::open(&path).unwrap());
        assert!(path.metadata().unwrap().len() > 0, "{name}");
    }
    assert_eq!(contents(&folder.0).len(), 5);
}

#[test]
fn a_failure_to_open_names_the_kind_of_error() {
    let folder = Folder::new();
    let missing = folder.0.join("missing").join("roster.sqlite");
    let error = Roster::open(missing).unwrap_err();
    assert_eq!(error, RosterError::Disk(ErrorKind::NotFound));
    assert!(Roster::open(&folder.0).is_err());
}

#[test]
fn a_file_of_another_kind_is_refused_unchanged() {
    let folder = Folder::new();
    for text in ["x", "A list of users, one a line.\n", &"long ".repeat(10_000)] {
        fs::write(folder.file(), text).unwrap();
        refused(&folder.file(), RosterError::NotARoster);
    }
}

#[test]
fn another_programs_database_is_refused_unchanged() {
    for application_id in [0, 42] {
        for mode in ["DELETE", "WAL"] {
            let folder = Folder::new();
            let foreign = Connection::open(folder.file()).unwrap();
            let made = format!(
                "PRAGMA application_id = {application_id};
                 PRAGMA journal_mode = {mode};
                 CREATE TABLE users (scope, id);
                 INSERT INTO users VALUES (1, 2);"
            );
            foreign.execute_batch(&made).unwrap();
            // First open in the other program, then closed by it.
            refused(&folder.file(), RosterError::NotARoster);
            drop(foreign);
            refused(&folder.file(), RosterError::NotARoster);
        }
    }
}

#[test]
fn a_newer_schema_is_refused_unchanged() {
    let folder = Folder::new();
    filled(&folder);
    let newer = Connection::open(folder.file()).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    // The new number is first only in the log, then in the file.
    let error = Roster::open(folder.file()).unwrap_err();
    assert_eq!(error, RosterError::NewerSchema { found: 7, known: 1 });
    drop(newer);
    refused(&folder.file(), RosterError::NewerSchema { found: 7, known: 1 });
    assert_eq!(error.to_string(), "the roster has schema 7, this program knows schemas up to 1");
}

#[test]
fn a_damaged_roster_is_refused_unchanged() {
    let folder = Folder::new();
    filled(&folder);
    let good = fs::read(folder.file()).unwrap();
    assert!(good.len() > 10 * 4096);
    for cut in [4096, good.len() / 2, good.len() - 4096] {
        fs::write(folder.file(), &good[..cut]).unwrap();
        refused(&folder.file(), RosterError::Damaged);
    }
    for page in 1..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096..][..64].fill(0xa5);
        fs::write(folder.file(), bad).unwrap();
        refused(&folder.file(), RosterError::Damaged);
    }
}

#[test]
fn a_roster_without_its_tables_is_refused_unchanged() {
    let folder = Folder::new();
    filled(&folder);
    Connection::open(folder.file()).unwrap().execute_batch("DROP TABLE imported").unwrap();
    refused(&folder.file(), RosterError::Damaged);
}

#[test]
fn many_processes_may_create_the_same_file_at_once() {
    for _ in 0..10 {
        let folder = Folder::new();
        thread::scope(|threads| {
            for caller in 0..4_u64 {
                let folder = &folder;
                threads.spawn(move || {
                    let scope = scope(&format!("caller {caller}"));
                    folder.roster().record(&scope, &sweep(1, 2), &users(1..=3)).unwrap();
                });
            }
        });
        assert_eq!(folder.roster().scopes().unwrap().len(), 4);
    }
}
