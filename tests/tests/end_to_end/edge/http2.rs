//! HTTP/2 frame by frame: floods are ended, what breaks the protocol reaches nobody, and one stream's
//! trouble is not another's.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tests::frames::*;
use tests::raw::{Raw, Reply};
use tests::wire::Far;
use tests::{Front, edge_text};
use tokio::time::sleep;

const HALF: usize = 500;
/// SETTINGS_INITIAL_WINDOW_SIZE (4) = 0: no stream may send.
const SHUT_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];

async fn edge(server: &str) -> (Raw, Front) {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = Front::start(&edge_text(upstream.address, server, "")).await;
    (upstream, front)
}

/// An upstream that answers nothing; how many requests are with it now, and how many there were.
async fn silent() -> (Far, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (open, all) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (now, ever) = (Arc::clone(&open), Arc::clone(&all));
    let far = Far::start(move |mut wire| {
        let (now, ever) = (Arc::clone(&now), Arc::clone(&ever));
        async move {
            wire.head().await?;
            now.fetch_add(1, Ordering::SeqCst);
            ever.fetch_add(1, Ordering::SeqCst);
            wire.rest().await;
            now.fetch_sub(1, Ordering::SeqCst);
            None
        }
    })
    .await;
    (far, open, all)
}

async fn until(count: &AtomicUsize, wanted: usize) {
    for _ in 0..400 {
        if count.load(Ordering::SeqCst) == wanted {
            return;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("{} and not {wanted}", count.load(Ordering::SeqCst));
}

/// Says it again and again, up to a thousand times, and tells how the connection ends.
async fn flood(client: &mut Http2, mut again: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    for number in 0..1_000 {
        if client.say(&again(number)).await.is_none() {
            break;
        }
    }
    client.goaway().await
}

/// Whether a plain request on a new connection is answered.
async fn is_served(front: &Front) -> bool {
    let mut client = Http2::to(front.running.address, &[]).await;
    client.say(&get(1, "/x")).await.unwrap();
    client.outcome(1).await.is_some_and(|frame| frame.status() == 200)
}

#[tokio::test]
async fn b01_requests_that_are_taken_back_at_once_end_the_connection() {
    let (far, open, all) = silent().await;
    let front = Front::start(&edge_text(far.address, "", "")).await;
    let mut client = Http2::to(front.running.address, &[]).await;
    let pair = |number: u32| {
        let stream = 1 + 2 * number;
        [get(stream, "/x"), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    assert_eq!(flood(&mut client, pair).await, Some(ENHANCE_YOUR_CALM));
    drop(client);
    until(&open, 0).await;
    assert!(all.load(Ordering::SeqCst) <= 100, "{all:?} requests went upstream");
}

#[tokio::test]
async fn b01_requests_that_are_taken_back_one_by_one_end_the_connection() {
    let (far, open, all) = silent().await;
    let front = Front::start(&edge_text(far.address, "", "")).await;
    let mut client = Http2::to(front.running.address, &[]).await;
    for number in 0..2_000 {
        let stream = 1 + 2 * number;
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        if client.say(&get(stream, "/x")).await.is_none() || client.say(&reset).await.is_none() {
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(client.goaway().await, Some(ENHANCE_YOUR_CALM));
    drop(client);
    until(&open, 0).await;
    assert!(all.load(Ordering::SeqCst) <= 110, "{all:?} requests went upstream");
    assert_eq!(front.rejected("h2_control_flood").await, 1);
}

#[tokio::test]
async fn b02_header_blocks_without_end_end_the_connection() {
    let (upstream, front) = edge("").await;
    for content in [&[][..], &[0, 1, b'a', 1, b'b']] {
        let mut client = Http2::to(front.running.address, &[]).await;
        let block = request("GET", "/x", &[]);
        client.say(&frame(HEADERS, END_STREAM, 1, &block)).await.unwrap();
        let more = |_| frame(CONTINUATION, 0, 1, content);
        assert_eq!(flood(&mut client, more).await, Some(ENHANCE_YOUR_CALM), "{content:?}");
    }
    assert_eq!(upstream.asked(), 0);
    assert!(is_served(&front).await);
}

#[tokio::test]
async fn b03_data_without_content_ends_the_connection() {
    let (far, _, _) = silent().await;
    let front = Front::start(&edge_text(far.address, "", "")).await;
    let mut client = Http2::to(front.running.address, &[]).await;
    let head = request("POST", "/x", &[]);
    client.say(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
    assert_eq!(flood(&mut client, |_| frame(DATA, 0, 1, b"")).await, Some(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn b02_b03_b05_the_limits_of_frames_that_ask_for_nothing_are_settings() {
    let (far, _, _) = silent().await;
    let block = request("POST", "/x", &[]);
    let (part, whole) = (frame(HEADERS, 0, 1, &block), frame(HEADERS, END_HEADERS, 1, &block));
    for (setting, head, again) in [
        ("http2_continuations_max = 2", part, frame(CONTINUATION, 0, 1, b"")),
        ("http2_empty_frames_max = 2", whole, frame(DATA, 0, 1, b"")),
        ("http2_control_frames_max = 4", Vec::new(), frame(PING, 0, 0, &[7; 8])),
    ] {
        let front = Front::start(&edge_text(far.address, setting, "")).await;
        // Two of them, and one more, after the settings with which every connection begins.
        for (count, is_flood) in [(2, false), (6, true)] {
            let mut client = Http2::to(front.running.address, &[]).await;
            client.say(&[&head[..], &again.repeat(count)].concat()).await.unwrap();
            match is_flood {
                true => assert_eq!(client.goaway().await, Some(ENHANCE_YOUR_CALM), "{setting}"),
                false => sleep(Duration::from_millis(50)).await,
            }
            assert_eq!(front.rejected("h2_control_flood").await, u64::from(is_flood), "{setting}");
        }
    }
}

#[tokio::test]
async fn b04_streams_that_we_are_made_to_reset_end_the_connection() {
    let (far, open, _) = silent().await;
    let front = Front::start(&edge_text(far.address, "", "")).await;
    let mut client = Http2::to(front.running.address, &[]).await;
    let pair = |number: u32| {
        let stream = 1 + 2 * number;
        [get(stream, "/x"), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
    };
    assert_eq!(flood(&mut client, pair).await, Some(PROTOCOL_ERROR));
    until(&open, 0).await;

    // More than a window can be, for one stream after another.
    let mut client = Http2::to(front.running.address, &[]).await;
    let pair = |number: u32| {
        let stream = 1 + 2 * number;
        [get(stream, "/x"), frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff])].concat()
    };
    assert_eq!(flood(&mut client, pair).await, Some(ENHANCE_YOUR_CALM));
    until(&open, 0).await;

    let (_upstream, front) = edge("").await;
    for broken in [
        // Longer than frames may be, and DATA of a stream that has ended.
        frame(DATA, 0, 1, &vec![0; (16 << 10) + 1]),
        [get(1, "/x"), frame(DATA, 0, 1, b"more")].concat(),
    ] {
        let mut client = Http2::to(front.running.address, &[]).await;
        client.say(&broken).await.unwrap();
        let is_end = |frame: &Frame| matches!(frame.kind, GOAWAY | RST_STREAM);
        assert!(client.until(is_end).await.is_some_and(|frame| frame.reason() != 0));
    }
}

#[tokio::test]
async fn b05_frames_that_ask_for_nothing_end_the_connection_when_there_are_too_many() {
    let (_upstream, front) = edge("").await;
    let kinds = [
        frame(PING, 0, 0, &[7; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 9]),
        frame(0xbe, 0, 0, b"unknown"),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
    ];
    for nothing in &kinds {
        let mut client = Http2::to(front.running.address, &[]).await;
        client.say(&nothing.repeat(HALF)).await.unwrap();
        client.say(&get(1, "/x")).await.unwrap();
        let frame = client.outcome(1).await.unwrap();
        assert_eq!(frame.status(), 200, "{HALF} of them are no flood");
        client.say(&nothing.repeat(2 * HALF)).await;
        assert_eq!(client.goaway().await, Some(ENHANCE_YOUR_CALM));
    }
    assert_eq!(front.rejected("h2_control_flood").await, kinds.len() as u64);
    assert!(is_served(&front).await);
}

#[tokio::test]
async fn b06_more_streams_than_there_may_be_are_refused_and_the_others_live() {
    let (far, open, _) = silent().await;
    let front = Front::start(&edge_text(far.address, "http2_streams_max = 20", "")).await;
    let mut client = Http2::to(front.running.address, &[]).await;
    client.until(|frame| frame.kind == SETTINGS && frame.flags == 0).await.unwrap();
    client.say(&frame(SETTINGS, 1, 0, &[])).await.unwrap();
    for number in 0..21 {
        client.say(&get(1 + 2 * number, "/x")).await.unwrap();
    }
    let refused = client.until(|frame| frame.kind == RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, refused.reason()), (41, REFUSED_STREAM));
    until(&open, 20).await;
}

#[tokio::test]
async fn b06_headers_that_are_too_large_are_431_or_end_the_connection() {
    let (upstream, front) = edge("").await;
    let large = "x".repeat(17 << 10);
    let mut client = Http2::to(front.running.address, &[]).await;
    let head = request("GET", "/x", &[("x-a", large.as_str())]);
    let (first, rest) = head.split_at(16 << 10);
    client.say(&frame(HEADERS, END_STREAM, 1, first)).await.unwrap();
    client.say(&frame(CONTINUATION, END_HEADERS, 1, rest)).await.unwrap();
    let outcome = client.outcome(1).await.unwrap();
    assert!(outcome.kind == RST_STREAM || outcome.status() == 431, "{outcome:?}");

    // One long entry of the table, named again and again by a byte.
    let mut client = Http2::to(front.running.address, &[]).await;
    let mut bomb = request("GET", "/x", &[]);
    bomb.extend_from_slice(&[0x40, 1, b'a', 127, 0x81, 0x1e]);
    bomb.extend_from_slice(&[b'x'; 127 + 1 + 30 * 128]);
    bomb.extend_from_slice(&[0xbe; 10_000]);
    client.say(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb)).await.unwrap();
    let outcome = client.outcome(1).await.unwrap();
    let is_refused = matches!(outcome.kind, RST_STREAM | GOAWAY) || outcome.status() == 431;
    assert!(is_refused, "{outcome:?}");
    assert_eq!(upstream.asked(), 0);
    assert!(is_served(&front).await);
}

#[tokio::test]
async fn b07_streams_whose_windows_stay_shut_are_reset() {
    const STREAMS: u32 = 20;
    let upstream = Raw::start(|_| Reply::json(200, vec![b'1'; 1 << 20])).await;
    let front = Front::start(&edge_text(upstream.address, "write_timeout = \"500ms\"", "")).await;
    let mut client = Http2::to(front.running.address, SHUT_WINDOW).await;
    for number in 0..STREAMS {
        client.say(&get(1 + 2 * number, "/x")).await.unwrap();
    }
    let mut reset = Vec::new();
    while reset.len() < STREAMS as usize {
        reset.push(client.until(|frame| frame.kind == RST_STREAM).await.unwrap().stream);
    }
    assert_eq!(front.rejected("slow_read").await, u64::from(STREAMS));
}

#[tokio::test]
async fn b08_fields_that_http1_would_read_differently_reach_no_upstream() {
    let (upstream, front) = edge("").await;
    let plain = |path: &str, more: &[(&str, &str)]| request("GET", path, more);
    let key = format!("Bearer {}", tests::LEGACY_KEY);
    let odd = |fields: &[(&str, &str)]| {
        let all = [fields, &[("authorization", key.as_str())]].concat();
        block(&all)
    };
    let head = [(":method", "GET"), (":scheme", "http"), (":path", "/x"), (":authority", "a")];
    for block in [
        plain("/x", &[("x-a", "1\r\nx-b: 2")]),
        plain("/x", &[("x-a", "1\n2")]),
        plain("/x", &[("x-a", "1\x002")]),
        plain("/x y", &[]),
        plain("/x", &[("X-Upper", "1")]),
        plain("/x", &[("connection", "close")]),
        plain("/x", &[("transfer-encoding", "chunked")]),
        plain("/x", &[("content_length", "5")]),
        plain("/x", &[("host", "other.example")]),
        plain("/x", &[(":authority", "other.example")]),
        odd(&[&head[..], &[(":authority", "b")]].concat()),
        odd(&head[..3]),
    ] {
        let mut client = Http2::to(front.running.address, &[]).await;
        client.say(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await.unwrap();
        let outcome = client.outcome(1).await.unwrap();
        let is_reset = outcome.kind != HEADERS && outcome.reason() == PROTOCOL_ERROR;
        assert!(is_reset || outcome.status() == 400, "{block:?}: {outcome:?}");
        assert_eq!(upstream.asked(), 0, "{block:?}");
    }
    assert!(is_served(&front).await);
}

#[tokio::test]
async fn b11_a_request_that_only_h2_accepts_reaches_no_upstream() {
    let (upstream, front) = edge("").await;
    let key = format!("Bearer {}", tests::LEGACY_KEY);
    let head = |scheme: &str, host: &str, path: &str, more: &[(&str, &str)]| {
        let head = [
            (":method", "GET"),
            (":scheme", scheme),
            (":authority", host),
            (":path", path),
            ("authorization", key.as_str()),
        ];
        block(&[&head[..], more].concat())
    };
    let fields = |more: &[(&str, &str)]| head("http", "h", "/x", more);
    let mut blocks = vec![
        fields(&[("x\"y", "1")]),
        fields(&[("\"", "1")]),
        fields(&[("x(y", "1")]),
        fields(&[("x y", "1")]),
        fields(&[("x/y", "1")]),
        fields(&[("", "1")]),
        fields(&[("content-length", "0"), ("content-length", "0")]),
        fields(&[("content-length", "")]),
        fields(&[("content-length", "0, 0")]),
        fields(&[("content-length", "+0")]),
        head("", "h", "/x", &[]),
        head("ftp", "h", "/x", &[]),
        head("ht tp", "h", "/x", &[]),
        head("http", "h", "x", &[]),
        head("http", "h", "?x", &[]),
        head("http", "h", "", &[]),
        head("http", "h", "http://h/x", &[]),
    ];
    for host in ["h\"x", "[::1", "h:99999", "h:", "h:0", "h,i", "h;i", "h%00", "u@h", ":80", "a..b"]
    {
        blocks.push(head("http", host, "/x", &[]));
    }
    for block in blocks {
        let mut client = Http2::to(front.running.address, &[]).await;
        client.say(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).await.unwrap();
        let outcome = client.outcome(1).await.unwrap();
        let is_reset = outcome.kind != HEADERS && outcome.reason() == PROTOCOL_ERROR;
        let text = String::from_utf8_lossy(&block).into_owned();
        assert!(is_reset || outcome.status() == 400, "{text:?}: {outcome:?}");
        assert_eq!(upstream.asked(), 0, "{text:?}");
    }
    assert!(is_served(&front).await);
}

#[tokio::test]
async fn b12_data_behind_the_length_that_was_said_makes_no_request_whole() {
    let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let upstream = Far::start(move |mut wire| {
        let seen = Arc::clone(&seen);
        async move {
            let head = wire.head().await?;
            let is_good = head.contains("/good");
            let body = match head.contains("content-length: 5\r\n") {
                true if is_good => wire.exactly(5).await?,
                false if is_good => wire.until("0\r\n\r\n").await?,
                _ => wire.rest().await,
            };
            seen.lock().unwrap().push(body);
            wire.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
        }
    })
    .await;
    let front = Front::start(&edge_text(upstream.address, "", "")).await;
    for (length, first) in [("0", &b""[..]), ("5", b"abcde"), ("5", b"abc")] {
        let head = request("POST", "/x", &[("content-length", length)]);
        let mut client = Http2::to(front.running.address, &[]).await;
        client.say(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
        client.say(&frame(DATA, 0, 1, first)).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        client.say(&frame(DATA, END_STREAM, 1, b"more")).await.unwrap();
        let outcome = client.outcome(1).await.unwrap();
        assert!(outcome.kind == RST_STREAM && outcome.reason() == PROTOCOL_ERROR, "{outcome:?}");

        let head = request("POST", "/good", &[("content-length", length)]);
        let rest = b"abcde"[first.len()..].iter().take(length.parse::<usize>().unwrap()).copied();
        let rest: Vec<u8> = if length == "0" { Vec::new() } else { rest.collect() };
        let mut client = Http2::to(front.running.address, &[]).await;
        client.say(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
        for data in [first, &rest] {
            client.say(&frame(DATA, 0, 1, data)).await.unwrap();
        }
        client.say(&frame(DATA, END_STREAM, 1, b"")).await.unwrap();
        assert_eq!(client.outcome(1).await.unwrap().status(), 200, "{length}");
    }
    let bodies = bodies.lock().unwrap();
    let whole = |body: &&String| body.ends_with("abcde") || body.ends_with("0\r\n\r\n");
    assert_eq!(bodies.iter().filter(whole).count(), 3, "the good ones alone: {bodies:?}");
}

#[tokio::test]
async fn b13_trailers_that_http1_would_read_differently_make_no_request_whole() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        let body = wire.rest().await;
        assert!(!body.contains("0\r\n"), "whole: {body}");
        None
    })
    .await;
    let front = Front::start(&edge_text(upstream.address, "", "")).await;
    let pseudo = |name: &'static str| [(name, "/admin"), ("x-a", "1")];
    for trailers in [
        &[("x\"y", "1")][..],
        &[("x-a", "1\r\nx-b: 2")],
        &[("X-Upper", "1")],
        &pseudo(":path"),
        &pseudo(":method"),
        &pseudo(":authority"),
        &pseudo(":scheme"),
        &[("x-a", "1"), (":path", "/admin")],
    ] {
        let mut client = Http2::to(front.running.address, &[]).await;
        let head = request("POST", "/x", &[("trailer", "x-a")]);
        client.say(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
        client.say(&frame(DATA, 0, 1, b"abc")).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        client.say(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(trailers))).await.unwrap();
        let outcome = client.outcome(1).await.unwrap();
        let is_reset = outcome.kind != HEADERS && outcome.reason() == PROTOCOL_ERROR;
        assert!(is_reset || outcome.status() == 400, "{trailers:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn b09_a_length_that_is_not_the_datas_is_reset_and_never_whole_upstream() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        assert!(head.contains("content-length: 5\r\n"), "{head}");
        let body = wire.rest().await;
        assert!(body.len() < 5, "whole: {body}");
        None
    })
    .await;
    let front = Front::start(&edge_text(upstream.address, "", "")).await;
    for (data, flags) in [(&b"abc"[..], END_STREAM), (b"abcdefgh", END_STREAM)] {
        let mut client = Http2::to(front.running.address, &[]).await;
        let head = request("POST", "/x", &[("content-length", "5")]);
        client.say(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
        client.say(&frame(DATA, flags, 1, data)).await.unwrap();
        let outcome = client.outcome(1).await.unwrap();
        assert!(outcome.kind == RST_STREAM && outcome.reason() == PROTOCOL_ERROR, "{outcome:?}");
    }
}

#[tokio::test]
async fn b10_abandoned_streams_are_cancelled_and_the_others_are_whole() {
    let (far, open, _) = silent().await;
    let front = Front::start(&edge_text(far.address, "", "")).await;
    let mut client = Http2::to(front.running.address, &[]).await;
    for stream in [1, 3] {
        client.say(&get(stream, "/x")).await.unwrap();
    }
    until(&open, 2).await;
    client.say(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await.unwrap();
    until(&open, 1).await;
    // It has said that it goes, and still gets what it asked for before.
    client.say(&get(5, "/openapi.json")).await.unwrap();
    // The description is larger than a window.
    for stream in [0, 5] {
        client.say(&frame(WINDOW_UPDATE, 0, stream, &0x000F_0000_u32.to_be_bytes())).await.unwrap();
    }
    let goaway = [0_u32.to_be_bytes(), 0_u32.to_be_bytes()].concat();
    client.say(&frame(GOAWAY, 0, 0, &goaway)).await.unwrap();
    assert_eq!(client.outcome(5).await.unwrap().status(), 200);
    let last = |frame: &Frame| frame.stream == 5 && frame.flags & END_STREAM != 0;
    assert!(client.until(last).await.is_some(), "whole");
    drop(client);
    until(&open, 0).await;
}
