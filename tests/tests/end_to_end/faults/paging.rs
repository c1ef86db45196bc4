//! Pages that lie, repeat, overflow or run short: a list is whole, or it is an error, and what it
//! costs upstream is known to the request. The ids in front of the test names are those of the fault
//! list in `docs/ERRORS.md`.
//!
//! What a calm list of `n` rows costs: windows of 100 overlap by a row, so window `k` starts at row
//! `99 * k`, and the list ends with the first window that is not full. That is 1 request up to 99 rows
//! and one more for every 99 rows begun after that.
#![expect(clippy::unwrap_used, reason = "a test may")]

use serde_json::Value;
use simulator::{At, Faults};
use tests::raw::{Raw, Reply, page, user};
use tests::{Answer, Front, V1_USERS, World, expect, users};

async fn world(users: usize) -> World {
    World::new(tests::users(users)).await
}

fn cost(rows: u64, step: u64) -> u64 {
    1 + rows.saturating_sub(step).div_ceil(step)
}

/// One request under these faults, how it came about, and how many upstream requests it took.
async fn under(world: &World, faults: Faults) -> (Answer, Value, u64) {
    world.vendor.set_faults(faults);
    world.vendor.reset_stats();
    let key = format!("Bearer {}", tests::LEGACY_KEY);
    let headers = [("authorization", key.as_str()), ("x-tieline-explain", "1")];
    let mut answer = world.front.get_with(V1_USERS, &headers).await;
    let story = serde_json::from_str(&answer.header("x-tieline-explanation")).unwrap();
    answer.headers.remove("x-tieline-explanation");
    (answer, story, world.vendor.stats().users_pages)
}

/// A plain good request is answered rightly after all of it.
async fn is_good_again(world: &World) {
    world.vendor.set_faults(Faults::default());
    expect::rows(&world.get(V1_USERS).await, &world.live(), "afterwards");
}

#[tokio::test]
async fn g13_every_size_of_list_costs_the_requests_it_needs() {
    for (users, pages) in [(0, 1), (1, 1), (99, 1), (100, 2), (198, 2), (199, 3), (1000, 11)] {
        let world = world(users).await;
        assert_eq!(cost(users as u64, 99), pages, "{users} rows");
        for round in ["at first", "once offsets are proven"] {
            let (answer, _, asked) = under(&world, Faults::default()).await;
            expect::rows(&answer, &world.live(), &format!("{users} rows {round}"));
            assert_eq!(asked, pages, "{users} rows {round}");
        }
    }
}

#[tokio::test]
async fn g13_a_page_cap_lowered_to_50_is_doubted_once_and_followed() {
    let faults = Faults { page_cap: Some(50), ..Faults::default() };
    for users in [0, 49, 50, 51, 98, 99, 120, 250, 500] {
        let world = world(users).await;
        let (answer, story, asked) = under(&world, faults.clone()).await;
        expect::rows(&answer, &world.live(), &format!("{users} rows"));
        assert_eq!(story["total_mismatch"], false, "{users} rows");
        // A cap is only known by a page that is short of its total: exactly 50 of 50 is the end.
        let doubt = u64::from(users > 50);
        let pages = if users == 50 { 1 } else { cost(users as u64, 49) + doubt };
        assert_eq!(asked, pages, "{users} rows");
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f08_a_total_that_is_too_high_is_checked_once_more_and_noted() {
    for (users, delta) in [(250, 1), (250, 50), (250, 1000), (99, 1), (40, 30), (100, 1)] {
        let world = world(users).await;
        let (answer, story, asked) =
            under(&world, Faults { total_delta: delta, ..Faults::default() }).await;
        let what = format!("{users} rows said to be {delta} more");
        expect::rows(&answer, &world.live(), &what);
        assert_eq!(story["total_mismatch"], true, "{what}");
        // Windows up to the total that was told, one behind the end that was seen, the first and the
        // last one read again, two to find out that a single short page is no lower cap, and twice three
        // other windows over the end, which might lack a row.
        let most = cost(users as u64 + delta as u64, 99) + 11;
        assert_eq!(story["hidden_rows"], delta, "{what}");
        assert!(asked <= most, "{what}: {asked} requests");
        let metrics = world.front.admin("/metrics").await.text();
        assert!(metrics.contains("tieline_list_events_total{event=\"total_mismatch\"} 1"));
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f08_a_total_that_was_too_high_for_a_moment_is_a_list_that_changed() {
    let world = world(250).await;
    let only_at = Some(At { offset: 0, times: Some(1) });
    let faults = Faults { total_delta: 50, only_at, ..Faults::default() };
    let (answer, story, asked) = under(&world, faults).await;
    expect::rows(&answer, &world.live(), "once 300, then 250");
    assert_eq!(
        (&story["total_mismatch"], asked),
        (&Value::from(false), 5),
        "one window too many, and one behind the end"
    );
    is_good_again(&world).await;
}

#[tokio::test]
async fn f08_a_total_without_any_row_is_502() {
    let world = world(0).await;
    let (answer, _, asked) = under(&world, Faults { total_delta: 5, ..Faults::default() }).await;
    expect::error(&answer, "502 upstream_total_mismatch", "5 rows of which none came");
    assert_eq!(asked, 2, "read once more");
    is_good_again(&world).await;
}

#[tokio::test]
async fn f09_a_total_that_is_too_low_does_not_cut_the_list() {
    for (users, delta) in [(250, -1), (250, -150), (250, -250), (199, -100), (60, -59), (100, -1)] {
        let world = world(users).await;
        let (answer, story, asked) =
            under(&world, Faults { total_delta: delta, ..Faults::default() }).await;
        let what = format!("{users} rows said to be {delta} less");
        expect::rows(&answer, &world.live(), &what);
        assert_eq!(story["total_mismatch"], true, "{what}");
        // The first and the last window are read again; they may be the same.
        let pages = cost(users as u64, 99);
        assert_eq!(asked, pages + pages.min(2), "{what}");
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f10_rows_beyond_the_limit_are_fine_when_they_are_the_next_ones() {
    for (users, extra) in [(250, 50), (250, 1), (100, 50), (99, 50), (1000, 300)] {
        let world = world(users).await;
        let (answer, _, asked) =
            under(&world, Faults { page_extra_rows: extra, ..Faults::default() }).await;
        expect::rows(&answer, &world.live(), &format!("{users} rows, {extra} too many a page"));
        assert_eq!(asked, cost(users as u64, 99), "{users} rows, {extra} too many a page");
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f10_rows_beyond_the_limit_that_are_not_the_next_ones_are_502() {
    for (what, strangers) in [
        ("strangers", (9001..9051).collect::<Vec<u64>>()),
        ("the next rows in another order", (101..151).rev().collect()),
        ("the rows after the next ones", (102..152).collect()),
    ] {
        let raw = Raw::start(move |head| {
            let ids: Vec<u64> = (1..=250).collect();
            if head.number_of("offset") > 0 {
                return Reply::page_of(&ids, head);
            }
            let rows = ids[..100].iter().chain(&strangers).map(|id| user(*id));
            Reply::json(200, page(&rows.collect::<Vec<_>>(), 250))
        })
        .await;
        let front = Front::over(raw.address, "", "").await;
        expect::error(&front.get(V1_USERS).await, "502 upstream_page_overflow", what);
        assert!(raw.asked() <= 4, "{what}: {} requests", raw.asked());
    }
}

#[tokio::test]
async fn f10_rows_of_a_page_that_come_again_in_it_are_merged() {
    let ids: Vec<u64> = (1..=250).collect();
    let all = ids.clone();
    let raw = Raw::start(move |head| {
        let window = all.iter().skip(head.number_of("offset")).take(head.number_of("limit"));
        let rows: Vec<String> = window.map(|id| user(*id)).collect();
        Reply::json(200, page(&[&rows[..], &rows[..rows.len() / 2]].concat(), 250))
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    expect::rows(&front.get(V1_USERS).await, &ids, "half of each page twice");
    assert_eq!(raw.asked() as u64, cost(250, 99));
}

#[tokio::test]
async fn f11_an_empty_page_in_the_middle_is_read_again() {
    let world = world(450).await;
    let pages = cost(450, 99);
    for offset in [0, 99, 198, 297] {
        let empty_page_at = Some(At { offset, times: Some(1) });
        let (answer, _, asked) = under(&world, Faults { empty_page_at, ..Faults::default() }).await;
        expect::rows(&answer, &world.live(), &format!("once nothing at {offset}"));
        assert!(asked <= pages + 1, "once nothing at {offset}: {asked} requests");
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f11_an_empty_page_in_the_middle_that_stays_empty_is_502() {
    let world = world(450).await;
    for offset in [0, 99, 198, 297] {
        let empty_page_at = Some(At { offset, times: None });
        let (answer, _, asked) = under(&world, Faults { empty_page_at, ..Faults::default() }).await;
        expect::error(&answer, "502 upstream_total_mismatch", &format!("nothing at {offset}"));
        assert!(asked <= 2 * cost(450, 99) + 8, "nothing at {offset}: {asked} requests");
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f11_a_short_page_in_the_middle_loses_no_row() {
    for offset in [0, 99, 198, 297] {
        for times in [Some(1), None] {
            let world = world(450).await;
            // A first page of half the size looks like a lower cap, and is read on with it.
            let most = if offset == 0 { cost(450, 49) + 4 } else { cost(450, 99) + 4 };
            // The other pages of a list that was read before are asked for beside the first, and may be in vain.
            let expected = if offset == 0 { cost(450, 99) - 1 } else { 0 };
            for most in [most, most + expected] {
                let short_page_at = Some(At { offset, times });
                let what = format!("half a page at {offset}, {times:?} times");
                let (answer, _, asked) =
                    under(&world, Faults { short_page_at, ..Faults::default() }).await;
                expect::rows(&answer, &world.live(), &what);
                assert!(asked <= most, "{what}: {asked} requests");
                is_good_again(&world).await;
            }
        }
    }
}

/// Pages of 330 users, changed by `odd`, which sees the window's offset and its rows.
async fn odd_pages(
    odd: impl Fn(usize, &mut Vec<u64>) + Send + Sync + 'static,
) -> (Answer, Value, usize) {
    let raw = Raw::start(move |head| {
        let (offset, limit) = (head.number_of("offset"), head.number_of("limit"));
        let mut ids: Vec<u64> = (1..=330).skip(offset).take(limit).collect();
        odd(offset, &mut ids);
        Reply::json(200, page(&ids.into_iter().map(user).collect::<Vec<_>>(), 330))
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    let key = format!("Bearer {}", tests::LEGACY_KEY);
    let headers = [("authorization", key.as_str()), ("x-tieline-explain", "1")];
    let mut answer = front.get_with(V1_USERS, &headers).await;
    let story = serde_json::from_str(&answer.header("x-tieline-explanation")).unwrap();
    answer.headers.remove("x-tieline-explanation");
    (answer, story, raw.asked())
}

#[tokio::test]
async fn f21_a_row_that_one_page_always_lacks_is_found_on_others() {
    let all: Vec<u64> = (1..=330).collect();
    for (bad_offset, lost) in
        [(0, 50), (0, 100), (99, 150), (198, 250), (198, 200), (297, 310), (297, 330)]
    {
        let (answer, story, asked) = odd_pages(move |offset, ids| {
            if offset == bad_offset {
                ids.retain(|id| *id != lost);
            }
        })
        .await;
        let what = format!("row {lost} is never at {bad_offset}");
        expect::rows(&answer, &all, &what);
        assert_eq!(story["total_mismatch"], false, "{what}");
        assert!(asked <= 20, "{what}: {asked} requests");
    }
}

#[tokio::test]
async fn f21_a_row_in_whose_place_another_stands_twice_is_found_on_other_pages() {
    let all: Vec<u64> = (1..=330).collect();
    for (bad_offset, at) in [(0, 50), (99, 40), (198, 98), (297, 10)] {
        let (answer, _, asked) = odd_pages(move |offset, ids| {
            if offset == bad_offset && at < ids.len() {
                ids[at] = ids[at - 1];
            }
        })
        .await;
        let what = format!("row {at} of the page at {bad_offset} is the one before");
        expect::rows(&answer, &all, &what);
        assert!(asked <= 20, "{what}: {asked} requests");
    }
}

#[tokio::test]
async fn f21_rows_that_no_page_shows_are_counted_and_the_others_listed() {
    let hidden = [1, 50, 100, 101, 330];
    let (answer, story, asked) =
        odd_pages(move |_, ids| ids.retain(|id| !hidden.contains(id))).await;
    let others: Vec<u64> = (1..=330).filter(|id| !hidden.contains(id)).collect();
    expect::rows(&answer, &others, "five of 330 hidden");
    assert_eq!((&story["total_mismatch"], &story["hidden_rows"]), (&true.into(), &5.into()));
    assert!(asked <= 40, "{asked} requests");
}

#[tokio::test]
async fn f21_pages_that_contradict_each_other_make_no_list() {
    // Each window lacks the row in its own middle.
    let (answer, _, _) = odd_pages(|_, ids| {
        let _ = ids.remove(ids.len() / 2);
    })
    .await;
    expect::error(&answer, "503 upstream_list_unstable", "each page lacks another row");
}

#[tokio::test]
async fn f12_an_upstream_that_ignores_offsets_is_found_out_after_two_requests() {
    let faults = Faults { ignore_offset: true, ..Faults::default() };
    for users in [101, 250, 1500] {
        let world = world(users).await;
        for round in 1..=2 {
            let (answer, _, asked) = under(&world, faults.clone()).await;
            let what = format!("{users} rows, round {round}");
            expect::error(&answer, "502 upstream_paging_broken", &what);
            assert_eq!(asked, 2, "{what}");
        }
        is_good_again(&world).await;
        // Offsets were proven, so pages were asked for together; no more than that many.
        let (answer, _, asked) = under(&world, faults.clone()).await;
        expect::error(&answer, "502 upstream_paging_broken", "after good times");
        assert!(asked <= 1 + 8, "{users} rows after good times: {asked} requests");
        let (answer, _, asked) = under(&world, faults.clone()).await;
        expect::error(&answer, "502 upstream_paging_broken", "and again");
        assert_eq!(asked, 2, "{users} rows: the proof is gone");
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f12_a_last_page_that_comes_for_ever_is_502_at_the_first_repeat() {
    for users in [100, 250, 450] {
        let world = world(users).await;
        let faults = Faults { repeat_last_page_forever: true, ..Faults::default() };
        let (answer, _, asked) = under(&world, faults).await;
        expect::error(&answer, "502 upstream_paging_broken", &format!("{users} rows"));
        assert!(asked <= cost(users as u64, 99) + 1, "{users} rows: {asked} requests");
        is_good_again(&world).await;
    }
}

#[tokio::test]
async fn f12_a_list_without_an_end_stops_at_the_largest_list_allowed() {
    // Always a full page of new rows, and never a word of how many there are.
    let raw = Raw::start(|head| {
        let first = 1 + head.number_of("offset") as u64;
        let rows: Vec<String> = (first..first + head.number_of("limit") as u64).map(user).collect();
        Reply::json(200, page(&rows, 100))
    })
    .await;
    let front = Front::over(raw.address, "rows_max = 2000", "").await;
    expect::error(&front.get(V1_USERS).await, "413 result_too_large", "no end");
    assert!(raw.asked() <= 22, "{} requests", raw.asked());
}

#[tokio::test]
async fn f12_a_total_above_the_largest_list_allowed_is_413_after_one_request() {
    let world = World::with(users(300), "rows_max = 299", "").await;
    let (answer, _, asked) = under(&world, Faults::default()).await;
    expect::error(&answer, "413 result_too_large", "300 rows, 299 allowed");
    assert!(answer.text().contains("299"), "the cap is named");
    assert_eq!(asked, 1);
}
