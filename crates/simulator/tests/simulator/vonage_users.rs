//! Users of the Vonage face against the vendor's pages: the list and single users.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::{BTreeSet, HashSet};

use crate::common::ids;
use crate::common::vonage::{ACCEPT, bare, get, meta, of, settings, texts, token};
use serde_json::{Value, json};
use simulator::{
    Churn, Named, Order, Settings, Simulator, User, VonageSettings, vonage_agent_display_id,
    vonage_callback_number_id, vonage_role, vonage_user_id,
};

/// One user: the documented sample after `edit`.
fn sample(edit: impl FnOnce(&mut User)) -> Simulator {
    let simulator = of(0);
    simulator.insert_with(|user| {
        *user = User::documented_sample();
        edit(user);
    });
    simulator
}

async fn only(simulator: &Simulator) -> Value {
    get(simulator, "/users?include=All").await.json()["users"][0].clone()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_user_has_the_documented_fields() {
    let user = only(&sample(|_| ())).await;
    let account = &user["userAccountConfiguration"];
    let agent = &account["agentConfiguration"];
    let expected = [
        "userId",
        "username",
        "name",
        "email",
        "lastLoginTime",
        "active",
        "locked",
        "ssoExternalId",
        "userAccountConfiguration",
    ];
    assert_eq!(keys(&user), expected.into());
    assert_eq!(user["userId"], vonage_user_id(1234));
    for field in ["username", "email"] {
        assert_eq!(user[field], "jane.doe@example.com");
    }
    assert_eq!(user["name"], "Jane Doe");
    assert_eq!((&user["active"], &user["locked"]), (&json!(true), &json!(false)));
    assert_eq!(user["ssoExternalId"], "E-482");
    let expected = ["role", "chargeable", "actAsAgent", "agentConfiguration"];
    assert_eq!(keys(account), expected.into());
    assert_eq!((&account["role"], &account["actAsAgent"]), (&json!("Agent"), &json!(true)));
    let expected = [
        "agentDisplayId",
        "webrtc",
        "enforcedDispositionCodes",
        "transcribeCalls",
        "screenRecording",
        "callParking",
        "salesCadence",
        "outboundAutoanswer",
        "inboundAutoanswer",
        "outboundWrapUp",
        "backToReadyAfterNoAnswer",
        "backToReadyAfterLineBusy",
        "backToReadyAfterInvalidNumber",
        "backToReadyAfterNetworkIssue",
        "callRatingFrequency",
        "location",
        "telephonyAddress",
        "capacity",
        "associatedUsers",
    ];
    assert_eq!(keys(agent), expected.into());
    let telephony = &agent["telephonyAddress"];
    let expected = [
        "telephoneAddress",
        "telephonyExtension",
        "outboundTelephonyRegion",
        "nationalDisplay",
        "virtualLocation",
        "preventAutoCallbackNumber",
        "selectedCallbackNumberId",
    ];
    assert_eq!(keys(telephony), expected.into());
    assert_eq!(telephony["telephonyExtension"], "102");
    let number = vonage_callback_number_id("12025550123");
    assert_eq!(telephony["selectedCallbackNumberId"], number);
}

#[tokio::test]
async fn missing_values_of_a_user_are_absent_or_empty() {
    let simulator = sample(|user| {
        user.employee_id = None;
        user.caller_id = None;
        user.security_access_group = Some(Named { id: 4, name: "Admin".into() });
        user.deleted_at = None;
    });
    let user = only(&simulator).await;
    assert_eq!(user.get("ssoExternalId"), None);
    let account = &user["userAccountConfiguration"];
    assert_eq!(account["role"], "Admin");
    let telephony = &account["agentConfiguration"]["telephonyAddress"];
    assert_eq!(telephony["selectedCallbackNumberId"], "");
    for extension in [None, Some("")] {
        simulator.edit_user(1234, |user| user.extension = extension.map(Into::into));
        let user = only(&simulator).await;
        let account = &user["userAccountConfiguration"];
        assert_eq!(
            (account.get("agentConfiguration"), &account["actAsAgent"]),
            (None, &json!(false))
        );
    }
}

#[tokio::test]
async fn the_users_are_those_of_the_store() {
    let simulator = of(400);
    let body = get(&simulator, "/users?include=All&limit=5000").await.json();
    assert_eq!(body["users"], Value::from(simulator.vonage_users()));
    let rows = body["users"].as_array().unwrap();
    for (row, user) in rows.iter().zip(simulator.records()) {
        assert_eq!(row["userId"], vonage_user_id(user.id));
        assert_eq!((&row["name"], &row["email"]), (&json!(user.name), &json!(user.email)));
        let account = &row["userAccountConfiguration"];
        assert_eq!(account["role"], vonage_role(&user));
        let id = account["agentConfiguration"]["agentDisplayId"].as_str();
        assert_eq!(id.map(str::to_owned), vonage_agent_display_id(&user));
    }
    let has = |test: &dyn Fn(&Value) -> bool| rows.iter().any(test);
    let agent =
        |row: &Value, key: &str| row["userAccountConfiguration"]["agentConfiguration"][key].clone();
    for role in ["Admin", "Supervisor", "Wallboard", "Agent"] {
        assert!(has(&|row| row["userAccountConfiguration"]["role"] == role), "{role}");
    }
    for spelling in ["nonlive", "semilive", "nonLive", "semiLive"] {
        assert!(has(&|row| agent(row, "capacity").get(spelling).is_some()), "{spelling}");
    }
    assert!(has(&|row| row.get("ssoExternalId").is_none()));
    assert!(has(&|row| row["lastLoginTime"].as_str().is_some_and(|t| t.contains('.'))));
    assert!(has(&|row| row["lastLoginTime"].as_str().is_some_and(|t| t.len() == 20)));
    assert!(has(&|row| row.get("lastLoginTime").is_none()));
    assert!(has(&|row| agent(row, "telephonyAddress")["selectedCallbackNumberId"] == ""));
    assert!(has(&|row| agent(row, "nativeCallLogging") == true));
    assert!(has(&|row| !agent(row, "associatedUsers").as_array().unwrap_or(&vec![]).is_empty()));
}

#[tokio::test]
async fn values_keep_to_their_documented_limits() {
    for row in of(500).vonage_users() {
        let agent = &row["userAccountConfiguration"]["agentConfiguration"];
        let Some(fields) = agent.as_object() else { continue };
        for (name, value) in fields {
            let is_wait = name == "outboundWrapUp" || name.starts_with("backToReady");
            assert!(!is_wait || (1..=7200).contains(&value.as_u64().unwrap()), "{name} {value}");
        }
        let address = agent["telephonyAddress"]["telephoneAddress"].as_str().unwrap();
        let digits = address.strip_prefix('+').unwrap_or(address);
        assert!(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()), "{address}");
        for (name, value) in agent["capacity"].as_object().unwrap() {
            let (value, least) = (value.as_u64(), if name == "live" { 51 } else { 1 });
            assert!(value.is_none_or(|value| (least..=100).contains(&value)), "{name} {value:?}");
        }
    }
}

#[tokio::test]
async fn include_chooses_between_active_archived_and_all() {
    let simulator = of(300);
    let list = async |include: &str| {
        get(&simulator, &format!("/users?limit=5000{include}")).await.json()["users"].clone()
    };
    let all = list("&include=All").await;
    let of_kind = |active: bool| -> Vec<Value> {
        let rows = all.as_array().unwrap().iter();
        rows.filter(|row| row["active"] == active).cloned().collect()
    };
    assert_eq!(all.as_array().unwrap().len(), 300);
    assert!(!of_kind(false).is_empty());
    assert_eq!(list("&include=Active").await, Value::from(of_kind(true)));
    assert_eq!(list("").await, Value::from(of_kind(true)), "Active is the default");
    assert_eq!(list("&include=Archived").await, Value::from(of_kind(false)));
    let legacy: HashSet<String> =
        ids(&Value::from(simulator.legacy_users(&[]))).into_iter().collect();
    let active =
        simulator.records().into_iter().filter(|user| legacy.contains(&user.id.to_string()));
    let active: Vec<String> = active.map(|user| vonage_user_id(user.id)).collect();
    assert_eq!(texts(&list("").await, "userId"), active, "the same who the legacy list has");
    for wrong in ["active", "archived", "Deleted", ""] {
        let reply = get(&simulator, &format!("/users?include={wrong}")).await;
        assert_eq!(reply.status, 400, "{wrong}");
        assert!(reply.json()["message"].is_string());
    }
}

#[tokio::test]
async fn pages_cover_the_list_and_say_their_place() {
    for order in [Order::Id, Order::IdDescending, Order::Name] {
        let simulator = Simulator::new(Settings { users: 250, order, ..settings() });
        let mut seen = Vec::new();
        for (page, count) in [(1, 100), (2, 100), (3, 50), (4, 0), (1_000_000_000, 0)] {
            let path = format!("/users?include=All&limit=100&page={page}");
            let body = get(&simulator, &path).await.json();
            assert_eq!(meta(&body), [page, count, 3, 250]);
            assert_eq!(body["users"].as_array().unwrap().len() as u64, count);
            seen.extend(texts(&body["users"], "userId"));
        }
        assert_eq!(seen, texts(&Value::from(simulator.vonage_users()), "userId"));
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 250);
    }
    let simulator = of(250);
    let body = get(&simulator, "/users?include=All").await.json();
    assert_eq!(meta(&body), [1, 25, 10, 250], "25 rows and page 1 are the defaults");
    assert_eq!(meta(&get(&of(0), "/users").await.json()), [1, 0, 0, 0]);
    let body = get(&simulator, "/users?include=All&limit=250&unknown=1").await.json();
    assert_eq!(meta(&body), [1, 250, 1, 250]);
    let text = get(&simulator, "/users?limit=1").await.text().to_owned();
    assert!(text.starts_with(r#"{"users":[{"userId":""#), "{text}");
}

#[tokio::test]
async fn pages_out_of_bounds_are_refused() {
    let vonage = VonageSettings { page_limit_max: 40, ..VonageSettings::default() };
    let small = Simulator::new(Settings { vonage, ..settings() });
    for (simulator, queries) in [
        (
            &of(1),
            &[
                "limit=0",
                "limit=5001",
                "limit=-1",
                "limit=x",
                "limit=",
                "page=0",
                "page=-1",
                "page=1.5",
                "page=1000000001",
                "page=",
                "page=99999999999999999999",
            ][..],
        ),
        (&small, &["limit=41"][..]),
    ] {
        for query in queries {
            let reply = get(simulator, &format!("/users?{query}")).await;
            assert_eq!(reply.status, 400, "{query}");
            assert_eq!(keys(&reply.json()), ["message"].into(), "{query}");
            assert_eq!(reply.header("content-type"), Some("application/json"));
        }
    }
    assert_eq!(meta(&get(&small, "/users?include=All&limit=40").await.json()), [1, 40, 7, 250]);
    assert_eq!(get(&of(1), "/users?limit=5000").await.status, 200);
}

#[tokio::test]
async fn accept_names_the_version() {
    let simulator = of(60);
    let bearer = format!("Bearer {}", token(&simulator).await);
    let ask = async |path: &str, accept: Option<&str>| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(accept.map(|accept| ("accept", accept)));
        bare(&simulator, path, &headers).await
    };
    let users = "/useradmin/users?include=All";
    let mixed = format!("text/html, {ACCEPT};q=0.5");
    for accept in [ACCEPT, &mixed, "Application/VND.newvoicemedia.V4+json"] {
        let reply = ask(users, Some(accept)).await;
        assert_eq!((reply.status, reply.json()["users"].is_array()), (200, true), "{accept}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
    for accept in [None, Some("*/*")] {
        let reply = ask(users, accept).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        let rows = reply.json();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), 25, "a bare array");
        assert_eq!(rows[0]["userId"], vonage_user_id(10_001));
        assert!(rows.iter().all(|row| row.get("userLastLogin").is_some()));
        assert!(rows.iter().all(|row| row.as_object().unwrap().values().all(|v| !v.is_object())));
        // For the other lists, no shape without a version is known.
        let reply = ask("/useradmin/groups", accept).await;
        let expected = (400, r#"{"message":"Version missing from Accept header!"}"#);
        assert_eq!((reply.status, reply.text()), expected);
    }
    for accept in ["application/json", "application/vnd.vonage.v4+json"] {
        let reply = ask(users, Some(accept)).await;
        let expected = (400, r#"{"message":"Version missing from Accept header!"}"#);
        assert_eq!((reply.status, reply.text()), expected, "{accept}");
    }
    for version in ["v3", "v2", "v40"] {
        for path in [users, "/useradmin/skills"] {
            let accept = format!("application/vnd.newvoicemedia.{version}+json");
            let reply = ask(path, Some(&accept)).await;
            let expected = concat!(
                r#"{"statusCode":400,"error":"Bad Request","#,
                r#""message":"Invalid api-version! Valid values: 4"}"#
            );
            assert_eq!((reply.status, reply.text()), (400, expected), "{accept}");
        }
    }
}

#[tokio::test]
async fn a_single_user_is_found_three_ways_and_has_its_id_twice() {
    let simulator = of(120);
    let all = simulator.vonage_users();
    for (row, user) in all.iter().zip(simulator.records()) {
        let mut paths = vec![
            format!("/users/{}", vonage_user_id(user.id)),
            format!("/users/{}", vonage_user_id(user.id).to_uppercase()),
            format!("/users/by/username/{}", user.email),
            format!("/users/by/username/{}", user.email.replace('@', "%40")),
        ];
        let display_id = vonage_agent_display_id(&user);
        paths.extend(display_id.map(|id| format!("/users/by/agentDisplayId/{id}")));
        for path in paths {
            let reply = get(&simulator, &path).await;
            assert_eq!(reply.status, 200, "{path}");
            assert_eq!(reply.text().matches("\"userId\":").count(), 2, "{path}");
            assert_eq!(&reply.json(), row, "{path}");
        }
    }
    assert!(all.iter().any(|row| row["active"] == false), "archived users are found too");
    for path in [
        "/users/8e22b1fe-d2ea-403d-8c03-50eb21188e79",
        "/users/10001",
        "/users/by/username/nobody@example.com",
        "/users/by/username/AGENT.10001@cc1.example.com",
        "/users/by/agentDisplayId/1",
        "/users/by/agentDisplayId/999999",
        "/users/by/email/agent.10001@cc1.example.com",
        "/nothing",
    ] {
        let reply = get(&simulator, path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.json()["message"].is_string());
    }
}

#[tokio::test]
async fn a_user_who_comes_or_goes_is_found_or_not() {
    let simulator = of(10);
    let path = |id: u64| format!("/users/{}", vonage_user_id(id));
    assert_eq!(get(&simulator, &path(10_001)).await.status, 200);
    let id = simulator.insert_user("New");
    assert_eq!(get(&simulator, &path(id)).await.json()["name"], "New");
    assert!(simulator.rename_user(id, "Newer"));
    assert_eq!(get(&simulator, &path(id)).await.json()["name"], "Newer");
    assert!(simulator.delete_user(id));
    assert_eq!(get(&simulator, &path(id)).await.status, 404);
}

#[tokio::test]
async fn churn_changes_only_the_list() {
    let churn = Some(Churn { every_requests: Some(1), ..Churn::default() });
    let simulator = Simulator::new(Settings { users: 100, churn, ..settings() });
    for path in ["/groups", "/skills", "/queues", "/callbackNumbers"] {
        assert_eq!(get(&simulator, path).await.status, 200);
    }
    let user = format!("/users/{}", vonage_user_id(10_001));
    get(&simulator, &user).await;
    assert_eq!(simulator.stats().changes, 0);
    for _ in 0..7 {
        get(&simulator, "/users").await;
    }
    assert_eq!(simulator.stats().changes, 7);
    let settings = Settings { users: 50, order: Order::Random, ..settings() };
    let simulator = Simulator::new(settings);
    let (a, b) = (get(&simulator, "/users").await, get(&simulator, "/users").await);
    assert_ne!(texts(&a.json()["users"], "userId"), texts(&b.json()["users"], "userId"));
}

#[tokio::test]
async fn fifty_thousand_users_are_no_burden() {
    let simulator = of(50_000);
    let body = get(&simulator, "/users?include=All&limit=25&page=2000").await.json();
    assert_eq!(meta(&body), [2000, 25, 2000, 50_000]);
    let last = texts(&body["users"], "userId").pop().unwrap();
    for _ in 0..20 {
        assert_eq!(get(&simulator, &format!("/users/{last}")).await.status, 200);
    }
}
