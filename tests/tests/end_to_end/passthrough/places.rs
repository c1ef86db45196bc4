//! Places for what passes through: no party takes them all, however slow its bodies are, and a body that
//! comes too slowly ends.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::time::Duration;

use tests::wire::{Far, Wire, passing, request, values};
use tests::{Answer, Front, LEGACY_KEY, config, edge_text, expect};
use tokio::time::{Instant, sleep};

const OTHER_KEY: &str = "another-legacy-key";
const PIECE: Duration = Duration::from_millis(50);

/// Answers `GET` at once and a `POST` never; `/half` gets half of an answer.
async fn upstream() -> Far {
    Far::start(|mut wire| async move {
        loop {
            let head = wire.head().await?;
            if head.starts_with("POST ") {
                wire.rest().await;
                return None;
            }
            wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no").await?;
            if head.starts_with("GET /half ") {
                wire.rest().await;
            }
            wire.say("k").await?;
        }
    })
    .await
}

/// A gateway with eight places, so four for each party, and two callers.
async fn shared(upstream: &Far, rules: &str) -> Front {
    let limits = "requests_in_flight_max = 8\n";
    let other = config::another("other", OTHER_KEY, config::EVERYTHING);
    let rules = format!("{limits}{rules}\n[limits]\nqueue_wait_max = \"200ms\"\n{other}");
    passing(upstream.address, &rules).await
}

/// Begins a request with a key, and gives its connection.
async fn begun(front: &Front, line: &str, key: &str) -> Wire {
    let mut wire = Wire::to(front.running.address).await;
    let headers: &[&str] = if line.starts_with("POST ") { &["content-length: 1000"] } else { &[] };
    wire.say(request(line, headers).replace(LEGACY_KEY, key)).await.unwrap();
    wire.say(if headers.is_empty() { "" } else { "x" }).await.unwrap();
    wire
}

/// Waits until a key has no place left for one more request.
async fn until_full(front: &Front, key: &str) {
    for _ in 0..100 {
        let answer = front.get_as(key, "/x").await;
        if answer.status != 200 {
            return expect::error(&answer, "429 tenant_limit", "its share is taken");
        }
        sleep(PIECE).await;
    }
    panic!("{key}: there is still a place");
}

#[tokio::test]
async fn n11_one_callers_slow_bodies_leave_the_others_their_places() {
    let upstream = upstream().await;
    let front = shared(&upstream, "").await;
    for line in ["POST /x", "GET /half"] {
        let mut slow = Vec::new();
        for _ in 0..12 {
            slow.push(begun(&front, line, LEGACY_KEY).await);
        }
        until_full(&front, LEGACY_KEY).await;
        for _ in 0..20 {
            assert_eq!(front.get_as(OTHER_KEY, "/x").await.verdict(), "200 ", "{line}");
        }
        drop(slow);
        let mut verdict = String::new();
        for _ in 0..100 {
            verdict = front.get_as(LEGACY_KEY, "/x").await.verdict();
            if verdict == "200 " {
                break;
            }
            sleep(PIECE).await;
        }
        assert_eq!(verdict, "200 ", "{line}: its places are free again");
    }
}

#[tokio::test]
async fn n11_all_unknown_callers_together_have_one_share() {
    let upstream = upstream().await;
    let rules = "unknown_callers = \"forward\"\nupstream = \"ams\"";
    let front = shared(&upstream, rules).await;
    let mut slow = Vec::new();
    for number in 0..12 {
        slow.push(begun(&front, "POST /x", &format!("nobody-{number}")).await);
    }
    until_full(&front, "yet-another-one").await;
    for key in [LEGACY_KEY, OTHER_KEY] {
        assert_eq!(front.get_as(key, "/x").await.verdict(), "200 ");
    }
}

#[tokio::test]
async fn n11_a_share_is_a_setting_and_has_a_short_queue() {
    let upstream = upstream().await;
    let front = shared(&upstream, "requests_per_caller_max = 1").await;
    let slow = begun(&front, "GET /half", LEGACY_KEY).await;
    until_full(&front, LEGACY_KEY).await;
    let freed = async {
        sleep(PIECE).await;
        drop(slow);
    };
    let (answer, ()) = tokio::join!(front.get_as(LEGACY_KEY, "/x"), freed);
    assert_eq!(answer.verdict(), "200 ", "it waited for the place");
}

/// Sends a byte twenty times a second, until the other side ends it or 80 were sent.
async fn drip(wire: &mut Wire, byte: &str) -> Option<()> {
    for _ in 0..80 {
        wire.say(byte).await?;
        sleep(PIECE).await;
    }
    Some(())
}

#[tokio::test]
async fn n12_a_request_that_trickles_in_is_408_unless_its_route_allows_it() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.exactly(80).await?;
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
    })
    .await;
    let rules = "idle_timeout = \"1s\"\n[[passthrough.route]]\nprefix = \"/slow\"\n\
                 bytes_per_second_min = \"0B\"";
    let front = passing(upstream.address, rules).await;
    for (line, verdict) in [("POST /x", "408 slow_body"), ("POST /slow/x", "200 ")] {
        let mut wire = front.wire(line, &["content-length: 80"]).await;
        drip(&mut wire, "x").await;
        let head = wire.head().await.unwrap();
        assert_eq!(Answer::heard(&head).verdict(), verdict, "{line}: {head}");
    }
}

#[tokio::test]
async fn n12_an_answer_that_trickles_in_is_cut_and_a_stream_of_events_is_not() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        wire.say("HTTP/1.1 200 OK\r\n").await?;
        if head.starts_with("GET /events ") {
            wire.say("content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            drip(&mut wire, "1\r\nx\r\n").await?;
            return wire.say("0\r\n\r\n").await;
        }
        wire.say("content-length: 80\r\n\r\n").await?;
        drip(&mut wire, "x").await
    })
    .await;
    let front = passing(upstream.address, "idle_timeout = \"1s\"").await;
    let mut wire = front.wire("GET /x", &[]).await;
    let head = wire.head().await.unwrap();
    assert_eq!(values(&head, "content-length"), ["80"]);
    assert!(wire.rest().await.len() < 80, "all of it came");
    let cut = "tieline_errors_total{slug=\"upstream_timeout\"}";
    assert_eq!(front.count(cut).await, 1);
    let mut wire = front.wire("GET /events", &[]).await;
    assert!(wire.until("0\r\n\r\n").await.is_some(), "the events came to their end");
    assert_eq!(front.count(cut).await, 1);
}

#[tokio::test]
async fn n12_a_client_that_takes_a_byte_at_a_time_is_cut() {
    const LONG: usize = 64 << 20;
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say_long(LONG).await
    })
    .await;
    let server = "write_timeout = \"500ms\"";
    let front = Front::start(&edge_text(upstream.address, server, "")).await;
    let mut wire = front.wire("GET /x", &[]).await;
    wire.head().await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) && front.rejected("slow_read").await == 0 {
        wire.skip(1).await;
        sleep(PIECE).await;
    }
    assert_eq!(front.rejected("slow_read").await, 1);
}
