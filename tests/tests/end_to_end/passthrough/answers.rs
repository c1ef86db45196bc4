//! The checks of an upstream's answer before any of it goes on: its length, and its first piece.

use std::time::Duration;

use http::Method;
use tests::expect;
use tests::frames::{END_HEADERS, END_STREAM, HEADERS, Http2, frame, get, request};
use tests::raw::{Raw, Reply};
use tests::wire::{Far, passing, values};
use tokio::time::{Instant, sleep, timeout};

const KEY: [(&str, &str); 1] = [("authorization", "Bearer legacy-demo-key")];

/// An upstream that answers every request with this head, and a body where one is asked for.
async fn saying(head: String, body: &'static str) -> Raw {
    Raw::start(move |asked| match asked.text.starts_with("HEAD") {
        true => Reply::bytes(head.clone()),
        false => Reply::bytes(head.clone() + body),
    })
    .await
}

#[tokio::test]
async fn e26_a_length_in_several_spellings_goes_on_as_one_number() {
    const BODY: &str = "abc";
    for length in ["3", "3, 3", "3,3,3", "3, 03", "03", " 3 "] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let upstream = saying(head, BODY).await;
        let front = passing(upstream.address, "").await;
        for (line, body) in [("GET /x", BODY), ("HEAD /x", "")] {
            let mut wire = front.wire(line, &["connection: close"]).await;
            let head = wire.head().await.unwrap();
            assert!(head.starts_with("HTTP/1.1 200 "), "{length:?}: {head}");
            assert_eq!(values(&head, "content-length"), ["3"], "{length:?} {line}");
            assert_eq!(wire.rest().await, body, "{length:?} {line}");
        }
        // To a client of HTTP/2: "3" in Huffman's code, with the length of that before it.
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("HEAD", "/x", &[]));
        for (stream, bytes) in [(1, get(1, "/x")), (3, head)] {
            let mut client = Http2::to(front.running.address, &[]).await;
            client.say(&bytes).await.unwrap();
            let head = client.outcome(stream).await.unwrap();
            assert_eq!(head.status(), 200, "{length:?}");
            let is_there = head.payload.windows(2).any(|two| two == [0x81, 0x67]);
            assert!(is_there, "{length:?}: {:x?}", head.payload);
        }
    }
    for status in ["204 No Content", "304 Not Modified"] {
        let upstream =
            saying(format!("HTTP/1.1 {status}\r\ncontent-length: 5, 5\r\n\r\n"), "").await;
        let front = passing(upstream.address, "").await;
        let answer = front.get("/x").await;
        assert_eq!(answer.status.as_str(), &status[..3]);
        assert_eq!(answer.header("content-length"), "", "{status}");
    }
}

#[tokio::test]
async fn e26_a_length_that_is_no_number_is_502_with_and_without_a_body() {
    for lines in [
        "content-length: 3, 4",
        "content-length: 3,",
        "content-length: , 3",
        "content-length: ",
        "content-length: +3",
        "content-length: 0x3",
        "content-length: 3 3",
        "content-length: abc",
        "content-length: 99999999999999999999",
        "content-length: 3\r\ncontent-length: 3",
        "content-length: 3\r\ncontent-length: 4",
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
    ] {
        for status in ["200 OK", "204 No Content", "304 Not Modified"] {
            let upstream = saying(format!("HTTP/1.1 {status}\r\n{lines}\r\n\r\n"), "").await;
            let front = passing(upstream.address, "").await;
            for method in [Method::GET, Method::HEAD] {
                let answer = front.send(method.clone(), "/x", &KEY).await;
                let what = format!("{status} {method} {lines}");
                assert_eq!(answer.verdict(), "502 upstream_bad_framing", "{what}");
            }
        }
    }
}

#[tokio::test]
async fn e27_an_answer_that_is_bad_in_its_first_piece_is_502_while_no_head_is_out() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let fixed = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
    let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                  transfer-encoding: chunked\r\n\r\n";
    let key = format!("{:x}\r\n{}\r\n", tests::V4_KEY.len(), tests::V4_KEY);
    for (head, body, verdict) in [
        (chunked, "zz\r\n", "502 upstream_bad_framing"),
        (chunked, "-1\r\n", "502 upstream_bad_framing"),
        (chunked, "fffffffffffffffff\r\n", "502 upstream_bad_framing"),
        (events, "zz\r\n", "502 upstream_bad_framing"),
        (chunked, key.as_str(), "502 upstream_repeated_key"),
        (events, key.as_str(), "502 upstream_repeated_key"),
        (chunked, "", "502 upstream_truncated"),
        (fixed, "", "502 upstream_truncated"),
    ] {
        // Together with its head, and a moment later.
        for pause in [0, 20] {
            let bytes = body.to_owned();
            let upstream = Far::start(move |mut wire| {
                let bytes = bytes.clone();
                async move {
                    wire.head().await?;
                    match pause {
                        0 => wire.say(format!("{head}{bytes}")).await?,
                        pause => {
                            wire.say(head).await?;
                            sleep(Duration::from_millis(pause)).await;
                            wire.say(bytes).await?;
                        }
                    }
                    None
                }
            })
            .await;
            for rules in ["", "credential = \"keep\""] {
                if verdict.ends_with("key") && !rules.is_empty() {
                    continue;
                }
                let front = passing(upstream.address, rules).await;
                for method in [Method::GET, Method::POST] {
                    let answer = front.send(method.clone(), "/x", &KEY).await;
                    expect::error(&answer, verdict, &format!("{method} {body:?} {pause} {rules}"));
                }
            }
        }
    }
}

#[tokio::test]
async fn e27_a_head_does_not_wait_for_a_body_that_is_slow() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        let kind = if head.contains("/events") { "text/event-stream" } else { "text/plain" };
        wire.say(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        ))
        .await?;
        wire.rest().await;
        None
    })
    .await;
    let front = passing(upstream.address, "").await;
    for line in ["GET /events", "GET /x"] {
        let begun = Instant::now();
        let mut wire = front.wire(line, &[]).await;
        let head = timeout(Duration::from_secs(5), wire.head()).await.unwrap().unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        // The gateway waits a tenth of a second; the rest is for a busy machine.
        assert!(begun.elapsed() < Duration::from_secs(2), "{line}: {:?}", begun.elapsed());
    }
}
