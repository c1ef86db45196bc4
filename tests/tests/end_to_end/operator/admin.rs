//! The admin port among hostile neighbours: a probe is answered at once, and no page of the web reads here.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use tests::wire::Wire;
use tests::{Answer, Front, config_text, parsed};
use tokio::time::timeout;

/// A gateway whose `[admin]` has these lines as well.
async fn front(admin: &str) -> Front {
    Front::start(&text(admin)).await
}

fn text(admin: &str) -> String {
    config_text("127.0.0.1:9", "", "").replace("[admin]", &format!("[admin]\n{admin}"))
}

/// Asks for a page over a connection of its own, and waits no longer than a probe does.
async fn probe(front: &Front, path: &str, host: &str) -> Answer {
    let asking = async {
        let mut wire = Wire::to(front.running.admin).await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        wire.say(request).await.unwrap();
        wire.rest().await
    };
    Answer::heard(timeout(Duration::from_secs(1), asking).await.unwrap())
}

#[tokio::test]
async fn n13_connections_that_ask_nothing_keep_no_probe_waiting() {
    let front = front("idle_timeout = \"60s\"").await;
    let mut held = Vec::new();
    let asked = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for said in ["", "GET /hea", asked] {
        for _ in 0..100 {
            let mut wire = Wire::to(front.running.admin).await;
            // The oldest are cut meanwhile.
            let _ = wire.say(said).await;
            held.push(wire);
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(probe(&front, path, "x").await.status, 200, "{said:?} {path}");
        }
    }
    assert_eq!(
        held.pop().unwrap().until("tieline_").await.map(|_| ()),
        Some(()),
        "the newest stay"
    );
}

#[tokio::test]
async fn n13_a_connection_without_a_request_ends_soon() {
    let front = front("idle_timeout = \"300ms\"").await;
    for said in ["", "GET /hea", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut wire = Wire::to(front.running.admin).await;
        wire.say(said).await.unwrap();
        timeout(Duration::from_secs(5), wire.rest()).await.unwrap();
    }
    assert_eq!(
        parsed(&text(""), &[("V4", tests::V4_KEY)]).unwrap().admin.idle_timeout,
        Duration::from_secs(5)
    );
}

#[tokio::test]
async fn n14_no_page_of_the_web_reads_the_admin_port() {
    let front = front("hosts = [\"ops.example\"]").await;
    for (host, verdict) in [
        ("evil.example", "421 unknown_host"),
        ("evil.example:9090", "421 unknown_host"),
        ("127.0.0.1.evil.example", "421 unknown_host"),
        ("evil example", "400 "),
        ("127.0.0.1:9090", "200 "),
        ("localhost", "200 "),
        ("tieline:9090", "421 unknown_host"),
        ("ops.example:9090", "200 "),
    ] {
        let answer = probe(&front, "/callers", host).await;
        assert_eq!(answer.verdict(), verdict, "{host}");
        assert_eq!(answer.text().contains("crm"), answer.status == 200, "{host}");
    }
    let reloader = front.running.reloader();
    let reload = |admin: &str| {
        let config = parsed(&text(admin), &[("V4", tests::V4_KEY)]).unwrap();
        reloader.reload(config).map_err(|error| error.to_string())
    };
    reload("hosts = [\"evil.example\"]").unwrap();
    assert_eq!(probe(&front, "/healthz", "evil.example").await.status, 200);
    assert!(reload("idle_timeout = \"9s\"").unwrap_err().contains("restart"));
}

#[tokio::test]
async fn n14_every_admin_answer_forbids_what_another_site_could_do_with_it() {
    let front = front("").await;
    for path in ["/healthz", "/metrics", "/callers", "/losses", "/none"] {
        for site in ["same-origin", "cross-site"] {
            let answer = front.admin_with(path, &[("sec-fetch-site", site)]).await;
            let is_refused = site == "cross-site" && path != "/healthz";
            assert_eq!(answer.status == 403, is_refused, "{path} {site}");
            for (name, value) in [
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("cross-origin-resource-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("referrer-policy", "no-referrer"),
                ("access-control-allow-origin", ""),
            ] {
                assert_eq!(answer.header(name), value, "{path} {site}");
            }
            let policy = answer.header("content-security-policy");
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        }
    }
}

#[tokio::test]
async fn n15_a_proxy_on_this_machine_needs_the_admin_key() {
    let key = "an-admin-key-of-this-test";
    let front = front(&format!("key = {}", tests::config::digest(key))).await;
    let proxied = ("x-forwarded-for", "192.0.2.1");
    assert_eq!(front.admin("/callers").await.status, 200);
    assert_eq!(front.admin_with("/metrics", &[proxied]).await.status, 200);
    let answer = front.admin_with("/callers", &[proxied]).await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").starts_with("Basic "), "{:?}", answer.headers);
    let bearer = format!("Bearer {key}");
    let answer = front.admin_with("/callers", &[proxied, ("authorization", &bearer)]).await;
    assert_eq!(answer.status, 200);
    // A caller's key is none, and opens nothing.
    let answer = front.admin_with("/callers", &[proxied, tests::BEARER]).await;
    assert_eq!(answer.status, 401);
    for key in [tests::LEGACY_KEY, tests::V4_KEY] {
        let text = text(&format!("key = {}", tests::config::digest(key)));
        let refused = parsed(&text, &[("V4", tests::V4_KEY)]).unwrap_err();
        assert!(refused.ends_with("admin.key: caller \"crm\" has the same key"), "{refused}");
    }
}
