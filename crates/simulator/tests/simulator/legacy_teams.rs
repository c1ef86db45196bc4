//! The legacy list of teams against the vendor's page of `GET /api/v2/cdr/teams`.

use crate::common::{LEGACY, V4, call};
use serde_json::{Value, json};
use simulator::{Settings, Simulator};

const PATH: &str = "/api/v2/cdr/teams";

fn of(users: usize) -> Simulator {
    Simulator::new(Settings { users, ..Settings::default() })
}

#[tokio::test]
async fn every_team_is_listed_name_first_by_ascending_id() {
    let simulator = of(300);
    let reply = call(&simulator, PATH, Some(LEGACY)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    let start = r#"[{"name":"Multilingual Support","id":2401},{"name":"Support","id":2408},"#;
    assert!(reply.text().starts_with(start), "{}", reply.text());
    let teams = simulator.legacy_teams();
    assert_eq!(reply.json(), Value::from(teams.clone()));
    let ids: Vec<u64> = teams.iter().map(|team| team["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 42);
    assert!(ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn a_team_without_members_is_listed_too() {
    let simulator = of(3_000);
    let mut empty = simulator.legacy_teams();
    for user in simulator.records() {
        let has = |id: &Value| {
            let all = user.teams.iter().chain(&user.supervised_teams);
            all.into_iter().any(|team| json!(team.id) == *id)
        };
        empty.retain(|team| !has(&team["id"]));
    }
    let expected =
        [json!({"name": "Reserve", "id": 2681}), json!({"name": "Comma, \"empty\"", "id": 2688})];
    assert_eq!(empty, expected);
    assert_eq!(of(0).legacy_teams(), simulator.legacy_teams());
}

#[tokio::test]
async fn the_key_is_accepted_as_bearer_or_as_parameter() {
    let simulator = of(0);
    let with_key = format!("{PATH}?key=legacy-demo-key");
    assert_eq!(call(&simulator, &with_key, None).await.status, 200);
    for (uri, credential) in [
        (PATH, None),
        (PATH, Some(V4)),
        (&with_key, Some(LEGACY)),
        ("/api/v2/cdr/teams?key=x", None),
    ] {
        let reply = call(&simulator, uri, credential).await;
        assert_eq!((reply.status, reply.text()), (401, r#"{"error":"Invalid User API Key"}"#));
    }
}
