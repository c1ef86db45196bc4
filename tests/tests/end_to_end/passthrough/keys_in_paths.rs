//! Keys in paths that have no endpoint: whose they are, where they may go, and where they end.

use tests::raw::{Raw, Reply};
use tests::wire::passing;
use tests::{BEARER, Front, LEGACY_KEY, V4_KEY, config, expect};

/// Answers with its target, and says the key in every header that leads a client on.
async fn upstream() -> Raw {
    Raw::start(|head| {
        let target = head.target().to_owned();
        let body = format!("{{\"saw\":{target:?}}}");
        Reply::bytes(format!(
            "HTTP/1.1 200 OK\r\nlocation: {target}\r\ncontent-location: https://x{target}\r\n\
             x-own: 1\r\nlink: <https://x/?k={LEGACY_KEY}>\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
    .await
}

fn balance(key: &str) -> String {
    format!("/api/v1/{key}/balance")
}

#[tokio::test]
async fn a_path_with_a_key_is_its_callers_and_goes_nowhere_by_default() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    let escaped = LEGACY_KEY.replace('-', "%2D").replace('l', "%6c");
    let own = format!("/api/v1/{LEGACY_KEY}/nothing/that/is/documented");
    for target in [balance(LEGACY_KEY), balance(&escaped), own] {
        expect::error(&front.get_with(&target, &[]).await, "403 key_in_path", &target);
    }
    let wrong = balance("nobodys-key");
    let answer = front.get_with(&wrong, &[]).await;
    expect::shape(&answer, "403 unknown_credential", "unknown");
    assert_eq!(answer.text(), "{\"error\":\"Invalid api_key\"}", "as the pages of such paths say");
    for key in [LEGACY_KEY, "nobodys-key"] {
        let answer = front.get_with(&balance(key), &[BEARER]).await;
        expect::error(&answer, "400 ambiguous_credential", "a Bearer beside it");
        let target = format!("{}?key={LEGACY_KEY}", balance(key));
        let answer = front.get_with(&target, &[]).await;
        expect::error(&answer, "400 ambiguous_credential", "a key in the query beside it");
    }
    assert_eq!(upstream.asked(), 0);
    let named = "tieline_requests_total{caller=\"crm\",endpoint=\"passthrough\",status=\"403\"}";
    assert_eq!(front.count(named).await, 3);
    // A part of another path is no key, and is exchanged as ever.
    let answer = front.get_with("/api/v1/things/3", &[BEARER]).await;
    assert_eq!(answer.json()["saw"], "/api/v1/things/3");
    let head = upstream.heads().pop().unwrap();
    assert_eq!(head.headers("authorization"), [format!("Bearer {V4_KEY}")]);
}

#[tokio::test]
async fn a_kept_key_stays_in_the_path_and_no_other_one_comes_beside_it() {
    let upstream = upstream().await;
    for rules in [
        "key_in_path = \"keep\"",
        "[[passthrough.route]]\nlegacy = \"keep\"",
        "[[passthrough.route]]\nprefix = \"/api/v1\"\nkey_in_path = \"keep\"",
    ] {
        let front = passing(upstream.address, rules).await;
        let target = format!("{}?a=%2f", balance(LEGACY_KEY));
        let referer = format!("https://app.example{}", balance(LEGACY_KEY));
        let headers = [("referer", referer.as_str()), ("x-copy", LEGACY_KEY), ("x-own", "1")];
        let answer = front.get_with(&target, &headers).await;
        assert_eq!(answer.json()["saw"], target, "{rules}");
        let head = upstream.heads().pop().unwrap();
        assert_eq!(head.headers("x-own"), ["1"]);
        for gone in ["authorization", "referer", "x-copy"] {
            assert!(head.headers(gone).is_empty(), "{gone}: {}", head.text);
        }
        assert!(!head.text.contains(V4_KEY), "{}", head.text);
        assert_eq!(answer.header("x-own"), "1");
        for gone in ["location", "content-location", "link"] {
            assert_eq!(answer.header(gone), "", "{gone}");
        }
        let metrics = front.admin("/metrics").await.text() + &front.admin("/callers").await.text();
        assert!(metrics.contains("/api/v1/{key}/balance") && !metrics.contains(LEGACY_KEY));
    }
}

#[tokio::test]
async fn the_address_of_a_page_with_a_callers_key_in_it_ends_here() {
    let upstream = upstream().await;
    let other = config::caller(
        "other",
        "ams",
        &config::digest("another-legacy-key"),
        &config::env("V4"),
        "",
    );
    let front = passing(upstream.address, &other).await;
    for (referer, passes) in [
        ("https://app.example/api/v1/another-legacy-key/page", false),
        ("https://app.example/api/v1/%61nother-legacy-key/page?x", false),
        ("/api/v1/another-legacy-key/page", false),
        ("https://app.example/api/v1/nobodys-key/balance", false),
        ("https://app.example/api/v1/things/page", true),
        ("https://app.example/page", true),
    ] {
        let answer = front.get_with("/x", &[BEARER, ("referer", referer)]).await;
        assert_eq!(answer.verdict(), "200 ", "{referer}");
        let head = upstream.heads().pop().unwrap();
        assert_eq!(head.headers("referer").len(), usize::from(passes), "{referer}");
    }
}

#[tokio::test]
async fn one_line_lets_every_documented_legacy_path_pass_with_its_credential() {
    let upstream = upstream().await;
    let rules = "default = \"deny\"\n[[passthrough.route]]\nprefix = \"/api/v2\"\nallow = false\n\
                 [[passthrough.route]]\nlegacy = \"keep\"";
    let front = passing(upstream.address, rules).await;
    for path in domain_paths() {
        let target = path.replace("{key}", LEGACY_KEY).replace("{id}", "7");
        let headers: &[_] = if path.contains("{key}") { &[] } else { &[BEARER] };
        let answer = front.get_with(&target, headers).await;
        if target.starts_with("/api/v2/") {
            assert_eq!(answer.verdict(), "404 not_found", "a route of the operator's own");
            continue;
        }
        assert_eq!(answer.json()["saw"], target);
        let head = upstream.heads().pop().unwrap();
        let kept: Vec<&str> = headers.iter().map(|(_, value)| *value).collect();
        assert_eq!(head.headers("authorization"), kept, "{target}");
    }
    assert_eq!(front.get_with("/api/v4/users", &[BEARER]).await.verdict(), "404 not_found");
}

/// Documented paths of each family.
fn domain_paths() -> [&'static str; 7] {
    [
        "/api/v1/{key}/balance",
        "/api/v1/{key}/campaigns/{id}/contacts",
        "/api/v2/cdr",
        "/api/numbers/v1/numbers",
        "/api/conversation/v1/conversations/{id}/messages",
        "/api/v3/messages/whatsapp/templates",
        "/api/dialer/v1/campaigns/{id}/agents",
    ]
}

#[tokio::test]
async fn a_path_with_a_key_is_404_where_nothing_passes() {
    let upstream = upstream().await;
    let front = Front::over(upstream.address, "", "").await;
    let answer = front.get_with(&balance(LEGACY_KEY), &[]).await;
    expect::error(&answer, "404 not_found", "switched off");
    assert_eq!(upstream.asked(), 0);
}
