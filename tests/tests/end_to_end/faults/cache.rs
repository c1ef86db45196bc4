//! Kept and shared answers while the upstream fails, refuses or changes, and clients insist.
//! The ids in front of the test names are those of the fault list in `docs/ERRORS.md`.

use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use simulator::{Faults, Settings};
use tests::raw::{page, user};
use tests::wire::{Far, Wire, request};
use tests::{BEARER, Front, LEGACY_KEY, V1_USERS, World, config, expect, failing, users};

#[tokio::test]
async fn i05_a_popular_answer_that_grows_old_is_read_once_for_all_clients() {
    let settings = Settings { latency: Duration::from_millis(100), ..users(250) };
    let world = World::with(settings, "", "[cache]\nfresh_for = \"2s\"").await;
    let first = world.get(V1_USERS).await;
    let pages = world.vendor.stats().users_pages;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    world.vendor.reset_stats();
    let started = std::time::SystemTime::now();
    let answers = join_all((0..200).map(|_| world.get(V1_USERS))).await;
    assert!(answers.iter().all(|answer| answer.body == first.body));
    assert!(answers.iter().all(|answer| answer.header("x-tieline-cache") != "stale"));
    // One request starts each reading. The others share it, or come while it is fresh.
    let read = answers.iter().filter(|answer| answer.header("x-tieline-cache").is_empty());
    let read = read.count() as u64;
    assert_eq!(world.vendor.stats().users_pages, read * pages);
    let took = started.elapsed().map_or(u64::MAX, |took| took.as_secs());
    assert!(read <= 1 + took / 2, "{read} readings in {took} s");
}

#[tokio::test]
async fn i07_a_refusal_of_another_question_drops_fresh_answers() {
    for (status, verdict) in [(401, "502 mapped_key_refused"), (403, "502 upstream_forbidden")] {
        let rest = "[cache]\nfresh_for = \"1h\"\nstale_if_error = \"1h\"";
        let world = World::with(users(40), "attempts_max = 1", rest).await;
        world.get(V1_USERS).await;
        assert_eq!(world.get(V1_USERS).await.header("x-tieline-cache"), "hit");
        world.vendor.set_faults(failing(status));
        // This one asks the upstream, which refuses; time zones are not filtered by there.
        let other = format!("{V1_USERS}?timezone=London");
        expect::error(&world.get(&other).await, verdict, "another question");
        expect::error(&world.get(V1_USERS).await, verdict, "what was fresh");
        // Nor does it come back as an old answer while the upstream is down.
        world.vendor.set_faults(failing(500));
        tokio::time::sleep(Duration::from_millis(5_050)).await;
        expect::error(&world.get(V1_USERS).await, "502 upstream_5xx", "afterwards");
        world.vendor.set_faults(Faults::default());
        let answer = world.get(V1_USERS).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-tieline-cache")), (200, "".into()));
    }
}

#[tokio::test]
async fn i08_one_callers_many_questions_evict_no_other_callers_answers() {
    let cache = "[cache]\nfresh_for = \"1h\"\nbytes_max = \"512KiB\"\n".to_owned();
    let rest = cache + &config::another("wall", "second-key", config::EVERYTHING);
    let world = World::with(users(60), "", &rest).await;
    let wall = [("authorization", "Bearer second-key")];
    let theirs: Vec<String> = (0..5).map(|n| format!("{V1_USERS}?caller_id={n}")).collect();
    for target in std::iter::once(V1_USERS).chain(theirs.iter().map(String::as_str)) {
        assert_eq!(world.front.get_with(target, &wall).await.status, 200);
    }
    // Far more than all there is, were it one room for both; each question has another length.
    for number in 0..300 {
        let value = "n".repeat(4000 + number);
        world.get(&format!("{V1_USERS}?caller_id={value}")).await;
    }
    for target in std::iter::once(V1_USERS).chain(theirs.iter().map(String::as_str)) {
        let answer = world.front.get_with(target, &wall).await;
        assert_eq!(answer.header("x-tieline-cache"), "hit", "{target}");
    }
    // Their own first ones had to go.
    world.vendor.reset_stats();
    for number in 0..300 {
        let value = "n".repeat(4000 + number);
        world.get(&format!("{V1_USERS}?caller_id={value}")).await;
    }
    assert!(world.vendor.stats().users_pages > 100, "{:?}", world.vendor.stats().users_pages);
}

#[tokio::test]
async fn i12_head_tags_ranges_and_no_cache_are_answered_by_the_same_answer() {
    let world = World::with(users(150), "", "[cache]\nfresh_for = \"1h\"").await;
    let first = world.get(V1_USERS).await;
    let pages = world.vendor.stats().users_pages;
    let head = world.front.send(Method::HEAD, V1_USERS, &[BEARER]).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    for name in ["content-type", "cache-control", "etag", "vary"] {
        assert_eq!(head.header(name), first.header(name), "{name}");
    }
    assert_eq!(head.header("content-length"), first.body.len().to_string());
    let tag = first.header("etag");
    for method in [Method::GET, Method::HEAD] {
        let headers = [BEARER, ("if-none-match", tag.as_str())];
        let same = world.front.send(method, V1_USERS, &headers).await;
        assert_eq!((same.status.as_u16(), same.header("etag")), (304, tag.clone()));
    }
    // A part of a list is no list.
    for range in ["bytes=0-9", "bytes=-1", "bytes=5-2", "rows=1-2", "bytes=0-0,5-9"] {
        let headers = [BEARER, ("range", range), ("if-range", tag.as_str())];
        let whole = world.front.get_with(V1_USERS, &headers).await;
        assert_eq!(whole.status, 200, "{range}");
        assert!(whole.body == first.body, "{range}");
        for name in ["content-range", "accept-ranges"] {
            assert_eq!(whole.header(name), "", "{range}");
        }
    }
    assert_eq!(world.vendor.stats().users_pages, pages, "all of it was kept");
    // `no-cache` is heard once a second at most: far fewer readings than requests.
    let started = std::time::SystemTime::now();
    let anew = [BEARER, ("pragma", "no-cache"), ("cache-control", "max-age=0")];
    let read = world.front.get_with(V1_USERS, &anew).await;
    assert_eq!((read.header("x-tieline-cache"), read.header("age")), ("".into(), "".into()));
    assert_eq!(world.vendor.stats().users_pages, 2 * pages, "read anew");
    for _ in 0..50 {
        assert_eq!(world.front.get_with(V1_USERS, &anew).await.status, 200);
    }
    let took = started.elapsed().map_or(u64::MAX, |took| took.as_secs());
    let readings = world.vendor.stats().users_pages / pages - 1;
    assert!(readings <= took.saturating_add(2), "{readings} readings in {took} s");
}

#[tokio::test]
async fn g12_not_a_byte_of_a_list_goes_out_before_all_of_it_is_there() {
    // The second page stands still after its first half until the client has waited in vain; then the
    // connection breaks.
    let upstream = Far::start(|mut wire: Wire| async move {
        loop {
            let head = wire.head().await?;
            let (from, rest) = if head.contains("offset=0") { (0, 100) } else { (99, 51) };
            let rows: Vec<String> = (from..from + rest).map(|n| user(n + 1)).collect();
            let body = page(&rows, 150);
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if from == 0 {
                wire.say(head + &body).await?;
                continue;
            }
            wire.say(head + &body[..body.len() / 2]).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            return None;
        }
    })
    .await;
    let front = Front::over(upstream.address, "attempts_max = 1", "").await;
    let mut client = Wire::to(front.running.address).await;
    let asked = client.say(request(&format!("GET {V1_USERS}"), &["connection: close"])).await;
    assert!(asked.is_some());
    assert!(client.is_silent_for(Duration::from_millis(1200)).await, "something was sent already");
    let heard = client.rest().await;
    assert!(heard.starts_with("HTTP/1.1 502 "), "{heard}");
    assert!(heard.contains("upstream_truncated") && !heard.contains("User 1"), "{heard}");
    assert!(!heard.contains(LEGACY_KEY));
    // A whole one has its length in front: what is cut shows.
    let world = World::new(users(250)).await;
    let text = request(&format!("GET {V1_USERS}"), &["connection: close"]);
    let heard = tests::raw::say(world.front.running.address, text.as_bytes()).await;
    let (head, body) = heard.split_once("\r\n\r\n").unwrap_or_default();
    let length = tests::wire::values(head, "content-length");
    assert_eq!(length, [body.len().to_string()]);
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
}
