//! Ways in which a list could come out short, doubled or unfiltered without anybody noticing.

use simulator::{At, Faults, Order, Settings};
use tests::raw::{Raw, Reply, page, user};
use tests::{Front, V1_USERS, World, expect, query, users};

async fn over(raw: &Raw) -> Front {
    Front::over(raw.address, "", "").await
}

#[tokio::test]
async fn a_last_page_that_is_cut_short_is_not_taken_for_the_end() {
    for order in [Order::Id, Order::Name] {
        for offset in [99, 198] {
            let world = World::new(Settings { users: 250, order, ..Settings::default() }).await;
            let mut all = world.get(V1_USERS).await.ids();
            world.vendor.set_faults(Faults {
                short_page_at: Some(At { offset, times: None }),
                ..Faults::default()
            });
            let answer = world.get(V1_USERS).await;
            let mut ids = answer.ids();
            assert_eq!(answer.status, 200, "{order:?} {offset}: {}", answer.verdict());
            all.sort_unstable();
            ids.sort_unstable();
            assert_eq!(ids, all, "{order:?} {offset}");
        }
    }
}

#[tokio::test]
async fn a_total_that_differs_on_each_page_does_not_hide_a_cut_page() {
    let raw = Raw::start(|head| {
        let (offset, limit) = (head.number_of("offset"), head.number_of("limit"));
        let limit = if offset == 198 { 10 } else { limit };
        let rows: Vec<String> = (1..=250_u64).skip(offset).take(limit).map(user).collect();
        Reply::json(200, page(&rows, 250 + head.number))
    })
    .await;
    expect::rows(&over(&raw).await.get(V1_USERS).await, &(1..=250).collect::<Vec<_>>(), "250");
}

#[tokio::test]
async fn one_row_a_page_is_no_whole_list() {
    let raw = Raw::start(|head| {
        let rows: Vec<String> =
            (1..=60_u64).skip(head.number_of("offset")).take(1).map(user).collect();
        Reply::json(200, page(&rows, 60))
    })
    .await;
    let answer = over(&raw).await.get(V1_USERS).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
}

#[tokio::test]
async fn two_users_of_one_id_are_an_error_by_id_as_well() {
    let raw = Raw::start(|head| {
        let mut rows: Vec<String> = (1..=9).map(user).collect();
        rows.push(user(5).replace("\"name\":\"", "\"name\":\"another "));
        let window = rows.into_iter().skip(head.number_of("offset"));
        Reply::json(200, page(&window.collect::<Vec<_>>(), 10))
    })
    .await;
    let front = over(&raw).await;
    for target in [V1_USERS.to_owned(), format!("{V1_USERS}?id=5")] {
        let answer = front.get(&target).await;
        assert_eq!(answer.verdict(), "502 upstream_bad_id", "{target}");
    }
}

#[tokio::test]
async fn one_short_first_page_does_not_make_every_page_short() {
    let raw = Raw::start(|head| {
        let limit = if head.number == 0 { 2 } else { head.number_of("limit") };
        let rows: Vec<String> =
            (1..=2000_u64).skip(head.number_of("offset")).take(limit).map(user).collect();
        Reply::json(200, page(&rows, 2000))
    })
    .await;
    let front = over(&raw).await;
    expect::rows(&front.get(V1_USERS).await, &(1..=2000).collect::<Vec<_>>(), "a slip");
    assert!(raw.asked() <= 24, "{} requests for 21 pages", raw.asked());
}

#[tokio::test]
async fn a_filter_that_a_firewall_forbids_locks_no_caller_out() {
    let raw = Raw::start(|head| match head.target().contains("script") {
        true => Reply::json(403, "{\"error\":\"Forbidden\"}"),
        false => Reply::page_of(&[1, 2, 3], head),
    })
    .await;
    let front = over(&raw).await;
    let forbidden = format!("{V1_USERS}?{}", query(&[("name", "<script>")]));
    assert_eq!(front.get(&forbidden).await.verdict(), "502 upstream_forbidden");
    expect::rows(&front.get(V1_USERS).await, &[1, 2, 3], "the whole list");
}

#[tokio::test]
async fn a_filter_spelled_as_a_list_is_a_filter() {
    let world = World::new(users(200)).await;
    let expected = world.get(&format!("{V1_USERS}?sag=Agent")).await.ids();
    let all = world.live();
    assert!(!expected.is_empty() && expected.len() < all.len());
    for spelled in ["sag[]", "filter[sag]", "filter[sag][]"] {
        let target = format!("{V1_USERS}?{}", query(&[(spelled, "Agent")]));
        expect::rows(&world.get(&target).await, &expected, spelled);
    }
}

#[tokio::test]
async fn names_of_no_group_cannot_keep_the_upstream_busy() {
    let world = World::new(users(300)).await;
    world.vendor.reset_stats();
    let many = (0..200).map(|number| {
        let target = format!("{V1_USERS}?sag=none{number}");
        let world = &world;
        async move { world.get(&target).await.text() }
    });
    let answers = futures_util::future::join_all(many).await;
    assert!(answers.iter().all(|answer| answer == "[]"));
    // One look-up reads the users once, for every name.
    assert!(world.vendor.stats().users_pages <= 8, "{} pages", world.vendor.stats().users_pages);
}
