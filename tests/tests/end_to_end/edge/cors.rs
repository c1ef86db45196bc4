//! Pages of other origins: what a browser is told, and what it is not.

use http::Method;
use tests::raw::{Raw, Reply};
use tests::{Answer, BEARER, Front, V1_USERS};

const APP: (&str, &str) = ("origin", "https://app.example");
const OTHER: (&str, &str) = ("origin", "https://other.example");
const ASK: (&str, &str) = ("access-control-request-method", "GET");

async fn upstream() -> Raw {
    Raw::start(|head| match head.target().starts_with("/own") {
        true => Reply::bytes(
            "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\nvary: accept\r\n\
             access-control-allow-credentials: true\r\ncontent-length: 2\r\n\r\n{}",
        ),
        false => Reply::page_of(&[1, 2], head),
    })
    .await
}

async fn front(upstream: &Raw, rest: &str) -> Front {
    Front::over(upstream.address, "", rest).await
}

/// All that is said about origins.
fn said(answer: &Answer) -> Vec<String> {
    let about = answer.headers.iter().filter(|(name, _)| name.as_str().starts_with("access-"));
    about.map(|(name, _)| name.as_str().trim_start_matches("access-control-").to_owned()).collect()
}

/// What the answer depends on beside the codings that a client takes.
fn varies(answer: &Answer) -> Vec<&str> {
    let values = answer.headers.get_all("vary").iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.filter(|value| *value != "accept-encoding").collect()
}

#[tokio::test]
async fn without_cors_no_page_is_allowed_and_options_is_405() {
    let upstream = upstream().await;
    let front = front(&upstream, "").await;
    let answer = front.send(Method::OPTIONS, V1_USERS, &[APP, ASK]).await;
    assert_eq!(answer.verdict(), "405 method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, HEAD");
    let answer = front.get_with(V1_USERS, &[BEARER, APP]).await;
    assert_eq!(answer.verdict(), "200 ");
    assert!(said(&answer).is_empty() && varies(&answer).is_empty());
}

#[tokio::test]
async fn an_allowed_page_is_told_so_before_and_after_it_asks() {
    let upstream = upstream().await;
    let front = front(&upstream, "[cors]\nallow_origins = [\"https://app.example\"]").await;
    let names = ("access-control-request-headers", "authorization,x-own");
    let answer = front.send(Method::OPTIONS, V1_USERS, &[APP, ASK, names]).await;
    assert_eq!(answer.status, 204);
    assert!(answer.body.is_empty());
    for (header, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-methods", "GET, HEAD"),
        ("access-control-allow-headers", "authorization,x-own"),
        ("access-control-max-age", "600"),
        ("access-control-allow-credentials", ""),
    ] {
        assert_eq!(answer.header(header), value, "{header}");
    }
    assert!(varies(&answer).contains(&"Origin"));
    assert_eq!(upstream.asked(), 0, "a preflight asks nobody");

    for (headers, verdict) in [(&[BEARER, APP][..], "200 "), (&[APP], "401 no_credential")] {
        let answer = front.get_with(V1_USERS, headers).await;
        assert_eq!(answer.verdict(), verdict);
        assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
        assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
        assert_eq!(varies(&answer), ["Origin"]);
    }
}

#[tokio::test]
async fn another_page_is_told_nothing() {
    let upstream = upstream().await;
    let front = front(&upstream, "[cors]\nallow_origins = [\"https://app.example\"]").await;
    for origin in [
        "https://other.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://APP.example",
        "null",
    ] {
        let answer = front.send(Method::OPTIONS, V1_USERS, &[("origin", origin), ASK]).await;
        assert_eq!(answer.verdict(), "405 method_not_allowed", "{origin}");
        assert!(said(&answer).is_empty(), "{origin}");
        let answer = front.get_with(V1_USERS, &[BEARER, ("origin", origin)]).await;
        assert_eq!(answer.verdict(), "200 ");
        assert!(said(&answer).is_empty(), "{origin}");
        assert_eq!(varies(&answer), ["Origin"], "a cache on the way must not mix up answers");
    }
    let answer = front.get_with(V1_USERS, &[BEARER]).await;
    assert!(said(&answer).is_empty(), "no page at all");
    // No preflight: an OPTIONS of its own, and a path that is nowhere.
    let answer = front.send(Method::OPTIONS, V1_USERS, &[APP]).await;
    assert_eq!(answer.verdict(), "405 method_not_allowed");
    let answer = front.send(Method::OPTIONS, "/nowhere", &[APP, ASK]).await;
    assert_eq!(answer.verdict(), "404 not_found");
}

#[tokio::test]
async fn requests_that_pass_through_follow_the_same_rules() {
    let upstream = upstream().await;
    let rest = "[passthrough]\nenabled = true\n[cors]\nallow_origins = [\"https://app.example\"]\n\
                allow_credentials = true\nmax_age = \"5s\"";
    let front = front(&upstream, rest).await;
    let ask = ("access-control-request-method", "DELETE");
    let answer = front.send(Method::OPTIONS, "/own/x", &[APP, ask]).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), "DELETE");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert_eq!(answer.header("access-control-max-age"), "5");
    assert_eq!(upstream.asked(), 0);
    let answer = front.get_with("/own/x", &[BEARER, APP]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(varies(&answer), ["accept", "Origin"]);
    let answer = front.get_with("/own/x", &[BEARER, OTHER]).await;
    assert!(said(&answer).is_empty(), "not even what the upstream says");
}

#[tokio::test]
async fn without_cors_an_upstream_speaks_for_itself() {
    let upstream = upstream().await;
    let front = front(&upstream, "[passthrough]\nenabled = true").await;
    let answer = front.send(Method::OPTIONS, "/own/x", &[BEARER, APP, ASK]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn any_page_may_ask_where_the_operator_says_so() {
    let upstream = upstream().await;
    let front = front(&upstream, "[cors]\nallow_origins = [\"*\"]").await;
    let answer = front.get_with(V1_USERS, &[BEARER, OTHER]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(varies(&answer).is_empty());
}
