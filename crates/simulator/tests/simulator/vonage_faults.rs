//! Each fault shows on the Vonage face, and nothing but the fault.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use crate::common::vonage::{FORM, TOKEN, ask_token, faulty, get, meta, texts, token, with};
use crate::common::{Reply, legacy};
use serde_json::{Value, json};
use simulator::{At, Faults, Settings, Simulator, VonageSettings, vonage_user_id};

const ALL: &str = "/users?include=All&limit=100";

async fn first_page(faults: Faults) -> Reply {
    get(&faulty(faults), ALL).await
}

fn uuids(body: &Value) -> Vec<String> {
    texts(&body["users"], "userId")
}

fn every_uuid(simulator: &Simulator) -> Vec<String> {
    simulator.records().iter().map(|user| vonage_user_id(user.id)).collect()
}

#[tokio::test]
async fn places_are_counted_in_rows() {
    let faults = Faults {
        short_page_at: Some("100x1".parse().unwrap()),
        empty_page_at: Some(At { offset: 200, times: None }),
        ..Faults::default()
    };
    let simulator = faulty(faults);
    let page = async |n: u64| get(&simulator, &format!("{ALL}&page={n}")).await.json();
    assert_eq!(meta(&page(1).await), [1, 100, 3, 250]);
    assert_eq!(meta(&page(2).await), [2, 50, 3, 250]);
    assert_eq!(meta(&page(2).await), [2, 100, 3, 250]);
    for _ in 0..3 {
        assert_eq!(meta(&page(3).await), [3, 0, 3, 250]);
    }
}

#[tokio::test]
async fn pages_that_move_repeat_or_are_cut() {
    let healthy = faulty(Faults::default());
    let all = every_uuid(&healthy);

    let simulator = faulty(Faults { ignore_offset: true, ..Faults::default() });
    let body = get(&simulator, &format!("{ALL}&page=2")).await.json();
    assert_eq!((uuids(&body), meta(&body)), (all[..100].to_vec(), [2, 100, 3, 250]));

    let simulator = faulty(Faults { repeat_last_page_forever: true, ..Faults::default() });
    for page in [3, 4, 100_000] {
        let body = get(&simulator, &format!("{ALL}&page={page}")).await.json();
        assert_eq!(uuids(&body), all[150..]);
    }

    let body = first_page(Faults { page_extra_rows: 50, ..Faults::default() }).await.json();
    assert_eq!((uuids(&body), meta(&body)), (all[..150].to_vec(), [1, 150, 3, 250]));

    let simulator = faulty(Faults { page_cap: Some(50), ..Faults::default() });
    let body = get(&simulator, &format!("{ALL}&page=2")).await.json();
    assert_eq!((uuids(&body), meta(&body)), (all[50..100].to_vec(), [2, 50, 5, 250]));

    let repeat_user_at = Some(At { offset: 100, times: Some(1) });
    let simulator = faulty(Faults { repeat_user_at, ..Faults::default() });
    let mut expected = all[100..200].to_vec();
    assert_eq!(uuids(&get(&simulator, ALL).await.json()), all[..100]);
    expected[99] = expected[0].clone();
    let page = format!("{ALL}&page=2");
    assert_eq!(uuids(&get(&simulator, &page).await.json()), expected);
    assert_eq!(uuids(&get(&simulator, &page).await.json()), all[100..200]);
}

#[tokio::test]
async fn a_limit_can_be_cut_silently() {
    let vonage = VonageSettings { page_limit_max: 40, ..VonageSettings::default() };
    let faults = Faults { limit_cut: true, ..Faults::default() };
    let settings = Settings { vonage, faults, ..crate::common::vonage::settings() };
    let simulator = Simulator::new(settings);
    let all = every_uuid(&simulator);
    let body = get(&simulator, &format!("{ALL}&page=2")).await.json();
    assert_eq!((uuids(&body), meta(&body)), (all[40..80].to_vec(), [2, 40, 7, 250]));
    let body = get(&simulator, "/groups?limit=5000").await.json();
    assert_eq!(meta(&body), [1, 40, 2, 42]);
    assert_eq!(get(&simulator, "/users?limit=0").await.status, 400);
}

#[tokio::test]
async fn totals_and_members() {
    let of = async |faults| first_page(faults).await.json()["meta"].clone();
    let more = of(Faults { total_delta: 50, ..Faults::default() }).await;
    assert_eq!(more, json!({"page": 1, "count": 100, "pageCount": 3, "totalCount": 300}));
    let as_string = of(Faults { total_as_string: true, ..Faults::default() }).await;
    assert_eq!(as_string["totalCount"], "250");
    let missing = of(Faults { total_missing: true, ..Faults::default() }).await;
    assert_eq!(missing, json!({"page": 1, "count": 100, "pageCount": 3}));
    let raw = of(Faults { total_raw: Some("-1".to_owned()), ..Faults::default() }).await;
    assert_eq!(raw["totalCount"], -1);
    let body = first_page(Faults { users_missing: true, ..Faults::default() }).await.json();
    assert_eq!((body.get("users"), meta(&body)), (None, [1, 100, 3, 250]));
    let users_raw = Some("null".to_owned());
    let body = first_page(Faults { users_raw, ..Faults::default() }).await.json();
    assert_eq!(body["users"], Value::Null);
}

#[tokio::test]
async fn failures_have_this_vendors_body() {
    let simulator = faulty(Faults { fail: "429@100x2".parse().ok(), ..Faults::default() });
    let page = format!("{ALL}&page=2");
    assert_eq!(get(&simulator, ALL).await.status, 200);
    for _ in 0..2 {
        let reply = get(&simulator, &page).await;
        assert_eq!((reply.status, reply.text()), (429, r#"{"message":"Too Many Requests"}"#));
        assert_eq!(reply.header("retry-after"), None);
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    assert_eq!(get(&simulator, &page).await.status, 200);
    assert_eq!(get(&simulator, "/groups").await.status, 200);

    for status in [401, 403, 500, 503] {
        let fail = format!("{status},7").parse().ok();
        let simulator = faulty(Faults { fail, ..Faults::default() });
        let token = token(&simulator).await;
        for path in ["/users", "/groups", "/skills", "/queues"] {
            let reply = with(&simulator, &token, path).await;
            assert_eq!((reply.status, reply.header("retry-after")), (status, Some("7")), "{path}");
            assert!(reply.json()["message"].is_string());
        }
        assert_eq!(legacy(&simulator, "").await.status, 200, "the legacy face has no faults");
    }
}

#[tokio::test]
async fn faults_can_be_limited_to_paths() {
    let only_under = Some("/useradmin/groups/".to_owned());
    let simulator = faulty(Faults { only_under, fail: "503x1".parse().ok(), ..Faults::default() });
    assert_eq!(get(&simulator, "/users").await.status, 200);
    assert_eq!(get(&simulator, "/groups").await.status, 200);
    let group = format!("/groups/{}/users", simulator::vonage_group_id(2401));
    assert_eq!(get(&simulator, &group).await.status, 503);
    assert_eq!(get(&simulator, &group).await.status, 200);

    let under = |only_under: &str, faults: Faults| {
        faulty(Faults { only_under: Some(only_under.to_owned()), ..faults })
    };
    let simulator = under(TOKEN, Faults { fail: "429x1,3".parse().ok(), ..Faults::default() });
    let reply = ask_token(&simulator, None, FORM).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    assert_eq!(ask_token(&simulator, None, FORM).await.status, 200);
    let simulator = under(TOKEN, Faults { html_login_page: true, ..Faults::default() });
    assert!(ask_token(&simulator, None, FORM).await.text().starts_with("<!DOCTYPE html>"));
    assert_eq!(get(&simulator, "/users").await.status, 200);
    let simulator = under("/elsewhere", Faults { not_json: true, ..Faults::default() });
    assert_eq!(ask_token(&simulator, None, FORM).await.status, 200);
}

#[tokio::test]
async fn bodies_that_contradict_their_headers() {
    let reply = first_page(Faults { not_json: true, ..Faults::default() }).await;
    assert!(serde_json::from_slice::<Value>(reply.bytes()).is_err());
    let reply = first_page(Faults { html_login_page: true, ..Faults::default() }).await;
    assert!(reply.text().starts_with("<!DOCTYPE html>"));
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    let reply = first_page(Faults { redirect: true, ..Faults::default() }).await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("/users/sign_in")));
    let reply = first_page(Faults { error_in_200: true, ..Faults::default() }).await;
    let denied = r#"{"message":"Authorization has been denied for this request."}"#;
    assert_eq!((reply.status, reply.text()), (200, denied));
    let reply = first_page(Faults { bom: true, ..Faults::default() }).await;
    assert_eq!(&reply.bytes()[..4], b"\xEF\xBB\xBF{");
    let reply = first_page(Faults { trailing_garbage: true, ..Faults::default() }).await;
    assert!(reply.text().ends_with(r#""totalCount":250}}{"users":[]}"#));
    let reply = first_page(Faults { invalid_utf8: true, ..Faults::default() }).await;
    assert!(std::str::from_utf8(reply.bytes()).is_err());
    let reply = first_page(Faults { lone_surrogate: true, ..Faults::default() }).await;
    assert!(reply.text().contains("\"name\":\"\\ud800"));
    let reply = first_page(Faults { deep_nesting: 33, ..Faults::default() }).await;
    assert!(reply.json()["nested"].is_array());
    let reply = first_page(Faults { gzip_unasked: true, ..Faults::default() }).await;
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert_eq!(reply.bytes()[..2], [0x1F, 0x8B]);
    let uuid = vonage_user_id(10_001);
    let reply = first_page(Faults { duplicate_key: true, ..Faults::default() }).await;
    let start = format!(r#"{{"users":[{{"userId":"{uuid}","userId":"{uuid}","username":"#);
    assert!(reply.text().starts_with(&start));
}

#[tokio::test]
async fn a_bare_array_comes_although_the_version_was_named() {
    let simulator = faulty(Faults { bare_array: true, ..Faults::default() });
    let reply = get(&simulator, "/users?include=All&limit=10").await;
    assert_eq!(reply.status, 200);
    assert_eq!(texts(&reply.json(), "userId"), every_uuid(&simulator)[..10]);
    assert!(get(&simulator, "/groups").await.json()["groups"].is_array());
    let only_at = "100x1".parse().ok();
    simulator.set_faults(Faults { bare_array: true, only_at, ..Faults::default() });
    assert!(get(&simulator, ALL).await.json().is_object());
    assert!(get(&simulator, &format!("{ALL}&page=2")).await.json().is_array());
    assert!(get(&simulator, &format!("{ALL}&page=2")).await.json().is_object());
}

#[tokio::test]
async fn rows_with_bad_fields() {
    let healthy = faulty(Faults::default()).vonage_users();
    let faults = Faults { bad_id: Some("007".to_owned()), bad_row: 101, ..Faults::default() };
    let simulator = faulty(faults);
    assert_eq!(get(&simulator, ALL).await.json()["users"], json!(healthy[..100]));
    let body = get(&simulator, &format!("{ALL}&page=2")).await.json();
    assert_eq!(body["users"][1]["userId"], "007");
    assert_eq!(body["users"][1]["name"], healthy[101]["name"]);
    for field in ["userId", "name", "email", "active", "userAccountConfiguration"] {
        for (text, value) in [("5", Some(json!(5))), ("", None)] {
            let bad_field = Some((field.to_owned(), text.to_owned()));
            let body = first_page(Faults { bad_field, bad_row: 4, ..Faults::default() }).await;
            let mut expected = healthy[..100].to_vec();
            let object = expected[4].as_object_mut().unwrap();
            match value {
                Some(value) => drop(object.insert(field.to_owned(), value)),
                None => drop(object.remove(field)),
            }
            assert_eq!(body.json()["users"], json!(expected), "{field} {text}");
        }
    }
}

#[tokio::test]
async fn all_tokens_expire_once_after_a_number_of_accepted_requests() {
    let simulator = faulty(Faults { expire_tokens_after: Some(2), ..Faults::default() });
    let (first, second) = (token(&simulator).await, token(&simulator).await);
    assert_eq!(with(&simulator, "stranger", "/users").await.status, 401, "does not count");
    assert_eq!(with(&simulator, &first, "/users").await.status, 200);
    assert_eq!(with(&simulator, &second, "/groups").await.status, 200);
    for dead in [&first, &second, &first] {
        assert_eq!(with(&simulator, dead, "/users").await.status, 401);
    }
    let third = token(&simulator).await;
    for _ in 0..5 {
        assert_eq!(with(&simulator, &third, "/users").await.status, 200);
    }
    simulator.set_faults(simulator.faults());
    for expected in [200, 200, 401] {
        assert_eq!(with(&simulator, &third, "/users").await.status, expected);
    }
    simulator.set_faults(Faults { expire_tokens_after: Some(0), ..Faults::default() });
    let fourth = token(&simulator).await;
    assert_eq!(with(&simulator, &fourth, "/users").await.status, 401);
    let fifth = token(&simulator).await;
    assert_eq!(with(&simulator, &fifth, "/users").await.status, 200);
}

#[tokio::test]
async fn the_answer_to_a_token_request_can_be_anything() {
    let raw = r#"{"access_token":"x"}"#;
    let simulator = faulty(Faults { token_raw: Some(raw.to_owned()), ..Faults::default() });
    let reply = ask_token(&simulator, None, FORM).await;
    assert_eq!((reply.status, reply.text()), (200, raw));
    let wrong = ask_token(&simulator, None, &FORM.replace("demo-secret", "x")).await;
    assert_eq!(wrong.status, 401, "only a good request is answered with it");
}

#[tokio::test]
async fn clients_can_lose_their_rights_and_errors_can_reveal_too_much() {
    let keys_forbidden = vec!["demo-client".to_owned()];
    let simulator = faulty(Faults { keys_forbidden, ..Faults::default() });
    let token = token(&simulator).await;
    let reply = with(&simulator, &token, "/users").await;
    assert_eq!((reply.status, reply.text()), (403, r#"{"message":"Forbidden"}"#));
    let keys_unauthorized = vec!["*".to_owned()];
    let faults = Faults { keys_unauthorized, echo_key_in_error: true, ..Faults::default() };
    simulator.set_faults(faults);
    let reply = with(&simulator, &token, "/groups").await;
    let told = format!(r#"{{"message":"refused: Authorization: Bearer {token}"}}"#);
    assert_eq!((reply.status, reply.text()), (401, told.as_str()));
    let reply = ask_token(&simulator, None, &FORM.replace("demo-client", "stranger")).await;
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("client_secret=demo-secret"), "{}", reply.text());
    assert_eq!(ask_token(&simulator, None, FORM).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn answers_are_cut_or_never_come() {
    let truncate_body_at = Some(At { offset: 100, times: Some(1) });
    let simulator = faulty(Faults { truncate_body_at, ..Faults::default() });
    let page = format!("{ALL}&page=2");
    assert!(get(&simulator, ALL).await.body.is_ok());
    assert!(get(&simulator, &page).await.body.is_err());
    assert!(get(&simulator, &page).await.body.is_ok());

    let simulator = faulty(Faults { stall: true, ..Faults::default() });
    for path in ["/users", "/groups"] {
        let wait = tokio::time::timeout(Duration::from_secs(3600), get(&simulator, path));
        assert!(wait.await.is_err(), "{path}");
    }
    assert_eq!(ask_token(&simulator, None, FORM).await.status, 200);
    let only_under = Some("/Auth".to_owned());
    simulator.set_faults(Faults { stall: true, only_under, ..Faults::default() });
    let wait = tokio::time::timeout(Duration::from_secs(3600), ask_token(&simulator, None, FORM));
    assert!(wait.await.is_err());
    assert_eq!(get(&simulator, "/users").await.status, 200);
    assert_eq!(simulator.stats().abandoned, 3);
}
