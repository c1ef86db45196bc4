//! Switching protocols: off unless it is switched on, and then byte by byte until one side ends.

use std::time::Duration;

use tests::raw::{Raw, Reply, say};
use tests::wire::{Far, Wire, passing, request, values};

const ASK: [&str; 4] = [
    "connection: keep-alive, Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// Switches, and says everything back, in capitals, until it hears `bye`.
async fn echo() -> Far {
    Far::start(|mut wire| async move {
        let head = wire.head().await?;
        assert_eq!(values(&head, "upgrade"), ["websocket"]);
        assert_eq!(values(&head, "connection"), ["upgrade"]);
        assert_eq!(values(&head, "authorization"), ["Bearer v4-demo-key"]);
        assert_eq!(values(&head, "sec-websocket-version"), ["13"]);
        wire.say(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello\n",
        )
        .await?;
        loop {
            let line = wire.until("\n").await?;
            wire.say(line.to_uppercase()).await?;
            if line == "bye\n" {
                return None;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_websocket_is_refused_unless_it_is_switched_on() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = passing(upstream.address, "").await;
    let mut client = front.wire("GET /socket", &ASK).await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 501 "), "{head}");
    assert_eq!(values(&head, "x-tieline-error"), ["upgrade_refused"]);
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn a_websocket_goes_through_byte_by_byte_in_both_directions() {
    let upstream = echo().await;
    let front = passing(upstream.address, "websocket = true").await;
    let mut client = front.wire("GET /socket", &ASK).await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(values(&head, "upgrade"), ["websocket"]);
    assert_eq!(values(&head, "sec-websocket-accept").len(), 1);
    assert_eq!(client.until("\n").await.unwrap(), "hello\n");
    // Nothing in it is taken for HTTP any more.
    for line in ["abc\n", "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\n", "\u{1}\0\n"] {
        client.say(line).await.unwrap();
        assert_eq!(client.exactly(line.len()).await.unwrap(), line.to_uppercase());
    }
    let long = "x".repeat(3 << 20) + "\n";
    client.say(&long).await.unwrap();
    assert_eq!(client.skip(long.len()).await, long.len());
    client.say("bye\n").await.unwrap();
    assert_eq!(client.rest().await, "BYE\n");
}

#[tokio::test]
async fn a_silent_websocket_is_closed() {
    let upstream = echo().await;
    let rules = "websocket = true\nwebsocket_idle_timeout = \"3s\"";
    let front = passing(upstream.address, rules).await;
    let mut client = front.wire("GET /socket", &ASK).await;
    client.head().await.unwrap();
    assert_eq!(client.until("\n").await.unwrap(), "hello\n");
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        client.say("a\n").await.unwrap();
        assert_eq!(client.until("\n").await.unwrap(), "A\n");
    }
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn an_upstream_that_does_not_switch_answers_as_ever() {
    let upstream = Raw::start(|_| Reply::json(403, "{\"no\":1}")).await;
    let front = passing(upstream.address, "websocket = true").await;
    let mut client = front.wire("GET /socket", &ASK).await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 403 "));
    assert_eq!(client.exactly(8).await.unwrap(), "{\"no\":1}");
}

#[tokio::test]
async fn e14_an_unrequested_protocol_switch_is_502() {
    let upstream = Raw::start(|_| {
        Reply::bytes("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nstray")
    })
    .await;
    let front = passing(upstream.address, "websocket = true").await;
    let answer = front.get("/x").await;
    tests::expect::error(&answer, "502 upstream_bad_framing", "101");
}

#[tokio::test]
async fn a_websocket_holds_its_place_until_it_ends() {
    let upstream = echo().await;
    let front = passing(upstream.address, "websocket = true\nrequests_in_flight_max = 1").await;
    let mut client = front.wire("GET /socket", &ASK).await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 101 "));
    assert_eq!(front.get("/x").await.verdict(), "503 overloaded");
    client.say("bye\n").await.unwrap();
    client.rest().await;
    drop(client);
    let mut head = String::new();
    for _ in 0..100 {
        let mut next = front.wire("GET /socket", &ASK).await;
        head = next.head().await.unwrap();
        if head.starts_with("HTTP/1.1 101 ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the place is still taken: {head}");
}

#[tokio::test]
async fn e14_a_switch_to_another_protocol_than_was_asked_for_is_502() {
    for upgrade in ["", "upgrade: x\r\n", "upgrade: websocket, x\r\n", "upgrade: h2c\r\n"] {
        let head = format!("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\n{upgrade}\r\nstray");
        let upstream = Raw::start(move |_| Reply::bytes(head.clone())).await;
        let front = passing(upstream.address, "websocket = true").await;
        let mut client = front.wire("GET /socket", &ASK).await;
        let head = client.head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 502 "), "{upgrade:?}: {head}");
        assert_eq!(values(&head, "x-tieline-error"), ["upstream_bad_framing"], "{upgrade:?}");
    }
}

/// Bytes that are no request, and bytes that would be one.
const EARLY: [&str; 4] = [
    "\u{1}\0 frame\n",
    "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n",
];

#[tokio::test]
async fn a25_bytes_behind_an_upgrade_reach_the_tunnel_as_they_came() {
    let upstream = echo().await;
    let front = passing(upstream.address, "websocket = true").await;
    for early in EARLY {
        for is_at_once in [true, false] {
            let mut client = Wire::to(front.running.address).await;
            let head = request("GET /socket", &ASK);
            if is_at_once {
                client.say(head + early).await.unwrap();
            } else {
                client.say(head).await.unwrap();
                client.say(early).await.unwrap();
            }
            let head = client.head().await.unwrap();
            assert!(head.starts_with("HTTP/1.1 101 "), "{early:?}: {head}");
            assert_eq!(client.until("\n").await.unwrap(), "hello\n");
            assert_eq!(client.exactly(early.len()).await.unwrap(), early.to_uppercase());
            client.say("bye\n").await.unwrap();
            assert_eq!(client.rest().await, "BYE\n", "{early:?}");
        }
    }
}

#[tokio::test]
async fn a25_bytes_behind_an_upgrade_that_is_none_are_the_next_request_or_refused() {
    let upstream = Raw::start(|_| Reply::json(403, "{}")).await;
    let front = passing(upstream.address, "websocket = true").await;
    let first = request("GET /socket", &ASK);
    let second = first.clone() + &request("GET /second", &["connection: close"]);
    let heard = say(front.running.address, second.as_bytes()).await;
    assert_eq!(heard.matches("HTTP/1.1 403 ").count(), 2, "{heard}");
    let heard = say(front.running.address, (first + EARLY[0] + "\r\n").as_bytes()).await;
    assert_eq!(heard.matches("HTTP/1.1 403 ").count(), 1, "{heard}");
    assert_eq!(heard.matches("HTTP/1.1 400 ").count(), 1, "{heard}");
    assert_eq!(upstream.asked(), 3);
}

#[tokio::test]
async fn a26_an_upgrade_with_a_body_is_400_and_goes_nowhere() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = passing(upstream.address, "websocket = true").await;
    for (more, body) in [
        (&["content-length: 5"][..], "abcde"),
        (&["transfer-encoding: chunked"], "0\r\n\r\n"),
        (&["expect: 100-continue"], ""),
        (&["content-length: 5", "expect: 100-continue"], "abcde"),
    ] {
        let text = request("GET /socket", &[&ASK[..], more].concat()) + body;
        let heard = say(front.running.address, text.as_bytes()).await;
        tests::expect::refusal(&heard, "400 bad_framing", &format!("{more:?}"));
        assert_eq!(upstream.asked(), 0, "{more:?}");
    }
    // To another protocol it is no upgrade here, and its body is one.
    let upgrade = ["connection: upgrade, close", "upgrade: h2c", "content-length: 5"];
    let text = request("POST /x", &upgrade) + "abcde";
    let heard = say(front.running.address, text.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
}

#[tokio::test]
async fn a27_a_request_of_http10_is_no_upgrade() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    for rules in ["websocket = true", ""] {
        let front = passing(upstream.address, rules).await;
        let text = request("GET /socket", &ASK).replace("HTTP/1.1", "HTTP/1.0");
        let text = text.replace("keep-alive, ", "close, ");
        let heard = say(front.running.address, text.as_bytes()).await;
        assert!(heard.contains(" 200 "), "{heard}");
        let head = upstream.heads().pop().unwrap();
        assert!(head.headers("upgrade").is_empty() && head.headers("connection").is_empty());
    }
}
