//! The cost of a failing upstream and of a long list: retries, upstreams that are left alone, lists that
//! cannot be read in time, and requests that are never sent twice. The ids in front of the test
//! names are those of `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tests::raw::{Raw, Reply};
use tests::wire::{Far, Wire, passing, request};
use tests::{Front, V1_USERS, config_text, expect};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// An upstream that fails for as long as it is told to.
async fn failing(is_down: &Arc<AtomicBool>) -> Raw {
    let is_down = Arc::clone(is_down);
    Raw::start(move |head| match is_down.load(Ordering::SeqCst) {
        true => Reply::json(503, "{}"),
        false => Reply::page_of(&[1, 2], head),
    })
    .await
}

/// Sends `count` different requests, `at_once` at a time; none of them gets a list.
async fn many(front: &Arc<Front>, from: usize, count: usize, at_once: usize) {
    let (next, mut all) = (Arc::new(AtomicUsize::new(from)), JoinSet::new());
    for _ in 0..at_once {
        let (front, next) = (Arc::clone(front), Arc::clone(&next));
        all.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= from + count {
                    return;
                }
                let answer = front.get(&format!("{V1_USERS}?name=n{number}")).await;
                expect::error(&answer, "503 upstream_unavailable", "503 to all");
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn h07_an_upstream_that_fails_for_all_is_hardly_asked_more_than_when_all_is_well() {
    const WARM_UP: usize = 100;
    const COUNT: usize = 400;
    let is_down = Arc::new(AtomicBool::new(true));
    let upstream = failing(&is_down).await;
    let front = Arc::new(Front::over(upstream.address, "", "").await);
    many(&front, 0, WARM_UP, 16).await;
    let before = upstream.asked();
    many(&front, WARM_UP, COUNT, 16).await;
    let asked = upstream.asked() - before;
    assert!(asked * 10 <= COUNT * 11, "{asked} attempts for {COUNT} requests");

    // The budgets alone, without leaving the upstream alone: a fifth, and some for a quiet start.
    let upstream = failing(&is_down).await;
    let text = config_text(upstream.address, "breaker_failures_min = 0", "");
    let front = Arc::new(Front::start(&text).await);
    many(&front, 0, COUNT, 16).await;
    let asked = upstream.asked();
    // Requests that are over ten seconds old on a busy machine buy nothing: the bound only sinks.
    assert!((COUNT..=COUNT + COUNT / 5 + 60).contains(&asked), "{asked} attempts for {COUNT}");
    let mut of_one = BTreeMap::<String, usize>::new();
    for head in upstream.heads() {
        *of_one.entry(head.target().to_owned()).or_default() += 1;
    }
    assert_eq!(of_one.len(), COUNT);
    assert!(of_one.values().all(|times| *times <= 3), "three attempts for any one");
    let told = "tieline_retry_budget_exhausted_total{budget=\"caller\"}";
    assert!(front.count(told).await > 0);
}

#[tokio::test]
async fn an_upstream_that_fails_is_left_alone_and_tried_again() {
    const STATE: &str = "tieline_breaker_state{upstream=\"ams\"}";
    let is_down = Arc::new(AtomicBool::new(true));
    let upstream = failing(&is_down).await;
    let rest = "[passthrough]\nenabled = true\n";
    let more = "breaker_failures_min = 20\nbreaker_open_for = \"2s\"\nattempts_max = 1";
    let front = Arc::new(Front::over(upstream.address, more, rest).await);
    many(&front, 0, 19, 1).await;
    assert_eq!((upstream.asked(), front.count(STATE).await), (19, 0));
    many(&front, 19, 1, 1).await;
    assert_eq!((upstream.asked(), front.count(STATE).await), (20, 2));
    let answer = front.get(V1_USERS).await;
    expect::error(&answer, "503 upstream_unavailable", "left alone");
    assert!(["1", "2"].contains(&answer.header("retry-after").as_str()));
    assert_eq!(upstream.asked(), 20, "not asked");
    // Passthrough never notices.
    assert_eq!(front.get("/api/v4/other").await.status, 503);
    assert_eq!(upstream.asked(), 21);
    // Still failing when it is tried: left alone once more.
    sleep(Duration::from_millis(2100)).await;
    assert_eq!(front.count(STATE).await, 1);
    many(&front, 100, 5, 1).await;
    assert!(upstream.asked() <= 24, "one request tries: {}", upstream.asked());
    is_down.store(false, Ordering::SeqCst);
    sleep(Duration::from_millis(2100)).await;
    expect::rows(&front.get(V1_USERS).await, &[1, 2], "mended");
    assert_eq!(front.count(STATE).await, 0);
}

#[tokio::test]
async fn refusals_and_limits_never_leave_an_upstream_alone() {
    let status = Arc::new(AtomicUsize::new(429));
    let said = Arc::clone(&status);
    let upstream = Raw::start(move |head| match said.load(Ordering::SeqCst) {
        200 => Reply::page_of(&[1], head),
        status => Reply::json(status as u16, "{}"),
    })
    .await;
    let more = "breaker_failures_min = 1\nattempts_max = 1";
    let front = Front::over(upstream.address, more, "").await;
    for refused in [429, 404, 400, 501] {
        status.store(refused, Ordering::SeqCst);
        for number in 0..3 {
            // After a 429 without a time the caller pauses for a moment.
            let answer = front.get(&format!("{V1_USERS}?timezone=n{number}")).await;
            assert_ne!(answer.header("x-tieline-error"), "upstream_unavailable", "{refused}");
        }
    }
    status.store(200, Ordering::SeqCst);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
}

#[tokio::test]
async fn a_list_that_cannot_be_read_in_time_is_refused_after_its_first_page() {
    let ids: Vec<u64> = (1..=12_000).collect();
    let upstream = Raw::start(move |head| {
        // How long the list is, the request says: a narrowed one is shorter.
        let rows = if head.target().contains("short") { 5_000 } else { ids.len() };
        Reply::page_of(&ids[..rows], head)
    })
    .await;
    // 60 places at once, and four a second: 100 pages in 10 s.
    let more = "requests_per_minute_max = 240";
    let rest = "[limits]\nrequest_deadline = \"10s\"\n";
    let front = Front::over(upstream.address, more, rest).await;
    let started = Instant::now();
    let answer = front.get(V1_USERS).await;
    expect::error(&answer, "429 rate_limited", "122 pages never fit");
    assert_eq!((upstream.asked(), answer.header("retry-after").as_str()), (1, "3600"));
    assert!(started.elapsed() < Duration::from_secs(8), "at once: {:?}", started.elapsed());
    // 51 pages fit at first, and then not for a while.
    let answer = front.get(&format!("{V1_USERS}?name=short")).await;
    assert_eq!(answer.verdict(), "200 ");
    let asked = upstream.asked();
    assert_eq!(asked, 1 + 51);
    let answer = front.get(&format!("{V1_USERS}?email=short")).await;
    expect::error(&answer, "429 rate_limited", "51 more");
    assert_eq!(upstream.asked(), asked + 1, "after one request");
    let told: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=15).contains(&told), "{told} s: 51 places are back in 13 s at most");
}

#[tokio::test]
async fn g09_a_client_that_leaves_is_499_and_its_reading_is_there_for_others() {
    let ids: Vec<u64> = (1..=1000).collect();
    let (all, gate) = (ids.clone(), Arc::new(tokio::sync::Semaphore::new(3)));
    let open = Arc::clone(&gate);
    let upstream = Far::start(move |mut wire| {
        let (ids, gate) = (all.clone(), Arc::clone(&open));
        async move {
            loop {
                let head = wire.asked().await?;
                gate.acquire().await.ok()?.forget();
                wire.say(Reply::page_of(&ids, &head)).await?;
            }
        }
    })
    .await;
    let front = Front::over(upstream.address, "pages_in_flight_max = 1", "").await;
    let wire = front.wire(&format!("GET {V1_USERS}"), &[]).await;
    let started = Instant::now();
    while gate.available_permits() > 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "three pages");
        sleep(Duration::from_millis(5)).await;
    }
    drop(wire);
    let left = "tieline_requests_total{caller=\"crm\",endpoint=\"v1_users\",status=\"499\"}";
    while !front.admin("/metrics").await.text().contains(left) {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody noticed");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(front.count(left).await, 1);
    // An equal request now joins the reading: 11 pages in all, none of them twice.
    gate.add_permits(8);
    expect::rows(&front.get(V1_USERS).await, &ids, "for the next one");
    assert_eq!(gate.available_permits(), 0);
}

#[tokio::test]
async fn e01_e11_an_upstream_that_is_not_there_or_says_nothing_is_asked_three_times() {
    let gone = Raw::start(|_| Reply::json(200, "{}")).await.address;
    let front = Front::over(gone, "", "").await;
    expect::error(&front.get(V1_USERS).await, "502 upstream_connect", "nobody listens");
    let tried = "tieline_upstream_requests_total{outcome=\"upstream_connect\",upstream=\"ams\"}";
    assert_eq!(front.count(tried).await, 3);
    let body = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    for said in ["", body] {
        let upstream = Raw::start(move |_| Reply::bytes(said)).await;
        let more = "attempt_timeout = \"300ms\"";
        let front = Front::over(upstream.address, more, "").await;
        expect::error(&front.get(V1_USERS).await, "504 upstream_timeout", said);
        assert_eq!(upstream.asked(), 3, "{said}");
    }
}

#[tokio::test]
async fn g10_a_deadline_in_the_middle_of_a_list_is_504_and_never_a_part_of_it() {
    let ids: Vec<u64> = (1..=1200).collect();
    let upstream = Far::start(move |mut wire| {
        let ids = ids.clone();
        async move {
            loop {
                let head = wire.asked().await?;
                // The ninth page never comes.
                if head.number_of("offset") >= 8 * 99 {
                    return wire.head().await.map(drop);
                }
                wire.say(Reply::page_of(&ids, &head)).await?;
            }
        }
    })
    .await;
    let rest = "[limits]\nrequest_deadline = \"2s\"\n";
    let front = Front::over(upstream.address, "pages_in_flight_max = 1", rest).await;
    let started = Instant::now();
    let answer = front.get(V1_USERS).await;
    expect::error(&answer, "504 upstream_timeout", "the ninth page");
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
}

#[tokio::test]
async fn g11_fifty_thousand_users_are_answered_and_a_list_above_the_cap_is_413() {
    let ids: Arc<Vec<u64>> = Arc::new((1..=50_000).collect());
    let all = Arc::clone(&ids);
    let upstream = Raw::start(move |head| Reply::page_of(&all, head)).await;
    // Only so that a slow machine has the time; every cap is the default.
    let rest = "[limits]\nrequest_deadline = \"300s\"\n";
    let front = Front::over(upstream.address, "", rest).await;
    expect::rows(&front.get(V1_USERS).await, &ids, "fifty thousand");
    assert_eq!(upstream.asked(), 50_000_usize.div_ceil(99));

    let ids: Vec<u64> = (1..=20_001).collect();
    let upstream = Raw::start(move |head| Reply::page_of(&ids, head)).await;
    let front = Front::over(upstream.address, "rows_max = 20000", "").await;
    let answer = front.get(V1_USERS).await;
    expect::error(&answer, "413 result_too_large", "20001 rows");
    assert_eq!(answer.json()["error"], "The list has more than 20000 rows");
    assert_eq!(upstream.asked(), 1);
}

/// Writes a `POST` and gives what comes back, to its end.
async fn post(front: &Front, target: &str, headers: &[&str], body: &[u8]) -> String {
    let mut wire = Wire::to(front.running.address).await;
    let length = format!("content-length: {}", body.len());
    let headers: Vec<&str> =
        headers.iter().copied().chain([length.as_str(), "connection: close"]).collect();
    wire.say(request(&format!("POST {target}"), &headers)).await.unwrap();
    // An early answer may leave a part of the request unread.
    let _ = wire.say(body).await;
    wire.rest().await
}

#[tokio::test]
async fn h08_a_post_that_is_reset_anywhere_is_sent_once() {
    let full = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"sent\":true}".to_vec();
    let head = full.len() - b"{\"sent\":true}".len();
    let mut all = JoinSet::new();
    for cut in (0..=full.len()).step_by(7).chain([full.len() - 1, full.len()]) {
        let full = full.clone();
        all.spawn(async move {
            let ledger = Arc::<AtomicUsize>::default();
            let (noted, bytes) = (Arc::clone(&ledger), full[..cut].to_vec());
            let upstream = Far::start(move |mut wire| {
                let (noted, bytes) = (Arc::clone(&noted), bytes.clone());
                async move {
                    wire.head().await?;
                    wire.exactly(7).await?;
                    noted.fetch_add(1, Ordering::SeqCst);
                    wire.say(bytes).await
                }
            })
            .await;
            let front = passing(upstream.address, "").await;
            let got = post(&front, "/api/v2/sendsms", &[], b"to=1234").await;
            let is_whole = got.starts_with("HTTP/1.1 200") && got.ends_with("{\"sent\":true}");
            assert_eq!(is_whole, cut == full.len(), "cut at {cut}: {got}");
            let is_error =
                got.starts_with("HTTP/1.1 502") && got.contains("x-tieline-error: outcome_unknown");
            assert_eq!(is_error, cut < head, "cut at {cut}: {got}");
            assert_eq!(ledger.load(Ordering::SeqCst), 1, "cut at {cut}");
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn h09_a_call_that_is_placed_by_a_get_is_placed_once() {
    let upstream = Raw::start(|_| Reply::bytes("").reset()).await;
    let front = passing(upstream.address, "").await;
    for count in 1..=3 {
        let answer = front.get("/api/v1/click2call?number=1234").await;
        expect::error(&answer, "502 upstream_reset", "reset behind the request");
        assert_eq!(upstream.asked(), count, "one for each of the client's own");
    }
}

#[tokio::test]
async fn h10_h11_posts_are_the_clients_own_to_repeat() {
    const LONG: usize = 20 << 20;
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        let length = tests::wire::values(&head, "content-length").first()?.parse().ok()?;
        assert_eq!(wire.skip(length).await, length);
        let key = tests::wire::values(&head, "idempotency-key").join("+");
        let lines = format!("x-key: {key}\r\nretry-after: 7\r\ncontent-length: 2\r\n");
        wire.say(format!("HTTP/1.1 503 Busy\r\n{lines}\r\n{{}}")).await
    })
    .await;
    let front = passing(upstream.address, "").await;
    let body = vec![b'x'; LONG];
    for count in 1..=2 {
        let got = post(&front, "/api/v2/lead", &["idempotency-key: k-1"], &body).await;
        assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
        let got = got.to_ascii_lowercase();
        assert!(got.contains("x-key: k-1\r\n") && got.contains("retry-after: 7\r\n"), "{got}");
        assert!(!got.contains("x-tieline-error"), "the upstream's own");
        assert_eq!(upstream.connections(), count, "one for each of the client's own");
    }
}
