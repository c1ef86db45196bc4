//! Windows in which an endpoint answers with an error on purpose: for whom, in which words, and where they are announced.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};
use tests::wire::Far;
use tests::{
    Answer, DELETED, Front, LEGACY_KEY, TEAMS, V1_USERS, V3_USERS, V4_KEY, World, config,
    config_text, expect, parsed, users,
};

const OTHER_KEY: &str = "the-legacy-key-of-another";
/// 2100-01-01T00:00:00Z.
const END: u64 = 4_102_444_800;
const ON: &str = "start = 2020-01-01T00:00:00Z\nend = 2100-01-01T00:00:00Z\n";
const COMING: &str = "start = 2099-01-01T00:00:00Z\nend = 2100-01-01T00:00:00Z\n";
const OVER: &str = "start = 2020-01-01T00:00:00Z\nend = \"2020-01-01T01:00:00+00:30\"\n";

fn window(of: &str, times: &str) -> String {
    format!("[[brownout]]\n{of}\n{times}")
}

/// A world of the caller `crm` and of `other`.
async fn world(more: &str) -> World {
    let other = config::another("other", OTHER_KEY, config::EVERYTHING);
    World::with(users(20), "", &format!("{other}{more}")).await
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The answer in a window: an error as all of them, with two more headers at most.
#[track_caller]
fn is_brownout(mut answer: Answer, deprecation: &str, sunset: &str, what: &str) {
    let left: u64 = answer.header("retry-after").parse().unwrap();
    let least = END - now();
    assert!((least..least + 60).contains(&left), "{what}: {left} s of {least}");
    let told = ["deprecation", "sunset"].map(|name| answer.header(name));
    assert_eq!(told, [deprecation, sunset], "{what}");
    for name in ["deprecation", "sunset"] {
        answer.headers.remove(name);
    }
    expect::error(&answer, "503 brownout", what);
}

/// What is told where no date is configured: since when the window is on.
const BEGAN: &str = "@1577836800";

#[tokio::test]
async fn d25_in_a_window_its_endpoint_answers_its_caller_503_and_everything_else_as_always() {
    let of = "endpoint = \"v1_users\"\ncaller = \"crm\"";
    let others = [
        window("endpoint = \"v3_cdr_users\"\ncaller = \"crm\"", COMING),
        window("endpoint = \"v2_cdr_teams\"", OVER),
        window("endpoint = \"v3_sms_templates\"\ncaller = \"other\"", ON),
    ];
    let world = world(&format!("{}{}", window(of, ON), others.concat())).await;
    let front = &world.front;
    is_brownout(world.get(V1_USERS).await, BEGAN, "", "a list");
    is_brownout(world.get("/user_management/v1/users?id=1").await, BEGAN, "", "another spelling");
    let bearer = format!("Bearer {LEGACY_KEY}");
    let head = front.send(Method::HEAD, V1_USERS, &[("authorization", &bearer)]).await;
    assert_eq!(head.verdict(), "503 brownout");
    // The key comes first, and the method before it.
    assert_eq!(front.get_with(V1_USERS, &[]).await.verdict(), "401 no_credential");
    assert_eq!(front.get_as("wrong", V1_USERS).await.verdict(), "401 unknown_credential");
    let post = front.send(Method::POST, V1_USERS, &[("authorization", &bearer)]).await;
    assert_eq!(post.verdict(), "405 method_not_allowed");
    for (key, target) in [(OTHER_KEY, V1_USERS), (LEGACY_KEY, V3_USERS), (LEGACY_KEY, TEAMS)] {
        let answer = front.get_as(key, target).await;
        assert_eq!(answer.verdict(), "200 ", "{target}");
        assert_eq!(answer.header("deprecation"), "", "{target}");
    }
    // Counted by caller and endpoint, and an outcome of its own in the log.
    let series = "tieline_brownout_answers_total{caller=\"crm\",endpoint=\"v1_users\"}";
    assert_eq!(front.count(series).await, 3);
    assert_eq!(front.count("tieline_errors_total{slug=\"brownout\"}").await, 3);
    let requests = front.admin("/api/v1/requests?slug=brownout").await.json();
    let requests = requests["requests"].as_array().unwrap();
    let all = |name: &str, value: Value| requests.iter().all(|row| row[name] == value);
    assert!(requests.len() == 3 && all("caller", json!("crm")) && all("status", json!(503)));
}

#[tokio::test]
async fn d25_the_dates_of_an_endpoint_stand_on_its_answers_in_a_window_and_outside_alike() {
    let dates = "[legacy.v1_users]\ndeprecation = 2026-01-31\nsunset = 2026-12-31\n";
    let world = world(&format!("{}{dates}", window("caller = \"crm\"", ON))).await;
    let (deprecation, sunset) = ("@1769817600", "Thu, 31 Dec 2026 00:00:00 GMT");
    is_brownout(world.get(V1_USERS).await, deprecation, sunset, "with dates");
    is_brownout(world.get(DELETED).await, BEGAN, "", "without dates");
    let other = world.front.get_as(OTHER_KEY, V1_USERS).await;
    let told = ["deprecation", "sunset"].map(|name| other.header(name));
    assert_eq!((other.verdict(), told), ("200 ".to_owned(), [deprecation, sunset].map(Into::into)));
}

#[tokio::test]
async fn d25_nothing_is_asked_of_an_upstream_in_a_window_and_no_call_is_placed() {
    let far = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    })
    .await;
    let rest = format!("effects = [\"call\"]\n[passthrough]\nenabled = true\n{}", window("", ON));
    let front = Front::over(far.address, "", &rest).await;
    let call = format!("/api/v1/{LEGACY_KEY}/click2call?agent=101&number=31201234567");
    for target in [V1_USERS, V3_USERS, TEAMS, DELETED] {
        is_brownout(front.get(target).await, BEGAN, "", target);
    }
    is_brownout(front.get_with(&call, &[]).await, BEGAN, "", "a call");
    let attempts = |text: &str| text.contains("tieline_upstream_requests_total{");
    assert!(!attempts(&front.admin("/metrics").await.text()));
    // A window of every endpoint is none of what passes through.
    assert_eq!(front.get("/api/v2/cdr").await.text(), "ok");
    assert!(attempts(&front.admin("/metrics").await.text()));
}

#[tokio::test]
async fn d25_what_passes_through_has_a_window_only_by_its_name() {
    let far = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    })
    .await;
    let rest = window("endpoint = \"passthrough\"", ON);
    let passing = format!("[passthrough]\nenabled = true\n{rest}");
    let front = Front::over(far.address, "", &passing).await;
    is_brownout(front.get("/api/v2/cdr").await, BEGAN, "", "passthrough");
    assert_eq!(front.get_as("wrong", "/api/v2/cdr").await.verdict(), "401 unknown_credential");
    let series = "tieline_brownout_answers_total{caller=\"crm\",endpoint=\"passthrough\"}";
    assert_eq!(front.count(series).await, 1);
}

#[tokio::test]
async fn d25_a_reload_puts_windows_in_force_and_takes_them_back() {
    let plain = config_text("127.0.0.1:9", "attempts_max = 1", "");
    let front = Front::start(&plain).await;
    let put = |text: &str| {
        let config = parsed(text, &[("V4", V4_KEY)]).unwrap();
        front.running.reloader().reload(config).unwrap();
    };
    let verdict = async || front.get(V1_USERS).await.verdict();
    assert_eq!(verdict().await, "502 upstream_connect");
    put(&format!("{plain}{}", window("", ON)));
    assert_eq!(verdict().await, "503 brownout");
    put(&format!("{plain}{}", window("", COMING)));
    assert_eq!(verdict().await, "502 upstream_connect");
    put(&plain);
    assert_eq!(verdict().await, "502 upstream_connect");
    let metrics = front.admin("/metrics").await.text();
    assert!(!metrics.contains("tieline_brownout_start_seconds{"), "{metrics}");
}

#[tokio::test]
async fn windows_are_announced_in_the_metrics_and_on_the_console() {
    let windows = [
        window("endpoint = \"v2_cdr_teams\"", OVER),
        window("endpoint = \"v3_cdr_users\"\ncaller = \"other\"", COMING),
        window("endpoint = \"v1_users\"\ncaller = \"crm\"", ON),
        window("", COMING),
    ];
    let front = Front::over(
        "127.0.0.1:9",
        "",
        &format!("{}{}", config::another("other", OTHER_KEY, config::EVERYTHING), windows.concat()),
    )
    .await;
    for _ in 0..2 {
        front.get(V1_USERS).await;
    }
    for (label, start) in
        [("v1_users", 1_577_836_800), ("v3_cdr_users", 4_070_908_800), ("all", 4_070_908_800)]
    {
        let of = |edge: &str| format!("tieline_brownout_{edge}_seconds{{endpoint=\"{label}\"}}");
        assert_eq!(front.count(&of("start")).await, start, "{label}");
        assert_eq!(front.count(&of("end")).await, END, "{label}");
    }
    let text = front.admin("/metrics").await.text();
    assert!(!text.contains("tieline_brownout_end_seconds{endpoint=\"v2_cdr_teams\"}"));
    let told = front.admin("/api/v1/brownouts").await.json();
    let row = |endpoint: Value, caller: Value, start: u64, end: u64, state: &str| json!({"endpoint": endpoint, "caller": caller, "start": start, "end": end, "state": state});
    let windows = json!([
        row(json!("v1_users"), json!("crm"), 1_577_836_800, END, "on"),
        row(json!("v3_cdr_users"), json!("other"), 4_070_908_800, END, "coming"),
        row(Value::Null, Value::Null, 4_070_908_800, END, "coming"),
        row(json!("v2_cdr_teams"), Value::Null, 1_577_836_800, 1_577_838_600, "over"),
    ]);
    assert_eq!(told["windows"], windows);
    assert_eq!(told["found"], json!([{"caller": "crm", "endpoint": "v1_users", "times": 2}]));
    let overview = front.admin("/api/v1/overview").await.json();
    let attention = overview["attention"].as_array().unwrap();
    let brownouts: Vec<&Value> = attention.iter().filter(|one| one["what"] == "brownout").collect();
    let [one] = brownouts.as_slice() else { panic!("{attention:?}") };
    assert_eq!(one["text"], "v1_users answers crm with 503 until Fri, 01 Jan 2100 00:00:00 GMT.");
    let page = front.admin("/").await.text();
    for shown in ["id=\"brownouts\"", "every translated endpoint", "Thu, 01 Jan 2099 00:00:00 GMT"]
    {
        assert!(page.contains(shown), "{shown}");
    }
}
