//! The server over HTTP/1 and plain sockets: round trips, limits on slow peers, limits on size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use crate::support::{BIG_BYTES, LONG, SHORT, Server, patient, read_to_end, read_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use transport::server::{Drained, ServerLimits};

const CLOSE: &str = "Host: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn two_requests_share_an_http1_connection() {
    let server = Server::start(patient()).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let answer = read_until(&mut stream, "HTTP/1.1 true").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\ndate: "), "{answer}");
    }
    drop(stream);
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(patient()).await;
    let pipelined = format!("GET /rope HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n{CLOSE}");
    let answers = server.send(&pipelined).await;
    let rope = answers.find("one,two,three").expect("the first answer");
    assert!(answers[rope..].ends_with("HTTP/1.1 true"), "{answers}");
}

#[tokio::test]
async fn a_request_body_comes_back_complete() {
    let server = Server::start(patient()).await;
    let request = format!("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n{CLOSE}hello");
    let answer = server.send(&request).await;
    assert!(answer.ends_with("\r\n\r\nhello"));
}

#[tokio::test]
async fn a_rope_has_its_exact_content_length() {
    let server = Server::start(patient()).await;
    let answer = server.send(&format!("GET /rope HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.contains("\r\ncontent-length: 13\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\none,two,three"), "{answer}");
}

#[tokio::test]
async fn a_peer_that_reads_gets_a_large_answer_completely() {
    let server = Server::start(ServerLimits { write_progress: SHORT, ..patient() }).await;
    let answer = server.send(&format!("GET /big HTTP/1.1\r\n{CLOSE}")).await;
    let head = answer.find("\r\n\r\n").unwrap() + 4;
    assert_eq!(answer.len() - head, BIG_BYTES);
}

/// Sends `start` of a request and nothing more; returns how long the server kept the connection.
async fn kept_open(limits: ServerLimits, start: &[u8]) -> Duration {
    let server = Server::start(limits).await;
    let mut stream = server.connect().await;
    let begun = Instant::now();
    stream.write_all(start).await.unwrap();
    read_to_end(&mut stream).await;
    begun.elapsed()
}

#[tokio::test]
async fn a_head_that_does_not_end_is_closed_at_the_header_timeout() {
    let starts: [&[u8]; 4] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow",
        b"PRI * HT",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
    ];
    for start in starts {
        let kept = kept_open(ServerLimits { header_timeout: SHORT, ..patient() }, start).await;
        assert!(kept >= SHORT && kept < 4 * SHORT, "{start:?} was kept for {kept:?}");
    }
}

#[tokio::test]
async fn a_head_that_trickles_in_is_closed_at_the_header_timeout() {
    let server = Server::start(ServerLimits { header_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < LONG && stream.write_all(b"y").await.is_ok() {
        sleep(SHORT / 10).await;
    }
    assert!(begun.elapsed() < 4 * SHORT, "kept for {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_idle_connection_is_kept_past_the_header_timeout_and_closed_at_the_idle_timeout() {
    let limits = ServerLimits { header_timeout: SHORT, idle_timeout: 3 * SHORT, ..patient() };
    let server = Server::start(limits).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "true").await;
    let begun = Instant::now();
    assert_eq!(read_to_end(&mut stream).await, "");
    let kept = begun.elapsed();
    assert!(kept > 2 * SHORT && kept < 6 * SHORT, "kept for {kept:?}");
}

/// The timer of the connection goes off for the header timeout, too: before these alarms, or long after them.
#[tokio::test]
async fn alarms_of_a_request_go_off_on_time_and_leave_the_idle_timeout_as_it_is() {
    for header_timeout in [SHORT, LONG] {
        let limits = ServerLimits { header_timeout, idle_timeout: 4 * SHORT, ..patient() };
        let server = Server::start(limits).await;
        let mut stream = server.connect().await;
        for _ in 0..2 {
            let begun = Instant::now();
            stream.write_all(b"GET /alarms HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            read_until(&mut stream, "on time").await;
            let took = begun.elapsed();
            assert!(took >= 3 * SHORT && took < LONG / 2, "answered after {took:?}");
        }
        let begun = Instant::now();
        assert_eq!(read_to_end(&mut stream).await, "");
        let kept = begun.elapsed();
        assert!(kept > 3 * SHORT && kept < LONG / 2, "kept for {kept:?}");
    }
}

#[tokio::test]
async fn the_second_head_on_a_connection_has_the_header_timeout() {
    let server = Server::start(ServerLimits { header_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "true").await;
    let begun = Instant::now();
    stream.write_all(b"GET / HT").await.unwrap();
    read_to_end(&mut stream).await;
    assert!(begun.elapsed() < 4 * SHORT, "kept for {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_that_takes_longer_than_every_idle_time_is_answered() {
    let limits = ServerLimits {
        header_timeout: SHORT,
        idle_timeout: SHORT,
        body_idle: SHORT,
        write_progress: SHORT,
        ..patient()
    };
    let server = Server::start(limits).await;
    let answer = server.send(&format!("GET /slow HTTP/1.1\r\n{CLOSE}")).await;
    assert!(answer.ends_with("late"), "{answer}");
}

#[tokio::test]
async fn a_stalled_request_body_is_reported_as_idle() {
    let server = Server::start(ServerLimits { body_idle: SHORT, ..patient() }).await;
    let request = format!("POST /echo HTTP/1.1\r\nContent-Length: 5\r\n{CLOSE}hel");
    let answer = server.send(&request).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_cut() {
    let server = Server::start(ServerLimits { write_progress: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(4 * SHORT).await;
    let received = read_to_end(&mut stream).await;
    assert!(received.len() < BIG_BYTES, "the whole answer came");
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_request_is_dropped_when_its_peer_goes() {
    let server = Server::start(patient()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.wait_until_working(1).await;
    drop(stream);
    server.wait_until_working(0).await;
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let limits = ServerLimits { headers_max: 5, header_bytes_max: 1024, ..patient() };
    let server = Server::start(limits).await;
    let many = "X: y\r\n".repeat(10);
    let long = format!("X: {}\r\n", "y".repeat(2048));
    for fields in [many, long] {
        let answer = server.send(&format!("GET / HTTP/1.1\r\n{fields}{CLOSE}")).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_for_a_free_slot() {
    let server = Server::start(ServerLimits { connections_max: 1, ..patient() }).await;
    let first = server.connect().await;
    let mut second = server.connect().await;
    second.write_all(format!("GET / HTTP/1.1\r\n{CLOSE}").as_bytes()).await.unwrap();
    assert!(timeout(SHORT, second.read_u8()).await.is_err(), "served above the limit");
    drop(first);
    assert!(read_to_end(&mut second).await.ends_with("true"));
}

#[tokio::test]
async fn without_a_watcher_a_refusal_is_only_a_status_after_the_earlier_answers() {
    let server = Server::start(patient()).await;
    let text = "GET /rope HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    let answers = server.send(text).await;
    let (rope, refused) = answers.split_once("one,two,three").expect("the first answer");
    assert!(rope.starts_with("HTTP/1.1 200 "), "{answers}");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{answers}");
    assert!(refused.contains("\r\nconnection: close\r\n"), "{answers}");
    assert_eq!(refused.matches("HTTP/1.1 ").count(), 1, "{answers}");
}

#[tokio::test]
async fn a_head_in_pieces_is_read_unchanged() {
    let server = Server::start(patient()).await;
    let mut stream = server.connect().await;
    for piece in ["POST /ec", "ho HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r", "\n\r\nhel", "loGET"]
    {
        stream.write_all(piece.as_bytes()).await.unwrap();
        sleep(SHORT / 10).await;
    }
    read_until(&mut stream, "\r\n\r\nhello").await;
    stream.write_all(b" / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut stream, "HTTP/1.1 true").await;
}

#[tokio::test]
async fn a_peer_that_still_sends_gets_its_refusal() {
    let server = Server::start(patient()).await;
    let answer = server.send(&format!("GET /{} HTTP/1.1\r\n{CLOSE}", "x".repeat(200_000))).await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
}

#[tokio::test]
async fn a_slow_head_gets_408_and_a_silent_connection_is_closed() {
    let server = Server::start(ServerLimits { header_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(read_to_end(&mut server.connect().await).await, "");
}

#[tokio::test]
async fn connections_per_address_are_limited() {
    let limits = ServerLimits { connections_per_address_max: 2, ..patient() };
    let server = Server::start(limits).await;
    let (first, _second) = (server.connect().await, server.connect().await);
    assert_eq!(read_to_end(&mut server.connect().await).await, "", "the third is closed");
    drop(first);
    for _ in 0..100 {
        let mut next = server.connect().await;
        let asked = next.write_all(format!("GET / HTTP/1.1\r\n{CLOSE}").as_bytes()).await;
        if asked.is_ok() && read_to_end(&mut next).await.ends_with("true") {
            return;
        }
        sleep(SHORT / 10).await;
    }
    panic!("the place of a closed connection never came back");
}
