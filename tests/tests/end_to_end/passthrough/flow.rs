//! Bodies on their way through: both ways, of any length, at the pace of the slower side, and never
//! longer silent than allowed.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tests::raw::{Raw, Reply};
use tests::wire::{Far, Wire, passing, request, values};
use tests::{LEGACY_KEY, nowhere};
use tokio::time::{Instant, sleep, timeout};

const MIB: usize = 1 << 20;
const LONG: usize = 64 * MIB;
const CHUNKED: &str = "transfer-encoding: chunked";

/// What this process holds, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) * 1024
}

#[tokio::test]
async fn sixty_four_mebibytes_go_both_ways_at_constant_memory() {
    let name = "sixty_four_mebibytes_go_both_ways_at_constant_memory";
    if !tests::alone::is_alone(module_path!(), name) {
        return;
    }
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        assert_eq!(values(&head, "content-length"), [LONG.to_string()]);
        assert_eq!(wire.skip(LONG).await, LONG);
        wire.say_long(LONG).await
    })
    .await;
    let front = passing(upstream.address, "").await;
    let before = resident();
    let mut wire = front.wire("POST /x", &[&format!("content-length: {LONG}")]).await;
    let (mut peak, piece) = (0, vec![b'y'; 64 << 10]);
    for at in 0..LONG / piece.len() {
        wire.say(&piece).await.unwrap();
        if at % 64 == 0 {
            peak = peak.max(resident());
        }
    }
    let head = wire.head().await.unwrap();
    assert_eq!(values(&head, "content-length"), [LONG.to_string()]);
    for _ in 0..LONG / (4 * MIB) {
        assert_eq!(wire.skip(4 * MIB).await, 4 * MIB);
        peak = peak.max(resident());
    }
    let grown = peak.saturating_sub(before);
    assert!(grown < 24 * MIB, "{} MiB more than before", grown / MIB);
}

#[tokio::test]
async fn a_slow_reader_stops_the_upstreams_writer() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let upstream = Far::start(move |mut wire| {
        let count = Arc::clone(&count);
        async move {
            wire.head().await?;
            wire.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {LONG}\r\n\r\n")).await?;
            let piece = vec![b'x'; 64 << 10];
            for _ in 0..LONG / piece.len() {
                wire.say(&piece).await?;
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
            None
        }
    })
    .await;
    let front = passing(upstream.address, "").await;
    let mut wire = front.wire("GET /x", &[]).await;
    wire.head().await.unwrap();
    let stopped_at = stands_still(&written).await;
    assert!(stopped_at < LONG / 2, "{} MiB were written to nobody", stopped_at / MIB);
    assert_eq!(wire.skip(LONG).await, LONG, "and all of it comes when it is read");
}

#[tokio::test]
async fn a_slow_upstream_stops_the_clients_writer() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        sleep(Duration::from_secs(3)).await;
        assert_eq!(wire.skip(LONG).await, LONG);
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
    })
    .await;
    let front = passing(upstream.address, "").await;
    let mut wire = front.wire("POST /x", &[&format!("content-length: {LONG}")]).await;
    let piece = vec![b'x'; 64 << 10];
    let (mut sent, begun) = (0, Instant::now());
    while begun.elapsed() < Duration::from_secs(2) {
        match timeout(Duration::from_millis(500), wire.say(&piece)).await {
            Ok(said) => said.unwrap(),
            // Half a piece may have gone; what is written next must only have the right length.
            Err(_) => break,
        }
        sent += piece.len();
    }
    assert!(sent < LONG / 2, "{} MiB were taken for nobody", sent / MIB);
}

/// Where a count stops for half a second.
async fn stands_still(count: &AtomicUsize) -> usize {
    let mut last = usize::MAX;
    for _ in 0..40 {
        sleep(Duration::from_millis(500)).await;
        let now = count.load(Ordering::SeqCst);
        if now == last && now > 0 {
            break;
        }
        last = now;
    }
    last
}

#[tokio::test]
async fn pieces_go_on_as_they_come() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        assert_eq!(values(&head, "transfer-encoding"), ["chunked"]);
        wire.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        for _ in 0..3 {
            let piece = wire.until("!\r\n").await?;
            let piece = piece.split("\r\n").nth(1)?.to_owned();
            wire.say(format!("{:x}\r\n{piece}\r\n", piece.len())).await?;
        }
        wire.until("0\r\n\r\n").await?;
        wire.say("0\r\n\r\n").await
    })
    .await;
    let front = passing(upstream.address, "").await;
    let mut wire = front.wire("POST /x", &[CHUNKED]).await;
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 200 "));
    for word in ["one!", "two!", "three!"] {
        wire.say(format!("{:x}\r\n{word}\r\n", word.len())).await.unwrap();
        assert!(wire.until("!\r\n").await.unwrap().contains(word));
    }
    wire.say("0\r\n\r\n").await.unwrap();
    assert_eq!(wire.until("0\r\n\r\n").await.unwrap(), "0\r\n\r\n");
}

#[tokio::test]
async fn a_get_may_have_a_body() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        assert_eq!(values(&head, "transfer-encoding"), ["chunked"]);
        let body = wire.until("0\r\n\r\n").await?;
        assert_eq!(body, "3\r\nabc\r\n0\r\n\r\n");
        wire.say("HTTP/1.1 204 No Content\r\n\r\n").await
    })
    .await;
    let front = passing(upstream.address, "").await;
    let mut wire = front.wire("GET /x", &[CHUNKED]).await;
    wire.say("3\r\nabc\r\n0\r\n\r\n").await.unwrap();
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 204 "));
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        assert_eq!(values(&head, "trailer"), ["x-sum"]);
        assert_eq!(values(&head, "te"), ["trailers"]);
        let body = wire.until("\r\n\r\n").await?;
        assert_eq!(body, "3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n");
        wire.say(
            "HTTP/1.1 200 OK\r\ntrailer: x-end, x-tieline-error\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nok\r\n0\r\nx-end: 1\r\nx-tieline-error: no\r\nset-cookie: a=b\r\n\r\n",
        )
        .await
    })
    .await;
    let front = passing(upstream.address, "").await;
    let headers = [CHUNKED, "te: trailers", "trailer: x-sum, authorization"];
    let mut wire = front.wire("POST /x", &headers).await;
    wire.say("3\r\nabc\r\n0\r\nx-sum: 6\r\nauthorization: Bearer x\r\n\r\n").await.unwrap();
    let head = wire.head().await.unwrap();
    assert_eq!(values(&head, "trailer"), ["x-end"]);
    assert_eq!(wire.until("\r\n\r\n").await.unwrap(), "2\r\nok\r\n0\r\nx-end: 1\r\n\r\n");
}

#[tokio::test]
async fn a13_a_client_that_waits_for_100_gets_it_from_the_upstream() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        assert_eq!(values(&head, "expect"), ["100-continue"]);
        assert!(wire.is_silent_for(Duration::from_millis(300)).await, "the body waits");
        wire.say("HTTP/1.1 100 Continue\r\n\r\n").await?;
        assert_eq!(wire.exactly(5).await?, "abcde");
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    })
    .await;
    sends_a_body_after_100(upstream.address).await;
}

/// A client waits for 100, sends its body, and gets the answer.
async fn sends_a_body_after_100(upstream: SocketAddr) {
    let front = passing(upstream, "").await;
    let headers = ["content-length: 5", "expect: 100-continue"];
    let mut wire = front.wire("POST /x", &headers).await;
    assert_eq!(wire.head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    wire.say("abcde").await.unwrap();
    assert!(wire.until("ok").await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a13_an_upstreams_refusal_reaches_the_client_and_the_body_is_not_sent() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").await?;
        assert_eq!(wire.rest().await, "", "no body, and the connection ends");
        None
    })
    .await;
    let front = passing(upstream.address, "").await;
    let headers = ["content-length: 5", "expect: 100-continue"];
    let mut wire = front.wire("POST /x", &headers).await;
    let head = wire.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    assert_eq!(wire.rest().await, "no");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a13_a_long_refusal_comes_whole_and_the_body_never_goes() {
    const HALF: usize = 128 << 10;
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say(format!("HTTP/1.1 413 Too Large\r\ncontent-length: {}\r\n\r\n", 2 * HALF)).await?;
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            wire.say("x".repeat(HALF)).await?;
        }
        assert_eq!(wire.rest().await, "", "no body");
        None
    })
    .await;
    let front = passing(upstream.address, "").await;
    for _ in 0..4 {
        let headers = ["content-length: 5", "expect: 100-continue"];
        let mut wire = front.wire("POST /x", &headers).await;
        assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 413 "));
        assert_eq!(wire.skip(2 * HALF).await, 2 * HALF);
    }
}

#[tokio::test]
async fn a13_nothing_is_asked_for_before_the_key_is_known() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = passing(upstream.address, "").await;
    let mut wire = Wire::to(front.running.address).await;
    let text = request("POST /x", &["content-length: 5", "expect: 100-continue"]);
    wire.say(text.replace(LEGACY_KEY, "nobody")).await.unwrap();
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 401 "));
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn an_upstream_that_never_says_100_gets_the_body_all_the_same() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        assert_eq!(wire.exactly(5).await?, "abcde");
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    })
    .await;
    sends_a_body_after_100(upstream.address).await;
}

#[tokio::test]
async fn e13_an_answer_that_comes_before_the_body_has_ended_is_passed_on() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.exactly(3).await?;
        wire.say("HTTP/1.1 507 Full\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull").await?;
        wire.finish().await?;
        wire.rest().await;
        None
    })
    .await;
    let front = passing(upstream.address, "").await;
    let mut wire = front.wire("POST /x", &["content-length: 1000000"]).await;
    wire.say("abc").await.unwrap();
    let head = wire.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 507 "), "{head}");
    assert_eq!(wire.exactly(4).await.unwrap(), "full");
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let upstream = Raw::start(|head| {
        Reply::bytes(match head.target() {
            "/head" => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"a\"\r\n\r\n",
            "/chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "/204" => "HTTP/1.1 204 No Content\r\nx-own: 1\r\n\r\n",
            "/304" => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n",
            "/hints" => {
                "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            }
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        })
    })
    .await;
    let front = passing(upstream.address, "").await;
    let mut wire = Wire::to(front.running.address).await;
    // All on one connection: a body that should not be there would be taken for the next answer.
    for (line, status, length) in [
        ("HEAD /head", "200", &["1234"][..]),
        ("HEAD /chunked", "200", &[]),
        ("GET /204", "204", &[]),
        ("GET /304", "304", &[]),
        ("GET /0", "200", &["0"]),
    ] {
        wire.say(request(line, &[])).await.unwrap();
        let head = wire.head().await.unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {head}");
        assert_eq!(values(&head, "content-length"), length, "{line}: {head}");
    }
    wire.say(request("GET /hints", &[])).await.unwrap();
    assert!(wire.until("ok").await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn e14_an_upstream_that_only_gives_hints_is_502() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        loop {
            wire.say("HTTP/1.1 103 Early Hints\r\n\r\n").await?;
        }
    })
    .await;
    let front = passing(upstream.address, "").await;
    tests::expect::error(&front.get("/x").await, "502 upstream_bad_framing", "103");
}

#[tokio::test]
async fn e01_e08_an_upstream_that_cannot_be_had_is_502_and_asked_once() {
    let front = passing(nowhere().await, "").await;
    tests::expect::error(&front.get("/x").await, "502 upstream_connect", "refused");
    for cut in [0, 5, 40] {
        let upstream = Raw::start(move |_| Reply::json(200, "{}").cut_at(cut)).await;
        let front = passing(upstream.address, "").await;
        tests::expect::error(&front.get("/x").await, "502 upstream_reset", "cut");
        assert_eq!(upstream.asked(), 1, "nothing is sent twice");
    }
}

#[tokio::test]
async fn e11_an_upstream_without_an_answer_is_504() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.rest().await;
        None
    })
    .await;
    let front = passing(upstream.address, "head_timeout = \"300ms\"").await;
    tests::expect::error(&front.get("/x").await, "504 upstream_timeout", "no head");
    // A long upload is no long wait: the time counts from its last piece.
    let mut wire = front.wire("POST /x", &["content-length: 8"]).await;
    let begun = Instant::now();
    for _ in 0..8 {
        wire.say("a").await.unwrap();
        sleep(Duration::from_millis(150)).await;
    }
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 504 "));
    assert!(begun.elapsed() > Duration::from_millis(1300));
}

#[tokio::test]
async fn e10_e11_an_answer_that_breaks_off_or_falls_silent_is_cut_and_never_whole() {
    for (answer, is_silent) in [
        ("content-length: 9\r\n\r\nabc", false),
        ("content-length: 9\r\n\r\nabc", true),
        ("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", false),
        ("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", true),
        ("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nx\r\n", false),
    ] {
        let upstream = Far::start(move |mut wire| async move {
            wire.head().await?;
            wire.say(format!("HTTP/1.1 200 OK\r\n{answer}")).await?;
            if is_silent {
                wire.rest().await;
            }
            None
        })
        .await;
        let front = passing(upstream.address, "idle_timeout = \"300ms\"").await;
        let mut wire = front.wire("GET /x", &[]).await;
        assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 200 "));
        let heard = wire.rest().await;
        assert!(heard.contains("abc") && !heard.ends_with("0\r\n\r\n"), "{answer:?}: {heard}");
        let slug = if is_silent { "upstream_timeout" } else { "upstream_truncated" };
        let metrics = front.admin("/metrics").await.text();
        let counted = format!("tieline_errors_total{{slug=\"{slug}\"}} 1");
        assert!(metrics.contains(&counted), "{answer:?} {is_silent}: {metrics}");
    }
}

#[tokio::test]
async fn c02_a_client_that_stops_sending_is_408() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        assert_eq!(wire.rest().await, "abc", "cut, not ended");
        None
    })
    .await;
    let front = passing(upstream.address, "idle_timeout = \"300ms\"").await;
    let mut wire = front.wire("POST /x", &["content-length: 9"]).await;
    wire.say("abc").await.unwrap();
    let head = timeout(Duration::from_secs(5), wire.head()).await.unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(values(&head, "x-tieline-error"), ["slow_body"]);
}

#[tokio::test]
async fn an_upstream_that_takes_nothing_is_cut() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        sleep(Duration::from_secs(20)).await;
        None
    })
    .await;
    let front = passing(upstream.address, "idle_timeout = \"500ms\"").await;
    let mut wire = front.wire("POST /x", &[&format!("content-length: {LONG}")]).await;
    let piece = vec![b'x'; 64 << 10];
    let begun = Instant::now();
    for _ in 0..LONG / piece.len() {
        if !matches!(timeout(Duration::from_secs(8), wire.say(&piece)).await, Ok(Some(()))) {
            break;
        }
    }
    let head = timeout(Duration::from_secs(8), wire.head()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8));
    // The answer may be lost with the connection, where the client was still writing.
    assert!(head.is_none_or(|head| head.starts_with("HTTP/1.1 504 ")));
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_exchange() {
    let (left, heard) = tokio::sync::oneshot::channel();
    let left = Arc::new(std::sync::Mutex::new(Some(left)));
    let upstream = Far::start(move |mut wire| {
        let left = Arc::clone(&left);
        async move {
            wire.head().await?;
            wire.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await?;
            wire.rest().await;
            left.lock().ok()?.take()?.send(()).ok()
        }
    })
    .await;
    let front = passing(upstream.address, "").await;
    let mut wire = front.wire("GET /x", &[]).await;
    wire.head().await.unwrap();
    drop(wire);
    timeout(Duration::from_secs(5), heard).await.unwrap().unwrap();
}
