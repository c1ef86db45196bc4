//! Callers of whose requests control answers a percentage: it is asked as the client asks, and where it
//! fails the client gets candidate's answer.

use http::Method;
use simulator::Settings;
use tests::raw::{Head, Raw, Reply};
use tests::shadow::{found, front, outcome, text};
use tests::wire::{Far, Wire};
use tests::{Answer, Front, LEGACY_KEY, V1_USERS, eventually, nowhere, vendor};

const NOBODY: &str = "/api/user_management/v1/users?id=x";

fn by(answer: &Answer) -> String {
    answer.header("x-tieline-answered-by")
}

async fn answers(front: &Front, outcome: &str) -> u64 {
    front.count(&format!("tieline_control_answers_total{{outcome=\"{outcome}\"}}")).await
}

#[tokio::test]
async fn control_answers_exactly_its_percentage_of_the_requests() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|_: &Head| Reply::json(200, "[ ]")).await;
    for percent in [0, 1, 30, 99, 100] {
        let caller = format!("control_percent = {percent}");
        let config =
            text(upstream, control.address, &caller, "").replace("sample = 1\n", "sample = 0\n");
        let front = front(&config).await;
        let mut of_control = 0;
        for _ in 0..100 {
            let answer = front.get(NOBODY).await;
            let expected = if by(&answer) == "control" { "[ ]" } else { "[]" };
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, expected));
            of_control += u64::from(by(&answer) == "control");
            assert!(percent > 0 || by(&answer).is_empty());
        }
        assert_eq!((of_control, answers(&front, "control").await), (percent, percent));
        assert_eq!(answers(&front, "fallback").await, 0);
    }
    assert_eq!(control.asked(), 1 + 30 + 99 + 100);
}

#[tokio::test]
async fn control_is_asked_as_the_client_asks_and_nothing_else_of_it_is_shown() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let head = "HTTP/1.1 422 Odd\r\ncontent-type: text/html\r\nset-cookie: session=1\r\n\
                server: legacy\r\nx-internal: 1\r\netag: \"1\"\r\ncontent-length: 13\r\n\r\n\
                {\"error\":\"x\"}";
    let control = Raw::start(move |_: &Head| Reply::bytes(head)).await;
    let config = text(upstream, control.address, "control_percent = 100", "");
    let front = front(&config.replace("sample = 1\n", "sample = 0\n")).await;
    let bearer = format!("bearer   {LEGACY_KEY}");
    let odd = "name=J%6fhn%20Doe&sag=&&x=%zz&filter[name]=a+b";
    for (method, target, headers, sent, authorization) in [
        (
            Method::GET,
            format!("/user_management/v1/users?{odd}"),
            &[("authorization", bearer.as_str()), ("cookie", "a=b"), ("x-client", "1")][..],
            format!("/user_management/v1/users?{odd}"),
            vec![format!("Bearer {LEGACY_KEY}")],
        ),
        (
            Method::HEAD,
            format!("/api/v3/cdr/users?k=1&key={LEGACY_KEY}&name=x"),
            &[],
            format!("/api/v3/cdr/users?k=1&name=x&key={LEGACY_KEY}"),
            vec![],
        ),
        (
            Method::GET,
            format!("/api/v2/cdr/teams?key={LEGACY_KEY}"),
            &[("if-none-match", "*"), ("accept-encoding", "gzip")],
            format!("/api/v2/cdr/teams?key={LEGACY_KEY}"),
            vec![],
        ),
        // Of what is not compared, control answers its share as well.
        (
            Method::GET,
            format!("/api/v1/{LEGACY_KEY}/agents_status.json"),
            &[],
            format!("/api/v1/{LEGACY_KEY}/agents_status.json"),
            vec![],
        ),
        (
            Method::GET,
            format!("/api/v3/messages/sms/templates?page=2&key={LEGACY_KEY}"),
            &[],
            format!("/api/v3/messages/sms/templates?page=2&key={LEGACY_KEY}"),
            vec![],
        ),
    ] {
        let answer = front.send(method.clone(), &target, headers).await;
        let body = if method == Method::HEAD { "" } else { "{\"error\":\"x\"}" };
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (422, body), "{target}");
        let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "cache-control",
            "content-length",
            "content-type",
            "date",
            "x-request-id",
            "x-tieline-answered-by",
            "x-tieline-error",
        ];
        assert_eq!((names, by(&answer).as_str()), (expected.to_vec(), "control"));
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
        let error = ["x-tieline-error", "cache-control"].map(|name| answer.header(name));
        assert_eq!(error, ["control_error", "no-store"]);
        let heads = control.heads();
        let head = heads.last().unwrap();
        assert!(head.text.starts_with(&format!("GET {sent} HTTP/1.1\r\n")), "{}", head.text);
        assert_eq!(head.headers("authorization"), authorization);
        assert_eq!((head.headers("cookie"), head.headers("x-client")), (vec![], vec![]));
    }
    assert_eq!(front.count("tieline_errors_total{slug=\"control_error\"}").await, 5);
    let series = "tieline_filters_used_total{caller=\"crm\",endpoint=\"v1_users\",filter=\"name\"}";
    assert_eq!(front.count(series).await, 1, "filters are counted for either side");
}

#[tokio::test]
async fn of_lists_that_are_not_compared_control_answers_its_share_and_of_calls_none() {
    let (vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|_: &Head| Reply::json(200, "{\"templates\":[]}")).await;
    let caller = "control_percent = 100\neffects = [\"call\"]";
    let front = front(&text(upstream, control.address, caller, "")).await;
    let status = format!("/api/v1/{LEGACY_KEY}/agents_status");
    let templates = format!("/api/v3/messages/sms/templates?key={LEGACY_KEY}");
    for target in [&status, &templates] {
        let answer = front.get_with(target, &[]).await;
        assert_eq!(
            (by(&answer).as_str(), answer.text().as_str()),
            ("control", "{\"templates\":[]}")
        );
    }
    assert_eq!((control.asked(), vendor.stats().users_pages), (2, 0));
    let agent = vendor.records().into_iter().find(|one| one.status.as_deref() == Some("available"));
    let agent = agent.and_then(|one| one.extension.clone()).unwrap();
    let call = format!("/api/v1/{LEGACY_KEY}/click2call?agent={agent}&number=31201234567");
    let answer = front.send(Method::POST, &call, &[]).await;
    assert_eq!((answer.status.as_u16(), by(&answer).as_str()), (204, ""));
    assert_eq!((control.asked(), vendor.stats().calls), (2, 1));
    let shadow = front.admin("/shadow").await.json();
    assert_eq!(shadow["comparisons"], serde_json::json!({}), "{shadow}");
}

#[tokio::test]
async fn where_control_fails_candidate_answers() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let status = |status: u16| Reply::json(status, "[]");
    let silent = Far::silent().await;
    let mut controls =
        vec![(silent.address, "timeout".to_owned()), (nowhere().await, "unreachable".to_owned())];
    let mut raws = Vec::new();
    for (reply, outcome) in [
        (status(401), "refused"),
        (status(403), "refused"),
        (status(404), "status"),
        (status(302), "status"),
        (status(429), "limited"),
        (status(500), "5xx"),
        (status(503), "5xx"),
        (Reply::json(200, "<html>"), "not_json"),
        (Reply::json(200, "[1,"), "not_json"),
        (Reply::json(200, "{\"error\":\"down for maintenance\"}"), "no_list"),
        (Reply::json(200, "{\"login\":{}}"), "no_list"),
        (Reply::json(200, "null"), "no_list"),
        (Reply::json(400, "{}"), "no_list"),
        (Reply::json(422, "[]"), "no_list"),
        (Reply::json(200, " ".repeat(1 << 17)), "too_large"),
        (Reply::json(200, "[1]").cut_at(70), "broken"),
        (Reply::bytes("").reset(), "broken"),
        (
            Reply::bytes(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n[]",
            ),
            "broken",
        ),
    ] {
        let raw = Raw::start(move |_: &Head| reply.clone()).await;
        controls.push((raw.address, outcome.to_owned()));
        raws.push(raw);
    }
    for (control, outcome) in controls {
        let shadow = "attempt_timeout = \"300ms\"\nanswer_bytes_max = \"64KiB\"";
        let config = text(upstream, control, "control_percent = 100", shadow);
        let front = front(&config.replace("sample = 1\n", "sample = 0\n")).await;
        let answer = front.get(NOBODY).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "[]"), "{outcome}");
        assert_eq!(by(&answer), "candidate");
        assert_eq!((answers(&front, "control").await, answers(&front, "fallback").await), (0, 1));
        let series = format!("tieline_control_requests_total{{outcome=\"{outcome}\"}}");
        assert_eq!(front.count(&series).await, 1, "{outcome}");
    }
}

#[tokio::test]
async fn a_control_that_fails_again_and_again_is_left_alone() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|head: &Head| match head.number {
        // A success makes earlier failures forgotten.
        4 => Reply::json(200, "[ ]"),
        _ => Reply::json(500, "{}"),
    })
    .await;
    let config = text(upstream, control.address, "control_percent = 100", "");
    let front = front(&config.replace("sample = 1\n", "sample = 0\n")).await;
    for _ in 0..30 {
        assert_eq!(front.get(NOBODY).await.status, 200);
    }
    // Four failures, one that worked, five failures.
    assert_eq!(control.asked(), 10);
    assert_eq!((answers(&front, "control").await, answers(&front, "fallback").await), (1, 29));
}

#[tokio::test]
async fn answers_by_control_are_compared_as_well() {
    let (_vendor, upstream, _one) = vendor(Settings::default()).await;
    let (other, control, _other) = vendor(Settings::default()).await;
    let front = front(&text(upstream, control, "control_percent = 100", "")).await;
    assert_eq!(by(&front.get(V1_USERS).await), "control");
    assert_eq!(outcome(&found(&front, 1).await, "equal"), 1);
    let id = other.records()[0].id;
    assert!(other.rename_user(id, "Another Name"));
    let answer = front.get(V1_USERS).await;
    assert!(answer.text().contains("Another Name"), "control's own answer");
    let found = found(&front, 2).await;
    assert_eq!((outcome(&found, "different"), outcome(&found, "equal")), (1, 1));
    // The second time both sides were asked anew.
    assert_eq!(front.count("tieline_control_requests_total{outcome=\"answered\"}").await, 3);
    let series = "tieline_requests_total{caller=\"crm\",endpoint=\"v1_users\",status=\"200\"}";
    assert_eq!(front.count(series).await, 2);
}

#[tokio::test]
async fn a_request_with_a_body_never_waits_for_control() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|_: &Head| Reply::json(200, "[ ]")).await;
    let config = text(upstream, control.address, "control_percent = 100", "");
    let front = front(&config.replace("sample = 1\n", "sample = 0\n")).await;
    let request = |length: usize, body: &str| {
        format!(
            "GET {NOBODY} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {LEGACY_KEY}\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    let mut wire = Wire::to(front.running.address).await;
    let inner = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    wire.say(request(inner.len(), inner)).await.unwrap();
    let head = wire.head().await.unwrap();
    assert!(head.contains("x-tieline-answered-by: candidate\r\n"), "{head}");
    assert_eq!(wire.exactly(2).await.unwrap(), "[]");
    assert_eq!(control.asked(), 0);
    // The bytes of the body are no request of their own.
    wire.say(request(0, "")).await.unwrap();
    let head = wire.head().await.unwrap();
    assert!(head.contains("x-tieline-answered-by: control\r\n"), "{head}");
    assert_eq!(wire.exactly(3).await.unwrap(), "[ ]");
}

#[tokio::test]
async fn a_control_that_clients_do_not_wait_for_is_left_alone() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Far::silent().await;
    let shadow = "attempt_timeout = \"1h\"\nanswer_timeout = \"1h\"";
    let config = text(upstream, control.address, "control_percent = 100", shadow);
    let front = front(&config.replace("sample = 1\n", "sample = 0\n")).await;
    let request =
        format!("GET {NOBODY} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {LEGACY_KEY}\r\n\r\n");
    for number in 1..=5 {
        let mut wire = Wire::to(front.running.address).await;
        wire.say(&request).await.unwrap();
        eventually("control is asked", async || control.connections() == number).await;
        drop(wire);
        let series = "tieline_control_requests_total{outcome=\"given_up\"}";
        eventually("given up", async || front.count(series).await == number as u64).await;
        assert_eq!((control.connections(), front.count(series).await), (number, number as u64));
    }
    let answer = front.get(NOBODY).await;
    assert_eq!((answer.status.as_u16(), by(&answer).as_str()), (200, "candidate"));
    assert_eq!(control.connections(), 5, "it is not even asked");
}

#[tokio::test]
async fn a_control_that_is_too_slow_for_clients_is_left_alone_however_well_it_can_be_compared() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Far::start(|mut wire: Wire| async move {
        wire.head().await?;
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]").await
    })
    .await;
    let shadow = "answer_timeout = \"100ms\"";
    let front = front(&text(upstream, control.address, "control_percent = 100", shadow)).await;
    for number in 1..=10 {
        assert_eq!(by(&front.get(NOBODY).await), "candidate");
        // Each of them is an answer, only too late for a client.
        assert_eq!(outcome(&found(&front, number).await, "equal"), number);
    }
    let series = "tieline_control_requests_total{outcome=\"timeout\"}";
    assert_eq!(front.count(series).await, 5, "then clients are answered at once");
}

#[tokio::test]
async fn a_client_waits_no_longer_for_control_than_an_answer_may_take() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Far::silent().await;
    // Half of what is left would be longer than any test runs.
    let shadow = "attempt_timeout = \"1h\"\nanswer_timeout = \"100ms\"\n\
                  [limits]\nrequest_deadline = \"1h\"";
    let config = text(upstream, control.address, "control_percent = 100", shadow);
    let front = front(&config.replace("sample = 1\n", "sample = 0\n")).await;
    let answer = front.get(NOBODY).await;
    assert_eq!((answer.status.as_u16(), by(&answer).as_str()), (200, "candidate"));
    assert_eq!(front.count("tieline_control_requests_total{outcome=\"timeout\"}").await, 1);
}

#[tokio::test]
async fn an_explanation_of_controls_answer_names_control() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|_: &Head| Reply::json(200, "[ ]")).await;
    let config = text(upstream, control.address, "control_percent = 100", "");
    let front = front(&config.replace("sample = 1\n", "sample = 0\n")).await;
    let bearer = format!("Bearer {LEGACY_KEY}");
    let headers = [("authorization", bearer.as_str()), ("x-tieline-explain", "1")];
    let answer = front.get_with(NOBODY, &headers).await;
    let explained = answer.header("x-tieline-explanation");
    let expected = "{\"answered_by\":\"control\",\"caller\":\"crm\",\"endpoint\":\"v1_users\"}";
    assert_eq!((by(&answer).as_str(), explained.as_str()), ("control", expected));
}
