//! The use of endpoints as operators see it: their ends, traces, names of requests, counts by caller, explanations.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Value, json};
use simulator::Settings;
use tests::folder::File;
use tests::raw::{Head, Raw, Reply};
use tests::{
    Answer, Front, LEGACY_KEY, V1_USERS, V4_KEY, World, config, config_text, failing, parsed,
    users, vonage,
};

const END: &str = "[legacy.v1_users]\ndeprecation = \"2026-01-31\"\nsunset = \"2026-12-31T12:00:00+01:00\"\n\
                   link = \"https://example.com/move?to=v4\"\n";

fn ends(answer: &Answer) -> [String; 3] {
    ["deprecation", "sunset", "link"].map(|name| answer.header(name))
}

#[tokio::test]
async fn the_end_of_an_endpoint_stands_on_every_answer_of_it_and_of_no_other() {
    let world = World::with(Settings::default(), "attempts_max = 1", END).await;
    let told = [
        "@1769817600".to_owned(),
        "Thu, 31 Dec 2026 11:00:00 GMT".to_owned(),
        "<https://example.com/move?to=v4>; rel=\"deprecation\", \
         <https://example.com/move?to=v4>; rel=\"sunset\""
            .to_owned(),
    ];
    let first = world.get(V1_USERS).await;
    assert_eq!((first.status.as_u16(), ends(&first)), (200, told.clone()));
    let bearer = format!("Bearer {LEGACY_KEY}");
    let key = ("authorization", bearer.as_str());
    let tag = first.header("etag");
    let same = world.front.get_with(V1_USERS, &[key, ("if-none-match", &tag)]).await;
    assert_eq!((same.status.as_u16(), ends(&same)), (304, told.clone()));
    for (method, target, headers) in [
        (Method::HEAD, V1_USERS, &[key][..]),
        (Method::GET, "/user_management/v1/users?id=x", &[key]),
        (Method::GET, V1_USERS, &[]),
        (Method::POST, V1_USERS, &[key]),
    ] {
        let answer = world.front.send(method, target, headers).await;
        assert_eq!(ends(&answer), told, "{target} {}", answer.status);
    }
    world.vendor.set_faults(failing(500));
    let failed = world.get(V1_USERS).await;
    assert_eq!((failed.status.as_u16(), ends(&failed)), (502, told));
    for other in ["/api/v3/cdr/users", "/api/v2/cdr/teams", "/nowhere", "/openapi.json"] {
        assert_eq!(ends(&world.get(other).await), [""; 3].map(str::to_owned), "{other}");
    }
}

#[test]
fn an_end_that_makes_no_sense_is_refused_by_line_and_field() {
    let read = |rest: &str| {
        let text = config_text("127.0.0.1:9", "", rest);
        parsed(&text, &[("V4", V4_KEY)]).map(|_| ())
    };
    let table = |lines: &str| read(&format!("[legacy.v1_users]\n{lines}\n"));
    for good in [
        "deprecation = \"2026-01-31\"",
        "sunset = \"2026-01-31T10:00:00Z\"",
        "sunset = 2026-01-31",
        "deprecation = \"2026-01-31\"\nsunset = \"2026-01-31\"",
        "deprecation = \"2026-01-31\"\nlink = \"http://x\"",
    ] {
        assert_eq!(table(good), Ok(()), "{good}");
    }
    for (bad, field) in [
        ("deprecation = \"soon\"", "deprecation: must be a date"),
        ("deprecation = \"2026-02-30\"", "deprecation: must be a date"),
        ("sunset = \"31.12.2026\"", "sunset: must be a date"),
        ("sunset = 5", "sunset: expected a date"),
        ("deprecation = \"2026-02-01\"\nsunset = \"2026-01-31\"", "sunset: must not be before"),
        ("link = \"https://example.com\"", "link: goes with"),
        ("sunset = \"2026-12-31\"\nlink = \"example.com\"", "link: must be a URL"),
        ("sunset = \"2026-12-31\"\nlink = \"https://\"", "link: must be a URL"),
        ("sunset = \"2026-12-31\"\nlink = \"https://a b\"", "link: must be a URL"),
        ("sunset = \"2026-12-31\"\nlink = \"https://a>; rel=x\"", "link: must be a URL"),
    ] {
        let error = table(bad).unwrap_err();
        assert!(error.contains(&format!("legacy.v1_users.{field}")), "{bad}: {error}");
        assert!(error.starts_with("test.toml:") && error.lines().count() == 1, "{error}");
    }
}

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An upstream that writes down what it is asked.
async fn listening(rest: &str) -> (Raw, Front) {
    let ids: Vec<u64> = (1..=250).collect();
    let raw = Raw::start(move |head: &Head| Reply::page_of(&ids, head)).await;
    let config = config_text(raw.address, "", rest);
    let config = match rest.contains("accept_request_id") {
        true => config.replace("[admin]", "accept_request_id = true\n[admin]").replace(rest, ""),
        false => config,
    };
    let front = Front::start(&config).await;
    (raw, front)
}

async fn ask(front: &Front, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {LEGACY_KEY}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend_from_slice(headers);
    front.get_with(&format!("{V1_USERS}?sag=nobody"), &all).await
}

/// The one value of a header in all upstream requests after the first `skip`.
fn one(raw: &Raw, skip: usize, name: &str) -> String {
    let heads = raw.heads();
    let heads = &heads[skip..];
    assert!(heads.len() >= 3, "{} requests", heads.len());
    let values: BTreeSet<Vec<&str>> = heads.iter().map(|head| head.headers(name)).collect();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    let values = values.into_iter().next().unwrap();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values[0].to_owned()
}

#[tokio::test]
async fn a_trace_goes_on_to_every_request_upstream_and_a_bad_one_is_replaced() {
    let (raw, front) = listening("").await;
    // The look-up of the group is a reading of its own, and belongs to the trace as well.
    assert_eq!(ask(&front, &[("traceparent", GIVEN)]).await.status, 200);
    let passed = one(&raw, 0, "traceparent");
    assert!(passed.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{passed}");
    assert!(passed.ends_with("-01") && !passed.contains("00f067aa0ba902b7"), "{passed}");
    let mut traces = BTreeSet::new();
    for bad in ["nonsense", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""] {
        let (raw, front) = listening("").await;
        let headers = [("traceparent", bad)];
        ask(&front, if bad.is_empty() { &[] } else { &headers }).await;
        let passed = one(&raw, 0, "traceparent");
        let parts: Vec<&str> = passed.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2]);
        assert!(parts[1].bytes().any(|byte| byte != b'0') && !bad.contains(parts[1]), "{passed}");
        assert!(traces.insert(parts[1].to_owned()));
    }
}

#[tokio::test]
async fn a_request_is_named_by_its_client_only_where_that_is_allowed() {
    let (raw, front) = listening("").await;
    let answer = ask(&front, &[("x-request-id", "order-66.a_b")]).await;
    let id = answer.header("x-request-id");
    assert!(id.len() == 16 && id != "order-66.a_b", "{id}");
    assert_eq!(one(&raw, 0, "x-request-id"), id);
    let (raw, front) = listening("# accept_request_id\n").await;
    let answer = ask(&front, &[("x-request-id", "order-66.a_b")]).await;
    assert_eq!(answer.header("x-request-id"), "order-66.a_b");
    assert_eq!(one(&raw, 0, "x-request-id"), "order-66.a_b");
    for bad in ["a b", "a;b", &"x".repeat(65), LEGACY_KEY] {
        let id = ask(&front, &[("x-request-id", bad)]).await.header("x-request-id");
        assert!(id.len() == 16 && id != bad, "{bad}: {id}");
    }
    // Errors carry it as well.
    let refused = front.get_with(V1_USERS, &[("x-request-id", "order-67")]).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-request-id")), (401, "order-67".into()));
}

/// Every series of the metrics page and its value.
async fn metrics(front: &Front) -> BTreeMap<String, f64> {
    let text = front.admin("/metrics").await.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.map(|line| line.rsplit_once(' ').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn filters_and_losses_are_counted_by_caller() {
    let world = World::new(users(120)).await;
    for query in ["", "?name=a&email=b", "?filter[name]=a", "?name=&id=x", "?sag=Agent&page=1"] {
        assert_eq!(world.get(&format!("{V1_USERS}{query}")).await.status, 200);
    }
    assert_eq!(world.get("/api/v3/cdr/users?id=1&timezone=x").await.status, 200);
    // Requests without a caller count no filters.
    world.front.get_with(&format!("{V1_USERS}?name=a"), &[]).await;
    let series = metrics(&world.front).await;
    let used: Vec<(&str, f64)> = series
        .iter()
        .filter_map(|(name, count)| {
            Some((name.strip_prefix("tieline_filters_used_total")?, *count))
        })
        .collect();
    let label = |endpoint: &str, filter: &str| {
        format!("{{caller=\"crm\",endpoint=\"{endpoint}\",filter=\"{filter}\"}}")
    };
    let expected: BTreeMap<String, f64> = [
        (label("v1_users", "name"), 2.0),
        (label("v1_users", "email"), 1.0),
        (label("v1_users", "id"), 1.0),
        (label("v1_users", "sag"), 1.0),
        (label("v3_cdr_users", "timezone"), 1.0),
    ]
    .into();
    assert_eq!(used, expected.iter().map(|(name, n)| (name.as_str(), *n)).collect::<Vec<_>>());
    let losses = "tieline_field_losses_total{caller=\"crm\",dialect=\"voiso-v4\",\
                  endpoint=\"v1_users\",status=\"dictionary\"}";
    // Two lists had records, and three fields are by a dictionary.
    assert_eq!(series.get(losses), Some(&6.0), "{series:#?}");
}

#[tokio::test]
async fn metrics_show_the_process_its_version_its_callers_and_its_roster() {
    let file = File::new("roster.sqlite");
    let rest = format!("[roster]\nfile = {:?}\n", file.display().to_string());
    let world = World::with(users(150), "", &rest).await;
    let before = metrics(&world.front).await;
    assert_eq!(before.get("tieline_callers{upstream_key=\"untested\"}"), Some(&1.0));
    let all = world.get(V1_USERS).await.ids().len();
    let series = metrics(&world.front).await;
    assert_eq!(series.get("tieline_callers{upstream_key=\"accepted\"}"), Some(&1.0));
    assert_eq!(series.get("tieline_callers{upstream_key=\"untested\"}"), Some(&0.0));
    let remembered = series["tieline_roster_users{state=\"remembered\"}"];
    let deleted = series["tieline_roster_users{state=\"deleted\"}"];
    assert_eq!((remembered - deleted) as usize, all);
    assert_eq!(series.get("tieline_roster_users{state=\"vanished\"}"), Some(&0.0));
    assert!(series.keys().any(|name| name.starts_with("tieline_build_info{version=\"")));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_secs() as f64 - series["tieline_process_start_time_seconds"];
    assert!((0.0..60.0).contains(&age), "{age}");
    assert!(series["tieline_process_resident_bytes"] > 1e6);
    assert!(series["tieline_process_open_files"] >= 5.0);
    world.vendor.set_faults(failing(401));
    assert_eq!(world.get(V1_USERS).await.verdict(), "502 mapped_key_refused");
    let refused = "tieline_caller_key_refused{caller=\"crm\",upstream_key=\"refused\"}";
    assert_eq!(metrics(&world.front).await.get(refused), Some(&1.0));
}

#[tokio::test]
async fn two_hundred_callers_stay_below_the_bound_of_series() {
    let (vendor, address, _guard) = tests::vendor(users(20)).await;
    let caller = |number: usize| {
        let (name, key) = (format!("caller-{number}"), format!("key-{number}"));
        config::another(&name, &key, config::EVERYTHING)
    };
    let callers: String = (0..200).map(caller).collect();
    let front = Front::over(address, "attempts_max = 1", &callers).await;
    let all = "?id=1&name=a&email=a&sip_account=a&sag=a&extension=1&caller_id=1&timezone=a";
    let mut asked = 0;
    for number in 0..200 {
        let bearer = format!("Bearer key-{number}");
        let key = [("authorization", bearer.as_str())];
        for path in
            [V1_USERS, "/api/v3/cdr/users", "/api/v2/cdr/teams", "/api/v2/cdr/deleted_agents"]
        {
            for query in ["", all] {
                front.get_with(&format!("{path}{query}"), &key).await;
                asked += 1;
            }
        }
    }
    vendor.set_faults(failing(500));
    for number in 0..200 {
        let bearer = format!("Bearer key-{number}");
        let answer = front.get_with(V1_USERS, &[("authorization", bearer.as_str())]).await;
        assert_eq!(answer.status, 502);
        asked += 1;
    }
    let series = metrics(&front).await;
    assert!(series.len() <= gateway::metrics::SERIES_MAX, "{} series", series.len());
    let of = |part: &str| {
        let of = series.iter().filter(|(name, _)| name.starts_with("tieline_requests_total"));
        of.filter(|(name, _)| name.contains(part)).map(|(_, count)| *count as usize).sum::<usize>()
    };
    assert_eq!(of(""), asked);
    // The first callers have their names, the last ones share one.
    assert!(of("caller=\"caller-0\"") == 9 && of("caller=\"caller-199\"") == 0);
    assert!(of("caller=\"other\"") > 0);
}

async fn explained(front: &Front, target: &str) -> Value {
    let bearer = format!("Bearer {LEGACY_KEY}");
    let headers = [("authorization", bearer.as_str()), ("x-tieline-explain", "1")];
    let answer = front.get_with(target, &headers).await;
    serde_json::from_str(&answer.header("x-tieline-explanation")).unwrap()
}

#[tokio::test]
async fn an_explanation_tells_calls_sources_filters_and_losses() {
    let settings = users(250);
    let rest = "[cache]\nfresh_for = \"60s\"\n";
    let world = World::with(settings.clone(), "", rest).await;
    let target = format!("{V1_USERS}?name=&page=2");
    let told = explained(&world.front, &target).await;
    assert_eq!(told["upstream_calls"], world.vendor.stats().users_pages);
    assert_eq!((&told["pages"], &told["joined_pages"]), (&told["upstream_calls"], &json!(0)));
    assert_eq!((&told["source"], &told["dialect"]), (&json!("read"), &json!("voiso-v4")));
    assert_eq!(told["ignored_parameters"], json!(["name", "page"]));
    assert_eq!((&told["defaulted_fields"], &told["unavailable_fields"]), (&json!([]), &json!([])));
    let again = explained(&world.front, &target).await;
    assert_eq!((&again["source"], &again["upstream_calls"]), (&json!("hit"), &json!(0)));
    assert_eq!(again["pages"], told["pages"]);
    // A look-up counts, though its pages are no pages of the list.
    let group = explained(&world.front, &format!("{V1_USERS}?sag=Agent&foo=1")).await;
    assert!(group["upstream_calls"].as_u64() > group["pages"].as_u64(), "{group}");
    assert_eq!(group["filters"], json!(["sag"]));
    let vonage = vonage::world(settings, "", "").await;
    let told = explained(&vonage.front, V1_USERS).await;
    let (calls, joined) = (told["upstream_calls"].as_u64(), told["joined_pages"].as_u64());
    // The list, what is joined to it, and the token.
    assert_eq!(calls, joined.map(|joined| joined + told["pages"].as_u64().unwrap() + 1), "{told}");
    assert_eq!(told["defaulted_fields"], json!(["timezone"]));
    let lacking = ["sip_account", "webrtc_ringtone", "assigned_queues", "assigned_channels"];
    assert_eq!(told["unavailable_fields"], json!(lacking));
}
