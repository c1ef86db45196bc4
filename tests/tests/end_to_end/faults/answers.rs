//! Answers in other codings, and fields that no answer should hold. The ids in front of the test names
//! are those of the fault list in `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::Read;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;
use tests::raw::{Raw, Reply, page, user};
use tests::{Answer, BEARER, Front, V1_USERS, World, config_text, expect, users};

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

fn decoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "gzip" => _ = flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
        "br" => _ = brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain).unwrap(),
        "zstd" => plain = zstd::bulk::decompress(bytes, 64 << 20).unwrap(),
        _ => plain = bytes.to_vec(),
    }
    plain
}

async fn world(users: usize, rest: &str) -> World {
    World::with(tests::users(users), "", rest).await
}

async fn coded(world: &World, coding: &str) -> Answer {
    world.front.get_with(V1_USERS, &[BEARER, ("accept-encoding", coding)]).await
}

#[tokio::test]
async fn an_answer_comes_in_the_coding_that_the_client_takes() {
    let world = world(300, "").await;
    let plain = world.get(V1_USERS).await;
    assert_eq!(
        (plain.header("content-encoding"), plain.header("vary")),
        ("".into(), "accept-encoding".into())
    );
    let mut tags = vec![plain.header("etag")];
    for coding in CODINGS {
        let answer = coded(&world, coding).await;
        assert_eq!(answer.verdict(), "200 ");
        assert_eq!(answer.header("content-encoding"), coding);
        assert_eq!(answer.header("vary"), "accept-encoding");
        assert_eq!(answer.header("content-type"), plain.header("content-type"));
        assert!(decoded(coding, &answer.body) == plain.body, "{coding}: other bytes");
        assert!(answer.body.len() < plain.body.len() / 5, "{coding}: {}", answer.body.len());
        let tag = answer.header("etag");
        // Strong, and of these bytes alone.
        assert!(tag.starts_with('"') && !tags.contains(&tag), "{coding}: {tag}");
        tags.push(tag);
        let headers = [BEARER, ("accept-encoding", coding)];
        let head = world.front.send(Method::HEAD, V1_USERS, &headers).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        for name in ["content-encoding", "content-length", "etag", "vary"] {
            assert_eq!(head.header(name), answer.header(name), "{coding} {name}");
        }
    }
    // A tag of any of them says that the client has the answer; it is told which.
    for tag in &tags {
        for coding in ["", "gzip", "br, zstd"] {
            let headers = [BEARER, ("accept-encoding", coding), ("if-none-match", tag)];
            let same = world.front.get_with(V1_USERS, &headers).await;
            assert_eq!((same.status.as_u16(), same.body.len()), (304, 0), "{tag} {coding}");
            assert_eq!(same.header("etag"), *tag, "{coding}");
            assert_eq!(same.header("content-encoding"), "", "{coding}");
            assert_eq!(same.header("vary"), "accept-encoding", "{coding}");
        }
    }
    world.vendor.rename_user(plain.ids()[0], "Another Name");
    for tag in &tags {
        let headers = [BEARER, ("accept-encoding", "gzip"), ("if-none-match", tag)];
        assert_eq!(world.front.get_with(V1_USERS, &headers).await.status, 200, "{tag}");
    }
}

#[tokio::test]
async fn short_answers_errors_and_untranslated_answers_are_not_compressed() {
    let world = world(300, "[passthrough]\nenabled = true").await;
    let id = world.get(V1_USERS).await.ids()[0];
    let takes = ("accept-encoding", "gzip, br, zstd");
    for (target, status) in [
        (format!("{V1_USERS}?id={id}"), 200),
        (format!("{V1_USERS}?id=x"), 200),
        (format!("{V1_USERS}?key=x"), 400),
        ("/api/v4/users?limit=100".to_owned(), 200),
    ] {
        let answer = world.front.get_with(&target, &[BEARER, takes]).await;
        assert_eq!(answer.status.as_u16(), status, "{target}");
        assert_eq!(answer.header("content-encoding"), "", "{target}");
        assert!(serde_json::from_slice::<Value>(&answer.body).is_ok(), "{target}");
    }
    let answer = world.front.get_with(V1_USERS, &[takes, ("authorization", "Bearer x")]).await;
    expect::error(&answer, "401 unknown_credential", "an error");
    let plain = world.front.get_with("/openapi.json", &[]).await;
    let coded = world.front.get_with("/openapi.json", &[takes]).await;
    assert_eq!([plain.header("content-encoding"), plain.header("vary")], ["", "accept-encoding"]);
    assert_eq!(coded.header("content-encoding"), "zstd", "the description is compressed");
    assert!(coded.body.len() * 3 < plain.body.len());
}

#[tokio::test]
async fn the_operator_says_which_codings_there_are() {
    for (setting, expected) in [
        ("[]", ["", "", "", ""]),
        ("[\"br\"]", ["", "br", "", "br"]),
        ("[\"gzip\", \"zstd\"]", ["gzip", "", "zstd", "gzip"]),
    ] {
        let (_vendor, address, _guard) = tests::vendor(users(60)).await;
        let config = config_text(address, "", "");
        let config = config.replace("[admin]", &format!("compression = {setting}\n[admin]"));
        let front = Front::start(&config).await;
        for (accepts, expected) in CODINGS.into_iter().chain(["*"]).zip(expected) {
            let headers = [BEARER, ("accept-encoding", accepts)];
            let answer = front.get_with(V1_USERS, &headers).await;
            assert_eq!(answer.header("content-encoding"), expected, "{setting} {accepts}");
            let vary = if setting == "[]" { "" } else { "accept-encoding" };
            assert_eq!(answer.header("vary"), vary, "{setting}");
        }
    }
}

#[tokio::test]
async fn equal_requests_and_cached_answers_share_the_compressed_bytes() {
    let world = world(300, "[cache]\nfresh_for = \"1h\"").await;
    let plain = world.get(V1_USERS).await;
    for coding in CODINGS {
        let answers = join_all((0..40).map(|_| coded(&world, coding))).await;
        for answer in &answers {
            assert_eq!(answer.header("content-encoding"), coding);
            assert_eq!(answer.header("x-tieline-cache"), "hit");
            assert_eq!(answer.body, answers[0].body);
        }
        assert!(decoded(coding, &answers[0].body) == plain.body);
    }
}

/// A gateway over an upstream that answers with the page given last.
struct Scripted {
    front: Front,
    body: Arc<Mutex<String>>,
    _raw: Raw,
}

impl Scripted {
    async fn new() -> Scripted {
        let body = Arc::<Mutex<String>>::default();
        let said = Arc::clone(&body);
        let raw = Raw::start(move |_| Reply::json(200, said.lock().unwrap().as_str())).await;
        Scripted { front: Front::over(raw.address, "", "").await, body, _raw: raw }
    }

    async fn with_row(&self, row: String) -> Answer {
        *self.body.lock().unwrap() = page(&[row, user(2)], 2);
        self.front.get(V1_USERS).await
    }
}

#[tokio::test]
async fn f15_more_than_a_mebibyte_in_one_field_is_502_and_any_text_stays_unchanged() {
    let scripted = Scripted::new().await;
    let most = 1 << 20;
    let with_name = |name: &str| user(1).replace("User 1", name);
    let answer = scripted.with_row(with_name(&"n".repeat(most))).await;
    expect::rows(&answer, &[1, 2], "a mebibyte");
    assert_eq!(answer.json()[0]["name"].as_str().unwrap().len(), most);
    let long = "n".repeat(most + 1);
    let unknown = |text: &str| user(1).replace("{\"id\"", &format!("{{\"new\":{text},\"id\""));
    for (what, row) in [
        ("a name", with_name(&long)),
        ("an escaped name", with_name(&format!("\\u0041{}", &long[1..]))),
        ("a field nobody reads", unknown(&format!("\"{long}\""))),
        ("deep in one", unknown(&format!("[{{\"a\":[\"{long}\"]}}]"))),
        ("the name of a field", user(1).replace("{\"id\"", &format!("{{\"{long}\":1,\"id\""))),
    ] {
        expect::error(&scripted.with_row(row).await, "502 upstream_too_large", what);
    }
    for text in
        ["a, b", "</script><b>", "\u{1b}[31m", "\u{202e}txt", "\u{7f}", "é\u{301}😀", "'\"\\"]
    {
        let escaped = Value::from(text).to_string();
        let answer = scripted.with_row(with_name(&escaped[1..escaped.len() - 1])).await;
        expect::rows(&answer, &[1, 2], text);
        assert_eq!(answer.json()[0]["name"], text);
    }
}

#[tokio::test]
async fn f16_a_skills_level_is_1_to_10_or_the_page_is_502() {
    let scripted = Scripted::new().await;
    let with_level = |level: &str| {
        let skills = format!("\"skills\":[{{\"skill\":{{\"name\":\"S\"}},\"value\":{level}}}]");
        user(1).replace("\"skills\":[]", &skills)
    };
    for level in 1..=10 {
        let answer = scripted.with_row(with_level(&level.to_string())).await;
        expect::rows(&answer, &[1, 2], "a level");
        assert!(answer.json()[0]["assigned_skills"].to_string().contains(&level.to_string()));
    }
    for level in ["0", "11", "4.5", "\"5\"", "-1", "null", "true", "[]", "1e1", "4294967297"] {
        let answer = scripted.with_row(with_level(level)).await;
        expect::error(&answer, "502 upstream_bad_schema", level);
    }
}

#[tokio::test]
async fn f17_new_fields_are_passed_over_and_counted_once_an_hour() {
    let scripted = Scripted::new().await;
    let name = "tieline_schema_new_fields_total";
    let counted = async || {
        let metrics = scripted.front.admin("/metrics").await.text();
        assert!(!metrics.contains("favourite"), "a name of the upstream's");
        let line = metrics.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.unwrap_or_default()
    };
    let more = "{\"favourite_colour\":{\"id\":1},\"favourite\":null,\"updated_at\":\"x\",\"id\"";
    for _ in 0..3 {
        let answer = scripted.with_row(user(1).replace("{\"id\"", more)).await;
        expect::rows(&answer, &[1, 2], "new fields");
        assert_eq!(counted().await, format!("{name}{{listing=\"users\"}} 2"));
    }
    // In another order, the id at the very end.
    let turned = "{\"name\":\"User 1\",\"skills\":[],\"channel_profiles\":[],\"queues\":[],\
        \"supervised_teams\":[],\"teams\":[],\"id\":\"1\"}";
    let answer = scripted.with_row(turned.to_owned()).await;
    expect::rows(&answer, &[1, 2], "reordered");
    // Documented fields are no news.
    let world = world(30, "").await;
    world.get(V1_USERS).await;
    let metrics = world.front.admin("/metrics").await.text();
    assert!(metrics.contains(&format!("{name}{{listing=\"users\"}} 0")));
}
