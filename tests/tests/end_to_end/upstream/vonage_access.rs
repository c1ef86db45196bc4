//! Access to Vonage: tokens, refusals, rates, and what a narrowed caller sees.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use simulator::{At, Churn, Fail, Faults, Settings, VonageSettings};
use tests::raw::{Raw, Reply};
use tests::vonage::{ENV, config_text, mapped_world, world};
use tests::{DELETED, Front, TEAMS, V1_USERS, config, eventually, failing, query, users};

fn faulty(faults: Faults) -> Settings {
    Settings { faults, ..users(120) }
}

#[tokio::test]
async fn one_token_serves_many_requests_and_any_of_them_may_ask_first() {
    let world = world(users(150), "", "").await;
    let all = (0..8).map(|_| world.get(V1_USERS));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(world.vendor.stats().token_requests, 1);
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires_and_no_request_is_refused() {
    let vonage =
        VonageSettings { token_lifetime: Duration::from_secs(3), ..VonageSettings::default() };
    let world = world(Settings { vonage, ..users(50) }, "", "").await;
    for _ in 0..9 {
        assert_eq!(world.get(V1_USERS).await.status, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let stats = world.vendor.stats();
    assert!((2..=3).contains(&stats.token_requests), "{stats:?}");
    assert_eq!(stats.statuses.get(&401), None, "{stats:?}");
}

#[tokio::test]
async fn a_token_that_dies_while_pages_are_read_is_replaced_once() {
    for after in [1, 5, 30] {
        let faults = Faults { expire_tokens_after: Some(after), ..Faults::default() };
        let world =
            mapped_world(Settings { faults, ..users(300) }, "page_rows_max = 100", "").await;
        let answer = world.get(V1_USERS).await;
        assert_eq!(answer.status, 200, "{after}: {}", answer.text());
        assert_eq!(answer.ids().len(), world.vendor.legacy_users(&[]).len());
        assert_eq!(world.vendor.stats().token_requests, 2, "{after}");
    }
}

#[tokio::test]
async fn a_refused_client_is_a_502_in_legacy_shape_that_never_shows_its_key() {
    let (vendor, address, _guard) = tests::vendor(Settings {
        dialect: simulator::Dialect::VonageV4,
        faults: Faults { echo_key_in_error: true, ..Faults::default() },
        ..users(10)
    })
    .await;
    let wrong = [("V4", "demo-client:wrong-secret")];
    let front = Front::start_with(&config_text(address, "", ""), &wrong).await;
    for _ in 0..3 {
        let answer = front.get(V1_USERS).await;
        assert_eq!(answer.verdict(), "502 mapped_key_refused");
        assert!(!format!("{answer:?}").contains("wrong-secret"));
    }
    // A broken poller does not knock on, nor do many at once.
    assert_eq!(vendor.stats().token_requests, 1);
    let crowd = (0..40).map(|_| front.get("/api/v2/cdr/teams"));
    for answer in futures_util::future::join_all(crowd).await {
        assert_eq!(answer.verdict(), "502 mapped_key_refused");
    }
    let fresh = Front::start_with(&config_text(address, "", ""), &wrong).await;
    let crowd = (0..40).map(|_| fresh.get("/api/v2/cdr/teams"));
    futures_util::future::join_all(crowd).await;
    assert!(vendor.stats().token_requests <= 3, "{}", vendor.stats().token_requests);
    let callers = front.admin("/callers").await.json();
    assert_eq!(callers[0]["upstream_key"], "refused");
}

#[tokio::test]
async fn an_answer_that_is_no_token_is_a_502() {
    for raw in [
        "",
        "[]",
        "{}",
        "not json",
        r#"{"access_token":""}"#,
        r#"{"access_token":"a b"}"#,
        r#"{"access_token":"a\r\nx: y"}"#,
        r#"{"access_token":7}"#,
    ] {
        let faults = Faults { token_raw: Some(raw.to_owned()), ..Faults::default() };
        let world = world(Settings { faults, ..users(10) }, "", "").await;
        assert_eq!(world.get(V1_USERS).await.verdict(), "502 upstream_bad_token", "{raw}");
    }
}

#[tokio::test]
async fn id_and_secret_may_go_as_basic_authorization() {
    let world = world(users(20), "token_auth = \"basic\"", "").await;
    assert_eq!(world.get(V1_USERS).await.status, 200);
}

#[tokio::test]
async fn a_list_of_another_version_and_broken_pages_are_never_an_answer() {
    for (faults, verdict) in [
        (Faults { bare_array: true, ..Faults::default() }, "502 upstream_bad_schema"),
        (Faults { not_json: true, ..Faults::default() }, "502 upstream_bad_json"),
        (Faults { html_login_page: true, ..Faults::default() }, "502 upstream_bad_type"),
        (Faults { redirect: true, ..Faults::default() }, "502 upstream_redirect"),
        (Faults { total_missing: true, ..Faults::default() }, "502 upstream_bad_schema"),
        (Faults { users_missing: true, ..Faults::default() }, "502 upstream_bad_schema"),
        (
            Faults { keys_forbidden: vec!["*".to_owned()], ..Faults::default() },
            "502 upstream_forbidden",
        ),
        (
            Faults { keys_unauthorized: vec!["*".to_owned()], ..Faults::default() },
            "502 mapped_key_refused",
        ),
        (failing(500), "502 upstream_5xx"),
        (failing(429), "429 rate_limited"),
    ] {
        let shown = format!("{faults:?}");
        let world = mapped_world(faulty(faults), "", "").await;
        assert_eq!(world.get(V1_USERS).await.verdict(), verdict, "{shown}");
    }
}

#[tokio::test]
async fn an_error_that_passes_is_waited_out() {
    let fail = Fail { at_offset: Some(100), status: 429, times: Some(1), retry_after: None };
    let faults = Faults { fail: Some(fail), ..Faults::default() };
    let world = mapped_world(Settings { faults, ..users(300) }, "page_rows_max = 100", "").await;
    let answer = world.get(V1_USERS).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.ids().len(), world.vendor.legacy_users(&[]).len());
}

#[tokio::test]
async fn a_page_that_repeats_a_user_never_loses_one() {
    let at = At { offset: 100, times: None };
    let faults = Faults { repeat_user_at: Some(at), ..Faults::default() };
    let world = mapped_world(Settings { faults, ..users(350) }, "page_rows_max = 100", "").await;
    let answer = world.get(V1_USERS).await;
    let all = world.vendor.legacy_users(&[]).len();
    assert!(answer.status != 200 || answer.ids().len() == all, "{}", answer.verdict());
}

#[tokio::test]
async fn a_list_that_changes_while_its_pages_are_read_loses_and_doubles_no_user() {
    let churn = Churn { every_requests: Some(45), ..Churn::default() };
    let settings = Settings { churn: Some(churn), ..users(900) };
    let world = world(settings, "page_rows_max = 150", "").await;
    let mut answered = 0;
    for _ in 0..10 {
        let before: BTreeSet<u64> = world.vendor.records().iter().map(|user| user.id).collect();
        let answer = world.get(V1_USERS).await;
        if answer.status != 200 {
            assert_eq!(answer.verdict(), "503 upstream_list_unstable");
            continue;
        }
        answered += 1;
        let names = |value: &Value| value["email"].as_str().unwrap_or_default().to_owned();
        let shown: Vec<String> = answer.json().as_array().unwrap().iter().map(names).collect();
        let once: BTreeSet<&String> = shown.iter().collect();
        assert_eq!(once.len(), shown.len(), "somebody stands there twice");
        for record in world.vendor.legacy_users(&[]) {
            if before.contains(&record["id"].as_u64().unwrap()) {
                assert!(once.contains(&names(&record)), "lost {record}");
            }
        }
    }
    assert!(answered >= 5, "only {answered} of 10 lists were answered");
}

#[tokio::test]
async fn a_narrowed_caller_sees_its_teams_roles_and_users_and_no_others() {
    let (vendor, address, _guard) =
        tests::vendor(Settings { dialect: simulator::Dialect::VonageV4, ..users(300) }).await;
    let team = vendor.records().iter().find_map(|user| user.teams.first().cloned()).unwrap();
    let narrowed = |sees: &str| config_text(address, "", "").replace("\"everything\"", sees);
    let emails = |answer: tests::Answer| -> BTreeSet<String> {
        let all = answer.json();
        let records = all.as_array().unwrap().iter();
        records.map(|user| user["email"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let live = vendor.legacy_users(&[]);
    let is_live = |id: u64| live.iter().any(|user| user["id"] == id);
    let of_team: BTreeSet<String> = vendor
        .records()
        .iter()
        .filter(|user| is_live(user.id) && user.teams.iter().any(|other| other.id == team.id))
        .map(|user| user.email.to_string())
        .collect();
    let front = Front::start_with(&narrowed(&format!("{{ teams = [{}] }}", team.id)), &ENV).await;
    assert_eq!(emails(front.get(V1_USERS).await), of_team);
    let teams = front.get(TEAMS).await.json();
    assert!(teams.as_array().unwrap().iter().any(|shown| shown["id"] == team.id));
    assert!(teams.as_array().unwrap().len() < vendor.legacy_teams().len());

    let of_role: BTreeSet<String> = vendor
        .records()
        .iter()
        .filter(|user| is_live(user.id) && simulator::vonage_role(user) == "Supervisor")
        .map(|user| user.email.to_string())
        .collect();
    let front = Front::start_with(&narrowed("{ groups = [\"Supervisor\"] }"), &ENV).await;
    assert_eq!(emails(front.get(V1_USERS).await), of_role);
    // A role seen only on hidden rows resolves to nothing.
    for (sag, expected) in [("Admin", 0), ("Supervisor", of_role.len())] {
        let target = format!("{V1_USERS}?{}", query(&[("sag", sag)]));
        assert_eq!(front.get(&target).await.ids().len(), expected, "{sag}");
    }
    assert_eq!(front.get(DELETED).await.status, 200);
}

#[tokio::test]
async fn two_callers_with_one_client_and_different_sight_share_nothing() {
    let (vendor, address, _guard) =
        tests::vendor(Settings { dialect: simulator::Dialect::VonageV4, ..users(200) }).await;
    let second = config::another("wall", "second-key", "{ groups = [\"Admin\"] }");
    let second = second.replace("\"ams\"", "\"vcc\"");
    let front = Front::start_with(&config_text(address, "", &second), &ENV).await;
    let wall = [("authorization", "Bearer second-key")];
    for _ in 0..2 {
        let all = front.get(V1_USERS).await.ids().len();
        let few = front.get_with(V1_USERS, &wall).await.ids().len();
        assert_eq!(all, vendor.legacy_users(&[]).len());
        assert!(few > 0 && few < all, "{few} of {all}");
        let sag = format!("{V1_USERS}?sag=Agent");
        assert!(!front.get(&sag).await.ids().is_empty());
        assert_eq!(front.get_with(&sag, &wall).await.ids(), [0_u64; 0]);
    }
}

#[tokio::test]
async fn requests_are_spread_by_the_rate_and_a_wait_beyond_the_deadline_is_a_429() {
    let (vendor, address, _guard) =
        tests::vendor(Settings { dialect: simulator::Dialect::VonageV4, ..users(100) }).await;
    let config = config_text(address, "related_deadline = \"2s\"", "")
        .replace("requests_per_minute_max = 0", "requests_per_minute_max = 12");
    let world = Front::start_with(&config, &ENV).await;
    let answer = world.get(V1_USERS).await;
    // Three go at once, the next waits five seconds, which is beyond the deadline.
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(vendor.stats().requests <= 5);
}

#[tokio::test]
async fn a_busy_or_failing_token_service_is_reported_with_its_own_status() {
    for (status, verdict, waits) in
        [(503, "503 upstream_unavailable", "40"), (429, "429 rate_limited", "40")]
    {
        let fail =
            Fail { at_offset: None, status, times: None, retry_after: Some("40".to_owned()) };
        let faults =
            Faults { fail: Some(fail), only_under: Some("/Auth".to_owned()), ..Faults::default() };
        let world = world(Settings { faults, ..users(10) }, "related_deadline = \"3s\"", "").await;
        let answer = world.get("/api/v2/cdr/teams").await;
        assert_eq!(
            (answer.verdict().as_str(), answer.header("retry-after").as_str()),
            (verdict, waits)
        );
        assert_eq!(world.vendor.stats().token_requests, 1);
    }
}

#[tokio::test]
async fn a_token_with_a_lifetime_of_zero_is_used_until_it_is_refused() {
    for zero in ["0", "\"0\"", "0.0", "-1"] {
        let upstream = Raw::start(move |head| match head.target() {
            config::TOKEN => Reply::json(
                200,
                format!("{{\"access_token\":\"token-{}\",\"expires_in\":{zero}}}", head.number),
            ),
            "/late" => Reply::json(401, "{}"),
            _ => Reply::json(200, "{}"),
        })
        .await;
        let rules = "[passthrough]\nenabled = true";
        let front = Front::start_with(&config_text(upstream.address, "", rules), &ENV).await;
        for (target, status) in [("/a", 200), ("/b", 200), ("/late", 401), ("/c", 200), ("/d", 200)]
        {
            assert_eq!(front.get(target).await.status, status, "{target}");
        }
        let heads = upstream.heads();
        let story: Vec<&str> = heads.iter().map(tests::raw::Head::target).collect();
        let expected = [config::TOKEN, "/a", "/b", "/late", config::TOKEN, "/c", "/d"];
        assert_eq!(story, expected, "{zero}");
    }
}

#[tokio::test]
async fn a_lifetime_spelled_as_text_or_missing_is_no_fault() {
    for raw in [
        r#"{"access_token":"TOKEN","expires_in":"7200"}"#,
        r#"{"access_token":"TOKEN"}"#,
        r#"{"access_token":"TOKEN","expires_in":null,"token_type":"bearer"}"#,
    ] {
        let faults = Faults { token_raw: Some(raw.to_owned()), ..Faults::default() };
        let world = world(Settings { faults, ..users(10) }, "", "").await;
        // The simulator knows no such token, so what follows is its refusal.
        assert_eq!(world.get(V1_USERS).await.verdict(), "502 mapped_key_refused", "{raw}");
    }
}

#[tokio::test]
async fn the_console_tells_how_far_the_first_reading_of_joined_listings_is() {
    let under = "/useradmin/skills/";
    let faults = Faults { stall: true, only_under: Some(under.to_owned()), ..Faults::default() };
    let more = "attempt_timeout = \"3s\"\nattempts_max = 5";
    let world = world(Settings { faults, ..users(50) }, more, "").await;
    let reading = async || {
        let upstreams = world.front.admin("/api/v1/upstreams").await.json();
        let of = |name: &str| upstreams["upstreams"][0][name].as_u64().unwrap();
        (of("first_joined_lists_read"), of("first_joined_lists_known"))
    };
    assert_eq!(reading().await, (0, 0));
    let asked = async { world.get(V1_USERS).await.verdict() };
    let looked = async {
        // The list of skills is there, and the agents of each are not.
        eventually("lists are known", async || reading().await.1 > 2).await;
        let (read, known) = reading().await;
        assert!(0 < read && read < known, "{read} of {known}");
        let page = world.front.admin("/").await.text();
        assert!(page.contains(&format!("of {known} lists")), "{known}");
        world.vendor.set_faults(Faults::default());
    };
    let (verdict, ()) = tokio::join!(asked, looked);
    assert_eq!((verdict.as_str(), reading().await), ("200 ", (0, 0)));
}
