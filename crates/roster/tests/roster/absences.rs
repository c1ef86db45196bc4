//! Tests which absences count, and the effects of a return and of a late record. Times are milliseconds.

use roster::{Changes, Counts, Former};

use crate::{Folder, scope, sweep, user, users, vanished};

#[test]
fn a_user_missing_from_two_sweeps_in_a_row_has_vanished() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    let first = roster.record(&acme, &sweep(10, 20), &users(1..=3)).unwrap();
    assert_eq!(first, Changes { added: 3, counted: true, ..Changes::default() });
    let second = roster.record(&acme, &sweep(30, 40), &users([1, 3])).unwrap();
    assert_eq!(second, Changes { absent: 1, counted: true, ..Changes::default() });
    assert_eq!(roster.former(&acme).unwrap(), []);
    let third = roster.record(&acme, &sweep(50, 60), &users([1, 3])).unwrap();
    assert_eq!(third, Changes { vanished: 1, counted: true, ..Changes::default() });
    let gone = user(2);
    let expected = Former {
        id: 2,
        name: gone.name,
        is_vanished: true,
        is_imported: false,
        group: gone.group,
        teams: gone.teams,
        supervised_teams: gone.supervised_teams,
    };
    assert_eq!(roster.former(&acme).unwrap(), std::slice::from_ref(&expected));
    assert_eq!(roster.export(&acme).unwrap(), [expected]);
    let fourth = roster.record(&acme, &sweep(70, 80), &users([1, 3])).unwrap();
    assert_eq!(fourth, Changes { counted: true, ..Changes::default() });
    let counts =
        Counts { remembered: 3, vanished: 1, last_sweep_ended: Some(80), ..Counts::default() };
    assert_eq!(roster.counts(&acme).unwrap(), counts);
}

#[test]
fn a_single_absence_is_forgiven() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    for turn in 0..10 {
        let seen = if turn % 2 == 0 { users(1..=3) } else { users(1..=2) };
        roster.record(&acme, &sweep(turn * 10 + 1, turn * 10 + 9), &seen).unwrap();
    }
    assert!(vanished(&roster, &acme).is_empty());
}

#[test]
fn a_returned_user_is_no_longer_former_and_must_be_absent_twice_again() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    roster.record(&acme, &sweep(3, 4), &users(1..=2)).unwrap();
    roster.record(&acme, &sweep(5, 6), &users(1..=2)).unwrap();
    assert_eq!(vanished(&roster, &acme), [3]);
    let back = roster.record(&acme, &sweep(7, 8), &users(1..=3)).unwrap();
    assert_eq!(back, Changes { returned: 1, counted: true, ..Changes::default() });
    assert!(vanished(&roster, &acme).is_empty());
    roster.record(&acme, &sweep(9, 10), &users(1..=2)).unwrap();
    assert!(vanished(&roster, &acme).is_empty());
    roster.record(&acme, &sweep(11, 12), &users(1..=2)).unwrap();
    assert_eq!(vanished(&roster, &acme), [3]);
}

#[test]
fn overlapping_sweeps_are_one_observation() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 10), &users(1..=3)).unwrap();
    assert_eq!(roster.record(&acme, &sweep(20, 30), &users(1..=2)).unwrap().absent, 1);
    for started in [15, 25, 30] {
        let changes = roster.record(&acme, &sweep(started, 35), &users(1..=2)).unwrap();
        assert_eq!(changes, Changes::default(), "started at {started}");
    }
    // The three above did not count, so this one must only start after the end of the first.
    assert_eq!(roster.record(&acme, &sweep(31, 40), &users(1..=2)).unwrap().vanished, 1);
}

#[test]
fn a_sighting_protects_even_if_its_sweep_does_not_count() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 10), &users(1..=4)).unwrap();
    // Overlaps the first and sees user 3 at 20 or before, but not user 4.
    let overlapping = roster.record(&acme, &sweep(5, 20), &users(1..=3)).unwrap();
    assert!(!overlapping.counted);
    // Starts after the first ended, but perhaps before user 3 was seen.
    let changes = roster.record(&acme, &sweep(15, 30), &users(1..=2)).unwrap();
    assert_eq!(changes, Changes { absent: 1, counted: true, ..Changes::default() });
    let changes = roster.record(&acme, &sweep(31, 40), &users(1..=2)).unwrap();
    assert_eq!((changes.vanished, changes.absent), (1, 1));
    assert_eq!(vanished(&roster, &acme), [4]);
}

#[test]
fn a_late_record_neither_renames_nor_returns_a_user() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(100, 110), &users(1..=3)).unwrap();
    roster.record(&acme, &sweep(120, 130), &users(1..=2)).unwrap();
    roster.record(&acme, &sweep(140, 150), &users(1..=2)).unwrap();
    let mut late = users(1..=4);
    late.iter_mut().for_each(|user| user.name = Some("Former name".to_owned()));
    let changes = roster.record(&acme, &sweep(90, 105), &late).unwrap();
    // No other sweep saw user 4, so this is new.
    assert_eq!(changes, Changes { added: 1, ..Changes::default() });
    assert_eq!(vanished(&roster, &acme), [3]);
    assert_eq!(roster.former(&acme).unwrap()[0].name.as_deref(), Some("User 3"));
    assert_eq!(roster.counts(&acme).unwrap().last_sweep_ended, Some(150));
}

#[test]
fn a_sweep_that_ended_before_it_started_counts_no_absence() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 10), &users(1..=3)).unwrap();
    for started in [50, 60, 70] {
        let changes = roster.record(&acme, &sweep(started, 20), &users(1..=2)).unwrap();
        assert_eq!(changes, Changes::default());
    }
}

#[test]
fn new_details_of_a_user_replace_the_old_ones() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    let mut seen = users(1..=3);
    seen[0].name = None;
    seen[0].group = Some(("4".to_owned(), None));
    seen[0].teams.reverse();
    seen[0].supervised_teams = vec!["8".to_owned()];
    seen[1].is_deleted = true;
    let changes = roster.record(&acme, &sweep(3, 4), &seen).unwrap();
    assert_eq!(changes, Changes { updated: 2, counted: true, ..Changes::default() });
    assert_eq!(roster.counts(&acme).unwrap().deleted, 1);
    assert!(vanished(&roster, &acme).is_empty());
    for started in [5, 7] {
        roster.record(&acme, &sweep(started, started + 1), &users([3])).unwrap();
    }
    let former = roster.former(&acme).unwrap();
    assert_eq!((former[0].id, &former[0].name, &former[0].group), (1, &None, &seen[0].group));
    assert_eq!(
        (&former[0].teams, &former[0].supervised_teams),
        (&seen[0].teams, &seen[0].supervised_teams)
    );
    assert_eq!(former[1].id, 2);
}

#[test]
fn the_last_of_two_sightings_of_one_id_counts() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    let mut twice = users([2, 1, 2, 1]);
    twice[0].name = Some("Not this one".to_owned());
    assert_eq!(roster.record(&acme, &sweep(1, 2), &twice).unwrap().added, 2);
    let again = roster.record(&acme, &sweep(3, 4), &users([1, 2])).unwrap();
    assert_eq!(again, Changes { counted: true, ..Changes::default() });
}

#[test]
fn the_largest_numbers_are_stored_and_ordered_as_unsigned() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    let ids = [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX];
    let late = u64::MAX - 10;
    roster.record(&acme, &sweep(late, late + 1), &users(ids)).unwrap();
    drop(roster);
    let roster = folder.roster();
    roster.record(&acme, &sweep(late + 2, late + 3), &[]).unwrap();
    roster.record(&acme, &sweep(late + 4, late + 5), &[]).unwrap();
    assert_eq!(vanished(&roster, &acme), ids);
    assert_eq!(roster.counts(&acme).unwrap().last_sweep_ended, Some(late + 5));
}
