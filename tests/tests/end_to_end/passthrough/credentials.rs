//! Which requests pass through, for which callers, and with which credential.

use http::Method;
use tests::raw::{Head, Raw, Reply};
use tests::wire::{Far, passing, request, values};
use tests::{Front, LEGACY_KEY, V4_KEY, config};

const BEARER: &str = "Bearer legacy-demo-key";
const OTHER_KEY: &str = "another-legacy-key";

async fn upstream() -> Raw {
    Raw::start(|head| Reply::json(200, format!("{{\"saw\":{:?}}}", head.target()))).await
}

fn authorization(head: &Head) -> Vec<&str> {
    head.headers("authorization")
}

#[tokio::test]
async fn nothing_goes_through_unless_it_is_switched_on() {
    let upstream = upstream().await;
    let front = Front::over(upstream.address, "", "").await;
    for target in ["/api/v4/users", "/", "/api/v2/cdr/teams/3", "/a//b"] {
        assert_eq!(front.get(target).await.verdict(), "404 not_found", "{target}");
    }
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn a_request_goes_through_as_it_is_but_for_the_credential() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    let target = "/api/v4/x%20y/%C3%A9;a=1?b=%2f+&c&&key2=1";
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let headers = [("authorization", BEARER), ("x-own", "1"), ("cookie", "a=b")];
        let answer = front.send(method.clone(), target, &headers).await;
        assert_eq!(answer.verdict(), "200 ", "{method}");
        assert_eq!(answer.json()["saw"], target);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-request-id").len(), 16);
        let head = upstream.heads().pop().unwrap();
        assert!(head.text.starts_with(&format!("{method} {target} HTTP/1.1\r\n")), "{}", head.text);
        assert_eq!(authorization(&head), [format!("Bearer {V4_KEY}")]);
        assert_eq!(head.headers("x-own"), ["1"]);
        assert_eq!(head.headers("cookie"), ["a=b"]);
        assert_eq!(head.headers("host"), [upstream.address.to_string()]);
        assert!(!head.text.contains(LEGACY_KEY));
    }
    let metrics = front.admin("/metrics").await.text();
    assert!(metrics.contains("endpoint=\"passthrough\""), "{metrics}");
    assert!(!metrics.contains("/api/v4"), "{metrics}");
}

#[tokio::test]
async fn the_legacy_key_is_taken_out_wherever_it_stands() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    for (target, saw) in [
        (format!("/x?key={LEGACY_KEY}"), "/x"),
        (format!("/x?a=1&key={LEGACY_KEY}&b=%2f"), "/x?a=1&b=%2f"),
        (format!("/x?%6bey={LEGACY_KEY}&a"), "/x?a"),
    ] {
        let referer = format!("https://app.example/?key={LEGACY_KEY}");
        let headers = [("referer", referer.as_str()), ("accept", "*/*")];
        let answer = front.get_with(&target, &headers).await;
        assert_eq!(answer.json()["saw"], saw, "{target}");
        let head = upstream.heads().pop().unwrap();
        assert!(!head.text.contains(LEGACY_KEY), "{}", head.text);
        assert_eq!(authorization(&head), [format!("Bearer {V4_KEY}")]);
        assert_eq!(head.headers("accept"), ["*/*"]);
    }
}

#[tokio::test]
async fn d20_the_legacy_key_is_in_no_trailer_and_in_no_escapes() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        let body = wire.until("\r\n\r\n").await?;
        let saw = format!("{}{body}", head.replace(V4_KEY, ""));
        wire.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{saw}", saw.len())).await
    })
    .await;
    let front = passing(upstream.address, "").await;
    let all: String = LEGACY_KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let first = format!("%{:02X}{}", LEGACY_KEY.as_bytes()[0], &LEGACY_KEY[1..]);
    let twice = first.replace('%', "%25");
    for written in [LEGACY_KEY, &all, &first, &twice] {
        let referer = format!("referer: https://app.example/?key={written}&a=%zz");
        let headers = [referer.as_str(), "transfer-encoding: chunked", "trailer: x-sum, x-ok"];
        let mut wire = front.wire("POST /x", &headers).await;
        let trailers = format!("x-sum: {written}\r\nx-ok: 1\r\n");
        wire.say(format!("3\r\nabc\r\n0\r\n{trailers}\r\n")).await.unwrap();
        let head = wire.head().await.unwrap();
        let length: usize = values(&head, "content-length")[0].parse().unwrap();
        let saw = wire.exactly(length).await.unwrap();
        assert!(!saw.contains(written) && !saw.contains("referer"), "{saw}");
        assert!(saw.ends_with("0\r\nx-ok: 1\r\n\r\n"), "the other trailer stays: {saw}");
    }
}

#[tokio::test]
async fn a_kept_credential_goes_as_it_came() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "credential = \"keep\"").await;
    front.get_with("/x?a", &[("authorization", BEARER)]).await;
    let target = format!("/x?key={LEGACY_KEY}&a");
    front.get_with(&target, &[]).await;
    let heads = upstream.heads();
    assert_eq!(authorization(&heads[0]), [BEARER]);
    assert_eq!(heads[1].target(), target);
    assert!(authorization(&heads[1]).is_empty());
    assert!(!heads.iter().any(|head| head.text.contains(V4_KEY)));
}

#[tokio::test]
async fn a_header_that_is_no_bearer_and_an_empty_key_are_exchanged_like_nothing() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    for (header, target, sent) in [
        ("Basic bm9ib2R5", "/x?a=1&key=legacy-demo-key", "/x?a=1"),
        ("", "/x?key=legacy-demo-key&b", "/x?b"),
        (BEARER, "/x?key=&b", "/x?b"),
    ] {
        let answer = front.get_with(target, &[("authorization", header)]).await;
        assert_eq!(answer.json()["saw"], sent, "{header}");
        let head = upstream.heads().pop().unwrap();
        assert_eq!(authorization(&head), [format!("Bearer {V4_KEY}")], "{header}");
    }
}

#[tokio::test]
async fn unknown_callers_are_refused_in_the_legacy_shape() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    for (headers, target, verdict) in [
        (&[][..], "/x", "401 no_credential"),
        (&[("authorization", "Bearer nobody")], "/x", "401 unknown_credential"),
        (&[("authorization", "Basic bm9ib2R5")], "/x", "401 no_credential"),
        (&[], "/x?key=nobody", "401 unknown_credential"),
        (&[("authorization", BEARER)], "/x?key=legacy-demo-key", "400 ambiguous_credential"),
        (&[("authorization", BEARER)], "/x?KEY=a", "400 ambiguous_credential"),
    ] {
        let answer = front.get_with(target, headers).await;
        tests::expect::error(&answer, verdict, target);
    }
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn unknown_callers_go_through_untouched_where_the_operator_says_so() {
    let upstream = upstream().await;
    let rules = "unknown_callers = \"forward\"\nupstream = \"ams\"";
    let front = passing(upstream.address, rules).await;
    for (headers, target) in [
        (&[][..], "/x"),
        (&[("authorization", "Bearer their-own-v4-key")], "/x?a=1"),
        (&[("authorization", "Basic bm9ib2R5")], "/x"),
        (&[], "/x?key=their-own-key&b"),
    ] {
        let answer = front.get_with(target, headers).await;
        assert_eq!(answer.json()["saw"], target);
        let head = upstream.heads().pop().unwrap();
        let sent: Vec<&str> = headers.iter().map(|(_, value)| *value).collect();
        assert_eq!(authorization(&head), sent);
    }
    // A known caller is exchanged all the same.
    front.get("/x").await;
    assert_eq!(authorization(&upstream.heads()[4]), [format!("Bearer {V4_KEY}")]);
}

#[tokio::test]
async fn a_legacy_endpoint_never_goes_through_by_any_name() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    for path in [
        "/api/v2/cdr/teams",
        "/api/v2/cdr/teams/",
        "//api/v2/cdr/teams",
        "/api/v2//cdr/teams",
        "/api/v2/cdr/%74eams",
        "/api/v2/cdr/teams.json",
    ] {
        for method in [Method::POST, Method::DELETE, Method::OPTIONS] {
            let answer = front.send(method, path, &[("authorization", BEARER)]).await;
            assert_eq!(answer.verdict(), "405 method_not_allowed", "{path}");
            assert_eq!(answer.header("allow"), "GET, HEAD", "{path}");
        }
    }
    for target in [
        "/api/v2/cdr/./teams",
        "/api/v2/cdr/x/../teams",
        "/api/v2/cdr/x/%2e%2E/teams",
        "/api/v2/cdr/%54eams",
        "/api/v2/cdr/%2574eams",
        "/api/v2/cdr%2fteams",
        "/API/v2/cdr/teams",
        "/API/v2/cdr/teams.json",
        "/api/v2/cdr/teams;x",
        "/x/%00",
        "/x/%zz",
        "/x\\y",
        "//x",
        "/x/..",
    ] {
        tests::expect::error(&front.get(target).await, "400 odd_path", target);
    }
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn a_narrowed_caller_passes_only_where_a_route_says_so() {
    let upstream = upstream().await;
    let rest = format!(
        "[[passthrough.route]]\nprefix = \"/open\"\nnarrowed = \"allow\"\n{}",
        config::another("narrow", OTHER_KEY, "{ teams = [1] }")
    );
    let front = passing(upstream.address, &rest).await;
    let key = format!("Bearer {OTHER_KEY}");
    let headers = [("authorization", key.as_str())];
    let answer = front.get_with("/x", &headers).await;
    tests::expect::error(&answer, "403 passthrough_narrowed", "narrowed");
    assert_eq!(upstream.asked(), 0);
    assert_eq!(front.get_with("/open/x", &headers).await.verdict(), "200 ");
    assert_eq!(front.get("/x").await.verdict(), "200 ");
}

#[tokio::test]
async fn the_longest_prefix_decides_which_requests_go_through() {
    let (upstream, other) = (upstream().await, upstream().await);
    let rules = format!(
        "default = \"deny\"\n\
         [[passthrough.route]]\nprefix = \"/api\"\n\
         [[passthrough.route]]\nprefix = \"/api/v4/users\"\nallow = false\n\
         [[passthrough.route]]\nprefix = \"/api/v4/users/me\"\nmethods = [\"GET\", \"PUT\"]\n\
         [[passthrough.route]]\nprefix = \"/old\"\nupstream = \"old\"\ncredential = \"keep\"\n\
         [upstream.old]\ndialect = \"voiso-v4\"\nbase_url = \"http://{}/base/\"\n",
        other.address
    );
    let front = passing(upstream.address, &rules).await;
    for (target, verdict) in [
        ("/api", "200 "),
        ("/api/x", "200 "),
        ("/apix", "404 not_found"),
        ("/other", "404 not_found"),
        ("/api/v4/users", "404 not_found"),
        ("/api/v4/users/3", "404 not_found"),
        ("/api/v4/%75sers/3", "404 not_found"),
        ("/api/v4/usersx", "200 "),
        ("/api/v4/users/me/x", "200 "),
        ("/old/x?a=1", "200 "),
    ] {
        assert_eq!(front.get(target).await.verdict(), verdict, "{target}");
    }
    let headers = [("authorization", BEARER), ("x-http-method-override", "DELETE")];
    let answer = front.send(Method::DELETE, "/api/v4/users/me", &headers).await;
    assert_eq!(answer.verdict(), "405 method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, PUT");
    let answer = front.send(Method::PUT, "/api/v4/users/me", &headers).await;
    assert_eq!(answer.verdict(), "200 ");
    assert!(upstream.heads().pop().unwrap().headers("x-http-method-override").is_empty());
    // The other upstream saw the client's own key, and never the one of the caller's upstream.
    let [head] = &other.heads()[..] else { panic!("one request") };
    assert_eq!(head.target(), "/base/old/x?a=1");
    assert_eq!(authorization(head), [BEARER]);
    assert!(!head.text.contains(V4_KEY));
}

#[tokio::test]
async fn tunnels_and_traces_never_go_through() {
    let upstream = upstream().await;
    let front = passing(upstream.address, "").await;
    let headers = [("authorization", BEARER)];
    let answer = front.send(Method::TRACE, "/x", &headers).await;
    assert_eq!(answer.verdict(), "405 method_not_allowed");
    let say = "CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: 127.0.0.1:1\r\nconnection: close\r\n\r\n";
    let heard = tests::raw::say(front.running.address, say.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 405 "), "{heard}");
    // No client chooses the target's host.
    let say = "GET http://169.254.169.254/latest HTTP/1.1\r\nhost: 169.254.169.254\r\n\
               authorization: Bearer legacy-demo-key\r\nconnection: close\r\n\r\n";
    tests::raw::say(front.running.address, say.as_bytes()).await;
    let [head] = &upstream.heads()[..] else { panic!("one request") };
    assert_eq!(head.target(), "/latest");
    assert_eq!(head.headers("host"), [upstream.address.to_string()]);
}

#[tokio::test]
async fn a_redirect_is_the_clients_and_cookies_pass() {
    let upstream = Raw::start(|_| {
        Reply::bytes(
            "HTTP/1.1 302 Found\r\nlocation: https://elsewhere.example/x?a=1\r\n\
             set-cookie: a=b; Path=/\r\nset-cookie: c=d\r\ncontent-length: 0\r\n\r\n",
        )
    })
    .await;
    let front = passing(upstream.address, "").await;
    let answer = front.get("/x").await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), "https://elsewhere.example/x?a=1");
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn d13_the_callers_upstream_credential_never_comes_back() {
    let (begin, end) = V4_KEY.split_at(5);
    let upstream = Raw::start(move |head| match head.target() {
        "/head" => Reply::bytes(format!(
            "HTTP/1.1 302 You sent {V4_KEY}\r\nlocation: /x?token={V4_KEY}\r\n\
             set-cookie: k={V4_KEY}\r\nset-cookie: a=b\r\nx-own: 1\r\ncontent-length: 0\r\n\r\n"
        )),
        "/fixed" => Reply::json(500, format!("you sent {V4_KEY}, did you not?")),
        "/near" => Reply::json(200, format!("{begin} {begin}{begin}")),
        _ => Reply::bytes(format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\na {begin}\r\n{:x}\r\n{end} b\
             \r\n0\r\n\r\n",
            2 + begin.len(),
            2 + end.len()
        )),
    })
    .await;
    let front = passing(upstream.address, "").await;
    let answer = front.get("/head").await;
    assert_eq!(answer.status, 302);
    assert!(answer.headers.get("location").is_none() && answer.headers.get("set-cookie").is_none());
    assert_eq!(answer.header("x-own"), "1");
    assert_eq!(front.get("/near").await.text(), format!("{begin} {begin}{begin}"));
    for target in ["/fixed", "/chunked", "/head"] {
        let text = request(&format!("GET {target}"), &["connection: close"]);
        let heard = tests::raw::say(front.running.address, text.as_bytes()).await;
        assert!(!heard.contains(V4_KEY) && !heard.contains(end), "{heard}");
        // Where it was found in the first piece, nothing at all comes.
        assert!(target == "/head" || !heard.ends_with("0\r\n\r\n"), "whole: {heard}");
    }
    // Where nothing was sent yet, there is still an answer to give.
    tests::expect::error(&front.get("/fixed").await, "502 upstream_repeated_key", "first piece");
    let series = "tieline_errors_total{slug=\"upstream_repeated_key\"}";
    assert_eq!(front.count(series).await, 3, "twice whole, and once cut");
    assert_eq!(front.count("tieline_errors_total{slug=\"upstream_truncated\"}").await, 0);
}

#[tokio::test]
async fn two_callers_never_share_a_connection_and_unknown_ones_not_even_with_themselves() {
    let upstream = Far::start(|mut wire| async move {
        loop {
            wire.head().await?;
            let number = wire.number.to_string();
            wire.say(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}")).await?;
        }
    })
    .await;
    let rules = format!(
        "unknown_callers = \"forward\"\nupstream = \"ams\"\n{}",
        config::another("other", OTHER_KEY, "\"everything\"")
    );
    let front = passing(upstream.address, &rules).await;
    let mut seen = Vec::new();
    let other = format!("Bearer {OTHER_KEY}");
    for key in [BEARER, &other, BEARER, &other, "Bearer nobody", "Bearer nobody", BEARER] {
        seen.push(front.get_with("/x", &[("authorization", key)]).await.text());
        // A connection goes back to its pool a moment after its answer.
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    assert_eq!(seen, ["0", "1", "0", "1", "2", "3", "0"]);
}

#[tokio::test]
async fn over_vonage_the_access_token_goes_and_a_refused_one_is_replaced() {
    let upstream = Raw::start(|head| match head.target() {
        "/Auth/connect/token" => Reply::json(
            200,
            format!("{{\"access_token\":\"token-number-{}\",\"expires_in\":3600}}", head.number),
        ),
        "/late" => Reply::json(401, "{}"),
        _ => Reply::json(200, "{}"),
    })
    .await;
    let rules = "[passthrough]\nenabled = true";
    let config = tests::vonage::config_text(upstream.address, "", rules);
    let front = Front::start_with(&config, &tests::vonage::ENV).await;
    for (target, status) in [("/a", 200), ("/b", 200), ("/late", 401), ("/c", 200)] {
        assert_eq!(front.get(target).await.status, status, "{target}");
    }
    let heads = upstream.heads();
    let story: Vec<(&str, &str)> = heads
        .iter()
        .map(|head| (head.target(), authorization(head).first().copied().unwrap_or_default()))
        .collect();
    let token = "/Auth/connect/token";
    let (first, second) = ("Bearer token-number-0", "Bearer token-number-4");
    let expected =
        [(token, ""), ("/a", first), ("/b", first), ("/late", first), (token, ""), ("/c", second)];
    assert_eq!(story, expected);
}

#[tokio::test]
async fn the_number_of_requests_that_pass_through_at_once_is_limited() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na").await?;
        wire.head().await.map(drop)
    })
    .await;
    let front = passing(upstream.address, "requests_in_flight_max = 1").await;
    let mut first = front.wire("GET /x", &[]).await;
    let head = first.head().await.unwrap();
    assert_eq!(values(&head, "content-length"), ["2"]);
    tests::expect::shape(&front.get("/x").await, "503 overloaded", "one place, taken");
    drop(first);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let mut second = front.wire("GET /x", &[]).await;
    assert!(second.head().await.unwrap().starts_with("HTTP/1.1 200 "), "the place is free again");
}

#[tokio::test]
async fn requests_without_a_place_wait_for_one_and_the_queue_is_bounded() {
    let upstream = Far::start(|mut wire| async move {
        while wire.head().await.is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab").await?;
        }
        Some(())
    })
    .await;
    for (queued, is_queued) in [(9, true), (0, false)] {
        let limits = format!(
            "requests_in_flight_max = 1\nrequests_queued_max = {queued}\n[limits]\nqueue_wait_max = \"60s\""
        );
        let front = passing(upstream.address, &limits).await;
        let answers = futures_util::future::join_all((0..10).map(|_| front.get("/x"))).await;
        let verdicts: Vec<String> = answers.iter().map(|answer| answer.verdict()).collect();
        let refused = verdicts.iter().filter(|verdict| *verdict == "503 overloaded").count();
        assert_eq!(refused == 0, is_queued, "{queued} may wait: {verdicts:?}");
    }
}
