//! Tests several scopes in one file, and several connections to it.

use std::thread;

use roster::{Changes, Counts, RosterError, Scope};
use rusqlite::Connection;

use crate::{Folder, scope, sweep, users, vanished};

#[test]
fn a_scope_never_sees_rows_of_another_one() {
    let folder = Folder::new();
    let roster = folder.roster();
    let acme = scope("acme");
    let neighbours = [
        scope("globex"),
        scope("acme "),
        scope(""),
        Scope { upstream: "https://other.example".to_owned(), ..scope("acme") },
        Scope { caller: acme.upstream.clone(), upstream: acme.caller.clone() },
    ];
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    roster.import(&acme, &[(9, None)]).unwrap();
    for started in [3, 5] {
        roster.record(&acme, &sweep(started, started + 1), &users(1..=2)).unwrap();
    }
    for neighbour in &neighbours {
        assert_eq!(roster.former(neighbour).unwrap(), []);
        assert_eq!(roster.counts(neighbour).unwrap(), Counts::default());
    }
    assert_eq!(roster.scopes().unwrap(), std::slice::from_ref(&acme));
    for neighbour in &neighbours {
        // The same ids are alive, vanished or imported for acme, but new here.
        let changes = roster.record(neighbour, &sweep(7, 8), &users([1, 3, 9])).unwrap();
        assert_eq!(changes, Changes { added: 3, counted: true, ..Changes::default() });
        assert_eq!(roster.former(neighbour).unwrap(), []);
    }
    let former: Vec<u64> = roster.former(&acme).unwrap().iter().map(|user| user.id).collect();
    assert_eq!(former, [3, 9]);
    let mut scopes = neighbours.to_vec();
    scopes.push(acme);
    scopes.sort();
    assert_eq!(roster.scopes().unwrap(), scopes);
}

#[test]
fn each_of_two_connections_sees_the_changes_of_the_other() {
    let folder = Folder::new();
    let (left, right, acme) = (folder.roster(), folder.roster(), scope("acme"));
    assert_eq!(left.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap().added, 3);
    assert_eq!(right.record(&acme, &sweep(3, 4), &users(1..=2)).unwrap().absent, 1);
    assert_eq!(left.record(&acme, &sweep(5, 6), &users(1..=2)).unwrap().vanished, 1);
    assert_eq!(vanished(&right, &acme), [3]);
    assert_eq!(right.record(&acme, &sweep(7, 8), &users(1..=4)).unwrap().returned, 1);
    let unchanged = left.record(&acme, &sweep(9, 10), &users(1..=4)).unwrap();
    assert_eq!(unchanged, Changes { counted: true, ..Changes::default() });
    // The mirror of the left connection stays valid over several of its own sweeps.
    assert_eq!(left.record(&acme, &sweep(11, 12), &users(1..=3)).unwrap().absent, 1);
    assert_eq!(right.record(&acme, &sweep(13, 14), &users(1..=3)).unwrap().vanished, 1);
}

#[test]
fn rows_removed_by_another_program_are_noticed() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    assert_eq!(other.execute("DELETE FROM users WHERE id = 2", ()).unwrap(), 1);
    assert_eq!(roster.record(&acme, &sweep(3, 4), &users(1..=3)).unwrap().added, 1);
}

#[test]
fn a_failed_record_leaves_nothing_behind() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON users WHEN NEW.id = 6
                  BEGIN SELECT RAISE(ABORT, 'no'); END";
    other.execute_batch(refuse).unwrap();
    let before = roster.counts(&acme).unwrap();
    let error = roster.record(&acme, &sweep(3, 4), &users(2..=8)).unwrap_err();
    assert!(matches!(error, RosterError::Sqlite(_)), "{error}");
    assert_eq!(roster.counts(&acme).unwrap(), before);
    other.execute_batch("DROP TRIGGER refuse").unwrap();
    let changes = roster.record(&acme, &sweep(3, 4), &users(2..=8)).unwrap();
    assert_eq!(changes, Changes { added: 5, absent: 1, counted: true, ..Changes::default() });
}

#[test]
fn waiting_too_long_for_a_lock_is_an_error_and_reading_still_works() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    thread::scope(|threads| {
        let waiting = threads.spawn(|| roster.record(&acme, &sweep(3, 4), &users(1..=4)));
        assert_eq!(roster.counts(&acme).unwrap().remembered, 3);
        assert_eq!(waiting.join().unwrap(), Err(RosterError::Busy));
    });
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(roster.record(&acme, &sweep(3, 4), &users(1..=4)).unwrap().added, 1);
}

#[test]
fn many_threads_and_connections_lose_nothing() {
    let folder = Folder::new();
    let shared = folder.roster();
    thread::scope(|threads| {
        for caller in 0..4_u64 {
            let roster = if caller % 2 == 0 { shared.clone() } else { folder.roster() };
            threads.spawn(move || {
                let scope = scope(&format!("caller {caller}"));
                for turn in 0..20 {
                    let time = sweep(turn * 10 + 1, turn * 10 + 5);
                    let changes = roster.record(&scope, &time, &users(0..=turn)).unwrap();
                    assert_eq!(changes.added, 1);
                    assert_eq!(roster.import(&scope, &[(1000 + turn, None)]).unwrap().added, 1);
                }
            });
        }
    });
    for scope in shared.scopes().unwrap() {
        let counts = shared.counts(&scope).unwrap();
        assert_eq!((counts.remembered, counts.vanished, counts.imported), (20, 0, 20));
    }
    assert_eq!(shared.scopes().unwrap().len(), 4);
}
