//! Calls that are placed, at most once, with a vendor that counts them.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use tests::wire::{Far, Wire};
use tests::{Answer, Front, LEGACY_KEY, V4_KEY, config_text, eventually, expect, send};
use tower::ServiceExt;
use transport::body;

/// What the vendor was asked for: the body of each call.
type Calls = Arc<Mutex<Vec<serde_json::Value>>>;

const PLACED: &str = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n{\"call\":{\"id\":\"0b97-ce11\"}}";

/// A vendor with users of the extensions 101 (twice), 102, 103 (deleted) and 104, which says this to each call after a
/// while, or a part of it.
async fn vendor(
    says: impl Fn(usize) -> String + Send + Sync + 'static,
    after: Duration,
) -> (Far, Calls) {
    let calls = Calls::default();
    let (heard, says) = (Arc::clone(&calls), Arc::new(says));
    let far = Far::start(move |mut wire| {
        let (heard, says) = (Arc::clone(&heard), Arc::clone(&says));
        async move {
            loop {
                let head = wire.head().await?;
                if head.starts_with("GET ") {
                    wire.say(users(&head)).await?;
                    continue;
                }
                let body = body_of(&mut wire, &head).await?;
                let number = {
                    let mut heard = heard.lock().unwrap();
                    heard.push(serde_json::from_str(&body).unwrap());
                    heard.len() - 1
                };
                assert!(head.starts_with("POST /api/v4/voice/calls HTTP/1.1\r\n"), "{head}");
                assert!(head.contains(&format!("authorization: Bearer {V4_KEY}\r\n")), "{head}");
                tokio::time::sleep(after).await;
                wire.say(says(number)).await?;
                return None;
            }
        }
    })
    .await;
    (far, calls)
}

async fn body_of(wire: &mut Wire, head: &str) -> Option<String> {
    let length = tests::wire::values(head, "content-length").first()?.parse().ok()?;
    wire.exactly(length).await
}

/// The page of users that fit the filter, or all, as a vendor that does not filter.
fn users(head: &str) -> String {
    let user = |id: u64, extension: &str, gone: bool| {
        let at = if gone { "\"2026-01-01\"" } else { "null" };
        let status = if gone { "offline" } else { "available" };
        format!(
            "{{\"id\":\"{id}\",\"name\":\"U{id}\",\"email\":\"u{id}@x.example\",\"extension\":\"{extension}\",\
             \"teams\":[],\"supervised_teams\":[],\"queues\":[],\"channel_profiles\":[],\"skills\":[],\
             \"status\":\"{status}\",\"deleted_at\":{at}}}"
        )
    };
    let all = [
        user(1, "101", false),
        user(2, "101", false),
        user(3, "102", false),
        user(4, "103", true),
        user(5, "104", false),
        // Two e-mails that differ by the case alone, and one of each.
        user(6, "106", false).replace("u6@x", "U7@x"),
        user(7, "107", false),
    ];
    let page = if head.contains("offset=0") { all.join(",") } else { String::new() };
    let body = format!("{{\"users\":[{page}],\"metadata\":{{\"total\":7}}}}");
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn front(vendor: &Far, more: &str) -> Front {
    Front::start(&config_text(vendor.address, "", &format!("effects = [\"call\"]\n{more}"))).await
}

fn target(query: &str) -> String {
    format!("/api/v1/{LEGACY_KEY}/click2call?{query}")
}

const GOOD: &str = "agent=102&number=31201234567";

async fn post(front: &Front, query: &str, kind: &str, body: &str) -> Answer {
    let uri = format!("http://{}{}", front.running.address, target(query));
    let request = Request::post(uri).header("content-type", kind);
    let request = request.body(Bytes::from(body.to_owned())).unwrap();
    let (head, body) = tests::client().oneshot(request).await.unwrap().into_parts();
    let body = body::collect(body, 1 << 20, Duration::from_secs(30)).await.unwrap();
    Answer { status: head.status, headers: head.headers, body }
}

async fn outcomes(front: &Front) -> [u64; 4] {
    let mut all = [0; 4];
    for (place, outcome) in
        ["placed", "placed_without_id", "not_placed", "unknown"].iter().enumerate()
    {
        all[place] = front.count(&format!("tieline_calls_total{{outcome=\"{outcome}\"}}")).await;
    }
    all
}

#[tokio::test]
async fn a_call_is_placed_by_query_form_and_json_and_answered_with_its_id() {
    let (vendor, calls) = vendor(|_| PLACED.to_owned(), Duration::ZERO).await;
    let front = front(&vendor, "").await;
    let id = "{\"call_id\":\"0b97-ce11\"}";
    let json =
        r#"{"agent":"102","number":31201234567,"crm":"c","account_id":"7","get_call_id":true}"#;
    let (of_json, of_form) = ("application/json", "application/x-www-form-urlencoded");
    for (answer, wants_id) in [
        (post(&front, &format!("{GOOD}&get_call_id=true"), "text/plain", "").await, true),
        (post(&front, "", of_json, json).await, true),
        (post(&front, "agent=102", of_form, "number=%2B31201234567").await, false),
        (post(&front, GOOD, of_json, "{\"agent\":102}").await, false),
        (front.get_with(&target(GOOD), &[]).await, false),
        (front.get_with(&target("agent=u3@x.example&number=31201234567"), &[]).await, false),
    ] {
        assert_eq!(answer.status.as_u16(), if wants_id { 200 } else { 204 });
        assert_eq!(answer.text(), if wants_id { id } else { "" });
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let calls = calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 6);
    let plain = serde_json::json!({"user_id": "3", "phone_number": "31201234567"});
    let mut with_source = plain.clone();
    with_source["source"] = serde_json::json!({"account_id": "7", "system": "c"});
    assert_eq!(calls[1], with_source);
    assert!([0, 2, 3, 4, 5].iter().all(|at| calls[*at] == plain), "{calls:?}");
    assert_eq!(outcomes(&front).await, [6, 0, 0, 0]);
}

#[tokio::test]
async fn what_wants_no_call_or_no_user_places_none() {
    let (vendor, calls) = vendor(|_| PLACED.to_owned(), Duration::ZERO).await;
    let of_pages = front(&vendor, "[cors]\nallow_origins = [\"https://app.example\"]").await;
    let front = front(&vendor, "").await;
    for (query, verdict) in [
        ("agent=101&number=1", "400 agent_not_found"),
        ("agent=103&number=1", "400 agent_not_found"),
        ("agent=999&number=1", "400 agent_not_found"),
        ("agent=nobody@x.example&number=1", "400 agent_not_found"),
        ("number=1", "400 agent_not_found"),
    ] {
        let answer = front.get_with(&target(query), &[]).await;
        assert_eq!(answer.verdict(), verdict, "{query}");
        assert_eq!(answer.text(), "{\"errors\":\"User not found\"}", "{query}");
    }
    for (query, verdict) in [
        ("agent=102", "400 bad_number"),
        ("agent=102&number=x", "400 bad_number"),
        ("agent=102&agent=104&number=1", "400 contradiction"),
    ] {
        expect::error(&front.get_with(&target(query), &[]).await, verdict, query);
    }
    let answer = post(&front, GOOD, "application/json", "{\"agent\":\"104\"}").await;
    expect::error(&answer, "400 contradiction", "query and body");
    let answer = post(&front, GOOD, "application/json", "{\"agent\":").await;
    expect::error(&answer, "400 bad_parameters", "no JSON");
    let answer = post(&front, GOOD, "application/json", "{\"crm\":\"a\",\"crm\":\"a\"}").await;
    expect::error(&answer, "400 contradiction", "a repeated member");
    for kind in ["text/plain", "multipart/form-data; boundary=b", "application/xml", ""] {
        let answer = post(&front, GOOD, kind, "agent=104").await;
        expect::error(&answer, "400 bad_parameters", kind);
    }
    let answer = post(&front, GOOD, "application/json", "[]").await;
    expect::error(&answer, "400 bad_parameters", "no object");
    let mut encoded = Wire::to(front.running.address).await;
    let text = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
         content-length: 2\r\nconnection: close\r\n\r\n{{}}",
        target(GOOD)
    );
    encoded.say(text).await.unwrap();
    assert!(encoded.head().await.unwrap().contains("x-tieline-error: bad_parameters\r\n"));
    let stop = front.get_with(&target(&format!("{GOOD}&action=stopcall")), &[]).await;
    expect::error(&stop, "400 stop_refused", "stopcall");
    let long = format!("{GOOD}&crm={}", "c".repeat(257));
    expect::error(&front.get_with(&target(&long), &[]).await, "400 long_parameter", "crm");
    for method in [Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let answer = front.send(method.clone(), &target(GOOD), &[]).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET, POST");
    }
    for header in
        [("sec-purpose", "prefetch;prerender"), ("purpose", "Prefetch"), ("x-moz", "prefetch")]
    {
        let answer = front.get_with(&target(GOOD), &[header]).await;
        expect::error(&answer, "403 prefetch_refused", header.0);
    }
    let answer = front.get_with(&target(GOOD), &[("early-data", "1")]).await;
    expect::error(&answer, "425 too_early", "early data");
    let asks = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let answer = of_pages.send(Method::OPTIONS, &target(GOOD), &asks).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-methods")),
        (204, "GET, POST".to_owned())
    );
    let wrong = format!("/api/v1/nobodys/click2call?{GOOD}");
    let answer = front.get_with(&wrong, &[]).await;
    assert_eq!(
        (answer.verdict(), answer.text()),
        ("403 unknown_credential".to_owned(), "{\"error\":\"Invalid api_key\"}".to_owned())
    );
    assert!(calls.lock().unwrap().is_empty());
    let [placed, without_id, _, unknown] = outcomes(&front).await;
    assert_eq!((placed, without_id, unknown), (0, 0, 0));
}

#[tokio::test]
async fn an_agent_is_found_by_the_very_email_or_else_by_one_of_another_case() {
    let (vendor, calls) = vendor(|_| PLACED.to_owned(), Duration::ZERO).await;
    let front = front(&vendor, "").await;
    for (agent, verdict) in [
        ("U7@x.example", "204 "),
        ("u7@x.example", "204 "),
        ("U5@X.EXAMPLE", "204 "),
        ("u7@X.example", "400 agent_not_found"),
    ] {
        let answer = front.get_with(&target(&format!("agent={agent}&number=1")), &[]).await;
        assert_eq!(answer.verdict(), verdict, "{agent}");
    }
    let calls = calls.lock().unwrap();
    let rung: Vec<_> = calls.iter().map(|call| call["user_id"].as_str().unwrap()).collect();
    assert_eq!(rung, ["6", "7", "5"]);
}

#[tokio::test]
async fn a_caller_without_the_effect_and_users_it_does_not_see_are_rung_by_nobody() {
    let (vendor, calls) = vendor(|_| PLACED.to_owned(), Duration::ZERO).await;
    let without = Front::start(&config_text(vendor.address, "", "")).await;
    expect::error(&without.get_with(&target(GOOD), &[]).await, "403 effect_refused", "no effect");
    let text = config_text(vendor.address, "", "effects = [\"call\"]");
    let narrowed = Front::start(&text.replace("\"everything\"", "{ users = [5] }")).await;
    assert_eq!(narrowed.get_with(&target(GOOD), &[]).await.verdict(), "400 agent_not_found");
    assert!(calls.lock().unwrap().is_empty());
    let seen = narrowed.get_with(&target("agent=104&number=1"), &[]).await;
    assert_eq!(seen.status, 204);
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_vendor_says_of_a_call_is_told_in_legacy_words_and_never_asked_again() {
    let json = |status: u16, body: &str| {
        format!("HTTP/1.1 {status} S\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let answers = [
        (json(422, r#"{"errors":{"user":["offline"]}}"#), "400 agent_logged_off"),
        (json(422, r#"{"errors":{"phone_number":["bad"]}}"#), "400 bad_number"),
        (json(422, "{}"), "502 upstream_refused_call"),
        (json(401, "{}"), "502 mapped_key_refused"),
        (json(403, "{}"), "502 upstream_forbidden"),
        (json(404, "{}"), "502 upstream_refused_call"),
        (json(429, "{}"), "429 rate_limited"),
        (json(301, ""), "504 call_unknown"),
        (json(302, ""), "504 call_unknown"),
        (json(303, ""), "504 call_unknown"),
        (json(307, ""), "502 upstream_redirect"),
        (json(308, ""), "502 upstream_redirect"),
        (json(408, ""), "504 call_unknown"),
        (json(499, ""), "504 call_unknown"),
        (json(501, ""), "502 upstream_refused_call"),
        (json(505, ""), "502 upstream_refused_call"),
        (json(500, "{}"), "504 call_unknown"),
        (json(502, "{}"), "504 call_unknown"),
        (json(503, "{}"), "504 call_unknown"),
        (json(200, r#"{"error":"Unauthorized"}"#), "502 mapped_key_refused"),
        (json(200, r#"{"error":"Forbidden"}"#), "502 upstream_forbidden"),
        (json(200, r#"{"error":"Too many requests"}"#), "429 rate_limited"),
        (json(201, r#"{"errors":{"user":["offline"]}}"#), "400 agent_logged_off"),
        (json(200, r#"{"errors":{"phone_number":["bad"]}}"#), "400 bad_number"),
        (json(200, r#"{"error":"no"}"#), "502 upstream_refused_call"),
        (json(200, "no JSON"), "504 call_unknown"),
        (json(200, &"x".repeat(70 << 10)), "504 call_unknown"),
        (json(204, ""), "204 "),
        (json(201, "{}"), "204 "),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"id\":\"x".to_owned(), "204 "),
    ];
    for (says, verdict) in answers {
        let said = says.clone();
        let (vendor, calls) = vendor(move |_| said.clone(), Duration::ZERO).await;
        let front = front(&vendor, "").await;
        let answer = front.get_with(&target(&format!("{GOOD}&get_call_id=true")), &[]).await;
        assert_eq!(answer.verdict(), verdict, "{says}");
        assert_eq!(calls.lock().unwrap().len(), 1, "{says}");
        if verdict == "504 call_unknown" {
            expect::error(&answer, verdict, &says);
            assert!(answer.text().contains("may have been placed"));
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_leaves_the_verdict_to_the_status() {
    for (status, verdict) in
        [(200, "204 "), (422, "502 upstream_refused_call"), (500, "504 call_unknown")]
    {
        let heard = Calls::default();
        let kept = Arc::clone(&heard);
        let vendor = Far::start(move |mut wire| {
            let heard = Arc::clone(&kept);
            async move {
                loop {
                    let head = wire.head().await?;
                    if head.starts_with("GET ") {
                        wire.say(users(&head)).await?;
                        continue;
                    }
                    let body = body_of(&mut wire, &head).await?;
                    heard.lock().unwrap().push(body.into());
                    let head = format!("HTTP/1.1 {status} S\r\ncontent-length: 27\r\n\r\n{{\"id");
                    wire.say(head).await?;
                    // It neither goes on nor closes.
                    std::future::pending::<()>().await;
                }
            }
        })
        .await;
        let text = config_text(vendor.address, "attempt_timeout = \"1s\"", "effects = [\"call\"]");
        let front = Front::start(&text).await;
        let answer = front.get_with(&target(GOOD), &[]).await;
        assert_eq!(answer.verdict(), verdict, "{status}");
        assert_eq!(heard.lock().unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_call_is_not_begun_when_there_is_no_time_to_connect() {
    let (vendor, calls) = vendor(|_| PLACED.to_owned(), Duration::ZERO).await;
    let more = "effects = [\"call\"]\n[limits]\nrequest_deadline = \"2s\"";
    let text = config_text(vendor.address, "connect_timeout = \"2s\"", more);
    let front = Front::start(&text).await;
    let answer = front.get_with(&target(GOOD), &[]).await;
    assert_eq!(answer.verdict(), "504 upstream_timeout");
    assert!(calls.lock().unwrap().is_empty());
    assert_eq!(outcomes(&front).await, [0, 0, 1, 0]);
}

#[tokio::test]
async fn a_call_that_waited_for_its_place_minds_a_pause_that_began_meanwhile() {
    let limited = "HTTP/1.1 429 S\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n";
    let (vendor, calls) = vendor(move |_| limited.to_owned(), Duration::from_millis(300)).await;
    // The first call has the only place until it is refused.
    let text = config_text(
        vendor.address,
        "requests_in_flight_max = 1\npages_in_flight_max = 1",
        "effects = [\"call\"]",
    );
    let front = Front::start(&text).await;
    let target = target(GOOD);
    let (one, other) = tokio::join!(front.get_with(&target, &[]), front.get_with(&target, &[]));
    assert_eq!([one.verdict(), other.verdict()], ["429 rate_limited"; 2]);
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn through_resets_at_every_byte_as_many_calls_are_placed_as_answered() {
    let (vendor, calls) =
        vendor(|number| PLACED[..number.min(PLACED.len())].to_owned(), Duration::ZERO).await;
    let front = front(&vendor, "").await;
    let (mut placed, mut unknown) = (0, 0);
    for cut in 0..=PLACED.len() {
        let answer = front.get_with(&target(GOOD), &[]).await;
        match &*answer.verdict() {
            "204 " => placed += 1,
            "504 call_unknown" => unknown += 1,
            // The breaker leaves a vendor alone that fails all the time, and says that nothing was placed.
            other => assert_eq!(other, "503 upstream_unavailable", "cut at {cut}"),
        }
        assert_eq!(calls.lock().unwrap().len(), placed + unknown, "cut at {cut}");
    }
    assert!(unknown > 20, "{placed} placed, {unknown} unknown");
    let counted = outcomes(&front).await;
    assert_eq!((counted[0] + counted[1], counted[3]), (placed as u64, unknown as u64));
}

#[tokio::test]
async fn a_thousand_clients_that_leave_take_no_call_back_and_place_none_twice() {
    let (vendor, calls) = vendor(|_| PLACED.to_owned(), Duration::from_millis(2)).await;
    let front = front(&vendor, "").await;
    for round in 0..20_u64 {
        let mut wires = Vec::new();
        for number in 0..50_u64 {
            let mut wire = Wire::to(front.running.address).await;
            let query = format!("agent=102&number={}", 1_000_000 + round * 50 + number);
            let text = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", target(&query));
            wire.say(text).await.unwrap();
            wires.push(wire);
            // Some leave before the call, some while it is placed, some behind it.
            tokio::time::sleep(Duration::from_micros(100 * (number % 7))).await;
        }
        drop(wires);
    }
    let before = AtomicU64::new(u64::MAX);
    eventually("every call has ended", async || {
        let counted: u64 = outcomes(&front).await.iter().sum();
        // A call takes a few milliseconds, so that nothing new within half a second is the end.
        let has_ended = before.swap(counted, Ordering::SeqCst) == counted;
        tokio::time::sleep(Duration::from_millis(500)).await;
        has_ended && counted > 0
    })
    .await;
    let [with_id, without_id, not_placed, unknown] = outcomes(&front).await;
    let calls = calls.lock().unwrap();
    assert_eq!(calls.len() as u64, with_id + without_id + unknown);
    assert!(with_id >= 100, "{with_id} placed, {not_placed} not, {unknown} unknown");
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for call in calls.iter() {
        *numbers.entry(call["phone_number"].to_string()).or_default() += 1;
    }
    assert!(numbers.values().all(|times| *times == 1), "a call was placed twice");
}

#[tokio::test]
async fn a_drain_waits_for_the_calls_of_clients_that_have_left() {
    let said = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&said);
    let says = move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        PLACED.to_owned()
    };
    let (vendor, calls) = vendor(says, Duration::from_millis(1500)).await;
    let text =
        config_text(vendor.address, "", "effects = [\"call\"]\n[limits]\ndrain_delay = \"0s\"");
    let front = Front::start(&text).await;
    let mut leaving = Wire::to(front.running.address).await;
    leaving.say(format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", target(GOOD))).await.unwrap();
    eventually("the call is on its way", async || calls.lock().unwrap().len() == 1).await;
    drop(leaving);
    front.stop();
    front.running.finished().await;
    // No client's connection holds the stop up: only the call does.
    assert_eq!(said.load(Ordering::SeqCst), 1, "the process ended before the call's answer");
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_pretend_vendor_answers_a_call_alike_on_both_faces() {
    let settings = simulator::Settings { users: 30, ..simulator::Settings::default() };
    let world = tests::World::with(settings, "", "").await;
    let text = config_text(world.vendor_address, "", "effects = [\"call\"]");
    let front = Front::start(&text).await;
    let users = world.vendor.records();
    let is_one = |wanted: &str| users.iter().filter(|user| user.email == wanted).count() == 1;
    let mut texts = std::collections::BTreeSet::new();
    for user in users.iter().filter(|user| is_one(&user.email)) {
        for number in ["31201234567", "x"] {
            let query = tests::query(&[("agent", &*user.email), ("number", number)]);
            let ours = front.get_with(&target(&query), &[]).await;
            let theirs =
                send(&tests::client(), world.vendor_address, Method::GET, &target(&query), &[])
                    .await;
            // A bad number is refused before the agent is looked up.
            if number == "x" {
                assert_eq!(ours.verdict(), "400 bad_number");
                continue;
            }
            assert_eq!((ours.status, ours.text()), (theirs.status, theirs.text()), "{query}");
            texts.insert(ours.text());
        }
    }
    assert!(texts.len() >= 2, "{texts:?}");
    assert!(world.vendor.stats().calls >= 2);
}
