//! Templates of text messages, page by page: the vendor's own legacy bytes over the same data.

use http::Method;
use tests::raw::{Raw, Reply};
use tests::{Front, LEGACY_KEY, World, config_text, expect, send, users, vonage};

const PATH: &str = "/api/v3/messages/sms/templates";

#[tokio::test]
async fn every_page_is_the_legacy_bytes() {
    let world = World::new(users(120)).await;
    let mut seen = 0;
    for query in [
        "",
        "&page=1",
        "&page=2",
        "&page=3",
        "&page=4",
        "&limit=500",
        "&limit=1&page=7",
        "&limit=501",
        "&page=0",
        "&limit=0",
        "&page=x&limit=y",
        "&name=nobody",
        "&page=99999999999999999999",
    ] {
        let target = format!("{PATH}?key={LEGACY_KEY}{query}");
        let ours = world.front.get_with(&target, &[]).await;
        let client = tests::client();
        let theirs = send(&client, world.vendor_address, Method::GET, &target, &[]).await;
        assert_eq!((ours.status.as_u16(), theirs.status.as_u16()), (200, 200), "{query}");
        assert_eq!(ours.text(), theirs.text(), "{query}");
        let json = ours.json();
        let rows = json["templates"].as_array().unwrap().len();
        assert_eq!(json["metadata"]["page_size"], rows, "{query}");
        seen += rows;
    }
    assert!(seen > 400, "{seen}");
}

#[tokio::test]
async fn a_page_that_is_said_in_two_ways_is_refused() {
    let world = World::new(users(120)).await;
    for query in ["page=2&page=3", "limit=10&page=2&limit=20", "page[]=1&page=2"] {
        let answer = world.front.get(&format!("{PATH}?{query}")).await;
        expect::error(&answer, "400 contradiction", query);
    }
    let world_pages = world.front.get(&format!("{PATH}?page=2&page=2&limit=10")).await;
    assert_eq!(world_pages.json()["metadata"]["page"], 2);
}

#[tokio::test]
async fn a_wrong_key_and_an_upstream_without_templates_are_said_so() {
    let world = World::new(users(5)).await;
    let answer = world.front.get_with(&format!("{PATH}?key=nobodys"), &[]).await;
    expect::shape(&answer, "403 unknown_credential", "a wrong key");
    assert_eq!(answer.text(), "{\"error\":\"Invalid api_key\"}");
    let world = vonage::world(users(5), "", "").await;
    let answer = world.get(PATH).await;
    expect::error(&answer, "501 not_offered", "over Vonage");
}

#[tokio::test]
async fn a_key_without_the_scope_of_messages_still_lists_users() {
    let upstream = Raw::start(|head| match head.target().contains("canned_messages") {
        true => Reply::json(403, "{\"error\":\"Forbidden\"}"),
        false => Reply::json(200, "{\"users\":[],\"metadata\":{\"total\":0}}"),
    })
    .await;
    let front = Front::start(&config_text(upstream.address, "", "")).await;
    expect::error(&front.get(PATH).await, "502 upstream_forbidden", "the scope");
    assert_eq!(front.get(tests::V1_USERS).await.text(), "[]");
}

#[tokio::test]
async fn a_page_that_breaks_the_schema_is_an_error_and_never_a_part_of_the_list() {
    for bad in [
        r#"{"id":1,"name":"a","body":"b","channels":["sms"]}"#,
        r#"{"id":1,"name":"a","body":"b","channels":"sms","teams":[]}"#,
        r#"{"name":"a","body":"b","channels":["sms"],"teams":[]}"#,
        r#"{"id":"x","name":"a","body":"b","channels":["sms"],"teams":[]}"#,
    ] {
        let page = format!("{{\"canned_messages\":[{bad}],\"metadata\":{{\"total\":1}}}}");
        let upstream = Raw::start(move |_| Reply::json(200, page.clone())).await;
        let front = Front::start(&config_text(upstream.address, "", "")).await;
        let answer = front.get(PATH).await;
        assert_eq!(answer.status, 502, "{bad}");
        assert!(answer.verdict().starts_with("502 upstream_bad_"), "{bad}: {}", answer.verdict());
    }
}
