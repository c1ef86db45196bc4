//! Lists that are sent while they are read: the same bytes as ever, or a connection that breaks off. Over HTTP/1
//! and HTTP/2, with clients that read slowly or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use http::Method;
use tests::frames::{DATA, END_STREAM, Http2, RST_STREAM, WINDOW_UPDATE, frame, get};
use tests::raw::{Raw, Reply, say};
use tests::{Answer, BEARER, DELETED, Front, V1_USERS, V3_USERS, eventually};

const STREAMED: &str = "[answer]\nstream = true\nbuffer_max = \"20KiB\"";
const CUT: &str = "tieline_list_events_total{event=\"cut\"}";
const BEGUN: &str = "tieline_list_events_total{event=\"streamed\"}";

/// An upstream that lists users 1 to the number.
async fn upstream(users: u64) -> Raw {
    let ids: Vec<u64> = (1..=users).collect();
    Raw::start(move |head| Reply::page_of(&ids, head)).await
}

/// The same, with another answer to requests from that row on.
async fn failing_from(users: u64, offset: usize) -> Raw {
    let ids: Vec<u64> = (1..=users).collect();
    Raw::start(move |head| match head.number_of("offset") >= offset {
        true => Reply::json(410, "{}"),
        false => Reply::page_of(&ids, head),
    })
    .await
}

#[tokio::test]
async fn a_streamed_list_has_the_bytes_of_the_buffered_one() {
    let raw = upstream(1234).await;
    let streamed = Front::over(raw.address, "", STREAMED).await;
    let buffered = Front::over(raw.address, "", "").await;
    for (number, path) in (1..).zip([V1_USERS, V3_USERS, V1_USERS]) {
        let whole = buffered.get(path).await;
        let asked = raw.asked();
        let headers = [BEARER, ("accept-encoding", "gzip"), ("if-none-match", "*")];
        let sent = streamed.get_with(path, &headers).await;
        assert_eq!((sent.status.as_u16(), &sent.body), (200, &whole.body), "{path}");
        assert_eq!(sent.ids().len(), 1234);
        for absent in ["content-length", "etag", "content-encoding", "age", "x-tieline-cache"] {
            assert_eq!(sent.header(absent), "", "{absent}");
        }
        assert_eq!(sent.header("cache-control"), "no-store");
        assert!(!whole.header("etag").is_empty(), "off by default");
        assert_eq!(whole.header("content-length"), whole.body.len().to_string());
        assert_eq!(streamed.count(BEGUN).await, number);
        // The first list is begun twice; after it the caller's lists are expected to be as long.
        let pages = if number == 1 { 14 } else { 13 };
        assert_eq!(raw.asked() - asked, pages, "{path}");
    }
    assert_eq!((streamed.count(CUT).await, buffered.count(BEGUN).await), (0, 0));
}

#[tokio::test]
async fn a_client_of_http_1_0_which_has_no_chunks_gets_the_whole_list_or_none() {
    let raw = upstream(1000).await;
    let front = Front::over(raw.address, "", STREAMED).await;
    let (name, key) = BEARER;
    let text = format!("GET {V1_USERS} HTTP/1.0\r\n{name}: {key}\r\n\r\n");
    let answer = Answer::heard(say(front.running.address, text.as_bytes()).await);
    assert_eq!(answer.ids().len(), 1000);
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(front.count(BEGUN).await, 0);
}

#[tokio::test]
async fn a_list_that_was_cut_since_it_was_none_is_buffered_the_next_time() {
    // A page in the middle is out of order: nobody can tell that before the first rows are sent.
    let ids: Vec<u64> = (1..=500).chain((501..=600).rev()).chain(601..=1000).collect();
    let expected = ids.clone();
    let raw = Raw::start(move |head| Reply::page_of(&ids, head)).await;
    let front = Front::over(raw.address, "", STREAMED).await;
    let (name, key) = BEARER;
    let text = format!("GET {V1_USERS} HTTP/1.1\r\nhost: x\r\n{name}: {key}\r\n\r\n");
    let cut = say(front.running.address, text.as_bytes()).await;
    assert!(!cut.ends_with("0\r\n\r\n"), "it is no whole answer");
    assert_eq!(front.count(CUT).await, 1);
    for _ in 0..2 {
        assert_eq!(front.get(V1_USERS).await.ids(), expected);
    }
    assert_eq!((front.count(BEGUN).await, front.count(CUT).await), (1, 1));
}

#[tokio::test]
async fn short_lists_filtered_ones_and_other_lists_are_buffered() {
    for (users, path) in [
        (60, V1_USERS.to_owned()),
        (1000, format!("{V1_USERS}?id=7")),
        (1000, format!("{V1_USERS}?timezone=Berlin")),
        (1000, DELETED.to_owned()),
    ] {
        let raw = upstream(users).await;
        let front = Front::over(raw.address, "", STREAMED).await;
        let answer = front.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{path}");
        assert!(!answer.header("etag").is_empty(), "{path}");
        assert_eq!(front.count(BEGUN).await, 0, "{path}");
    }
}

#[tokio::test]
async fn a_list_that_becomes_short_is_buffered_again_and_one_in_no_order_always_is() {
    let users = Arc::new(AtomicUsize::new(1000));
    let now = Arc::clone(&users);
    let raw = Raw::start(move |head| {
        let ids: Vec<u64> = (1..=now.load(SeqCst) as u64).collect();
        Reply::page_of(&ids, head)
    })
    .await;
    let front = Front::over(raw.address, "shrunk_list = \"believe\"", STREAMED).await;
    assert_eq!(front.get(V1_USERS).await.header("etag"), "");
    users.store(50, SeqCst);
    let answer = front.get(V1_USERS).await;
    assert_eq!((answer.ids().len(), answer.header("etag").is_empty()), (50, false));

    let shuffled: Vec<u64> = (1..=1009).map(|id| id * 331 % 1009 + 1).collect();
    let expected = shuffled.clone();
    let raw = Raw::start(move |head| Reply::page_of(&shuffled, head)).await;
    let front = Front::over(raw.address, "", STREAMED).await;
    for _ in 0..2 {
        let answer = front.get(V1_USERS).await;
        assert_eq!(answer.ids(), expected);
        assert!(!answer.header("etag").is_empty());
    }
}

#[tokio::test]
async fn the_head_of_a_streamed_list_costs_one_page() {
    let raw = upstream(1000).await;
    let front = Front::over(raw.address, "", STREAMED).await;
    let answer = front.send(Method::HEAD, V1_USERS, &[BEARER]).await;
    assert_eq!((answer.status.as_u16(), raw.asked()), (200, 1));
    assert_eq!((answer.header("content-length"), answer.header("etag")), Default::default());
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
}

#[tokio::test]
async fn a_late_failure_cuts_a_connection_of_http1() {
    let raw = failing_from(2000, 900).await;
    let front = Front::over(raw.address, "", STREAMED).await;
    let mut wire = front.wire(&format!("GET {V1_USERS}"), &[]).await;
    let head = wire.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("transfer-encoding: chunked"));
    let rest = wire.rest().await;
    assert!(rest.contains("\"id\":500,"), "the first rows were sent");
    assert!(!rest.ends_with("0\r\n\r\n"), "it ends as if it were whole");
    assert!(!rest.trim_end().ends_with(']'), "the array is closed");
    assert_eq!(front.count(CUT).await, 1);
    // The next one is cut as well, and never answered from what was read.
    let mut wire = front.wire(&format!("GET {V1_USERS}"), &[]).await;
    assert!(!wire.rest().await.ends_with("0\r\n\r\n"));
    assert_eq!(front.count(CUT).await, 2);
}

#[tokio::test]
async fn a_late_failure_resets_a_stream_of_http2() {
    let raw = failing_from(2000, 900).await;
    let front = Front::over(raw.address, "", STREAMED).await;
    // SETTINGS_INITIAL_WINDOW_SIZE (4) and the window of the connection: enough for all of it.
    let mut client = Http2::to(front.running.address, &[0, 4, 0, 0xff, 0xff, 0xff]).await;
    client.say(&frame(WINDOW_UPDATE, 0, 0, &[0, 0xff, 0xff, 0xff])).await.unwrap();
    client.say(&get(1, V1_USERS)).await.unwrap();
    let mut bytes = 0;
    let end = loop {
        let frame = client.next().await.unwrap();
        if frame.kind == DATA {
            bytes += frame.payload.len();
        }
        if frame.kind == RST_STREAM || (frame.kind == DATA && frame.flags & END_STREAM != 0) {
            break frame.kind;
        }
    };
    assert_eq!(end, RST_STREAM, "it ends as if it were whole");
    assert!(bytes > 50_000, "{bytes} bytes were sent");
    assert_eq!(front.count(CUT).await, 1);
}

#[tokio::test]
async fn an_early_failure_is_an_error_like_any_other() {
    for offset in [0, 50] {
        let raw = failing_from(1000, offset).await;
        let front = Front::over(raw.address, "", STREAMED).await;
        let answer = front.get(V1_USERS).await;
        assert_eq!(answer.verdict(), "502 upstream_refused_call", "from row {offset} on");
        assert_eq!((front.count(CUT).await, front.count(BEGUN).await), (0, 0));
    }
}

#[tokio::test]
async fn a_list_that_becomes_another_one_meanwhile_is_cut() {
    let ids: Vec<u64> = (1..=3000).collect();
    let others: Vec<u64> = (5001..=8000).collect();
    let raw =
        Raw::start(move |head| Reply::page_of(if head.number < 12 { &ids } else { &others }, head))
            .await;
    let front = Front::over(raw.address, "", STREAMED).await;
    let mut wire = front.wire(&format!("GET {V1_USERS}"), &[]).await;
    let rest = wire.rest().await;
    assert!(rest.contains("\"id\":1,") && !rest.ends_with("0\r\n\r\n"));
    assert_eq!(front.count(CUT).await, 1);
}

#[tokio::test]
async fn a_client_that_reads_nothing_stops_the_pages_and_gets_the_rest_when_it_reads() {
    const PAGES: usize = 405;
    let raw = upstream(40_000).await;
    let rest = format!("{STREAMED}\n[limits]\nrequest_deadline = \"120s\"");
    let front = Front::over(raw.address, "", &rest).await;
    let mut wire = front.wire(&format!("GET {V1_USERS}"), &[]).await;
    let stops = async || {
        let asked = raw.asked();
        tokio::time::sleep(Duration::from_millis(500)).await;
        asked > 10 && raw.asked() == asked
    };
    eventually("the pages stop", stops).await;
    // What the sockets hold, and a few pages.
    assert!(raw.asked() < PAGES * 2 / 3, "{} pages were read for nobody", raw.asked());
    let rest = wire.rest().await;
    assert!(rest.contains("\"id\":40000,") && rest.ends_with("]\r\n0\r\n\r\n"));
    assert_eq!(raw.asked(), PAGES + 1);
    // One that leaves ends its reading.
    let asked = raw.asked();
    let mut wire = front.wire(&format!("GET {V1_USERS}"), &[]).await;
    wire.head().await.unwrap();
    drop(wire);
    eventually("the pages stop", stops).await;
    assert!(raw.asked() - asked < PAGES * 2 / 3);
    assert_eq!(front.count(CUT).await, 0, "nothing failed");
}
