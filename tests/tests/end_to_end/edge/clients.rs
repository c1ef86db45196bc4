//! Habits of clients that worked before the swap: what they write in a path, a query, a header or a body that
//! is not quite as documented, and still meant one thing.

use serde_json::json;
use tests::raw::{Raw, Reply, page, say, user};
use tests::wire::{Far, passing, request, values};
use tests::{Answer, BEARER, Front, TEAMS, V1_USERS, World, expect, users};

const KEY: &str = "authorization: Bearer legacy-demo-key";
const JSON: &str = "content-type: application/json";
const FORM: &str = "content-type: application/x-www-form-urlencoded; charset=utf-8";

/// Asks on a connection of its own, with the key and a body.
async fn ask(front: &Front, line: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let length = format!("content-length: {}", body.len());
    let headers = [headers, &[&length, "connection: close"]].concat();
    let text = [request(line, &headers).as_bytes(), body].concat();
    Answer::heard(say(front.running.address, &text).await)
}

/// An upstream of three users, one of them with a name that is not ASCII, one whose name holds U+FFFD.
async fn three() -> Raw {
    let names = ["Jane Doe", "Jos\u{e9}", "Jos\u{fffd}"];
    let rows = names.iter().zip(1..);
    let rows: Vec<String> =
        rows.map(|(name, id)| user(id).replace(&format!("User {id}"), name)).collect();
    let whole = page(&rows, rows.len());
    Raw::start(move |_| Reply::json(200, whole.clone())).await
}

#[tokio::test]
async fn a_base_url_may_end_in_a_slash_and_a_path_have_other_spellings() {
    let world = World::with(users(12), "", "[passthrough]\nenabled = true").await;
    let all = world.get(V1_USERS).await.ids();
    assert!(!all.is_empty());
    for path in [
        "//api/user_management/v1/users",
        "/api//user_management/v1/users",
        "/api/user_management/v1/users/",
        "/api/user_management/v1/users.json",
        "/user%5Fmanagement/v1/users",
        "//user%5fmanagement/v1/users.json/?name=",
    ] {
        expect::rows(&world.get(path).await, &all, path);
    }
    let teams = world.get(TEAMS).await.text();
    assert_eq!(world.get("//api/v2/cdr/teams/").await.text(), teams);
    for path in ["/API/user_management/v1/users", "/api%2Fuser_management/v1/users"] {
        expect::error(&world.get(path).await, "400 odd_path", path);
    }
}

#[tokio::test]
async fn text_in_a_query_is_utf_8_and_other_bytes_match_nobody() {
    let upstream = three().await;
    let front = Front::over(upstream.address, "", "").await;
    for (query, ids) in [
        ("name=Jos\u{e9}", &[2][..]),
        ("name=Jos%C3%A9", &[2]),
        ("name=Jos%EF%BF%BD", &[3]),
        ("name=Jos\u{fffd}", &[3]),
        ("name=Jos%E9", &[]),
        ("filter[name][]=Jos%FF", &[]),
        ("name=Jos%E9&name=Jos%C3%A9", &[]),
        ("x=%E9&name=Jane+Doe", &[1]),
    ] {
        let answer = ask(&front, &format!("GET {V1_USERS}?{query}"), &[], "").await;
        expect::rows(&answer, ids, query);
    }
    for (target, verdict) in [
        (&b"?name=Jos\xe9"[..], "400 bad_query"),
        (b"?name=\"x\"", "400 bad_query"),
        (b"/Jos\xc3\xa9?name=x", "400 bad_target"),
    ] {
        let text = request(&format!("GET {V1_USERS}@"), &["connection: close"]);
        let (before, after) = text.split_once('@').unwrap();
        let bytes = [before.as_bytes(), target, after.as_bytes()].concat();
        let answer = Answer::heard(say(front.running.address, &bytes).await);
        assert_eq!(answer.verdict(), verdict);
        let named = if verdict.ends_with("query") { "Query" } else { "Path" };
        assert!(answer.text().contains(named), "{}", answer.text());
    }
}

#[tokio::test]
async fn filters_in_a_body_go_over_those_of_the_query() {
    let upstream = three().await;
    let front = Front::over(upstream.address, "", "").await;
    for (query, kind, body, ids) in [
        ("", JSON, r#"{"name":"Jane Doe"}"#, &[1][..]),
        ("?name=Jane+Doe", JSON, r#"{"name":"Jos\u00e9"}"#, &[2]),
        ("?name=Jane+Doe", JSON, r#"{"filter":{"name":"Jos\u00e9"}}"#, &[]),
        ("?filter[name]=Jane+Doe", JSON, r#"{"filter":{"id":2}}"#, &[2]),
        ("?name[0]=Jane+Doe", JSON, r#"{"name":null,"page":2}"#, &[1, 2, 3]),
        ("?name=Jane+Doe", JSON, r#"["name"]"#, &[1]),
        ("?name=Jane+Doe", FORM, "name=Jos%C3%A9&key=x", &[2]),
        ("", FORM, "filter%5Bname%5D=Jane+Doe", &[1]),
        ("?name=Jane+Doe", "content-type: text/plain", "name=Jos%C3%A9", &[1]),
        ("", "accept: */*", r#"{"name":"Jane Doe"}"#, &[1, 2, 3]),
        ("?name=Jane+Doe", JSON, "", &[1]),
    ] {
        let answer = ask(&front, &format!("GET {V1_USERS}{query}"), &[kind], body).await;
        expect::rows(&answer, ids, &format!("{query} {body}"));
    }
    let latin = ask(&front, &format!("GET {V1_USERS}"), &[FORM], b"name=Jos\xe9").await;
    expect::rows(&latin, &[], "a form in Latin-1");
    let asked = upstream.asked();
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(64 << 10));
    for body in ["{", "name=x", &long] {
        let answer = ask(&front, &format!("GET {V1_USERS}"), &[JSON], body).await;
        assert_eq!(answer.verdict(), "400 bad_parameters", "{} bytes", body.len());
    }
    assert_eq!(upstream.asked(), asked, "nothing is asked for a body that cannot be read");
    let ignores = "[legacy]\nbody_parameters = \"ignore\"";
    let front = Front::over(upstream.address, "", ignores).await;
    for body in [r#"{"name":"Jane Doe"}"#, "{"] {
        let answer = ask(&front, &format!("GET {V1_USERS}"), &[JSON], body).await;
        expect::rows(&answer, &[1, 2, 3], "ignored");
    }
}

#[tokio::test]
async fn parameters_that_look_like_filters_are_ignored_and_counted() {
    let upstream = three().await;
    let front = Front::over(upstream.address, "", "").await;
    expect::rows(&front.get(&format!("{V1_USERS}?name[0]=Jane+Doe")).await, &[1], "PHP");
    let misses = || async { front.admin("/callers").await.json()[0]["near_misses"].clone() };
    assert_eq!(misses().await, json!({"brackets": 0, "case": 0, "spelling": 0}));
    for query in ["Name=Jane", "filters[name]=Jane&NAME=x", "callerId=7&page=1", "q[email]=x"] {
        expect::rows(&front.get(&format!("{V1_USERS}?{query}")).await, &[1, 2, 3], query);
    }
    assert_eq!(misses().await, json!({"brackets": 2, "case": 2, "spelling": 1}));
    for (kind, count) in [("brackets", 2), ("case", 2), ("spelling", 1)] {
        let series = format!("tieline_near_misses_total{{caller=\"crm\",kind=\"{kind}\"}}");
        assert_eq!(front.count(&series).await, count, "{kind}");
    }
}

#[tokio::test]
async fn a_404_names_its_caller_and_documented_legacy_paths_are_counted_by_caller() {
    let upstream = three().await;
    let front = Front::over(upstream.address, "", "").await;
    let paths = || async { front.admin("/callers").await.json()[0]["untranslated"].clone() };
    assert_eq!(paths().await, json!({}));
    let key = KEY.rsplit_once(' ').unwrap().1;
    for path in ["/api/v2/cdr", "//api/v2/cdr/", "/api/numbers/v1/numbers", "/nothing/here"] {
        assert_eq!(front.get(path).await.verdict(), "404 not_found", "{path}");
    }
    // Keys in the path, and one that nobody has.
    for (path, header) in [
        (format!("/api/v1/{key}/sendsms.json"), "accept: */*"),
        ("/api/v2/cdr/queues".to_owned(), "authorization: Bearer nobodys"),
        ("/api/v1/nobodys/balance".to_owned(), "accept: */*"),
    ] {
        let text =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n\r\n");
        let answer = Answer::heard(say(front.running.address, text.as_bytes()).await);
        assert_eq!(answer.verdict(), "404 not_found");
    }
    let expected = json!({
        "/api/numbers/v1/numbers": 1, "/api/v1/{key}/sendsms": 1, "/api/v2/cdr": 2,
    });
    assert_eq!(paths().await, expected);
    for (caller, path, count) in [
        ("crm", "/api/v2/cdr", 2),
        ("crm", "/api/v1/{key}/sendsms", 1),
        ("none", "/api/v2/cdr/queues", 1),
        ("none", "/api/v1/{key}/balance", 1),
    ] {
        let labels = format!("caller=\"{caller}\",endpoint=\"none\",path=\"{path}\"");
        let series = format!("tieline_untranslated_total{{{labels}}}");
        assert_eq!(front.count(&series).await, count, "{series}");
    }
    let named = "tieline_requests_total{caller=\"crm\",endpoint=\"none\",status=\"404\"}";
    assert_eq!(front.count(named).await, 5, "also for paths that nobody documents");
    let metrics = front.admin("/metrics").await;
    assert!(!String::from_utf8_lossy(&metrics.body).contains(key));
}

#[tokio::test]
async fn an_answer_without_a_length_to_http_1_0_says_that_its_connection_ends() {
    let upstream = Far::start(|mut wire| async move {
        loop {
            let head = wire.head().await?;
            let body = match head.contains("/known") {
                true => "content-length: 2\r\n\r\nok",
                false => "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            };
            wire.say(format!("HTTP/1.1 200 OK\r\n{body}")).await?;
        }
    })
    .await;
    let front = passing(upstream.address, "").await;
    for (path, said) in [("/known", "keep-alive"), ("/open", "close")] {
        let text = format!("GET {path} HTTP/1.0\r\nconnection: keep-alive\r\n{KEY}\r\n\r\n");
        let mut wire = tests::wire::Wire::to(front.running.address).await;
        wire.say(&text).await.unwrap();
        let head = wire.head().await.unwrap();
        assert_eq!(values(&head, "connection"), [said], "{head}");
        assert_eq!(wire.exactly(2).await.unwrap(), "ok");
        if said == "keep-alive" {
            wire.say(&text).await.unwrap();
            assert!(wire.head().await.is_some(), "it is used again");
        } else {
            assert_eq!(wire.rest().await, "");
        }
    }
}

#[tokio::test]
async fn a_place_at_the_upstream_becomes_one_here() {
    let upstream = Raw::start(|head| {
        let host = head.headers("host").concat();
        Reply::bytes(format!(
            "HTTP/1.1 302 Found\r\nlocation: http://{host}/y?a=1\r\ncontent-length: 0\r\n\r\n"
        ))
    })
    .await;
    let front = passing(upstream.address, "").await;
    assert_eq!(front.get("/x").await.header("location"), "/y?a=1");
    let front = passing(upstream.address, "rewrite_location = false").await;
    let kept = format!("http://{}/y?a=1", upstream.address);
    assert_eq!(front.get("/x").await.header("location"), kept);
}

#[tokio::test]
async fn an_escaped_slash_goes_through_where_the_operator_says_so() {
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let front = passing(upstream.address, "").await;
    expect::error(&front.get("/files/a%2Fb").await, "400 odd_path", "by default");
    let rules = "escaped_slashes = \"keep\"\n\
                 [[passthrough.route]]\nprefix = \"/files/secret\"\nallow = false\n\
                 [[passthrough.route]]\nprefix = \"/closed\"\nallow = false";
    let front = passing(upstream.address, rules).await;
    for target in ["/files/a%2Fb", "/files/a%2fb/c?d=%2F"] {
        assert_eq!(front.get(target).await.verdict(), "200 ", "{target}");
        assert_eq!(upstream.heads().pop().unwrap().target(), target);
    }
    let asked = upstream.asked();
    for target in [
        "/files%2Fsecret/x",
        "/files/secret%2Fx",
        "/files/x/..%2Fsecret",
        "/closed%2Fx",
        "/api%2Fv2/cdr/teams",
        "/api/v2/cdr%2Fteams%2F",
    ] {
        expect::error(&front.get(target).await, "400 odd_path", target);
    }
    assert_eq!(upstream.asked(), asked);
}

#[tokio::test]
async fn a_route_has_waits_of_its_own() {
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        if head.contains("/body") {
            wire.say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await?;
        }
        wire.rest().await;
        None
    })
    .await;
    let rules = "[[passthrough.route]]\nprefix = \"/short\"\n\
                 head_timeout = \"200ms\"\nidle_timeout = \"200ms\"";
    let front = passing(upstream.address, rules).await;
    expect::error(&front.get("/short/head").await, "504 upstream_timeout", "no head");
    let mut wire = front.wire("GET /short/body", &[]).await;
    assert!(wire.head().await.unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(wire.rest().await, "abc", "cut");
    assert_eq!(front.count("tieline_errors_total{slug=\"upstream_timeout\"}").await, 2);
    assert_eq!(front.get_with("/x", &[BEARER, ("expect", "x")]).await.verdict(), "417 bad_expect");
}
