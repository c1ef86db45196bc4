//! Answers that fail for a while, for ever or half way: what is asked again, how soon, how often, and
//! what the client is told in the end. The ids in front of the test names are those of the fault list
//! in `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use simulator::{At, Fail, Faults};
use tests::raw::{Raw, Reply};
use tests::{Answer, Front, V1_USERS, World, expect};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Twelve pages, of which the seventh starts here.
const TWELVE_PAGES: usize = 1150;
const SEVENTH: u64 = 6 * 99;

fn fails(status: u16, at_offset: Option<u64>, times: Option<u32>, wait: Option<&str>) -> Faults {
    let retry_after = wait.map(str::to_owned);
    Faults { fail: Some(Fail { at_offset, status, times, retry_after }), ..Faults::default() }
}

/// One request under these faults, how many upstream requests it took, and how long.
async fn under(world: &World, faults: Faults) -> (Answer, u64, Duration) {
    world.vendor.set_faults(faults);
    world.vendor.reset_stats();
    let started = Instant::now();
    let answer = world.get(V1_USERS).await;
    (answer, world.vendor.stats().users_pages, started.elapsed())
}

async fn world(users: usize) -> World {
    World::new(tests::users(users)).await
}

async fn is_whole(world: &World, answer: &Answer, what: &str) {
    expect::rows(answer, &world.live(), what);
}

async fn is_good_again(world: &World) {
    world.vendor.set_faults(Faults::default());
    is_whole(world, &world.get(V1_USERS).await, "afterwards").await;
}

#[tokio::test]
async fn g06_a_page_that_fails_once_costs_one_request() {
    let world = world(TWELVE_PAGES).await;
    for status in [500, 502, 503, 504, 521, 530] {
        let (answer, asked, _) = under(&world, fails(status, Some(SEVENTH), Some(1), None)).await;
        is_whole(&world, &answer, &format!("{status} once")).await;
        assert_eq!(asked, 13, "{status} once");
    }
    is_good_again(&world).await;
}

#[tokio::test]
async fn g07_a_page_that_always_fails_fails_the_list() {
    let world = world(TWELVE_PAGES).await;
    let (answer, asked, _) = under(&world, fails(500, Some(SEVENTH), None, None)).await;
    expect::error(&answer, "502 upstream_5xx", "page 7 of 12");
    assert!(asked <= 12 + 2, "{asked} requests");
    assert_eq!(world.vendor.stats().in_flight, 0, "other pages are dropped");
    is_good_again(&world).await;
}

#[tokio::test]
async fn g08_a_page_that_is_limited_makes_every_page_of_the_caller_wait() {
    // When each request came, and when the 429 was sent.
    let arrivals = Arc::<Mutex<Vec<Instant>>>::default();
    let limited = Arc::<Mutex<Option<Instant>>>::default();
    let (came, told) = (Arc::clone(&arrivals), Arc::clone(&limited));
    let ids: Vec<u64> = (1..=3000).collect();
    let all = ids.clone();
    let raw = Raw::start(move |head| {
        came.lock().unwrap().push(Instant::now());
        let mut told = told.lock().unwrap();
        if head.number_of("offset") as u64 == SEVENTH && told.is_none() {
            *told = Some(Instant::now());
            return Reply::bytes(
                "HTTP/1.1 429 Slow\r\nretry-after: 2\r\ncontent-length: 0\r\n\r\n",
            );
        }
        Reply::page_of(&all, head)
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    expect::rows(&front.get(V1_USERS).await, &ids, "after the pause");
    assert_eq!(raw.asked(), 31 + 1, "31 pages, one of them twice");
    let limited = limited.lock().unwrap().unwrap();
    let after = |arrival: &Instant| arrival.saturating_duration_since(limited);
    let arrivals = arrivals.lock().unwrap();
    let waited = arrivals.iter().filter(|arrival| after(arrival) >= Duration::from_secs(2)).count();
    assert!(waited >= 31 - 6 - 8, "{waited} pages came after the pause");
    // Those in flight when the 429 was on its way could not know.
    let early = |arrival: &&Instant| {
        let after = after(arrival);
        after > Duration::from_millis(700) && after < Duration::from_secs(2)
    };
    assert_eq!(arrivals.iter().filter(early).count(), 0, "pages that did not wait");
}

#[tokio::test]
async fn g08_a_page_limited_for_longer_than_allowed_is_429_at_once() {
    let world = world(TWELVE_PAGES).await;
    let (answer, asked, took) = under(&world, fails(429, Some(SEVENTH), None, Some("120"))).await;
    expect::error(&answer, "429 rate_limited", "two minutes");
    assert_eq!(answer.header("retry-after"), "120");
    assert_eq!(answer.json()["error"], "API rate limit exceeded", "the legacy text");
    assert!(asked <= 12 && took < Duration::from_secs(2), "{asked} requests, {took:?}");
    // The upstream has said when: until then nobody asks it for this caller.
    let (answer, asked, _) = under(&world, Faults::default()).await;
    expect::error(&answer, "429 rate_limited", "still waiting");
    assert_eq!(asked, 0);
}

#[tokio::test]
async fn h01_the_wait_that_an_upstream_asks_for_is_kept() {
    let world = world(50).await;
    let (answer, asked, took) = under(&world, fails(429, None, Some(1), Some("2"))).await;
    is_whole(&world, &answer, "after two seconds").await;
    assert_eq!(asked, 2);
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(5), "{took:?}");
    // Another request of the same caller waits, too.
    world.vendor.set_faults(fails(429, None, Some(1), Some("1")));
    let started = Instant::now();
    let first = async { world.get(V1_USERS).await };
    let second = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.get(V1_USERS).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(started.elapsed() >= Duration::from_secs(1));
    is_whole(&world, &first, "first").await;
    is_whole(&world, &second, "second").await;
}

/// An upstream that answers first with this 429 and then well: what a client gets, and the time
/// between the two requests.
async fn after_429(headers: &str) -> (Answer, usize, Duration) {
    let arrivals = Arc::<Mutex<Vec<Instant>>>::default();
    let came = Arc::clone(&arrivals);
    let limited = format!("HTTP/1.1 429 Slow\r\n{headers}content-length: 0\r\n\r\n");
    let raw = Raw::start(move |head| {
        came.lock().unwrap().push(Instant::now());
        if head.number == 0 { Reply::bytes(&*limited) } else { Reply::page_of(&[1, 2], head) }
    })
    .await;
    let front = Front::over(raw.address, "", "").await;
    let answer = front.get(V1_USERS).await;
    let arrivals = arrivals.lock().unwrap();
    let between = arrivals.last().unwrap().duration_since(arrivals[0]);
    (answer, raw.asked(), between)
}

#[tokio::test]
async fn h02_a_date_counts_from_the_upstreams_own_clock() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let cases = [
        ("one second ahead", "Sun, 06 Nov 1994 08:49:38 GMT", 1.0..4.0),
        ("past", "Sun, 06 Nov 1994 08:49:30 GMT", 0.0..1.0),
        ("1970", "Thu, 01 Jan 1970 00:00:00 GMT", 0.0..1.0),
    ];
    for (what, then, expected) in cases {
        let (answer, asked, between) = after_429(&format!("{date}retry-after: {then}\r\n")).await;
        expect::rows(&answer, &[1, 2], what);
        assert!(expected.contains(&between.as_secs_f64()), "{what}: {between:?}");
        assert_eq!(asked, 2, "{what}");
    }
    let far = format!("{date}retry-after: Sun, 06 Nov 1994 10:49:37 GMT\r\n");
    let (answer, asked, _) = after_429(&far).await;
    expect::error(&answer, "429 rate_limited", "two hours");
    assert_eq!((answer.header("retry-after").as_str(), asked), ("3600", 1), "no more than an hour");
}

#[tokio::test]
async fn h03_a_wait_that_makes_no_sense_is_ignored_and_a_huge_one_is_capped() {
    for nonsense in ["-5", "soon", "2, 5", "2.5", "", "1e9", "+3", "0x10"] {
        let (answer, asked, between) = after_429(&format!("retry-after: {nonsense}\r\n")).await;
        expect::rows(&answer, &[1, 2], nonsense);
        assert_eq!(asked, 2, "{nonsense}");
        assert!(between < Duration::from_millis(900), "{nonsense}: jitter, but {between:?}");
    }
    for huge in ["1000000000", "3601", "99999999999999999999999999"] {
        let (answer, asked, _) = after_429(&format!("retry-after: {huge}\r\n")).await;
        expect::error(&answer, "429 rate_limited", huge);
        assert_eq!((answer.header("retry-after").as_str(), asked), ("3600", 1), "{huge}");
    }
    let (answer, asked, _) = after_429("retry-after: 0\r\n").await;
    expect::rows(&answer, &[1, 2], "0");
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn h04_a_limit_without_a_wait_is_tried_three_times() {
    let world = world(50).await;
    let (answer, asked, took) = under(&world, fails(429, None, None, None)).await;
    expect::error(&answer, "429 rate_limited", "always");
    assert_eq!((answer.header("retry-after").as_str(), asked), ("1", 3));
    assert!(took < Duration::from_secs(4), "at most 250 ms and 1 s of waiting, {took:?}");
    for times in [1, 2] {
        let (answer, asked, _) = under(&world, fails(429, None, Some(times), None)).await;
        is_whole(&world, &answer, "in the end").await;
        assert_eq!(asked, u64::from(times) + 1);
    }
}

#[tokio::test]
async fn h05_a_failing_upstream_is_tried_three_times_and_503_stays_503() {
    let mut all = JoinSet::new();
    for status in [500, 502, 504, 520, 521, 530, 599] {
        all.spawn(async move {
            let world = world(50).await;
            let (answer, asked, _) = under(&world, fails(status, None, None, None)).await;
            expect::error(&answer, "502 upstream_5xx", &format!("{status}"));
            assert_eq!(asked, 3, "{status}");
            is_good_again(&world).await;
        });
    }
    for (wait, told, requests) in [(None, "1", 3), (Some("1"), "1", 3), (Some("120"), "120", 1)] {
        all.spawn(async move {
            let world = world(50).await;
            let (answer, asked, _) = under(&world, fails(503, None, None, wait)).await;
            expect::error(&answer, "503 upstream_unavailable", "503");
            assert_eq!((answer.header("retry-after").as_str(), asked), (told, requests));
            is_good_again(&world).await;
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn h06_an_answer_that_will_not_change_is_not_asked_for_again() {
    let world = world(50).await;
    for status in [400, 404, 405, 406, 408, 409, 410, 422, 501, 505] {
        let (answer, asked, _) = under(&world, fails(status, None, None, None)).await;
        expect::error(&answer, "502 upstream_refused_call", &format!("{status}"));
        assert_eq!(asked, 1, "{status}");
    }
    let redirect = Faults { redirect: true, ..Faults::default() };
    let (answer, asked, _) = under(&world, redirect).await;
    expect::error(&answer, "502 upstream_redirect", "a redirect");
    assert_eq!(asked, 1, "a redirect is not followed");
    is_good_again(&world).await;
}

#[tokio::test]
async fn f20_a_refused_filter_is_the_clients_and_any_other_refusal_ours() {
    let world = world(50).await;
    for (status, verdict) in [
        (400, "400 bad_filter"),
        (422, "400 bad_filter"),
        (404, "502 upstream_refused_call"),
        (406, "502 upstream_refused_call"),
        (409, "502 upstream_refused_call"),
    ] {
        world.vendor.set_faults(fails(status, None, None, None));
        let answer = world.get(&format!("{V1_USERS}?name=Jane")).await;
        expect::error(&answer, verdict, &format!("{status} with a filter"));
        // A parameter that is not sent upstream cannot be the refused one.
        let answer = world.get(&format!("{V1_USERS}?timezone=Istanbul")).await;
        expect::error(&answer, "502 upstream_refused_call", &format!("{status} without one"));
    }
    is_good_again(&world).await;
}

#[tokio::test]
async fn e10_a_page_that_breaks_off_is_asked_for_again() {
    let world = world(250).await;
    for offset in [0, 99, 198] {
        let truncate_body_at = Some(At { offset, times: Some(1) });
        let faults = Faults { truncate_body_at, ..Faults::default() };
        let (answer, asked, _) = under(&world, faults).await;
        is_whole(&world, &answer, &format!("cut once at {offset}")).await;
        assert_eq!(asked, 4, "cut once at {offset}");
    }
    let truncate_body_at = Some(At { offset: 99, times: None });
    let (answer, asked, _) = under(&world, Faults { truncate_body_at, ..Faults::default() }).await;
    expect::error(&answer, "502 upstream_truncated", "always cut");
    assert!(asked <= 3 + 2, "always cut: {asked} requests");
    is_good_again(&world).await;
}

#[tokio::test]
async fn e10_wherever_an_answer_breaks_off_the_list_is_whole_or_an_error() {
    let ids: Vec<u64> = (1..=250).collect();
    let probe = Raw::start({
        let ids = ids.clone();
        move |head| Reply::page_of(&ids, head)
    })
    .await;
    let front = Front::over(probe.address, "", "").await;
    expect::rows(&front.get(V1_USERS).await, &ids, "uncut");
    let length = Reply::page_of(&ids, &probe.heads()[1]).len();
    let mut all = JoinSet::new();
    // Inside the status line, the headers, at their end, inside the body, before its last byte.
    let places = [0, 1, 8, 12, 40, 60, 80, 85, 90, 100, 500, length / 2, length - 2, length - 1];
    for (index, place) in places.into_iter().enumerate() {
        let ids = ids.clone();
        all.spawn(async move {
            let seen = ids.clone();
            let raw = Raw::start(move |head| {
                let page = Reply::page_of(&seen, head);
                match (head.number, index % 2) {
                    (1, 0) => page.cut_at(place),
                    (1, _) => page.cut_at(place).reset(),
                    _ => page,
                }
            })
            .await;
            let front = Front::over(raw.address, "", "").await;
            expect::rows(&front.get(V1_USERS).await, &ids, &format!("cut at byte {place}"));
            assert_eq!(raw.asked(), 4, "cut at byte {place}");
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn e10_an_answer_without_a_length_that_breaks_off_is_never_a_list() {
    // Only the end of the connection ends such a body, so that it broke off shows in the JSON alone.
    let page = tests::raw::page(&[tests::raw::user(1), tests::raw::user(2)], 2);
    for cut in [0, 1, page.len() / 2, page.len() - 2, page.len() - 1] {
        let body = page[..cut].to_owned();
        let raw = Raw::start(move |_| {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            Reply::bytes(format!("{head}{body}")).closed()
        })
        .await;
        let front = Front::over(raw.address, "", "").await;
        let answer = front.get(V1_USERS).await;
        expect::error(&answer, "502 upstream_bad_json", &format!("cut at byte {cut}"));
    }
}
