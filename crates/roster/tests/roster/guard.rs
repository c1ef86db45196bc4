//! Tests the guard against a sweep in which most users are missing.

use roster::{Changes, FileRoster as Roster, Scope};

use crate::{Folder, scope, sweep, users, vanished};

/// Records one sweep after another.
struct Series<'a>(&'a Roster, Scope, u64);

impl Series<'_> {
    fn next(&mut self, ids: impl IntoIterator<Item = u64>) -> Changes {
        self.2 += 10;
        self.0.record(&self.1, &sweep(self.2, self.2 + 5), &users(ids)).unwrap()
    }
}

#[test]
fn an_empty_sweep_is_believed_the_third_time() {
    let folder = Folder::new();
    let roster = folder.roster();
    let mut series = Series(&roster, scope("acme"), 0);
    series.next(1..=11);
    let suspicious = Changes { suspicious: true, ..Changes::default() };
    assert_eq!(series.next([]), suspicious);
    assert_eq!(series.next([]), suspicious);
    assert_eq!(series.next([]), Changes { absent: 11, counted: true, ..Changes::default() });
    assert_eq!(series.next([]), Changes { vanished: 11, counted: true, ..Changes::default() });
    assert_eq!(vanished(&roster, &series.1).len(), 11);
}

#[test]
fn an_ordinary_sweep_in_between_resets_the_doubts() {
    let folder = Folder::new();
    let roster = folder.roster();
    let mut series = Series(&roster, scope("acme"), 0);
    series.next(1..=20);
    for _ in 0..4 {
        assert!(series.next(1..=9).suspicious);
        assert!(series.next(1..=9).suspicious);
        assert!(!series.next(1..=20).suspicious);
    }
    assert!(vanished(&roster, &series.1).is_empty());
}

#[test]
fn gaps_of_up_to_half_or_with_up_to_ten_users_are_believed_at_once() {
    let folder = Folder::new();
    let roster = folder.roster();
    let mut large = Series(&roster, scope("large"), 0);
    large.next(1..=20);
    assert_eq!(large.next(1..=10).absent, 10);
    let mut small = Series(&roster, scope("small"), 0);
    small.next(1..=10);
    assert_eq!(small.next([]).absent, 10);
    assert_eq!(small.next([]).vanished, 10);
}

#[test]
fn years_of_departures_do_not_hide_an_empty_sweep() {
    let folder = Folder::new();
    let roster = folder.roster();
    let mut series = Series(&roster, scope("acme"), 0);
    series.next(1..=40);
    for last in [21, 12] {
        series.next(1..=last);
        series.next(1..=last);
    }
    assert_eq!(vanished(&roster, &series.1).len(), 28);
    assert!(series.next([]).suspicious);
}

#[test]
fn a_suspicious_sweep_still_shows_which_users_are_present() {
    let folder = Folder::new();
    let roster = folder.roster();
    let mut series = Series(&roster, scope("acme"), 0);
    series.next(1..=21);
    assert_eq!(series.next(1..=20).absent, 1);
    // User 21 is back, 22 is new, most others are missing.
    let changes = series.next([21, 22]);
    assert_eq!(changes, Changes { added: 1, suspicious: true, ..Changes::default() });
    assert_eq!(series.next((1..=20).chain([22])).absent, 1);
    assert!(vanished(&roster, &series.1).is_empty());
}

#[test]
fn overlapping_suspicious_sweeps_are_one_doubt() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=20)).unwrap();
    for started in 10..20 {
        assert!(roster.record(&acme, &sweep(started, 30), &[]).unwrap().suspicious);
    }
    assert!(roster.record(&acme, &sweep(31, 40), &[]).unwrap().suspicious);
    assert_eq!(roster.record(&acme, &sweep(41, 50), &[]).unwrap().absent, 20);
}
