//! Headers of requests that pass through: which are removed, which are added and which are trusted.

use tests::raw::{Raw, Reply};
use tests::wire::{Wire, passing, request, values};
use tests::{Front, LEGACY_KEY, config_text};

async fn upstream() -> Raw {
    Raw::start(|_| {
        Reply::bytes(
            "HTTP/1.1 200 OK\r\nconnection: x-hop, keep-alive\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\n\
             proxy-authenticate: Basic\r\nupgrade: h2c\r\nx-own: 1\r\nx-tieline-error: made_up\r\n\
             server: theirs\r\nx-request-id: theirs\r\ncontent-length: 2\r\n\r\n{}",
        )
    })
    .await
}

/// The lines as the upstream saw them, and the answer.
async fn through(front: &Front, upstream: &Raw, lines: &[&str]) -> (String, String) {
    let text = request("GET /x", &[lines, &["connection: close"]].concat());
    let heard = tests::raw::say(front.running.address, text.as_bytes()).await;
    (upstream.heads().pop().map_or(String::new(), |head| head.text), heard)
}

#[tokio::test]
async fn a23_headers_about_one_connection_end_here_in_both_directions() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    let (sent, heard) = through(
        &front,
        &upstream,
        &[
            "connection: x-secret, Authorization, host, x-forwarded-for, x-request-id",
            "x-secret: 1",
            "keep-alive: timeout=5",
            "proxy-authorization: Basic x",
            "proxy-connection: keep-alive",
            "te: gzip, trailers",
            "trailer: x-sum",
            "upgrade: h2c",
            "http2-settings: AAMAAABk",
            "x-own: 1",
        ],
    )
    .await;
    for gone in [
        "x-secret",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "upgrade",
        "http2-settings",
        "transfer-encoding",
    ] {
        assert!(values(&sent, gone).is_empty(), "{gone} in {sent}");
    }
    // A client cannot remove a header that is set here by naming it.
    assert_eq!(values(&sent, "authorization"), ["Bearer v4-demo-key"]);
    assert_eq!(values(&sent, "host"), [upstream.address.to_string()]);
    assert_eq!(values(&sent, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&sent, "x-request-id")[0].len(), 16);
    assert_eq!((values(&sent, "te"), values(&sent, "connection")), (vec!["trailers"], vec!["te"]));
    assert_eq!(values(&sent, "x-own"), ["1"]);

    for gone in ["x-hop", "keep-alive", "proxy-authenticate", "upgrade", "x-tieline-error"] {
        assert!(values(&heard, gone).is_empty(), "{gone} in {heard}");
    }
    assert_eq!(values(&heard, "x-own"), ["1"]);
    assert_eq!(values(&heard, "server"), ["theirs"]);
    assert_eq!(values(&heard, "connection"), ["close"]);
    assert_eq!(values(&heard, "x-request-id")[0].len(), 16, "ours, which the log has");
    assert!(heard.ends_with("\r\n\r\n{}"), "{heard}");
}

#[tokio::test]
async fn a24_headers_that_name_the_client_are_not_believed() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    let claims = [
        "x-forwarded-for: 1.2.3.4",
        "x-forwarded-host: evil.example",
        "x-forwarded-proto: https",
        "x-forwarded-port: 1",
        "forwarded: for=1.2.3.4",
        "x-real-ip: 1.2.3.4",
        "x-original-url: /admin",
        "x-rewrite-url: /admin",
        "x-http-method-override: DELETE",
        "x-request-id: theirs-1",
    ];
    let (sent, _) = through(&front, &upstream, &claims).await;
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "gateway.example"),
        ("x-forwarded-proto", "http"),
        ("forwarded", "for=127.0.0.1;proto=http;host=\"gateway.example\""),
        ("x-request-id", "theirs-1"),
    ] {
        assert_eq!(values(&sent, name), [value], "{sent}");
    }
    assert!(!sent.contains("1.2.3.4") && !sent.contains("evil") && !sent.contains("/admin"));
    assert!(!sent.contains("DELETE") && values(&sent, "via").is_empty());
}

#[tokio::test]
async fn a24_a_trusted_proxy_is_believed_and_followed() {
    let upstream = upstream().await;
    let config = config_text(upstream.address, "", "[passthrough]\nenabled = true\nvia = true");
    let trusting = config.replace("[admin]", "trusted_proxies = [\"127.0.0.0/8\"]\n[admin]");
    let front = Front::start(&trusting).await;
    let claims = [
        "x-forwarded-for: 1.2.3.4",
        "x-forwarded-for: 5.6.7.8",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: https",
        "forwarded: for=1.2.3.4",
        "via: 1.0 other",
        "x-original-url: /admin",
    ];
    let (sent, heard) = through(&front, &upstream, &claims).await;
    for (name, value) in [
        ("x-forwarded-for", "1.2.3.4, 5.6.7.8, 127.0.0.1"),
        ("x-forwarded-host", "shop.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=1.2.3.4, for=127.0.0.1;proto=http;host=\"gateway.example\""),
    ] {
        assert_eq!(values(&sent, name), [value], "{sent}");
    }
    assert_eq!(values(&sent, "via"), ["1.0 other", "1.1 tieline"]);
    assert_eq!(values(&heard, "via"), ["1.1 tieline"]);
    assert!(values(&sent, "x-original-url").is_empty());
}

#[tokio::test]
async fn a31_bytes_that_are_no_text_drop_nothing_of_a_trusted_proxys_chain() {
    let upstream = upstream().await;
    let config = config_text(upstream.address, "", "[passthrough]\nenabled = true");
    let trusting = config.replace("[admin]", "trusted_proxies = [\"127.0.0.0/8\"]\n[admin]");
    let front = Front::start(&trusting).await;
    let text =
        request("GET /x", &["connection: close", "XFF: caf\u{e9}, 192.0.2.1", "FWD: for=\u{e9}"]);
    let mut bytes = Vec::new();
    for part in text.replace("XFF", "x-forwarded-for").replace("FWD", "forwarded").chars() {
        bytes.push(part as u8);
    }
    let mut wire = Wire::to(front.running.address).await;
    wire.say(&bytes).await.unwrap();
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 200 "));
    let sent = upstream.heads().pop().unwrap();
    assert_eq!(sent.headers("x-forwarded-for"), ["caf\u{fffd}, 192.0.2.1, 127.0.0.1"]);
    let forwarded = "for=\u{fffd}, for=127.0.0.1;proto=http;host=\"gateway.example\"";
    assert_eq!(sent.headers("forwarded"), [forwarded]);
}

#[tokio::test]
async fn an_unknown_expectation_is_417() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    let (sent, heard) = through(&front, &upstream, &["expect: 200-ok"]).await;
    assert!(heard.starts_with("HTTP/1.1 417 ") && sent.is_empty(), "{heard}");
    assert!(!heard.contains(LEGACY_KEY));
}
