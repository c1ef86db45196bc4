//! Replicas whose engine is not there: every request is answered as by one that is alone, and operators see it.
#![expect(clippy::unwrap_used, reason = "a test may")]

use serde_json::json;
use tests::folder::File;
use tests::{BEARER, Front, V1_USERS, World, config, config_text, eventually, nowhere, users};
use tokio::net::TcpListener;

/// 32 bytes.
const SEAL_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A gateway that shares with others by an engine at that place. One call that waits for it much longer than its 20 ms
/// would fail its request.
async fn world(engine: &str, more: &str, replicas_max: u32) -> World {
    let seal_key = File::with("seal_key", SEAL_KEY);
    let commons = config::commons(engine, &seal_key, replicas_max);
    let rest = format!("{commons}[limits]\nrequest_deadline = \"5s\"\n");
    World::with(users(250), more, &rest).await
}

/// What holds of a replica that never met the others.
async fn is_alone_and_answers(world: &World) {
    for _ in 0..10 {
        assert_eq!(world.get(V1_USERS).await.json().as_array().unwrap().len(), 237);
    }
    let front = &world.front;
    assert_eq!(front.admin("/readyz").await.status, 200);
    assert_eq!(front.count("tieline_commons_alone").await, 1);
    assert_eq!(front.count("tieline_commons_replicas").await, 4);
    let page = front.admin("/replicas").await.json();
    let commons = &page["commons"];
    assert_eq!((&commons["alone"], &commons["replicas"]), (&json!(true), &json!(4)));
    assert_eq!(commons["members"].as_array().unwrap().len(), 1);
    let member = &commons["members"][0];
    assert_eq!(member["this"], json!(true));
    assert_eq!(member["configuration"], page["configuration"]);
    assert_eq!(member["version"], page["version"]);
    assert!(member["who"].as_str().unwrap().len() == 8, "{member}");
}

#[tokio::test]
async fn j01_an_engine_that_is_not_there_costs_no_request_anything() {
    let world = world(&nowhere().await.to_string(), "requests_per_minute_max = 60000", 4).await;
    is_alone_and_answers(&world).await;
    let errors = "tieline_commons_errors_total{kind=\"unreachable\"}";
    eventually("the failure is counted", async || world.front.count(errors).await > 0).await;
}

#[tokio::test]
async fn j02_an_engine_that_never_answers_costs_no_request_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().to_string();
    let world = world(&silent, "requests_per_minute_max = 60000", 4).await;
    is_alone_and_answers(&world).await;
    let errors = "tieline_commons_errors_total{kind=\"timeout\"}";
    eventually("the failure is counted", async || world.front.count(errors).await > 0).await;
}

#[tokio::test]
async fn j17_a_replica_that_never_met_the_others_keeps_to_its_part_of_the_pace() {
    // A request a minute, the first one anywhere in it: a list of three pages has no places before its deadline.
    let world = world(&nowhere().await.to_string(), "requests_per_minute_max = 60", 60).await;
    let answer = world.get(V1_USERS).await;
    assert_eq!(answer.verdict(), "429 rate_limited");
    assert!(world.vendor.stats().users_pages <= 1);
    // By itself it has the whole pace.
    let alone = World::with(users(250), "requests_per_minute_max = 60", "").await;
    assert_eq!(alone.get(V1_USERS).await.status, 200);
}

#[tokio::test]
async fn replicas_are_told_apart_by_what_shapes_answers_and_by_nothing_else() {
    let vendor = nowhere().await;
    let mut seen = Vec::new();
    for (more, rest) in [
        ("", ""),
        ("", "[log]\nlevel = \"debug\"\n"),
        ("attempts_max = 1", ""),
        ("", "[cache]\nfresh_for = \"1s\"\n"),
        ("", "[cors]\nallow_origins = [\"https://app.example\"]\n"),
    ] {
        let front = Front::start(&config_text(vendor, more, rest)).await;
        let page = front.admin("/replicas").await.json();
        assert!(page["commons"].is_null());
        seen.push(page["configuration"].as_str().unwrap().to_owned());
    }
    let text = config_text(vendor, "", "");
    let other_key = Front::start_with(&text, &[("V4", "another-v4-key")]).await;
    let page = other_key.admin("/replicas").await;
    seen.push(page.json()["configuration"].as_str().unwrap().to_owned());
    assert_eq!(seen[0], seen[1]);
    seen.remove(0);
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "{seen:?}");
    let plain = other_key.send(http::Method::POST, "/replicas", &[BEARER]).await;
    assert_ne!(plain.status, 200);
}
