//! The requests of the dialect: paths, follow-ups, shortcuts.

use super::*;
use crate::hub::{Id, Named};
use crate::id::IdMap;
use crate::upstream::Mapping;

fn window(offset: u64, limit: u32) -> Window {
    Window { offset, limit }
}

fn target(listing: &Listing, window: Window) -> String {
    Vonage.page_request(listing, None, None, window).target
}

fn item(id: &str) -> Item<'static> {
    let shown = Named { id: Id::Text(Cow::Borrowed("")), name: None };
    Item { key: id::key(id), id: Cow::Owned(id.to_owned()), shown, level: None, message: None }
}

#[test]
fn pages_count_from_one_and_every_request_names_the_version() {
    let users = Listing::Users(Which::Live);
    assert_eq!(
        target(&users, window(0, 5000)),
        "/useradmin/users?include=Active&limit=5000&page=1"
    );
    assert_eq!(target(&users, window(10, 5)), "/useradmin/users?include=Active&limit=5&page=3");
    assert_eq!(target(&users, window(0, 0)), "/useradmin/users?include=Active&limit=0&page=1");
    let words = [(Which::Deleted, "Archived"), (Which::All, "All")];
    for (which, word) in words {
        let target = target(&Listing::Users(which), window(0, 25));
        assert_eq!(target, format!("/useradmin/users?include={word}&limit=25&page=1"));
    }
    let request = Vonage.page_request(&Listing::Teams, None, None, window(0, 1));
    assert_eq!(request.accept, "application/vnd.newvoicemedia.v4+json");
}

#[test]
fn every_listing_has_its_documented_path() {
    let id: Arc<str> = Arc::from("8e22");
    let paths = [
        (Listing::Teams, "groups"),
        (Listing::TeamMembers(id.clone()), "groups/8e22/users"),
        (Listing::Skills, "skills"),
        (Listing::SkillMembers(id.clone()), "skills/8e22/users"),
        (Listing::CallerIds, "callbackNumbers"),
        (Listing::OfUser(Owned::Skills, id.clone()), "users/8e22/skills"),
        (Listing::OfUser(Owned::SupervisedTeams, id.clone()), "users/8e22/permissions/groups"),
        (Listing::OfUser(Owned::Queues, id.clone()), "users/8e22/permissions/queues"),
    ];
    for (listing, path) in paths {
        assert_eq!(target(&listing, window(0, 9)), format!("/useradmin/{path}?limit=9&page=1"));
    }
    let users = [
        (By::Id(id.clone()), "users/8e22"),
        (By::DisplayId(Arc::from("a@b.example")), "users/by/agentDisplayId/a%40b%2Eexample"),
        (By::DisplayId(id), "users/by/agentDisplayId/8e22"),
    ];
    for (by, path) in users {
        assert_eq!(target(&Listing::User(by), window(0, 9)), format!("/useradmin/{path}"));
    }
}

#[test]
fn a_segment_holds_nothing_that_means_something_in_a_target() {
    let all: String = (0..=255_u8).map(char::from).collect();
    let escaped = segment(&all);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~%".contains(&byte);
    assert!(escaped.bytes().all(is_plain), "{escaped}");
    assert_eq!(segment("a-Z_9~"), "a-Z_9~");
    assert_eq!(segment("a/b?c#d%e f+g&h"), "a%2Fb%3Fc%23d%25e%20f%2Bg%26h");
    assert_eq!(segment(".."), "%2E%2E");
    assert_eq!(segment("é"), "%C3%A9");
    assert_eq!(segment(""), "");
}

#[test]
fn a_callers_value_is_looked_up_only_where_it_stays_one_segment() {
    for good in ["10", "a.b", "...", "a b", "1%2F2", "é"] {
        assert!(stays_a_segment(good), "{good}");
    }
    for bad in [".", "..", "a/b", "/", "../users", "a\\b"] {
        assert!(!stays_a_segment(bad), "{bad}");
    }
}

/// Follow-ups, where every listing of teams, skills and owners has as many rows; rounds and listings.
fn rounds(needs: Needs, mapping: Mapping, rows: usize, has_skills: bool) -> (usize, usize) {
    let rules = Rules { mapping: Arc::new(mapping), ..Rules::default() };
    let mut related = Related::default();
    let (mut rounds, mut listings) = (0, 0);
    loop {
        let wanted = Vonage.follow_up(needs, &rules, &related);
        if wanted.is_empty() {
            return (rounds, listings);
        }
        rounds += 1;
        assert!(rounds <= 3, "no end: {wanted:?}");
        for listing in wanted {
            assert!(!related.knows(&listing), "asked for twice: {listing:?}");
            listings += 1;
            if listing == Listing::Skills && !has_skills {
                assert!(Vonage.may_lack(&listing));
                related.add_lacking(listing);
                continue;
            }
            let ids = (0..rows).map(|row| item(&format!("{}-{row}", listing.name())));
            related.add(listing.clone(), ids.collect());
        }
    }
}

#[test]
fn follow_ups_end_after_three_rounds_at_most_and_ask_for_nothing_twice() {
    let all = Mapping {
        supervisor_in_teams: SupervisionSource::WritePermissions,
        assigned_queues: QueueSource::Permissions,
        ..Mapping::default()
    };
    let none = Needs::default();
    let teams = Needs { records: false, teams: true };
    let records = Needs { records: true, teams: false };
    assert_eq!(rounds(none, all.clone(), 5, true), (0, 0));
    assert_eq!(rounds(teams, Mapping::default(), 0, true), (1, 1));
    assert_eq!(rounds(teams, Mapping::default(), 5, true), (2, 6));
    assert_eq!(rounds(teams, all.clone(), 5, true), (2, 12), "and what supervisors may edit");
    assert_eq!(rounds(records, Mapping::default(), 5, true), (2, 13));
    assert_eq!(rounds(records, all.clone(), 5, true), (2, 25));
    // Without a list of skills each agent is asked, which is known a round later.
    assert_eq!(rounds(records, Mapping::default(), 5, false), (3, 14));
    assert_eq!(rounds(records, all, 5, false), (3, 26));
}

#[test]
fn only_undocumented_lists_and_single_records_may_be_lacking() {
    let id: Arc<str> = Arc::from("a");
    for listing in [
        Listing::Users(Which::Live),
        Listing::Teams,
        Listing::CallerIds,
        Listing::Owners(Owned::Skills),
    ] {
        assert!(!Vonage.may_lack(&listing), "{listing:?}");
    }
    for listing in [
        Listing::Skills,
        Listing::User(By::Id(id.clone())),
        Listing::TeamMembers(id.clone()),
        Listing::SkillMembers(id.clone()),
        Listing::OfUser(Owned::Queues, id),
    ] {
        assert!(Vonage.may_lack(&listing), "{listing:?}");
    }
}

#[test]
fn a_number_leads_to_one_user_to_the_list_or_to_nobody() {
    let uuid = "8e22b1fe-d2ea-403d-8c03-50eb21188e79";
    let mut table = IdMap::default();
    assert!(table.add(uuid, 1) && table.add("ann@vonage.example", 2));
    let map = || IdPolicy::Map(Arc::new(table.clone()));
    let by_id = || Shortcut::Listing(Listing::User(By::Id(Arc::from(uuid))));
    let by_display = |id: &str| Shortcut::Listing(Listing::User(By::DisplayId(Arc::from(id))));
    let (hash, none, nobody) = (1_u64 << 40, || Shortcut::None, || Shortcut::Nobody);
    let cases = [
        (map(), Unnumbered::Fail, 1, by_id()),
        (map(), Unnumbered::Fail, 2, none()),
        (map(), Unnumbered::Omit, 3, nobody()),
        (map(), Unnumbered::Omit, hash, nobody()),
        (map(), Unnumbered::Hash, 3, nobody()),
        (map(), Unnumbered::Hash, hash, none()),
        (IdPolicy::DisplayId, Unnumbered::Fail, 123, by_display("123")),
        (IdPolicy::DisplayId, Unnumbered::Fail, hash, by_display("1099511627776")),
        (IdPolicy::DisplayId, Unnumbered::Hash, 123, by_display("123")),
        (IdPolicy::DisplayId, Unnumbered::Hash, hash, none()),
        (IdPolicy::DisplayId, Unnumbered::Hash, 1 << 53, nobody()),
        (IdPolicy::Hash, Unnumbered::Fail, hash, none()),
        (IdPolicy::Hash, Unnumbered::Fail, 28982, nobody()),
        (IdPolicy::Hash, Unnumbered::Fail, 1 << 53, nobody()),
        (IdPolicy::Fail, Unnumbered::Fail, 123, none()),
    ];
    for (ids, unnumbered, number, expected) in cases {
        let rules = Rules { ids, unnumbered, ..Rules::default() };
        assert_eq!(by_number(number, &rules), expected, "{number} by {rules:?}");
    }
}
