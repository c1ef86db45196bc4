//! Requests whose end is open to doubt: none of them goes through, and none hides another one.

use tests::raw::{Raw, Reply, say};
use tests::wire::{Far, passing, request, values};

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a01_to_a08_an_ambiguous_request_is_refused_and_its_connection_is_closed() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = passing(upstream.address, "").await;
    let chunked = "transfer-encoding: chunked";
    for (headers, body) in [
        (&["content-length: 5", chunked][..], "0\r\n\r\n"),
        (&[chunked, "content-length: 5"], "0\r\n\r\n"),
        (&["content-length: 5", "content-length: 5"], "abcde"),
        (&["content-length: 5", "content-length: 6"], "abcde"),
        (&["content-length: 5, 5"], "abcde"),
        (&["content-length: +5"], "abcde"),
        (&["content-length: 0x5"], "abcde"),
        (&["content-length:"], ""),
        (&["content-length: -1"], ""),
        (&["content-length: 18446744073709551617"], "a"),
        (&[chunked, chunked], "0\r\n\r\n"),
        (&["transfer-encoding: ,chunked"], "0\r\n\r\n"),
        (&["transfer-encoding: gzip, chunked"], "0\r\n\r\n"),
        (&["transfer-encoding: chunked, identity"], "0\r\n\r\n"),
        (&["transfer-encoding: xchunked"], "0\r\n\r\n"),
        (&["transfer-encoding: \u{b}chunked"], "0\r\n\r\n"),
        (&["transfer-encoding : chunked"], "0\r\n\r\n"),
        (&["x-a: 1\r\n folded"], ""),
        (&["x-a: 1\nx-b: 2"], ""),
        (&["x-a: 1\rx-b: 2"], ""),
        (&["x-a: 1\0"], ""),
        (&[": nameless"], ""),
        (&["host: other.example"], ""),
    ] {
        let text = request("POST /x", headers) + body + HIDDEN;
        let heard = say(front.running.address, text.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 400 "), "{headers:?}: {heard}");
        assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {heard}");
        assert_eq!(values(&heard, "connection"), ["close"], "{headers:?}: {heard}");
        assert_eq!(upstream.asked(), 0, "{headers:?}");
    }
    for text in [
        "GET /x HTTP/1.1\r\n\r\n".to_owned(),
        request("GET /x", &[]).replace("\r\n", "\n"),
        request("POST /x", &[chunked]).replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n",
        request("GET  /x", &[]),
        request("GET /x y", &[]),
    ] {
        let heard = say(front.running.address, text.as_bytes()).await;
        assert!(
            heard.starts_with("HTTP/1.1 400 ") || heard.starts_with("HTTP/1.0 400 "),
            "{heard}"
        );
        assert_eq!(upstream.asked(), 0, "{text:?}");
    }
}

#[tokio::test]
async fn a05_a_body_with_a_bad_chunk_is_cut_and_never_whole() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        let body = wire.rest().await;
        assert!(!body.contains("0\r\n\r\n") && !body.contains("hidden"), "{body}");
        None
    })
    .await;
    let front = passing(upstream.address, "").await;
    for bad in [
        "x\r\n",
        "0x1\r\na\r\n",
        "1\na\n",
        "1\r\nab\r\n",
        "-1\r\n",
        "1 ;a\r\na\r\n",
        "1\r\r\n",
        "0;a\u{1}\r\n\r\n",
        "0;a\n\r\n",
        "0;\u{e9}\r\n\r\n",
        "2;\u{1}\r\naa\r\n",
    ] {
        let text = request("POST /x", &["transfer-encoding: chunked"]);
        let text = format!("{text}3\r\nabc\r\n{bad}0\r\n\r\n{HIDDEN}");
        let heard = say(front.running.address, text.as_bytes()).await;
        let count = heard.matches("HTTP/1.1 ").count();
        assert!(count <= 1 && !heard.contains(" 200 "), "{bad:?}: {heard}");
    }
}

#[tokio::test]
async fn a05_a_request_with_a_bad_first_chunk_is_400_bad_framing() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        assert_eq!(wire.rest().await, "", "nothing, and not the end of a body");
        None
    })
    .await;
    let front = passing(upstream.address, "").await;
    let text = request("POST /x", &["transfer-encoding: chunked"]) + "zz\r\n";
    let heard = say(front.running.address, text.as_bytes()).await;
    tests::expect::refusal(&heard, "400 bad_framing", "zz");
}

#[tokio::test]
async fn a14_bytes_of_a_body_never_become_a_request() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = passing(upstream.address, "").await;
    // Refused before the body is read; the body looks like a request of the same caller.
    let inner = request("GET /hidden", &[]);
    let length = format!("content-length: {}", inner.len());
    let text = request("POST /x/..", &[&length]) + &inner;
    let text = text + &request("GET /last", &["connection: close"]);
    let heard = say(front.running.address, text.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
    assert!(upstream.heads().iter().all(|head| head.target() == "/last"));
}

#[tokio::test]
async fn a12_the_bytes_after_an_upgrade_are_a_request_of_their_own() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = passing(upstream.address, "").await;
    let upgrade = ["connection: upgrade", "upgrade: h2c"];
    let text = request("GET /first", &upgrade)
        + "GET /second HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let heard = say(front.running.address, text.as_bytes()).await;
    assert_eq!(heard.matches("HTTP/1.1 200 ").count(), 1, "{heard}");
    assert_eq!(heard.matches("HTTP/1.1 401 ").count(), 1, "the second has no key: {heard}");
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn e17_an_answer_with_two_readings_is_502() {
    for answer in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "x-a: 1\r\n folded\r\n\r\n",
    ] {
        let upstream = Raw::start(move |_| {
            Reply::bytes(format!("HTTP/1.1 200 OK\r\n{answer}HTTP/1.1 200 OK\r\n\r\nhidden"))
                .closed()
        })
        .await;
        let front = passing(upstream.address, "").await;
        let got = front.get("/x").await;
        tests::expect::error(&got, "502 upstream_bad_framing", answer);
    }
}
