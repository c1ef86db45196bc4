//! Each fault is visible, and nothing but the fault.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use crate::common::{LEGACY, V4, call, ids, legacy, page};
use serde_json::{Value, json};
use simulator::{At, Fail, Faults, Settings, Simulator};

/// 250 users and these faults.
fn faulty(faults: Faults) -> Simulator {
    Simulator::new(Settings { faults, ..Settings::default() })
}

fn rows(body: &Value) -> usize {
    body["users"].as_array().unwrap().len()
}

async fn first_page(faults: Faults) -> crate::common::Reply {
    page(&faulty(faults), "").await
}

#[tokio::test]
async fn paging_faults() {
    let healthy = faulty(Faults::default());
    let first = ids(&page(&healthy, "").await.json()["users"]);
    let all = ids(&healthy.users().into());

    let simulator = faulty(Faults { ignore_offset: true, ..Faults::default() });
    assert_eq!(ids(&page(&simulator, "offset=100").await.json()["users"]), first);

    let simulator = faulty(Faults { repeat_last_page_forever: true, ..Faults::default() });
    for offset in [200, 250, 100_000] {
        let body = page(&simulator, &format!("offset={offset}")).await.json();
        assert_eq!(ids(&body["users"]), all[150..]);
    }

    let simulator = faulty(Faults { page_extra_rows: 50, ..Faults::default() });
    assert_eq!(ids(&page(&simulator, "limit=100").await.json()["users"]), all[..150]);

    let simulator = faulty(Faults { page_cap: Some(50), ..Faults::default() });
    assert_eq!(ids(&page(&simulator, "offset=50").await.json()["users"]), all[50..100]);

    let faults = Faults {
        short_page_at: Some("100x1".parse().unwrap()),
        empty_page_at: Some(At { offset: 200, times: None }),
        ..Faults::default()
    };
    let simulator = faulty(faults);
    assert_eq!(rows(&page(&simulator, "offset=100").await.json()), 50);
    assert_eq!(rows(&page(&simulator, "offset=100").await.json()), 100);
    for _ in 0..3 {
        assert_eq!(rows(&page(&simulator, "offset=200").await.json()), 0);
    }
    simulator.set_faults(simulator.faults());
    assert_eq!(rows(&page(&simulator, "offset=100").await.json()), 50, "counts start anew");
}

#[tokio::test]
async fn totals_and_members() {
    let metadata = async |faults| first_page(faults).await.json()["metadata"].clone();
    assert_eq!(metadata(Faults { total_delta: 50, ..Faults::default() }).await["total"], 300);
    assert_eq!(metadata(Faults { total_delta: -150, ..Faults::default() }).await["total"], 100);
    assert_eq!(metadata(Faults { total_delta: -999, ..Faults::default() }).await["total"], 0);
    let as_string = Faults { total_as_string: true, ..Faults::default() };
    assert_eq!(metadata(as_string).await, json!({"total": "250"}));
    assert_eq!(metadata(Faults { total_missing: true, ..Faults::default() }).await, json!({}));
    let raw = Faults { total_raw: Some("1.5".to_owned()), ..Faults::default() };
    assert_eq!(metadata(raw).await, json!({"total": 1.5}));
    let body = first_page(Faults { users_missing: true, ..Faults::default() }).await.json();
    assert_eq!(body, json!({"metadata": {"total": 250}}));
    let users_raw = Faults { users_raw: Some("null".to_owned()), ..Faults::default() };
    assert_eq!(first_page(users_raw).await.json()["users"], Value::Null);
}

#[tokio::test]
async fn failures_by_place_and_count() {
    let simulator =
        faulty(Faults { fail: Some("429@100x2,120".parse().unwrap()), ..Faults::default() });
    assert_eq!(page(&simulator, "").await.status, 200);
    for _ in 0..2 {
        let reply = page(&simulator, "offset=100").await;
        assert_eq!((reply.status, reply.text()), (429, r#"{"error":"Too many requests"}"#));
        assert_eq!(reply.header("retry-after"), Some("120"));
    }
    assert_eq!(page(&simulator, "offset=100").await.status, 200);

    let always = Fail { at_offset: None, status: 500, times: None, retry_after: None };
    assert_eq!("500".parse(), Ok(always.clone()));
    let simulator = faulty(Faults { fail: Some(always), ..Faults::default() });
    let reply = page(&simulator, "offset=7").await;
    assert_eq!((reply.status, reply.text()), (500, r#"{"error":"Internal server error"}"#));
    assert_eq!(legacy(&simulator, "").await.status, 200, "the legacy face has no faults");

    let faults = Faults { random_fail_permille: 300, random_fail_status: 503, ..Faults::default() };
    let simulator = faulty(faults);
    let mut failed = 0;
    for _ in 0..1000 {
        failed += u32::from(page(&simulator, "limit=1").await.status == 503);
    }
    assert!((200..400).contains(&failed), "{failed}");
}

#[tokio::test]
async fn bodies_that_contradict_their_headers() {
    let reply = first_page(Faults { not_json: true, ..Faults::default() }).await;
    assert!(serde_json::from_slice::<Value>(reply.bytes()).is_err());
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));

    let reply = first_page(Faults { html_login_page: true, ..Faults::default() }).await;
    assert!(reply.text().starts_with("<!DOCTYPE html>"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));

    let reply = first_page(Faults { error_in_200: true, ..Faults::default() }).await;
    assert_eq!((reply.status, reply.text()), (200, r#"{"error":"Unauthorized"}"#));

    let reply = first_page(Faults { redirect: true, ..Faults::default() }).await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("/users/sign_in")));

    let reply = first_page(Faults { bom: true, ..Faults::default() }).await;
    assert_eq!(&reply.bytes()[..4], b"\xEF\xBB\xBF{");

    let reply = first_page(Faults { trailing_garbage: true, ..Faults::default() }).await;
    assert!(reply.text().ends_with(r#"{"total":250}}{"users":[]}"#));

    let reply = first_page(Faults { invalid_utf8: true, ..Faults::default() }).await;
    assert!(std::str::from_utf8(reply.bytes()).is_err());
    assert!(reply.bytes().starts_with(b"{\"users\":[{\"id\":\"10001\",\"name\":\"\xFF"));

    let reply = first_page(Faults { lone_surrogate: true, ..Faults::default() }).await;
    assert!(reply.text().starts_with("{\"users\":[{\"id\":\"10001\",\"name\":\"\\ud800"));

    let reply = first_page(Faults { duplicate_key: true, ..Faults::default() }).await;
    assert!(reply.text().starts_with(r#"{"users":[{"id":"10001","id":"10001","name":"#));

    let reply = first_page(Faults { deep_nesting: 33, ..Faults::default() }).await;
    assert!(reply.json()["nested"].is_array());
    let reply = first_page(Faults { deep_nesting: 100_000, ..Faults::default() }).await;
    assert!(serde_json::from_slice::<Value>(reply.bytes()).is_err());
}

#[tokio::test]
async fn rows_with_bad_fields() {
    let healthy = faulty(Faults::default()).users();
    let body = first_page(Faults { uuid_ids: true, ..Faults::default() }).await.json();
    assert_eq!(body["users"][0]["id"], "0b97ce11-0000-4000-8000-000000002711");

    let faults = Faults { bad_id: Some("007".to_owned()), bad_row: 101, ..Faults::default() };
    let simulator = faulty(faults);
    assert_eq!(page(&simulator, "").await.json()["users"], json!(healthy[..100]));
    let body = page(&simulator, "offset=100").await.json();
    assert_eq!(
        (&body["users"][1]["id"], &body["users"][1]["name"]),
        (&json!("007"), &healthy[101]["name"])
    );

    // Any field of any row, including rows with hard names.
    for row in [1, 4, 88] {
        for field in healthy[0].as_object().unwrap().keys() {
            for (text, value) in
                [("5", Some(json!(5))), ("{\"a\":[1]}", Some(json!({"a": [1]}))), ("", None)]
            {
                let bad_field = Some((field.clone(), text.to_owned()));
                let faults = Faults { bad_field, bad_row: row as u64, ..Faults::default() };
                let body = first_page(faults).await.json();
                let mut expected = healthy[..100].to_vec();
                let object = expected[row].as_object_mut().unwrap();
                match value {
                    Some(value) => drop(object.insert(field.clone(), value)),
                    None => drop(object.remove(field)),
                }
                assert_eq!(body["users"], json!(expected), "{row} {field} {text}");
            }
        }
    }
}

#[tokio::test]
async fn faults_can_be_limited_to_one_place() {
    let only_at = Some(At { offset: 100, times: Some(1) });
    let simulator = faulty(Faults { only_at, not_json: true, ..Faults::default() });
    let is_json =
        |reply: crate::common::Reply| serde_json::from_slice::<Value>(reply.bytes()).is_ok();
    assert!(is_json(page(&simulator, "").await));
    assert!(!is_json(page(&simulator, "offset=100").await));
    assert!(is_json(page(&simulator, "offset=100").await));
}

#[tokio::test]
async fn faults_can_be_limited_to_paths() {
    let only_under = Some("/api/v4/t".to_owned());
    let fail = "503".parse().ok();
    let faults = Faults { only_under, fail, not_json: true, ..Faults::default() };
    let settings = Settings { faults, teams_list: true, groups_list: true, ..Settings::default() };
    let simulator = Simulator::new(settings);
    for (path, status) in
        [("/api/v4/users", 200), ("/api/v4/teams", 503), ("/api/v4/security_access_groups", 200)]
    {
        assert_eq!(call(&simulator, path, Some(V4)).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_page_repeats_a_user_in_place_of_another() {
    let all = ids(&faulty(Faults::default()).users().into());
    let repeat_user_at = "100x1".parse().ok();
    let simulator = faulty(Faults { repeat_user_at, ..Faults::default() });
    let read = async || ids(&page(&simulator, "offset=100").await.json()["users"]);
    let mut expected = all[100..200].to_vec();
    expected[99] = expected[0].clone();
    assert_eq!(ids(&page(&simulator, "").await.json()["users"]), all[..100]);
    assert_eq!(read().await, expected);
    assert_eq!(read().await, all[100..200]);
}

#[tokio::test]
async fn keys_can_lose_their_rights() {
    let keys_forbidden = vec!["v4-demo-key".to_owned()];
    let simulator = faulty(Faults { keys_forbidden, ..Faults::default() });
    let reply = page(&simulator, "").await;
    assert_eq!((reply.status, reply.text()), (403, r#"{"error":"Forbidden"}"#));
    let keys_unauthorized = vec!["*".to_owned()];
    simulator.set_faults(Faults {
        keys_unauthorized,
        echo_key_in_error: true,
        ..Faults::default()
    });
    let reply = page(&simulator, "").await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.text(), r#"{"error":"refused: Authorization: Bearer v4-demo-key"}"#);
}

#[tokio::test]
async fn a_key_can_lack_the_scope_of_teams_alone() {
    let faults = Faults { keys_without_teams: vec!["v4-demo-key".to_owned()], ..Faults::default() };
    let v4_keys = vec!["v4-demo-key".to_owned(), "other".to_owned()];
    let settings = Settings { faults, v4_keys, teams_list: true, ..Settings::default() };
    let simulator = Simulator::new(settings);
    for (path, status) in
        [("/api/v4/users", 200), ("/api/v4/users/teams", 403), ("/api/v4/teams", 403)]
    {
        assert_eq!(call(&simulator, path, Some(V4)).await.status, status, "{path}");
        assert_eq!(call(&simulator, path, Some("Bearer other")).await.status, 200, "{path}");
        assert_eq!(call(&simulator, path, Some("Bearer wrong")).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn unrequested_gzip_is_well_formed() {
    let plain = first_page(Faults::default()).await;
    let reply = first_page(Faults { gzip_unasked: true, ..Faults::default() }).await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    // Stored blocks contain the parts of the plain body unchanged.
    let bytes = reply.bytes();
    assert_eq!(bytes[..4], [0x1F, 0x8B, 8, 0]);
    assert_eq!(bytes[bytes.len() - 4..], (plain.bytes().len() as u32).to_le_bytes());
    assert_eq!(bytes[15..1000], plain.bytes()[..985]);
}

#[tokio::test]
async fn a_cut_body_ends_with_an_error_before_the_promised_length() {
    let truncate_body_at = Some(At { offset: 0, times: Some(1) });
    let simulator = faulty(Faults { truncate_body_at, ..Faults::default() });
    let reply = page(&simulator, "").await;
    assert!(reply.body.is_err());
    let whole = page(&simulator, "").await;
    assert_eq!(reply.header("content-length"), Some(whole.bytes().len().to_string().as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_answer_never_comes_and_is_counted_when_the_caller_leaves() {
    let simulator = faulty(Faults { stall: true, ..Faults::default() });
    let wait = tokio::time::timeout(Duration::from_secs(3600), page(&simulator, ""));
    assert!(wait.await.is_err());
    let stats = simulator.stats();
    assert_eq!((stats.abandoned, stats.in_flight, stats.in_flight_max), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn latency_is_the_least_time_of_an_answer() {
    let latency = Duration::from_millis(150);
    let simulator = Simulator::new(Settings { latency, ..Settings::default() });
    let start = tokio::time::Instant::now();
    call(&simulator, "/api/v4/users", Some(V4)).await;
    call(&simulator, "/user_management/v1/users", Some(LEGACY)).await;
    assert_eq!(start.elapsed(), latency * 2);
}
