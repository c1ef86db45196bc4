//! The v4 face against the vendor's page of `GET /api/v4/users`.

use crate::common::{LEGACY, V4, call, ids, page};
use serde_json::{Value, json};
use simulator::{Churn, Order, Settings, Simulator, TeamsAt, User};

/// The sample of the vendor's page, compact, with its masked addresses filled in.
const SAMPLE: &str = concat!(
    r#"{"id":"1234","name":"Jane Doe","email":"jane.doe@example.com","#,
    r#""sip_account":"jane.doe@sip.example.com","extension":"102","caller_id":"12025550123","#,
    r#""employee_id":"E-482","timezone":"America/New_York","#,
    r#""security_access_group":{"id":3,"name":"Boarding"},"#,
    r#""teams":[{"id":3,"name":"Multilingual Support"}],"#,
    r#""supervised_teams":[{"id":3,"name":"Multilingual Support"}],"#,
    r#""queues":[{"id":1,"name":"Technical Support"}],"#,
    r#""supervised_queues":[{"id":1,"name":"Technical Support"}],"#,
    r#""webrtc_ringtone":{"type":"ringtone","name":"Bells (Default)"},"#,
    r#""channels":["voice","chat","whatsapp"],"channel_group_capacity":{"chat":5,"instant":3},"#,
    r#""channel_profiles":[{"id":12,"channel":"whatsapp","identifier":"18885658889","#,
    r#""name":"WhatsApp Main (18885658889)"}],"speech_language":"en","#,
    r#""skills":[{"skill":{"id":1,"name":"Sales"},"value":5}],"status":"available","#,
    r#""created_at":"2025-11-11T12:00:00.216Z","updated_at":"2025-11-11T12:00:00.216Z","#,
    r#""deleted_at":"2025-11-11T12:00:00.216Z"}"#,
);

fn of(users: usize) -> Simulator {
    Simulator::new(Settings { users, ..Settings::default() })
}

#[tokio::test]
async fn the_documented_user_is_printed_as_documented() {
    let simulator = of(0);
    simulator.insert_with(|user| *user = User::documented_sample());
    let reply = page(&simulator, "").await;
    let expected = format!(r#"{{"users":[{SAMPLE}],"metadata":{{"total":1}}}}"#);
    assert_eq!(reply.text(), expected);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
}

#[tokio::test]
async fn every_user_has_the_fields_of_the_sample() {
    let sample: Value = serde_json::from_str(SAMPLE).unwrap();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for user in of(500).users() {
        assert_eq!(fields(&user), fields(&sample));
        for list in ["teams", "supervised_teams", "queues", "supervised_queues", "channels"] {
            assert!(user[list].is_array());
        }
        assert!(user["id"].as_str().unwrap().bytes().all(|b| b.is_ascii_digit()));
        assert!(!user["id"].as_str().unwrap().starts_with('0'));
    }
}

#[tokio::test]
async fn the_data_is_the_same_every_time_and_varied() {
    let users = of(300).users();
    assert_eq!(users, of(300).users());
    assert_eq!(users[..100], of(100).users()[..]);
    assert_eq!(users[0]["id"], "10001");
    let has = |test: &dyn Fn(&Value) -> bool| users.iter().any(test);
    for field in [
        "sip_account",
        "extension",
        "caller_id",
        "employee_id",
        "timezone",
        "security_access_group",
    ] {
        assert!(has(&|user| user[field].is_null()), "{field} is null for somebody");
        assert!(has(&|user| !user[field].is_null()), "{field} is set for somebody");
    }
    for field in ["webrtc_ringtone", "speech_language", "deleted_at", "status"] {
        assert!(has(&|user| user[field].is_null()), "{field} is null for somebody");
    }
    for list in ["teams", "queues", "skills"] {
        assert!(has(&|user| user[list].as_array().unwrap().len() == 30), "{list} is long");
        assert!(has(&|user| user[list].as_array().unwrap().is_empty()), "{list} is empty");
    }
    for part in ["\u{0}", "\u{1b}", "\n", "\t", "\\", "\"", "</script>", "🎧", "\u{301}", "محمد"]
    {
        assert!(has(&|user| user["name"].as_str().unwrap().contains(part)), "{part:?}");
    }
    let longest = users.iter().map(|user| user["name"].as_str().unwrap().chars().count()).max();
    assert!((1900..2500).contains(&longest.unwrap()));
    assert!(has(&|user| user["status"] == "available" && !user["deleted_at"].is_null()));
    assert!(has(&|user| user["status"] == "offline" && !user["deleted_at"].is_null()));
    assert!(has(&|user| user["timezone"] == "Africa/Lome"));
    assert!(has(&|user| user["employee_id"] == "0123"));
    assert!(has(&|user| user["employee_id"] == "123"));
}

#[tokio::test]
async fn pages_tile_the_list_in_every_stable_order() {
    for order in [Order::Id, Order::IdDescending, Order::Name] {
        let simulator = Simulator::new(Settings { users: 250, order, ..Settings::default() });
        let mut seen = Vec::new();
        for (offset, rows) in [(0, 100), (100, 100), (200, 50), (300, 0)] {
            let body = page(&simulator, &format!("offset={offset}")).await.json();
            assert_eq!(body["metadata"], json!({"total": 250}));
            assert_eq!(body["users"].as_array().unwrap().len(), rows);
            seen.extend(ids(&body["users"]));
        }
        assert_eq!(seen, ids(&Value::from(simulator.users())));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 250);
    }
}

#[tokio::test]
async fn a_random_order_changes_from_call_to_call() {
    let order = Order::Random;
    let simulator = Simulator::new(Settings { users: 50, order, ..Settings::default() });
    let (a, b) = (page(&simulator, "").await, page(&simulator, "").await);
    assert_ne!(ids(&a.json()["users"]), ids(&b.json()["users"]));
}

#[tokio::test]
async fn a_limit_above_the_maximum_is_refused() {
    let simulator = of(10);
    let reply = page(&simulator, "limit=101").await;
    assert_eq!((reply.status, reply.text()), (422, r#"{"errors":{"limit":["is too big"]}}"#));
    assert_eq!(page(&simulator, "limit=0").await.status, 422);
    assert_eq!(page(&simulator, "offset=-1").await.status, 422);
    let body = page(&simulator, "limit=3&offset=8&unknown=1").await.json();
    assert_eq!(body["users"].as_array().unwrap().len(), 2);
    let body = page(&simulator, "offset=18446744073709551615").await.json();
    assert_eq!(body, json!({"users": [], "metadata": {"total": 10}}));
}

#[tokio::test]
async fn filters_are_exact_and_the_total_counts_matches() {
    let simulator = of(300);
    let users = simulator.users();
    for (parameter, value) in [
        ("name", "Jane Doe"),
        ("email", "agent.10001@cc1.example.com"),
        ("caller_id", "378"),
        ("timezone", "Europe/London"),
    ] {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair(parameter, value).finish();
        let body = page(&simulator, &query).await.json();
        let expected: Vec<&Value> = users.iter().filter(|u| u[parameter] == value).collect();
        assert!(!expected.is_empty());
        assert_eq!(body["metadata"]["total"], expected.len());
        assert_eq!(body["users"].as_array().unwrap().iter().collect::<Vec<_>>(), expected);
    }
    let body = page(&simulator, "security_access_group_id=12").await.json();
    assert!(
        body["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|u| { u["security_access_group"] == json!({"id": 12, "name": "Agent"}) })
    );
    assert_eq!(page(&simulator, "name=jane+do").await.json()["metadata"]["total"], 0);
}

#[tokio::test]
async fn only_v4_keys_are_accepted_by_the_v4_face() {
    let simulator = of(1);
    for credential in
        [None, Some(LEGACY), Some("Bearer x"), Some("v4-demo-key"), Some("Basic v4-demo-key")]
    {
        let reply = call(&simulator, "/api/v4/users", credential).await;
        assert_eq!((reply.status, reply.text()), (401, r#"{"error":"Unauthorized"}"#));
    }
    let reply = call(&simulator, "/api/v4/users?key=v4-demo-key", None).await;
    assert_eq!(reply.status, 401);
    let reply = call(&simulator, "/api/v4/nothing", Some(V4)).await;
    assert_eq!((reply.status, reply.text()), (404, r#"{"error":"Not found"}"#));
}

#[tokio::test]
async fn teams_and_groups_are_listed_when_switched_on() {
    let off = of(1);
    for path in ["/api/v4/users/teams", "/api/v4/teams"] {
        assert_eq!(call(&off, path, Some(V4)).await.status, 404, "{path}");
    }
    let settings = Settings { teams_list: true, groups_list: true, ..Settings::default() };
    let simulator = Simulator::new(settings);
    let teams = call(&simulator, "/api/v4/teams?limit=1&offset=1", Some(V4)).await;
    let expected = r#"{"teams":[{"id":2408,"name":"Support"}],"metadata":{"total":42}}"#;
    assert_eq!(teams.text(), expected);
    assert!(simulator.rename_group(3, "Renamed"));
    let groups = call(&simulator, "/api/v4/security_access_groups", Some(V4)).await.json();
    assert_eq!(groups["security_access_groups"][2], json!({"id": 3, "name": "Renamed"}));
    assert!(simulator.users().iter().any(|u| u["security_access_group"]["name"] == "Renamed"));
    assert!(!simulator.users().iter().any(|u| u["security_access_group"]["name"] == "Boarding"));
}

#[tokio::test]
async fn teams_are_at_one_place_or_at_both() {
    for (teams_at, statuses) in
        [(TeamsAt::Both, [200, 200]), (TeamsAt::Users, [200, 404]), (TeamsAt::Alone, [404, 200])]
    {
        let settings = Settings { teams_list: true, teams_at, ..Settings::default() };
        let simulator = Simulator::new(settings);
        for (path, status) in ["/api/v4/users/teams", "/api/v4/teams"].into_iter().zip(statuses) {
            let reply = call(&simulator, path, Some(V4)).await;
            assert_eq!(reply.status, status, "{teams_at:?} {path}");
        }
    }
}

#[tokio::test]
async fn churn_changes_the_list_but_never_reuses_an_id() {
    for (order, in_gaps) in [(Order::Id, true), (Order::Name, false), (Order::IdDescending, true)] {
        let churn = Churn { every_requests: Some(1), renames: 1, in_gaps, ..Churn::default() };
        let churn = Some(churn);
        let simulator =
            Simulator::new(Settings { users: 150, order, churn, ..Settings::default() });
        let mut gone = std::collections::HashSet::new();
        let mut before: std::collections::HashSet<String> =
            ids(&simulator.users().into()).into_iter().collect();
        for _ in 0..150 {
            page(&simulator, "limit=1").await;
            let list = ids(&simulator.users().into());
            let now: std::collections::HashSet<String> = list.iter().cloned().collect();
            assert_eq!(now.len(), list.len(), "ids are unique");
            gone.extend(before.difference(&now).cloned());
            assert!(now.is_disjoint(&gone), "a deleted id never comes back");
            before = now;
        }
        assert!(!gone.is_empty());
        assert_eq!(simulator.stats().changes, 150);
    }
}

#[tokio::test(start_paused = true)]
async fn churn_by_the_clock_makes_the_due_changes() {
    let churn =
        Churn { every_requests: None, per_second: Some(10.0), deletes: 0, ..Churn::default() };
    let simulator =
        Simulator::new(Settings { users: 10, churn: Some(churn), ..Settings::default() });
    page(&simulator, "").await;
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    assert_eq!(page(&simulator, "").await.json()["metadata"]["total"], 30);
}

#[tokio::test]
async fn the_counts_show_the_requests() {
    let simulator = of(10);
    page(&simulator, "limit=5").await;
    call(&simulator, "/nowhere", None).await;
    let stats = call(&simulator, "/_simulator/stats", None).await.json();
    assert_eq!(stats["requests"], 2);
    assert_eq!(stats["users_pages"], 1);
    assert_eq!(stats["users_queries"], json!(["limit=5"]));
    assert_eq!(stats["statuses"], json!({"200": 1, "404": 1}));
    assert_eq!(stats["in_flight_max"], 1);
    simulator.reset_stats();
    assert_eq!(simulator.stats(), simulator::Stats::default());
}

#[tokio::test]
async fn fifty_thousand_users_are_no_burden() {
    let simulator = of(50_000);
    let body = page(&simulator, "offset=49950").await.json();
    assert_eq!(body["users"].as_array().unwrap().len(), 50);
}
