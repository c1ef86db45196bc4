//! Group look-ups: how long each caller's are cached, that many requests make one reading, and that a
//! client that leaves cannot end it. The ids in front of the test names are those of the fault list in
//! `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use futures_util::future::join_all;
use simulator::{Fail, Faults, Named, Settings};
use tests::{LEGACY_KEY, V1_USERS, World, config, expect, failing, query, users};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Two pages; "Supervisor" is one group, so its rows are asked for by its id, in one page.
const USERS: usize = 150;
const LOOKUP_PAGES: u64 = 2;

async fn world(rest: &str) -> World {
    World::with(users(USERS), "", rest).await
}

fn of_group(name: &str) -> String {
    format!("{V1_USERS}?{}", query(&[("sag", name)]))
}

/// A question about a group that shares no reading with others, since it names no user.
fn of_group_and(name: &str, number: usize) -> String {
    format!("{V1_USERS}?{}", query(&[("sag", name), ("name", &format!("Nobody {number}"))]))
}

/// The ids legacy would show for a group.
fn members(world: &World, name: &str) -> Vec<u64> {
    let all = world.vendor.legacy_users(&[("sag".to_owned(), name.to_owned())]);
    all.iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

/// Pages read for look-ups, and pages read for rows by a group's id.
fn pages(world: &World) -> (u64, u64) {
    let queries = world.vendor.stats().users_queries;
    let by_group = queries.iter().filter(|q| q.contains("security_access_group_id")).count() as u64;
    (queries.len() as u64 - by_group, by_group)
}

fn outcomes(metrics: &str, outcome: &str) -> u64 {
    let start = format!("tieline_lookups_total{{outcome=\"{outcome}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn more_groups_than_are_kept_are_an_error_that_names_the_setting() {
    let world = world("[lookups]\nentries_max = 1").await;
    let answer = world.get(&of_group("Supervisor")).await;
    expect::error(&answer, "413 too_many_groups", "more than one group");
    assert!(answer.text().contains("lookups.entries_max"), "{}", answer.text());
    // A list that needs no look-up is answered.
    assert_eq!(world.get(V1_USERS).await.status, 200);
}

#[tokio::test]
async fn a_look_up_is_kept_and_saves_the_reading() {
    let world = world("").await;
    let expected = members(&world, "Supervisor");
    assert!(!expected.is_empty());
    for (round, lookup_pages) in [(1, LOOKUP_PAGES), (2, 0), (3, 0)] {
        world.vendor.reset_stats();
        let answer = world.get(&of_group("Supervisor")).await;
        expect::rows(&answer, &expected, &format!("round {round}"));
        assert_eq!(pages(&world), (lookup_pages, 1), "round {round}");
    }
    let metrics = world.front.admin("/metrics").await.text();
    assert_eq!((outcomes(&metrics, "miss"), outcomes(&metrics, "hit")), (1, 2));
}

#[tokio::test]
async fn a_look_up_is_kept_for_as_long_as_it_is_fresh() {
    let world = world("[lookups]\nfresh_for = \"300ms\"").await;
    let expected = members(&world, "Supervisor");
    for round in 1..=2 {
        world.vendor.reset_stats();
        expect::rows(&world.get(&of_group("Supervisor")).await, &expected, "fresh or not");
        assert_eq!(pages(&world).0, LOOKUP_PAGES, "round {round}");
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

#[tokio::test]
async fn i11_that_there_is_no_such_group_is_believed_for_a_while_only() {
    let world = world("[lookups]\nnegative_for = \"3s\"").await;
    for round in 1..=5 {
        expect::rows(&world.get(&of_group("Night")).await, &[], &format!("round {round}"));
    }
    assert_eq!(pages(&world), (LOOKUP_PAGES, 0), "looked up once, and nothing else asked for");
    let id = world.vendor.users()[7]["id"].as_str().unwrap().parse().unwrap();
    world.vendor.edit_user(id, |user| {
        user.security_access_group = Some(Named { id: 77, name: "Night".into() });
        user.deleted_at = None;
    });
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    expect::rows(&world.get(&of_group("Night")).await, &[id], "there is one now");
}

#[tokio::test]
async fn unknown_names_stay_empty_whatever_they_look_like() {
    let world = world("").await;
    for name in ["Nobody", "supervisor", "Supervisor ", "2", "*", "%", "Agent,Supervisor", "null"] {
        expect::rows(&world.get(&of_group(name)).await, &[], name);
        expect::rows(&world.get(&of_group(name)).await, &[], name);
    }
    // Both names are asked for, and no user has two.
    let target = format!("{V1_USERS}?{}", query(&[("sag", "Supervisor"), ("sag", "Analyst")]));
    expect::rows(&world.get(&target).await, &[], "two names");
}

#[tokio::test]
async fn a_cached_look_up_is_not_shared_between_callers() {
    let other = config::another("other", "other-key", config::EVERYTHING);
    let world = world(&other).await;
    let expected = members(&world, "Supervisor");
    for key in [LEGACY_KEY, "other-key"] {
        world.vendor.reset_stats();
        let answer = world.front.get_as(key, &of_group("Supervisor")).await;
        expect::rows(&answer, &expected, "its own look-up");
        assert_eq!(pages(&world), (LOOKUP_PAGES, 1));
    }
}

#[tokio::test]
async fn i01_two_hundred_requests_make_one_look_up() {
    let settings =
        Settings { users: USERS, latency: Duration::from_millis(100), ..Settings::default() };
    let world = World::new(settings).await;
    join_all((0..200).map(async |number| {
        let answer = world.get(&of_group_and("Supervisor", number)).await;
        expect::rows(&answer, &[], &format!("request {number}"));
    }))
    .await;
    assert_eq!(pages(&world), (LOOKUP_PAGES, 200), "one look-up, and each its own rows");
}

#[tokio::test]
async fn i01_two_hundred_equal_requests_make_one_reading() {
    let settings =
        Settings { users: USERS, latency: Duration::from_millis(100), ..Settings::default() };
    let world = World::new(settings).await;
    let expected = members(&world, "Supervisor");
    join_all((0..200).map(async |number| {
        let answer = world.get(&of_group("Supervisor")).await;
        expect::rows(&answer, &expected, &format!("request {number}"));
    }))
    .await;
    let (lookups, readings) = pages(&world);
    assert_eq!(lookups, LOOKUP_PAGES, "one look-up");
    // A request that came after the first reading had ended began another.
    assert!((1..=20).contains(&readings), "{readings} readings of rows for 200 requests");
}

#[tokio::test]
async fn i02_three_hundred_leaders_that_leave_neither_end_a_look_up_nor_panic() {
    let settings =
        Settings { users: USERS, latency: Duration::from_millis(1500), ..Settings::default() };
    let world = World::new(settings).await;
    // Each comes, is the one that waits for the look-up, and leaves.
    for number in 0..300 {
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {LEGACY_KEY}\r\n\r\n",
            of_group_and("Supervisor", number)
        );
        let mut stream = TcpStream::connect(world.front.running.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let answer = world.get(&of_group("Supervisor")).await;
    expect::rows(&answer, &members(&world, "Supervisor"), "the one that stayed");
    assert_eq!(pages(&world).0, LOOKUP_PAGES, "one look-up for all of them");
    let metrics = world.front.admin("/metrics").await.text();
    assert!(metrics.contains("slug=\"internal\"} 0"), "nothing panicked");
    let asked = outcomes(&metrics, "miss") + outcomes(&metrics, "hit");
    assert!(asked >= 250, "only {asked} requests got as far as the look-up");
}

#[tokio::test]
async fn i02_an_abandoned_look_up_is_finished_and_cached() {
    let settings =
        Settings { users: USERS, latency: Duration::from_secs(1), ..Settings::default() };
    let world = World::new(settings).await;
    let target = of_group("Supervisor");
    let gone = tokio::time::timeout(Duration::from_millis(100), world.get(&target)).await;
    assert!(gone.is_err(), "left before the answer");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        pages(&world),
        (LOOKUP_PAGES, 0),
        "the look-up went on, and the list without a client did not"
    );
    let answer = world.get(&target).await;
    expect::rows(&answer, &members(&world, "Supervisor"), "next");
    assert_eq!(pages(&world), (LOOKUP_PAGES, 1), "from the look-up that was kept");
}

#[tokio::test]
async fn i03_a_failed_look_up_fails_all_its_requests_and_is_not_cached() {
    let settings =
        Settings { users: USERS, latency: Duration::from_millis(100), ..Settings::default() };
    let world = World::new(settings).await;
    world.vendor.set_faults(failing(500));
    join_all((0..50).map(async |_| {
        let answer = world.get(&of_group("Supervisor")).await;
        expect::error(&answer, "502 upstream_5xx", "the look-up failed");
    }))
    .await;
    assert_eq!(pages(&world), (3, 0), "three attempts, once for all");
    world.vendor.set_faults(Faults::default());
    let answer = world.get(&of_group("Supervisor")).await;
    expect::rows(&answer, &members(&world, "Supervisor"), "the next one asks anew");
}

#[tokio::test]
async fn a_renamed_group_is_found_by_its_new_name_and_no_longer_by_the_old_one() {
    let world = world("[lookups]\nnegative_for = \"50ms\"").await;
    let before = members(&world, "Supervisor");
    expect::rows(&world.get(&of_group("Supervisor")).await, &before, "before");
    world.vendor.rename_group(2, "Chiefs");
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Kept ids lead to rows of another name, which were not asked for.
    expect::rows(&world.get(&of_group("Supervisor")).await, &[], "the old name");
    expect::rows(&world.get(&of_group("Chiefs")).await, &before, "the new name");
    world.vendor.rename_group(2, "Supervisor");
    tokio::time::sleep(Duration::from_millis(100)).await;
    expect::rows(&world.get(&of_group("Supervisor")).await, &before, "named back");
    expect::rows(&world.get(&of_group("Chiefs")).await, &[], "and away");
}

/// Deletes a group and makes it anew: the same name and members, another id.
fn make_anew(world: &World, name: &str, id: u64) {
    for user in world.vendor.records() {
        if user.security_access_group.as_ref().is_some_and(|group| group.name == name) {
            world.vendor.edit_user(user.id, |user| {
                let name = name.to_owned().into();
                user.security_access_group = Some(Named { id, name });
            });
        }
    }
}

#[tokio::test]
async fn a_group_that_was_deleted_and_made_anew_is_found_again() {
    let world = world("[lookups]\nnegative_for = \"50ms\"").await;
    let expected = members(&world, "Supervisor");
    for id in [501, 502, 503] {
        expect::rows(&world.get(&of_group("Supervisor")).await, &expected, "as it was");
        make_anew(&world, "Supervisor", id);
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.vendor.reset_stats();
        expect::rows(&world.get(&of_group("Supervisor")).await, &expected, "another id");
        assert_eq!(pages(&world), (LOOKUP_PAGES, 2), "the dead id, the look-up, the new id");
    }
    let metrics = world.front.admin("/metrics").await.text();
    assert_eq!(outcomes(&metrics, "doubted"), 3);
}

/// A world whose upstream takes so many milliseconds, in which the kept id of a group is dead; and the
/// members of the group.
async fn doubting(latency: u64) -> (World, Vec<u64>) {
    let latency = Duration::from_millis(latency);
    let settings = Settings { users: USERS, latency, ..Settings::default() };
    let world = World::with(settings, "", "[lookups]\nnegative_for = \"50ms\"").await;
    let expected = members(&world, "Supervisor");
    expect::rows(&world.get(&of_group("Supervisor")).await, &expected, "as it was");
    make_anew(&world, "Supervisor", 501);
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.vendor.reset_stats();
    (world, expected)
}

#[tokio::test]
async fn a_hundred_requests_that_doubt_one_look_up_make_one_new_one() {
    let (world, expected) = doubting(60).await;
    join_all((0..100).map(async |number| {
        let answer = world.get(&of_group("Supervisor")).await;
        expect::rows(&answer, &expected, &format!("request {number}"));
    }))
    .await;
    assert_eq!(pages(&world).0, LOOKUP_PAGES, "one look-up for all who doubted");
}

#[tokio::test]
async fn a_request_that_doubts_late_uses_a_look_up_that_others_have_made_since() {
    let (world, _) = doubting(20).await;
    // The first ones are asked for again, and learn that the id is dead when others know the new one.
    let fail = Some(Fail { at_offset: None, status: 500, times: Some(20), retry_after: None });
    world.vendor.set_faults(Faults { fail, ..Faults::default() });
    join_all((0..40).map(async |number| {
        let answer = world.get(&of_group_and("Supervisor", number)).await;
        expect::rows(&answer, &[], &format!("request {number}"));
    }))
    .await;
    assert_eq!(pages(&world).0, LOOKUP_PAGES, "one look-up for all who doubted");
}
