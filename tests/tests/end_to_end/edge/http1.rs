//! HTTP/1 that is not in order, or not for us: refused in the one shape all errors have, before anything
//! is asked upstream.

use std::time::Duration;

use tests::expect::refusal;
use tests::raw::{Raw, Reply, say};
use tests::wire::{Far, Wire, request, values};
use tests::{Answer, Front, V1_USERS, edge_text};
use tokio::time::{Instant, sleep};

const CHUNKED: &str = "transfer-encoding: chunked";

struct Edge {
    upstream: Raw,
    front: Front,
}

impl Edge {
    async fn new(server: &str) -> Edge {
        let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
        let front = Front::start(&edge_text(upstream.address, server, "")).await;
        Edge { upstream, front }
    }

    /// These bytes are refused: in the one shape, closed, counted, and nothing is asked upstream.
    async fn refuses(&self, text: impl AsRef<[u8]>, verdict: &str) {
        let what = String::from_utf8_lossy(text.as_ref()).chars().take(200).collect::<String>();
        let heard = say(self.front.running.address, text.as_ref()).await;
        assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{what}: {heard}");
        refusal(&heard, verdict, &what);
        assert_eq!(self.upstream.asked(), 0, "{what}");
    }

    /// The same of a request with these headers and this body, on either kind of route.
    async fn refuses_head(&self, headers: &[&str], body: &str, verdict: &str) {
        for line in ["POST /x", &format!("GET {V1_USERS}")] {
            self.refuses(request(line, headers) + body, verdict).await;
        }
    }
}

#[tokio::test]
async fn a01_a02_a03_a04_a_length_that_is_not_clear_is_400_bad_framing() {
    let edge = Edge::new("").await;
    for (headers, body) in [
        (&["content-length: 5", CHUNKED][..], "0\r\n\r\n"),
        (&[CHUNKED, "content-length: 5"], "0\r\n\r\n"),
        (&["content-length: 5", "content-length: 5"], "abcde"),
        (&["content-length: 5", "content-length: 6"], "abcde"),
        (&["content-length: 5, 5"], "abcde"),
        (&["content-length: +5"], "abcde"),
        (&["content-length: -1"], ""),
        (&["content-length: 0x5"], "abcde"),
        (&["content-length: 5 "], "abcde"),
        (&["content-length: \"\""], ""),
        (&["content-length: 5;"], "abcde"),
        (&["content-length: 18446744073709551617"], "a"),
        (&["transfer-encoding: ,chunked"], "0\r\n\r\n"),
        (&["transfer-encoding: chunked, chunked"], "0\r\n\r\n"),
        (&[CHUNKED, CHUNKED], "0\r\n\r\n"),
        (&["transfer-encoding: gzip, chunked"], "0\r\n\r\n"),
        (&["transfer-encoding: xchunked"], "0\r\n\r\n"),
    ] {
        edge.refuses_head(headers, body, "400 bad_framing").await;
    }
    let old = request("POST /x", &[CHUNKED]).replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n";
    edge.refuses(old, "400 bad_framing").await;
    let odd = "transfer-encoding: \u{b}chunked";
    edge.refuses_head(&[odd], "0\r\n\r\n", "400 bad_header").await;
    let rejected = edge.front.rejected("bad_framing").await;
    assert_eq!(rejected, 2 * 17 + 1);
    let errors = edge.front.count("tieline_errors_total{slug=\"bad_framing\"}").await;
    assert_eq!(errors, rejected, "and each has its line");
}

#[tokio::test]
async fn a05_a_translated_request_with_a_bad_chunk_is_400_and_asks_nothing() {
    let edge = Edge::new("").await;
    let head = request(&format!("GET {V1_USERS}"), &[CHUNKED]);
    for bad in ["0_2e\r\n", "-0x0\r\n", "0x1\r\na\r\n", "\r\n", "1\r\nab\r\n", "1\na\r\n", "1\r\r"]
    {
        let heard = say(edge.front.running.address, format!("{head}{bad}").as_bytes()).await;
        let answer = Answer::heard(&heard);
        assert_eq!(answer.verdict(), "400 bad_framing", "{bad:?}: {heard}");
        assert_eq!(edge.upstream.asked(), 0, "{bad:?}");
    }
}

#[tokio::test]
async fn a06_a_chunk_extension_without_end_is_refused_or_cut() {
    let edge = Edge::new("").await;
    let long = format!("1;{}", "x".repeat(17 << 10));
    let head = request(&format!("GET {V1_USERS}"), &[CHUNKED]);
    let heard = say(edge.front.running.address, (head + &long).as_bytes()).await;
    assert_eq!(Answer::heard(&heard).verdict(), "400 bad_framing", "{heard}");
    assert_eq!(edge.upstream.asked(), 0);

    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        let body = wire.rest().await;
        assert!(!body.contains("0\r\n\r\n"), "{body}");
        None
    })
    .await;
    let front = Front::start(&edge_text(upstream.address, "", "")).await;
    let text = request("POST /x", &[CHUNKED]) + &long + "\r\na\r\n0\r\n\r\n";
    let heard = say(front.running.address, text.as_bytes()).await;
    assert!(!heard.contains(" 200 "), "{heard}");
}

#[tokio::test]
async fn a07_a_header_that_some_read_in_another_way_is_400_bad_header() {
    let edge = Edge::new("").await;
    for odd in [
        "x-a: 1\nx-b: 2",
        "x-a: 1\rx-b: 2",
        "x-a: 1\0",
        "x-a: 1\r\n folded",
        "x-a : 1",
        ": nameless",
        "x-\u{e9}: 1",
        "no colon",
    ] {
        edge.refuses_head(&[odd], "", "400 bad_header").await;
    }
    edge.refuses(request("GET /x", &[]).replace("\r\n", "\n"), "400 bad_header").await;
}

#[tokio::test]
async fn a08_a_request_without_one_good_host_is_400_bad_host() {
    let edge = Edge::new("").await;
    let long = "x".repeat(256);
    for host in ["", "a/b", "a@b", "a b", &long] {
        let text =
            request("GET /x", &[]).replace("host: gateway.example", &format!("host: {host}"));
        edge.refuses(text, "400 bad_host").await;
    }
    edge.refuses("GET /x HTTP/1.1\r\n\r\n", "400 bad_host").await;
    edge.refuses_head(&["host: gateway.example"], "", "400 bad_host").await;
}

#[tokio::test]
async fn a09_a10_another_host_than_those_served_is_421_wherever_it_stands() {
    let edge = Edge::new("hosts = [\"gateway.example\"]").await;
    let absolute = "GET http://169.254.169.254/latest";
    let mismatch = request(absolute, &["connection: close"]);
    let agreed = mismatch.replace("host: gateway.example", "host: 169.254.169.254");
    let plain =
        request("GET /x", &["connection: close"]).replace("gateway.example", "other.example");
    let nameless = "GET /x HTTP/1.0\r\n\r\n".to_owned();
    for (text, verdict) in [
        (mismatch, "400 bad_host"),
        (agreed, "421 unknown_host"),
        (plain, "421 unknown_host"),
        (nameless, "421 unknown_host"),
    ] {
        let heard = say(edge.front.running.address, text.as_bytes()).await;
        assert_eq!(Answer::heard(&heard).verdict(), verdict, "{text}: {heard}");
        assert_eq!(edge.upstream.asked(), 0, "{text}");
    }
    for line in ["GET /x", "GET http://gateway.example/x"] {
        let text = request(line, &["connection: close"]);
        let heard = say(edge.front.running.address, text.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 200 "), "{line}: {heard}");
    }
    let heads = edge.upstream.heads();
    assert!(heads.len() == 2 && heads.iter().all(|head| head.target() == "/x"), "{heads:?}");
}

#[tokio::test]
async fn a11_an_unknown_method_is_405_with_the_list_of_known_methods() {
    let edge = Edge::new("").await;
    let long = "M".repeat(17);
    for line in ["CONNECT evil.example:443", "TRACE /x", "GET *", &format!("{long} /x")] {
        let host = if line.starts_with("CONNECT") { "evil.example:443" } else { "gateway.example" };
        let text = request(line, &["connection: close"]).replace("gateway.example", host);
        let answer = Answer::heard(&say(edge.front.running.address, text.as_bytes()).await);
        assert_eq!(answer.verdict(), "405 method_not_allowed", "{line}");
        assert!(answer.header("allow").starts_with("GET, HEAD, "), "{line}");
        assert_eq!(edge.upstream.asked(), 0, "{line}");
    }
}

#[tokio::test]
async fn a28_behind_a_refused_connect_the_connection_closes() {
    let edge = Edge::new("").await;
    let text = "CONNECT gateway.example:443 HTTP/1.1\r\nhost: gateway.example:443\r\n\r\n";
    let text = text.to_owned() + &request("GET /hidden", &[]);
    let heard = say(edge.front.running.address, text.as_bytes()).await;
    assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "{heard}");
    let answer = Answer::heard(&heard);
    assert_eq!(answer.verdict(), "405 method_not_allowed");
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(edge.upstream.asked(), 0);
}

#[tokio::test]
async fn a29_a_fragment_or_another_scheme_in_a_target_is_400() {
    let edge = Edge::new("").await;
    for (target, verdict) in [
        ("/t#/../admin", "400 bad_target"),
        ("/#", "400 bad_target"),
        ("/t?a=1#/admin", "400 bad_query"),
        ("http://gateway.example/t#x", "400 bad_target"),
        ("http://gateway.example#x", "400 bad_target"),
        ("ftp://gateway.example/t", "400 bad_target"),
        ("file://gateway.example/t", "400 bad_target"),
        ("ws://gateway.example/t", "400 bad_target"),
    ] {
        edge.refuses(request(&format!("GET {target}"), &[]), verdict).await;
    }
}

#[tokio::test]
async fn a30_a_host_that_is_none_is_400_and_closes_wherever_it_stands() {
    let edge = Edge::new("").await;
    for host in [
        "h\"x",
        "h'x",
        "h,i",
        "h;i",
        "h%00",
        "h%2e",
        "h<x>",
        "h|x",
        "h*",
        "h(x)",
        "h!",
        "h:",
        "h:0",
        "h:99999",
        "h:+80",
        "h:80:80",
        "h:x",
        ":80",
        "[::1",
        "::1",
        "[]",
        "[h]",
        "[::1]80",
        ".",
        "a..b",
        ".h",
        "1",
        "256.1.1.1",
    ] {
        let text =
            request("GET /x", &[]).replace("host: gateway.example", &format!("host: {host}"));
        edge.refuses(text, "400 bad_host").await;
    }
    edge.refuses(request("GET http://other.example/x", &[]), "400 bad_host").await;
    edge.refuses(request("GET http://gateway.example:99999/x", &[]), "400 bad_host").await;
    edge.refuses(request("GET http://gateway.example:81/x", &[]), "400 bad_host").await;
    // One host in two spellings.
    let text = request("GET http://gateway.example:80/x", &["connection: close"]);
    let heard = say(edge.front.running.address, text.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
}

#[tokio::test]
async fn a14_an_unexpected_request_body_is_read_away_before_the_answer() {
    let upstream = Raw::start(|head| Reply::page_of(&[1, 2, 3], head)).await;
    let front = Front::start(&edge_text(upstream.address, "", "")).await;
    let line = format!("GET {V1_USERS}");
    let mut wire = Wire::to(front.running.address).await;
    for length in [5, 60_000] {
        let text = request(&line, &[&format!("content-length: {length}")]);
        wire.say(text + &"x".repeat(length)).await.unwrap();
        let head = wire.head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{length}: {head}");
        let length = values(&head, "content-length")[0].parse().unwrap();
        wire.exactly(length).await.unwrap();
    }
    let inner = request("GET /hidden", &[]);
    let body = inner.repeat((1 << 20) / inner.len());
    let text = request(&line, &[&format!("content-length: {}", body.len())]) + &body;
    let heard = say(front.running.address, text.as_bytes()).await;
    assert_eq!(heard.matches("HTTP/1.1 ").count(), 1, "answered and closed: {heard}");
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    assert!(upstream.heads().iter().all(|head| !head.target().contains("hidden")));
}

#[tokio::test]
async fn a15_a_first_line_that_is_too_long_is_414() {
    let edge = Edge::new("").await;
    for kibibytes in [9, 70] {
        let line = format!("GET /{}", "x".repeat(kibibytes << 10));
        edge.refuses(request(&line, &[]), "414 uri_too_long").await;
    }
    let fits = request(&format!("GET /{}", "x".repeat(8000)), &["connection: close"]);
    let heard = say(edge.front.running.address, fits.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
}

#[tokio::test]
async fn a16_headers_that_are_too_long_or_too_many_are_431() {
    let edge = Edge::new("").await;
    let long = format!("x-a: {}", "x".repeat(9 << 10));
    edge.refuses_head(&[&long], "", "431 headers_too_large").await;
    // With the host and the key there are 101.
    edge.refuses_head(&["x-a: 1"; 99], "", "431 headers_too_large").await;
    let fits = format!("x-a: {}", "x".repeat(8000));
    edge.refuses_head(&[&fits; 5].map(String::as_str), "", "431 headers_too_large").await;
    let text =
        request("GET /x", &["x-a: 1"; 98]).replace("x-a: 1\r\n\r\n", "connection: close\r\n\r\n");
    let heard = say(edge.front.running.address, text.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
}

#[tokio::test]
async fn a17_a_name_with_underscores_is_no_other_header() {
    let edge = Edge::new("").await;
    for odd in ["content_length: 5", "Transfer_Encoding: chunked", "x_forwarded_for: 1.1.1.1"] {
        edge.refuses_head(&[odd], "", "400 bad_header").await;
    }
    let text = request("GET /x", &["api_key: 1", "connection: close"]);
    let heard = say(edge.front.running.address, text.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
}

#[tokio::test]
async fn a18_another_version_is_505_and_no_version_400() {
    let edge = Edge::new("").await;
    for (line, verdict) in [
        ("GET /x HTTP/1.2", "505 bad_version"),
        ("GET /x HTTP/2.0", "505 bad_version"),
        ("GET /x HTTP/0.9", "505 bad_version"),
        ("GET /x HTTP/1.1x", "400 bad_request"),
        ("GET /x", "400 bad_request"),
        ("GET /x y HTTP/1.1", "400 bad_request"),
    ] {
        edge.refuses(format!("{line}\r\nhost: x\r\n\r\n"), verdict).await;
    }
}

#[tokio::test]
async fn a19_requests_before_a_bad_request_are_answered_in_order() {
    let edge = Edge::new("").await;
    let good: String = (0..49).map(|number| request(&format!("GET /{number}"), &[])).collect();
    let bad = request("GET /bad", &["content-length: x"]);
    let rest = request("GET /hidden", &[]).repeat(50);
    let heard = say(edge.front.running.address, (good + &bad + &rest).as_bytes()).await;
    assert_eq!(heard.matches("HTTP/1.1 200 ").count(), 49);
    assert_eq!(heard.matches("HTTP/1.1 ").count(), 50);
    let last = heard.rfind("HTTP/1.1 ").unwrap();
    refusal(&heard[last..], "400 bad_framing", "the fiftieth");
    let targets = edge.upstream.heads();
    let targets = targets.iter().map(|head| head.target().to_owned());
    assert!(targets.eq((0..49).map(|number| format!("/{number}"))));
}

#[tokio::test]
async fn a20_a_path_goes_through_as_it_is_or_not_at_all() {
    let edge = Edge::new("").await;
    for (odd, verdict) in [
        ("/\u{e9}", "400 bad_target"),
        ("/\0", "400 bad_target"),
        ("/\u{e9}?a=\u{e9}", "400 bad_target"),
        ("/x?a=\0", "400 bad_query"),
        ("/x?a=<b>", "400 bad_query"),
    ] {
        edge.refuses(request(&format!("GET {odd}"), &[]), verdict).await;
    }
    for odd in ["/..%2fadmin", "//x", "/./x", "/x%00", "/x\\y", "/x%zz", &format!("{V1_USERS}%00")]
    {
        let text = request(&format!("GET {odd}"), &["connection: close"]);
        let answer = Answer::heard(&say(edge.front.running.address, text.as_bytes()).await);
        assert_eq!(answer.verdict(), "400 odd_path", "{odd}");
        assert_eq!(edge.upstream.asked(), 0, "{odd}");
    }
    for plain in ["/x?a=Jos\u{e9}", "/x;y=1", "/%C3%A9", "/a%20b?c=%20", "/%c0%af"] {
        let text = request(&format!("GET {plain}"), &["connection: close"]);
        say(edge.front.running.address, text.as_bytes()).await;
        assert_eq!(edge.upstream.heads().last().unwrap().target(), plain);
    }
}

#[tokio::test]
async fn a22_a_connection_that_speaks_no_http_is_closed_and_counted() {
    let edge = Edge::new("").await;
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 100]].concat();
    assert_eq!(say(edge.front.running.address, &hello).await, "");
    assert_eq!(edge.front.rejected("not_http").await, 1);
    let access = edge.front.admin("/metrics").await.text();
    assert!(!access.contains("tieline_requests_total{"), "no access line: {access}");

    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("tieline-a22-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!(
        "tls = {{ cert = \"{}\", key = \"{}\" }}\nhandshake_timeout = \"1s\"",
        cert.display(),
        key.display()
    );
    let edge = Edge::new(&tls).await;
    std::fs::remove_dir_all(&folder).unwrap();
    let heard = say(edge.front.running.address, request("GET /x", &[]).as_bytes()).await;
    assert!(!heard.contains("HTTP/"), "in the clear: {heard}");
    assert_eq!(edge.front.rejected("tls_failed").await, 1);
    let begun = Instant::now();
    assert_eq!(say(edge.front.running.address, &[0x16]).await, "");
    assert!(begun.elapsed() >= Duration::from_millis(900), "after {:?}", begun.elapsed());
    for _ in 0..100 {
        if edge.front.rejected("tls_slow").await == 1 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("a handshake that does not come was not counted");
}
