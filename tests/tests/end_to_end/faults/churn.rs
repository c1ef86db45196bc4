//! Lists that change while they are read: no row that lived throughout is lost, none stands twice,
//! and where that cannot be had the answer says so. The ids in front of the test names are those of
//! the fault list in `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;

use simulator::{Churn, Order, Settings};
use tests::raw::{Raw, Reply};
use tests::{Answer, Front, V1_USERS, World, expect};

/// The ids legacy would show now. Records are the only objects of its answer that begin with an id.
fn live(world: &World) -> BTreeSet<u64> {
    let body = world.vendor.legacy_body(&[]);
    let ids = body.split("{\"id\":").skip(1).map(|record| record.split(',').next());
    ids.map(|id| id.unwrap().parse().unwrap()).collect()
}

/// One reading while the list changes. `Some(requests)` if it was answered, and then it is whole.
async fn read(world: &World, what: &str) -> Option<u64> {
    world.vendor.reset_stats();
    let before = live(world);
    let answer = world.get(V1_USERS).await;
    let after = live(world);
    let asked = world.vendor.stats().users_pages;
    if answer.status != 200 {
        expect::error(&answer, "503 upstream_list_unstable", what);
        return None;
    }
    // Ids are never reused, so a user who is there before and after was there throughout.
    let throughout: BTreeSet<u64> = before.intersection(&after).copied().collect();
    is_whole(&answer, &throughout, what);
    Some(asked)
}

#[track_caller]
fn is_whole(answer: &Answer, throughout: &BTreeSet<u64>, what: &str) {
    assert_eq!(answer.verdict(), "200 ", "{what}");
    let ids = answer.ids();
    let unique: BTreeSet<u64> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "{what}: rows that stand twice");
    assert_eq!(throughout.difference(&unique).count(), 0, "{what}: rows that are lost");
}

/// Reads a changing list again and again; returns how many readings of 100 were answered.
async fn reads(order: Order, churn: Churn, rounds: u64) -> u64 {
    let world = World::new(Settings { users: 330, order, ..Settings::default() }).await;
    let mut answered = 0;
    for seed in 1..=rounds {
        let what = format!("{order:?} {churn:?}, seed {seed}");
        world.vendor.set_churn(Some(Churn { seed, ..churn.clone() }));
        if let Some(asked) = read(&world, &what).await {
            answered += 1;
            assert!(asked <= 80, "{what}: {asked} requests");
        }
    }
    world.vendor.set_churn(None);
    let calm: BTreeSet<u64> = world.get(V1_USERS).await.ids().into_iter().collect();
    assert!(calm == live(&world), "{order:?}: a calm list afterwards");
    answered * 100 / rounds
}

#[tokio::test]
async fn g01_deletes_before_a_seam_lose_no_other_user() {
    for order in [Order::Id, Order::IdDescending] {
        for every in [1, 2, 3] {
            let every_requests = Some(every);
            let churn = Churn { every_requests, inserts: 0, ..Churn::default() };
            let answered = reads(order, churn, 10).await;
            assert_eq!(answered, 100, "{order:?}: every {every} requests");
        }
    }
}

#[tokio::test]
async fn g02_inserts_before_a_seam_double_no_user() {
    for order in [Order::Id, Order::IdDescending] {
        for in_gaps in [true, false] {
            for every in [1, 2, 3] {
                let every_requests = Some(every);
                let churn = Churn { every_requests, deletes: 0, in_gaps, ..Churn::default() };
                let answered = reads(order, churn, 6).await;
                assert_eq!(answered, 100, "{order:?}: every {every} requests, in gaps {in_gaps}");
            }
        }
    }
}

#[tokio::test]
async fn g02_lists_sorted_by_id_are_answered_while_rows_come_and_go() {
    for order in [Order::Id, Order::IdDescending] {
        for in_gaps in [true, false] {
            for every in [1, 2, 5] {
                let churn = Churn { every_requests: Some(every), in_gaps, ..Churn::default() };
                let answered = reads(order, churn, 6).await;
                assert_eq!(answered, 100, "{order:?}: every {every} requests, in gaps {in_gaps}");
            }
        }
    }
}

#[tokio::test]
async fn g02_lists_sorted_by_name_are_whole_or_refused_while_rows_come_and_go() {
    for (every, in_gaps, at_least) in
        [(1, true, 0), (3, true, 0), (10, true, 0), (40, true, 50), (40, false, 50)]
    {
        let churn = Churn { every_requests: Some(every), in_gaps, ..Churn::default() };
        let answered = reads(Order::Name, churn, 6).await;
        assert!(answered >= at_least, "every {every} requests: {answered} of 100 answered");
    }
}

#[tokio::test]
async fn g01_a_row_deleted_before_a_seam_costs_one_request() {
    let raw = Raw::start(|head| {
        let ids: Vec<u64> = (1..=250).filter(|id| head.number == 0 || *id != 50).collect();
        Reply::page_of(&ids, head)
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    let answer = front.get(V1_USERS).await;
    is_whole(&answer, &(1..=250).filter(|id| *id != 50).collect(), "50 vanished");
    assert!(raw.asked() <= 3 + 2, "{} requests for 3 pages and a broken seam", raw.asked());
}

#[tokio::test]
async fn g02_a_row_inserted_before_a_seam_costs_a_look_behind_the_end() {
    let raw = Raw::start(|head| {
        let ids: Vec<u64> = (1..=250).filter(|id| head.number > 0 || *id != 50).collect();
        Reply::page_of(&ids, head)
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    let answer = front.get(V1_USERS).await;
    is_whole(&answer, &(1..=250).filter(|id| *id != 50).collect(), "50 appeared");
    // Later totals count the new row, which the first page came too early for.
    assert_eq!(raw.asked(), 3 + 1);
}

/// A list in an order that is not the ids', with two rows in each other's place from the second
/// request on.
async fn swapped(one: usize, other: usize) -> (Answer, usize) {
    let raw = Raw::start(move |head| {
        let mut ids: Vec<u64> = (1..=250).map(|place| 1000 + place * 7 % 251).collect();
        if head.number > 0 {
            ids.swap(one, other);
        }
        Reply::page_of(&ids, head)
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    (front.get(V1_USERS).await, raw.asked())
}

#[tokio::test]
async fn g03_rows_that_change_places_across_a_seam_are_caught() {
    let everybody = (1..=250).map(|place| 1000 + place * 7 % 251).collect();
    // Across one seam, across two, at the seams themselves.
    for (one, other) in [(10, 150), (10, 240), (98, 100), (99, 198), (0, 249), (99, 99)] {
        let (answer, asked) = swapped(one, other).await;
        let what = format!("places {one} and {other}");
        is_whole(&answer, &everybody, &what);
        // Such an order may move at any time, so two readings in a row must agree.
        assert!(asked <= 5 * 3 + 2, "{what}: {asked} requests");
    }
}

#[tokio::test]
async fn g03_a_row_that_slips_behind_the_reader_while_another_goes_is_caught() {
    // Place 10 is deleted and its place taken by somebody from page 3: the count falls by one, no
    // seam moves, and no user stands twice. Only a second reading shows the missed user.
    let raw = Raw::start(|head| {
        let mut ids: Vec<u64> = (1..=250).map(|place| 1000 + place * 7 % 251).collect();
        if head.number > 0 {
            ids.swap_remove(10);
        }
        Reply::page_of(&ids, head)
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    let gone = 1000 + 77;
    let throughout =
        (1..=250).map(|place| 1000 + place * 7 % 251).filter(|id| *id != gone).collect();
    is_whole(&front.get(V1_USERS).await, &throughout, "the last row took the 11th place");
}

#[tokio::test]
async fn g04_rows_that_are_renamed_all_the_time_are_503_and_never_a_guess() {
    let order = Order::Name;
    let (inserts, deletes) = (0, 0);
    for (every, may_answer) in [(1, false), (2, false), (60, true)] {
        let every_requests = Some(every);
        let churn = Churn { every_requests, inserts, deletes, renames: 1, ..Churn::default() };
        let answered = reads(order, churn, 5).await;
        assert_eq!(answered > 0, may_answer, "a rename every {every} requests: {answered} of 100");
    }
    let world = World::new(Settings { users: 330, order, ..Settings::default() }).await;
    let churn = Churn { every_requests: Some(1), inserts, deletes, renames: 1, ..Churn::default() };
    world.vendor.set_churn(Some(churn));
    let answer = world.get(V1_USERS).await;
    expect::error(&answer, "503 upstream_list_unstable", "renamed all the time");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(world.vendor.stats().users_pages <= 60, "{}", world.vendor.stats().users_pages);
}

#[tokio::test]
async fn g05_an_order_that_is_random_is_always_503() {
    for users in [101, 105, 250, 450] {
        let order = Order::Random;
        let world = World::new(Settings { users, order, ..Settings::default() }).await;
        for round in 1..=3 {
            world.vendor.reset_stats();
            let answer = world.get(V1_USERS).await;
            let what = format!("{users} rows, round {round}");
            expect::error(&answer, "503 upstream_list_unstable", &what);
            assert_eq!(answer.header("retry-after"), "1", "{what}");
            let asked = world.vendor.stats().users_pages;
            assert!(asked <= 60, "{what}: {asked} requests");
        }
        // One page shows the whole list, in whatever order.
        world.vendor.reset_stats();
        let id = *live(&world).first().unwrap();
        let one = world.get(&format!("{V1_USERS}?email=agent.{id}@cc1.example.com")).await;
        assert_eq!((one.ids(), world.vendor.stats().users_pages), (vec![id], 1), "{users} rows");
    }
}
