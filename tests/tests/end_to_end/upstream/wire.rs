//! An upstream that breaks HTTP, or answers too slowly, byte by byte. The ids in front
//! of the test names are those of `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tests::raw::{Raw, Reply, page, user};
use tests::wire::{Far, passing};
use tests::{Answer, Front, LEGACY_KEY, V1_USERS, V4_KEY, config, config_text, expect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// One list over an upstream that answers every request with these bytes and then closes.
async fn over(bytes: impl Into<Vec<u8>>, more: &str) -> (Answer, Raw) {
    let reply = Reply::bytes(bytes).closed();
    let upstream = Raw::start(move |_| reply.clone()).await;
    let front = Front::over(upstream.address, more, "").await;
    (front.get(V1_USERS).await, upstream)
}

fn good(ids: &[u64]) -> String {
    let rows: Vec<String> = ids.iter().map(|id| user(*id)).collect();
    page(&rows, ids.len())
}

/// A head of a JSON answer with these lines, and a body.
fn answer(status: &str, lines: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{lines}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn e02_an_upstream_that_takes_no_connection_is_504() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The listener accepts nothing. Once its queue is full, the kernel answers nothing either.
    let mut queue = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 64, "a queue of one");
    }
    let front = Front::over(address, "connect_timeout = \"300ms\"", "").await;
    let started = Instant::now();
    expect::error(&front.get(V1_USERS).await, "504 upstream_connect_timeout", "a full queue");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let metrics = front.admin("/metrics").await.text();
    let tried =
        "tieline_upstream_requests_total{outcome=\"upstream_connect_timeout\",upstream=\"ams\"} 3";
    assert!(metrics.contains(tried), "three tries");
}

/// What a pretend upstream shows and does over TLS.
#[derive(Clone, Copy, PartialEq)]
enum Secure {
    /// Answers one request and says goodbye as TLS wants it.
    Polite,
    /// Answers one request and closes the socket without a word.
    Abrupt,
}

/// An upstream over TLS with a certificate for `name`, which gives `bytes` for an answer; how many
/// connections it had, and the certificate as a file.
async fn secure(
    file: &str,
    name: &str,
    is_expired: bool,
    end: Secure,
    bytes: Vec<u8>,
) -> (u16, Arc<AtomicUsize>, PathBuf) {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    if is_expired {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("upstream-{file}.crt"));
    std::fs::write(&path, certificate.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let (acceptor, bytes) = (acceptor.clone(), bytes.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_buf(&mut head).await.ok().filter(|read| *read > 0)?;
                }
                stream.write_all(&bytes).await.ok()?;
                stream.flush().await.ok()?;
                match end {
                    Secure::Polite => stream.shutdown().await.ok(),
                    Secure::Abrupt => stream.get_mut().0.shutdown().await.ok(),
                }
            });
        }
    });
    (port, connections, path)
}

async fn over_tls(port: u16, ca: &PathBuf) -> Answer {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], port));
    let more = format!("ca_file = {ca:?}\nattempts_max = 3\nconnect_timeout = \"5s\"");
    let text = config_text(nowhere, &more, "");
    let text = text.replace(&format!("http://{nowhere}"), &format!("https://localhost:{port}"));
    Front::start(&text).await.get(V1_USERS).await
}

#[tokio::test]
async fn e06_a_certificate_that_is_not_good_is_502_and_not_tried_again() {
    let body = good(&[1]);
    let bytes = answer("200 OK", &format!("content-length: {}\r\n", body.len()), &body);
    let known = secure("known", "localhost", false, Secure::Polite, bytes.clone()).await;
    expect::rows(&over_tls(known.0, &known.2).await, &[1], "a good one");
    let expired = secure("expired", "localhost", true, Secure::Polite, bytes.clone()).await;
    let other = secure("other", "other.example", false, Secure::Polite, bytes.clone()).await;
    let unknown = secure("unknown", "localhost", false, Secure::Polite, bytes).await;
    for (what, far, ca) in [
        ("expired", &expired, &expired.2),
        ("another name", &other, &other.2),
        ("an unknown authority", &unknown, &known.2),
    ] {
        expect::error(&over_tls(far.0, ca).await, "502 upstream_tls", what);
        assert_eq!(far.1.load(Ordering::SeqCst), 1, "{what}: once");
    }
}

#[tokio::test]
async fn e07_a_handshake_that_stalls_is_504() {
    let far = Far::start(|mut wire| async move { wire.until("never").await.map(drop) }).await;
    let more = "connect_timeout = \"400ms\"";
    let text = config_text(far.address, more, "").replace("http://", "https://");
    let answer = Front::start(&text).await.get(V1_USERS).await;
    expect::error(&answer, "504 upstream_tls_timeout", "nothing behind the hello");
    assert_eq!(far.connections(), 3, "three attempts");
}

#[tokio::test]
async fn e07_without_a_close_notify_a_body_is_whole_only_if_its_length_was_given() {
    let body = good(&[1, 2]);
    let told = answer("200 OK", &format!("content-length: {}\r\n", body.len()), &body);
    let far = secure("told", "localhost", false, Secure::Abrupt, told).await;
    expect::rows(&over_tls(far.0, &far.2).await, &[1, 2], "by its length");
    let untold = answer("200 OK", "connection: close\r\n", &body);
    let far = secure("polite", "localhost", false, Secure::Polite, untold.clone()).await;
    expect::rows(&over_tls(far.0, &far.2).await, &[1, 2], "by its goodbye");
    let far = secure("untold", "localhost", false, Secure::Abrupt, untold).await;
    let answer = over_tls(far.0, &far.2).await;
    expect::error(&answer, "502 upstream_truncated", "anybody could have cut it");
}

#[tokio::test]
async fn e08_e09_a_reset_before_or_in_the_head_is_tried_again_and_then_502() {
    for cut in ["", "H", "HTTP/1.1 200 OK\r\ncont", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"] {
        let ids = [1, 2, 3];
        let once = Raw::start(move |head| match head.number {
            0 => Reply::bytes(cut).reset(),
            _ => Reply::page_of(&ids, head),
        })
        .await;
        let front = Front::over(once.address, "", "").await;
        expect::rows(&front.get(V1_USERS).await, &ids, &format!("once at {}", cut.len()));
        assert_eq!(once.asked(), 2);
        let always = Raw::start(move |_| Reply::bytes(cut).reset()).await;
        let front = Front::over(always.address, "", "").await;
        let what = format!("always at {}", cut.len());
        expect::error(&front.get(V1_USERS).await, "502 upstream_reset", &what);
        assert_eq!(always.asked(), 3, "{what}");
    }
}

#[tokio::test]
async fn e12_a_byte_now_and_then_ends_at_the_deadline() {
    let far = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say(answer("200 OK", "content-length: 100000\r\n", "")).await?;
        loop {
            wire.say(" ").await?;
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let rest = "[limits]\nrequest_deadline = \"2s\"\n";
    for more in ["", "attempt_timeout = \"200ms\""] {
        let front = Front::over(far.address, more, rest).await;
        let started = Instant::now();
        expect::error(&front.get(V1_USERS).await, "504 upstream_timeout", more);
        assert!(started.elapsed() < Duration::from_secs(12), "{more}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn e14_endless_hints_and_an_unrequested_protocol_switch_are_502() {
    let far = Far::start(|mut wire| async move {
        wire.head().await?;
        for _ in 0..20_000 {
            wire.say("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").await?;
        }
        wire.rest().await;
        Some(())
    })
    .await;
    let front = Front::over(far.address, "", "").await;
    expect::error(&front.get(V1_USERS).await, "502 upstream_bad_framing", "hints");
    assert_eq!(far.connections(), 1, "once");
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let (switched, upstream) = over(switch, "").await;
    expect::error(&switched, "502 upstream_bad_framing", "a switch");
    assert_eq!(upstream.asked(), 1);
    // A few hints are fine.
    let body = good(&[1]);
    let page = answer("200 OK", &format!("content-length: {}\r\n", body.len()), &body);
    let hints = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(5);
    let (hinted, _) = over([hints, page].concat(), "").await;
    expect::rows(&hinted, &[1], "five hints");
}

#[tokio::test]
async fn e15_bytes_behind_an_answer_cost_the_connection_and_nothing_else() {
    let ids: Vec<u64> = (1..=250).collect();
    let all = ids.clone();
    let upstream = Far::start(move |mut wire| {
        let ids = all.clone();
        async move {
            loop {
                let head = wire.asked().await?;
                let stray = answer("200 OK", "content-length: 2\r\n", "{}");
                wire.say([Reply::page_of(&ids, &head).as_ref(), &stray].concat()).await?;
            }
        }
    })
    .await;
    let front = Front::over(upstream.address, "", "").await;
    expect::rows(&front.get(V1_USERS).await, &ids, "the answers before them are good");
    assert_eq!(upstream.connections(), 3, "three pages");
}

#[tokio::test]
async fn e16_a_stray_answer_never_reaches_another_caller() {
    const OTHER: &str = "another-legacy-key";
    // Which credentials each connection was used with.
    let used = Arc::<Mutex<Vec<(usize, bool)>>>::default();
    let seen = Arc::clone(&used);
    let upstream = Far::start(move |mut wire| {
        let seen = Arc::clone(&seen);
        async move {
            loop {
                let head = wire.head().await?;
                let is_first = head.contains(V4_KEY);
                seen.lock().unwrap().push((wire.number, is_first));
                let body = good(&[if is_first { 1 } else { 2 }]);
                let length = format!("content-length: {}\r\n", body.len());
                let bytes = answer("200 OK", &length, &body);
                wire.say(&bytes).await?;
                sleep(Duration::from_millis(5)).await;
                // No request asked for this answer.
                wire.say(&bytes).await?;
            }
        }
    })
    .await;
    let second = config::caller("other", "ams", &config::digest(OTHER), &config::env("OTHER"), "");
    let env = [("V4", V4_KEY), ("OTHER", "the-other-v4-key")];
    let text = config_text(upstream.address, "", &second);
    let front = Arc::new(Front::start_with(&text, &env).await);
    let mut all = JoinSet::new();
    for (key, own) in [(LEGACY_KEY, 1), (OTHER, 2)] {
        let front = Arc::clone(&front);
        all.spawn(async move {
            for round in 0..100 {
                let bearer = format!("Bearer {key}");
                let answer = front.get_with(V1_USERS, &[("authorization", &bearer)]).await;
                // A caller may be confused with itself: its own rows, or an error.
                let ids = answer.ids();
                assert!(ids.is_empty() || ids == [own], "{round}: {ids:?} for {own}");
                assert!(answer.status == 200 || answer.status.is_server_error());
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    let used = used.lock().unwrap();
    let of =
        |first: bool| used.iter().filter(move |(_, is)| *is == first).map(|(number, _)| *number);
    assert!(of(true).count() > 10 && of(false).count() > 10);
    assert!(of(true).all(|one| of(false).all(|other| one != other)), "a connection of two callers");
}

#[tokio::test]
async fn e17_e18_an_answer_with_an_odd_head_is_502_and_asked_for_once() {
    let body = good(&[1]);
    let length = format!("content-length: {}\r\n", body.len());
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let many = "x-h: 1\r\n".repeat(101);
    let long = format!("x-h: {}\r\n", "a".repeat(65 << 10));
    let cases = [
        ("two lengths", answer("200 OK", &length.repeat(2), &body)),
        (
            "a length and chunks",
            answer("200 OK", &format!("{length}transfer-encoding: chunked\r\n"), &chunked),
        ),
        ("two codings", answer("200 OK", "transfer-encoding: gzip, chunked\r\n", &chunked)),
        ("NUL in a header", answer("200 OK", &format!("{length}x: a\0b\r\n"), &body)),
        ("101 headers", answer("200 OK", &format!("{length}{many}"), &body)),
        ("65 KiB of a header", answer("200 OK", &format!("{length}{long}"), &body)),
        ("status 99", answer("99 OK", &length, &body)),
        ("status 999", answer("999 OK", &length, &body)),
        ("status 20x", answer("20x OK", &length, &body)),
        ("escapes in the reason", answer("200 \x1b[31mOK", &length, &body)),
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
    ];
    for (what, bytes) in cases {
        let (odd, upstream) = over(bytes, "").await;
        expect::error(&odd, "502 upstream_bad_framing", what);
        assert_eq!(upstream.asked(), 1, "{what}");
    }
    let (plain, _) = over(answer("200 OK", &length, &body), "").await;
    expect::rows(&plain, &[1], "without any of it");
    let (plain, _) = over(answer("200 OK", "transfer-encoding: chunked\r\n", &chunked), "").await;
    expect::rows(&plain, &[1], "in chunks");
}

#[tokio::test]
async fn e19_a_body_where_none_may_be_is_never_the_next_answer() {
    let ids = [1, 2];
    let stray = String::from_utf8(answer("200 OK", "content-length: 2\r\n", "[]")).unwrap();
    for status in ["204 No Content", "304 Not Modified"] {
        let bytes = format!("HTTP/1.1 {status}\r\n\r\n{stray}");
        let upstream = Raw::start(move |head| match head.number {
            0 => Reply::bytes(bytes.clone()),
            _ => Reply::page_of(&ids, head),
        })
        .await;
        let front = Front::over(upstream.address, "", "").await;
        let answer = front.get(V1_USERS).await;
        assert_eq!(answer.status, 502, "{status} is no list");
        expect::rows(&front.get(V1_USERS).await, &ids, status);
        assert_eq!(
            (upstream.asked(), upstream.connections()),
            (2, 2),
            "{status}: a new connection"
        );
    }
    // The same to a question for a head, going through.
    let upstream = Raw::start(move |head| match head.text.starts_with("HEAD") {
        true => Reply::bytes(answer("200 OK", "content-length: 2\r\n", "[]")),
        false => Reply::json(200, "{\"right\":1}"),
    })
    .await;
    let front = passing(upstream.address, "").await;
    let key = [("authorization", "Bearer legacy-demo-key")];
    let answer = front.send(http::Method::HEAD, "/x", &key).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(front.get("/x").await.json()["right"], 1);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn e20_no_redirect_is_followed() {
    let elsewhere = Raw::start(|head| Reply::page_of(&[666], head)).await;
    let to = elsewhere.address;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let bytes =
            answer(status, &format!("location: http://{to}/x\r\ncontent-length: 0\r\n"), "");
        let (redirected, upstream) = over(bytes.clone(), "").await;
        expect::error(&redirected, "502 upstream_redirect", status);
        assert_eq!(upstream.asked(), 1);
        let upstream = Raw::start(move |_| Reply::bytes(bytes.clone())).await;
        let answer = passing(upstream.address, "").await.get("/x").await;
        assert_eq!(answer.status.as_str(), &status[..3]);
        assert_eq!(answer.header("location"), format!("http://{to}/x"), "the client's to follow");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn e21_e22_an_encoded_answer_is_502_and_no_byte_of_it_is_decoded() {
    let body = good(&[1]);
    for coding in ["gzip", "br", "zstd", "gzip, gzip", "x-unknown", "deflate"] {
        // Plain bytes under a label are no better than a bomb.
        let lines = format!("content-encoding: {coding}\r\ncontent-length: {}\r\n", body.len());
        let (encoded, upstream) = over(answer("200 OK", &lines, &body), "").await;
        expect::error(&encoded, "502 upstream_bad_encoding", coding);
        let heads = upstream.heads();
        assert_eq!(heads.len(), 1, "{coding}: once");
        assert_eq!(heads[0].headers("accept-encoding"), ["identity"], "not asked for");
    }
    let lines = format!("content-encoding: identity\r\ncontent-length: {}\r\n", body.len());
    expect::rows(&over(answer("200 OK", &lines, &body), "").await.0, &[1], "identity");
}

#[tokio::test]
async fn e22_an_answer_without_end_is_502_at_the_largest_page_allowed() {
    let written = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&written);
    let far = Far::start(move |mut wire| {
        let count = Arc::clone(&count);
        async move {
            wire.head().await?;
            wire.say(answer("200 OK", "transfer-encoding: chunked\r\n", "")).await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            for _ in 0..4096 {
                wire.say(&chunk).await?;
                count.fetch_add(chunk.len(), Ordering::SeqCst);
            }
            Some(())
        }
    })
    .await;
    let front = Front::over(far.address, "page_bytes_max = \"1MiB\"", "").await;
    expect::error(&front.get(V1_USERS).await, "502 upstream_too_large", "256 MiB");
    assert_eq!(far.connections(), 1, "once");
    // The bytes that both kernels hold come on top.
    let taken = written.load(Ordering::SeqCst);
    assert!(taken < 32 << 20, "{taken} bytes were taken");
}

#[tokio::test]
async fn e23_a_page_for_people_is_502_and_not_shown() {
    let html = "<html><body>Please sign in, CANARY</body></html>";
    for kind in ["text/html", "text/html; charset=utf-8", "text/plain", "application/xml"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            html.len()
        );
        let (shown, upstream) = over(format!("{head}{html}"), "").await;
        expect::error(&shown, "502 upstream_bad_type", kind);
        assert!(!shown.text().contains("CANARY"));
        assert_eq!(upstream.asked(), 1, "{kind}");
    }
}

#[tokio::test]
async fn e24_a_connection_that_closes_as_it_is_used_costs_no_request_twice() {
    let ids: Vec<u64> = (1..=1150).collect();
    let all = ids.clone();
    // It never says that it closes.
    let upstream = Raw::start(move |head| Reply::page_of(&all, head).closed()).await;
    let more = "pages_in_flight_max = 2\nattempts_max = 10";
    let front = Front::over(upstream.address, more, "").await;
    expect::rows(&front.get(V1_USERS).await, &ids, "every page on a connection of its own");
    assert_eq!(upstream.asked(), 12, "twelve pages, none of them asked for twice");
    assert_eq!(upstream.connections(), 12);
}
