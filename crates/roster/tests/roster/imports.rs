//! Tests the imported baseline, and users who are both imported and vanished.

use roster::{Counts, ImportCounts};

use crate::{Folder, scope, sweep, users};

#[test]
fn an_import_reports_what_was_new() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    let name = |name: &str| Some(name.to_owned());
    let rows = [(9, name("Nine")), (u64::MAX, None), (4, name("Four")), (4, name("Fore"))];
    let counts = roster.import(&acme, &rows).unwrap();
    assert_eq!(counts, ImportCounts { added: 3, updated: 0, unchanged: 0 });
    let rows = [(9, name("Nina")), (4, name("Fore")), (5, None)];
    let counts = roster.import(&acme, &rows).unwrap();
    assert_eq!(counts, ImportCounts { added: 1, updated: 1, unchanged: 1 });
    let former = roster.former(&acme).unwrap();
    let listed: Vec<_> = former.iter().map(|user| (user.id, user.name.as_deref())).collect();
    assert_eq!(listed, [(4, Some("Fore")), (5, None), (9, Some("Nina")), (u64::MAX, None)]);
    for user in former {
        assert!(user.is_imported && !user.is_vanished);
        assert!(user.group.is_none() && user.teams.is_empty() && user.supervised_teams.is_empty());
    }
    let expected = Counts { imported: 4, ..Counts::default() };
    assert_eq!(roster.counts(&acme).unwrap(), expected);
}

#[test]
fn an_imported_and_vanished_user_appears_once_with_both_marks() {
    let folder = Folder::new();
    let (roster, acme) = (folder.roster(), scope("acme"));
    roster.record(&acme, &sweep(1, 2), &users(1..=3)).unwrap();
    roster.import(&acme, &[(2, Some("As imported".to_owned())), (3, None), (4, None)]).unwrap();
    for started in [3, 5] {
        roster.record(&acme, &sweep(started, started + 1), &users([3])).unwrap();
    }
    let former = roster.former(&acme).unwrap();
    let marks: Vec<_> = former.iter().map(|u| (u.id, u.is_vanished, u.is_imported)).collect();
    assert_eq!(marks, [(1, true, false), (2, true, true), (3, false, true), (4, false, true)]);
    assert_eq!(former[1].name.as_deref(), Some("User 2"));
    // The user is alive again: only the mark of the import is left.
    roster.record(&acme, &sweep(7, 8), &users(1..=4)).unwrap();
    let former = roster.former(&acme).unwrap();
    let marks: Vec<_> = former.iter().map(|u| (u.id, u.is_vanished, u.is_imported)).collect();
    assert_eq!(marks, [(2, false, true), (3, false, true), (4, false, true)]);
    assert_eq!(former[0].name.as_deref(), Some("As imported"));
}
