//! One reading for many: equal requests share it, clients that leave disturb nobody, kept answers
//! are never another caller's, and a client that has an answer is told so.

use std::time::Duration;

use futures_util::future::join_all;
use simulator::{Faults, Settings};
use tests::{Front, LEGACY_KEY, V1_USERS, World, config, failing, users, vendor};

fn slow(users: usize) -> Settings {
    Settings { users, latency: Duration::from_millis(60), ..Settings::default() }
}

/// A second caller with the same v4 key that sees less.
fn second(sees: &str) -> String {
    config::another("wall", "second-key", sees)
}

const WALL: [(&str, &str); 1] = [("authorization", "Bearer second-key")];

#[tokio::test]
async fn equal_requests_share_one_reading_and_others_do_not() {
    let world = World::with(slow(450), "", &second("{ groups = [\"Agent\"] }")).await;
    let alone = world.get(V1_USERS).await;
    let pages = world.vendor.stats().users_pages;
    world.vendor.reset_stats();
    let answers = join_all((0..30).map(|_| world.get(V1_USERS))).await;
    assert!(answers.iter().all(|answer| answer.body == alone.body));
    assert_eq!(world.vendor.stats().users_pages, pages);
    let shared = answers.iter().filter(|answer| answer.header("x-tieline-cache") == "shared");
    assert_eq!(shared.count(), 29);
    // Nothing is kept: the next one asks again.
    assert_eq!(world.get(V1_USERS).await.header("x-tieline-cache"), "");
    assert_eq!(world.vendor.stats().users_pages, 2 * pages);
    // Questions are equal that ask for the same, in any spelling.
    world.vendor.reset_stats();
    let spelled = ["?name=Ann&email=", "?filter[name]=Ann", "?foo=1&name=Ann"];
    let targets = spelled.map(|query| format!("{V1_USERS}{query}"));
    join_all(targets.iter().map(|target| world.get(target))).await;
    assert_eq!(world.vendor.stats().users_pages, 1);
    world.vendor.reset_stats();
    let (all, few) = tokio::join!(world.get(V1_USERS), world.front.get_with(V1_USERS, &WALL));
    assert_eq!(world.vendor.stats().users_pages, 2 * pages);
    assert!(few.ids().len() < all.ids().len() && !few.ids().is_empty());
    assert_eq!(few.header("x-tieline-cache"), "");
}

#[tokio::test]
async fn a_client_that_leaves_stops_no_reading_that_others_wait_for() {
    let world = World::new(slow(450)).await;
    for _ in 0..10 {
        world.vendor.reset_stats();
        {
            let leaving = world.get(V1_USERS);
            assert!(tokio::time::timeout(Duration::from_millis(30), leaving).await.is_err());
        }
        let staying = world.get(V1_USERS).await;
        assert_eq!(staying.status, 200);
        assert_eq!(staying.header("x-tieline-cache"), "shared");
    }
}

#[tokio::test]
async fn a_failed_reading_fails_for_all_clients_that_wait_and_is_not_kept() {
    let world = World::with(slow(200), "attempts_max = 1", "").await;
    world.vendor.set_faults(failing(500));
    let answers = join_all((0..5).map(|_| world.get(V1_USERS))).await;
    assert!(answers.iter().all(|answer| answer.verdict() == "502 upstream_5xx"));
    world.vendor.set_faults(Faults::default());
    assert_eq!(world.get(V1_USERS).await.status, 200);
}

#[tokio::test]
async fn kept_answers_serve_while_fresh_and_tell_their_age() {
    let world = World::with(users(250), "", "[cache]\nfresh_for = \"1s\"").await;
    let first = world.get(V1_USERS).await;
    assert_eq!(
        (first.header("x-tieline-cache"), first.header("age")),
        (String::new(), String::new())
    );
    let pages = world.vendor.stats().users_pages;
    let again = world.get(V1_USERS).await;
    assert_eq!(again.body, first.body);
    assert_eq!(
        (again.header("x-tieline-cache").as_str(), again.header("age").as_str()),
        ("hit", "0")
    );
    assert_eq!(world.vendor.stats().users_pages, pages);
    let id = first.ids()[0];
    assert!(world.vendor.rename_user(id, "Somebody Else"));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let later = world.get(V1_USERS).await;
    assert_eq!(later.header("x-tieline-cache"), "");
    assert!(later.text().contains("Somebody Else"));
}

#[tokio::test]
async fn i06_an_old_answer_is_given_where_the_upstream_fails_but_never_where_it_refuses() {
    let settings = "[cache]\nfresh_for = \"50ms\"\nstale_if_error = \"60s\"";
    let world = World::with(users(120), "attempts_max = 1", settings).await;
    let good = world.get(V1_USERS).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    for status in [500, 503, 429] {
        world.vendor.set_faults(failing(status));
        let stale = world.get(V1_USERS).await;
        assert_eq!((stale.status.as_u16(), stale.header("x-tieline-cache")), (200, "stale".into()));
        assert_eq!(stale.body, good.body);
        assert!(!stale.header("age").is_empty());
        // A list that was never read has no old answer.
        assert_ne!(world.get(&format!("{V1_USERS}?name=x{status}")).await.status, 200);
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    world.vendor.set_faults(failing(401));
    assert_eq!(world.get(V1_USERS).await.verdict(), "502 mapped_key_refused");
    // A refusal drops everything of this caller: no failure brings it back.
    tokio::time::sleep(Duration::from_millis(5100)).await;
    world.vendor.set_faults(failing(500));
    assert_eq!(world.get(V1_USERS).await.verdict(), "502 upstream_5xx");
}

#[tokio::test]
async fn kept_answers_are_each_callers_own() {
    let rest = format!("{}[cache]\nfresh_for = \"60s\"", second("{ groups = [\"Agent\"] }"));
    let world = World::with(users(250), "", &rest).await;
    let all = world.get(V1_USERS).await.ids().len();
    for _ in 0..2 {
        let few = world.front.get_with(V1_USERS, &WALL).await.ids().len();
        assert!(few > 0 && few < all);
        assert_eq!(world.get(V1_USERS).await.ids().len(), all);
    }
}

#[tokio::test]
async fn i09_more_than_the_bytes_allow_is_not_kept() {
    let rest = "[cache]\nfresh_for = \"60s\"\nbytes_max = \"64KiB\"";
    let world = World::with(users(400), "", rest).await;
    for _ in 0..3 {
        let answer = world.get(V1_USERS).await;
        assert!(answer.body.len() > 64 << 10);
        assert_eq!(answer.header("x-tieline-cache"), "");
    }
    let few = format!("{V1_USERS}?sag=Agent&name=nobody");
    world.get(&few).await;
    assert_eq!(world.get(&few).await.header("x-tieline-cache"), "hit");
}

#[tokio::test]
async fn a_client_that_has_the_answer_gets_304_and_a_new_tag_when_it_changes() {
    let world = World::new(users(150)).await;
    let first = world.get(V1_USERS).await;
    let tag = first.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");
    let bearer = format!("Bearer {LEGACY_KEY}");
    let ask = async |tags: &str| {
        let headers = [("authorization", bearer.as_str()), ("if-none-match", tags)];
        world.front.get_with(V1_USERS, &headers).await
    };
    for tags in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let same = ask(&tags).await;
        assert_eq!((same.status.as_u16(), same.body.len()), (304, 0), "{tags}");
        assert_eq!(same.header("etag"), tag);
        assert_eq!(same.header("content-type"), "");
    }
    for tags in ["\"x\"", "", "x"] {
        assert_eq!(ask(tags).await.status, 200, "{tags}");
    }
    world.vendor.rename_user(first.ids()[0], "Another Name");
    let changed = ask(&tag).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), tag);
    // An error has no tag, and a tag makes no error a success.
    world.vendor.set_faults(failing(401));
    let refused = ask("*").await;
    assert_eq!((refused.status.as_u16(), refused.header("etag")), (502, String::new()));
}

#[tokio::test]
async fn d09_many_callers_at_once_read_once_each() {
    let (simulator, address, _guard) = vendor(slow(250)).await;
    let front = Front::over(address, "", &second("\"everything\"")).await;
    let bearer = format!("Bearer {LEGACY_KEY}");
    let ours = [("authorization", bearer.as_str())];
    let requests = (0..40).map(|index| {
        let headers = if index % 2 == 0 { &ours } else { &WALL };
        front.get_with(V1_USERS, headers)
    });
    for answer in join_all(requests).await {
        assert_eq!(answer.ids().len(), simulator.legacy_users(&[]).len());
    }
    assert_eq!(simulator.stats().users_pages, 2 * 3);
}
