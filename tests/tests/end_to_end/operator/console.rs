//! The console tells what happened, in numbers that are those of the metrics, and nothing of a key, a query or a person.
#![expect(clippy::unwrap_used, reason = "a test may")]

use serde_json::{Value, json};
use tests::{Front, LEGACY_KEY, V1_USERS, V3_USERS, V4_KEY, World, config_text, parsed, users};

const PAGES: [&str; 15] = [
    "/",
    "/api/v1/openapi.json",
    "/api/v1/overview",
    "/api/v1/view",
    "/api/v1/callers",
    "/api/v1/upstreams",
    "/api/v1/endpoints",
    "/api/v1/cache",
    "/api/v1/fidelity",
    "/api/v1/usage",
    "/api/v1/brownouts",
    "/api/v1/shadow",
    "/api/v1/config",
    "/api/v1/requests",
    "/api/v1/replicas",
];

/// Every answer of the admin port, one behind the other.
async fn everything(front: &Front) -> String {
    let mut all = String::new();
    for path in PAGES.iter().chain(&["/metrics", "/callers", "/losses", "/replicas", "/x"]) {
        let answer = front.admin(&format!("{path}?key={LEGACY_KEY}&name=crm")).await;
        assert!(answer.status == 200 || *path == "/x", "{path}");
        all += &answer.text();
    }
    all
}

async fn page(front: &Front, name: &str) -> Value {
    let answer = front.admin(&format!("/api/v1/{name}")).await;
    assert_eq!(answer.status, 200, "{name}");
    answer.json()
}

/// The texts of a panel's rows.
fn rows(view: &Value, id: &str) -> Vec<Vec<String>> {
    let panels = view["panels"].as_array().unwrap();
    let panel = panels.iter().find(|panel| panel["id"] == id).unwrap();
    let cells = |row: &Value| {
        let cells = row.as_array().unwrap().iter();
        cells.map(|cell| cell["t"].as_str().unwrap().to_owned()).collect()
    };
    panel["rows"].as_array().unwrap().iter().map(cells).collect()
}

#[tokio::test]
async fn no_key_query_or_person_is_in_any_answer_of_the_admin_port() {
    let world = World::new(users(250)).await;
    let people = world.legacy(V1_USERS).await.json();
    let people = people.as_array().unwrap();
    let mut canaries = vec![LEGACY_KEY.to_owned(), V4_KEY.to_owned()];
    for field in ["name", "email", "sip_account"] {
        let values = people.iter().filter_map(|one| one[field].as_str());
        canaries.extend(values.filter(|value| value.len() > 6).map(str::to_owned));
    }
    assert!(canaries.len() > 400, "{}", canaries.len());
    let (name, wrong) = (people[7]["name"].as_str().unwrap(), "canary-of-a-wrong-key");
    let query = tests::query(&[("name", name), ("sag", "canary-of-a-group"), ("x", "canary-of-x")]);
    world.get(V1_USERS).await;
    world.get(&format!("{V1_USERS}?{query}")).await;
    world.get(&format!("/canary-of-a-path?{query}")).await;
    world.get(&format!("/api/v2/cdr/canary-below?{query}")).await;
    world.front.get_as(wrong, V1_USERS).await;
    world.front.get_with(&format!("{V1_USERS}?key={wrong}"), &[]).await;
    let all = everything(&world.front).await;
    for canary in canaries.iter().map(String::as_str).chain(["canary", wrong]) {
        assert!(!all.contains(canary), "{canary}");
    }
    // What is looked at is what was asked for.
    assert!(all.contains("<title>Tieline console</title>") && all.contains("near_misses"));
    assert_eq!(page(&world.front, "requests").await["requests"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn the_console_tells_what_the_metrics_count() {
    let world = World::new(users(250)).await;
    let front = &world.front;
    for _ in 0..3 {
        world.get(&format!("{V1_USERS}?sag=Agent")).await;
    }
    world.get(V3_USERS).await;
    world.get("/api/v2/cdr").await;
    front.get_with(V1_USERS, &[]).await;
    let caller = &page(front, "callers").await["callers"][0];
    assert_eq!((&caller["name"], &caller["upstream_key"]), (&json!("crm"), &json!("accepted")));
    assert_eq!(caller["answers"], json!({"2xx": 4, "3xx": 0, "4xx": 1, "5xx": 0}));
    assert!(caller["quiet_for_seconds"].as_f64().unwrap() < 30.0);
    let series = "tieline_requests_total{caller=\"crm\",endpoint=\"v1_users\",status=\"200\"}";
    assert_eq!(front.count(series).await, 3);
    let endpoints = page(front, "endpoints").await;
    let of_v1 = endpoints["endpoints"].as_array().unwrap();
    let of_v1 = of_v1.iter().find(|row| row["endpoint"] == "v1_users").unwrap();
    assert_eq!(of_v1["answers"], json!({"2xx": 3, "4xx": 1}));
    assert!(of_v1["most_within_seconds"].as_f64().is_some(), "{of_v1}");
    let usage = page(front, "usage").await;
    let filter = json!({"caller": "crm", "endpoint": "v1_users", "filter": "sag", "times": 3});
    assert_eq!(usage["filters"], json!([filter]));
    let path = json!({"caller": "crm", "endpoint": "none", "path": "/api/v2/cdr", "times": 1});
    assert_eq!(usage["untranslated"], json!([path]));
    let upstream = &page(front, "upstreams").await["upstreams"][0];
    assert_eq!((&upstream["name"], &upstream["breaker"]), (&json!("ams"), &json!("asked")));
    let good = "tieline_upstream_requests_total{outcome=\"200\",upstream=\"ams\"}";
    assert_eq!(upstream["attempts"]["200"].as_u64().unwrap(), front.count(good).await);
    let requests = page(front, "requests").await;
    let requests = requests["requests"].as_array().unwrap();
    let told: Vec<_> =
        requests.iter().map(|row| (&row["n"], &row["status"], &row["err"])).collect();
    let last = told[0].0.as_u64().unwrap();
    assert_eq!(told[0], (&json!(last), &json!(401), &json!("no_credential")));
    assert_eq!((told.len(), told[5].0), (6, &json!(last - 5)));
    assert_eq!(requests[1]["legacy_path"], "/api/v2/cdr");
    let later = format!("/api/v1/requests?after={}&caller=crm", last - 2);
    let later = front.admin(&later).await.json();
    assert_eq!(later["requests"].as_array().unwrap().len(), 1);
    let view = page(front, "view").await;
    assert_eq!(rows(&view, "unanswered")[0][..2], ["/api/v2/cdr", "crm"]);
    assert_eq!(rows(&view, "callers")[0][5], "5");
    assert_eq!(rows(&view, "attention")[0][0], "paths not answered");
    assert!(rows(&page(front, "view?name=nobody").await, "callers").is_empty());
}

#[tokio::test]
async fn losses_that_occur_name_what_the_operator_has_to_map() {
    let world = World::new(users(250)).await;
    world.get(V1_USERS).await;
    let of = async |front: &Front, note: &str| {
        let losses = page(front, "fidelity").await["losses"].clone();
        let mut rows = losses.as_array().unwrap().iter();
        rows.find(|row| row["note"] == note && row["endpoint"] == "v1_users").unwrap().clone()
    };
    let zones = of(&world.front, "time_zone_unmapped").await;
    assert_eq!(zones["names"], json!(["Africa/Lome", "Antarctica/Troll"]));
    let kinds = of(&world.front, "channel_unmapped").await;
    assert_eq!(kinds["names"], json!(["WhatsApp", "apple_business", "rcs"]));
    let view = page(&world.front, "view").await;
    let pasted = zones["toml"].as_str().unwrap();
    assert!(rows(&view, "fidelity").iter().any(|row| row[3] == pasted), "{view}");
    // With the text in its configuration the gateway shows every zone, and asks for none of them.
    let text = format!("{}\n{pasted}\n", config_text(world.vendor_address, "", ""));
    let put = |text: &str| {
        let config = parsed(text, &[("V4", V4_KEY)]).unwrap();
        world.front.running.reloader().reload(config).unwrap();
    };
    put(&text);
    let before = zones["values"].as_u64().unwrap();
    let shown = world.get(V1_USERS).await.text();
    assert!(shown.contains("\"timezone\":\"Legacy name\"") && !shown.contains("Africa/Lome"));
    let zones = of(&world.front, "time_zone_unmapped").await;
    assert_eq!((&zones["names"], zones["values"].as_u64().unwrap()), (&json!([]), before));
}

#[tokio::test]
async fn what_needs_a_person_comes_first_and_says_why() {
    let world = World::new(users(5)).await;
    let text = config_text(world.vendor_address, "", "");
    let front = Front::start_with(&text, &[("V4", "a-key-that-nobody-knows")]).await;
    front.get(V1_USERS).await;
    let mistake = text.replace("everything", "nothing");
    let env = [("V4".to_owned(), V4_KEY.to_owned())];
    let error = settings::Config::parse(&mistake, "t.toml", &env).unwrap_err();
    front.running.reloader().refused(&error);
    let overview = page(&front, "overview").await;
    assert_eq!(overview["refused"]["why"], error.to_string());
    let attention = overview["attention"].as_array().unwrap();
    let whats: Vec<_> = attention.iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["key refused", "configuration refused"]);
    assert!(attention[0]["text"].as_str().unwrap().contains("crm"));
    let history = page(&front, "config").await["history"].clone();
    assert_eq!((&history[1]["epoch"], history[0]["refused"].is_string()), (&json!(1), true));
    // Another one is taken, and the key is good.
    front.running.reloader().reload(parsed(&text, &[("V4", V4_KEY)]).unwrap()).unwrap();
    front.get(V1_USERS).await;
    let overview = page(&front, "overview").await;
    assert_eq!((&overview["refused"], &overview["attention"]), (&Value::Null, &json!([])));
    assert_eq!(overview["configuration"]["epoch"], 2);
    // What was asked under the one before is still known.
    assert_eq!(page(&front, "requests").await["requests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn requests_after_a_restart_come_behind_those_before_it() {
    let text = config_text("127.0.0.1:9", "", "");
    let before = Front::start(&text).await;
    for _ in 0..3 {
        before.get("/x").await;
    }
    let last = page(&before, "requests").await["requests"][0]["n"].as_u64().unwrap();
    let after = Front::start(&text).await;
    after.get("/x").await;
    let found = page(&after, &format!("requests?after={last}")).await;
    assert_eq!(found["requests"].as_array().unwrap().len(), 1, "{found}");
}

#[tokio::test]
async fn the_configuration_in_force_says_where_each_value_comes_from() {
    let text = config_text("127.0.0.1:9", "", "");
    let limit = ("TIELINE_LIMITS__REQUEST_DEADLINE", "7s");
    let front = Front::start_with(&text, &[("V4", V4_KEY), limit]).await;
    let config = page(&front, "config").await;
    let settings = config["settings"].as_array().unwrap();
    let of = |name: &str| settings.iter().find(|row| row["setting"] == name).unwrap();
    assert_eq!(of("limits.request_deadline")["value"], "\"7s\"");
    assert_eq!(of("limits.request_deadline")["origin"], limit.0);
    assert_eq!(of("log.level")["origin"], "default");
    assert!(of("caller[0].name")["origin"].as_str().unwrap().starts_with("test.toml:"));
    assert_eq!(of("caller[0].upstream_key")["value"], "{env V4}");
    assert_eq!(of("caller[0].legacy_key")["value"], "{digest}");
    let part = front.admin("/api/v1/config?offset=3&limit=2").await.json();
    assert_eq!(part["settings"], json!(settings[3..5]));
}

#[tokio::test]
async fn a_console_that_is_switched_off_answers_nothing_and_keeps_nothing() {
    let text = config_text("127.0.0.1:9", "", "").replace("[admin]", "[admin]\nconsole = false");
    let front = Front::start(&text).await;
    front.get("/x").await;
    for path in PAGES {
        assert_eq!(front.admin(path).await.status, 404, "{path}");
    }
    for path in ["/healthz", "/metrics", "/callers"] {
        assert_eq!(front.admin(path).await.status, 200, "{path}");
    }
    front
        .running
        .reloader()
        .reload(parsed(&text.replace("console = false", ""), &[("V4", V4_KEY)]).unwrap())
        .unwrap();
    assert_eq!(page(&front, "requests").await["requests"], json!([]));
    front.get("/x").await;
    assert_eq!(page(&front, "requests").await["requests"].as_array().unwrap().len(), 1);
}

/// What the admin port says to a request that is tried: its status and its JSON.
async fn tried(front: &Front, headers: &str, body: String) -> (u16, Value) {
    let to = front.running.admin;
    let request = format!(
        "POST /api/v1/try HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    let heard = tokio::task::spawn_blocking(move || tests::plain::say(to, request)).await.unwrap();
    let answer = tests::Answer::heard(heard);
    (answer.status.as_u16(), answer.json())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_tried_through_the_same_stack_and_nothing_of_it_is_shown() {
    const OWN: &str = "x-tieline-console: 1\r\ncontent-type: application/json\r\n";
    let world = World::new(users(250)).await;
    let text = config_text(world.vendor_address, "", "");
    let front = Front::start(&text.replace("[admin]", "[admin]\ntry_requests = true")).await;
    let ask = |endpoint: &str, query: &str, key: &str| {
        json!({"endpoint": endpoint, "query": query, "key": key}).to_string()
    };
    let whole = world.get(V1_USERS).await;
    let (status, told) = tried(&front, OWN, ask("v1_users", "", LEGACY_KEY)).await;
    assert_eq!(
        (status, &told["status"], &told["whole"]),
        (200, &json!(200), &json!(true)),
        "{told}"
    );
    assert_eq!(told["bytes"], whole.body.len());
    let (explanation, rows) = (&told["explanation"], json!(whole.json().as_array().unwrap().len()));
    assert_eq!((&explanation["rows"], &explanation["caller"]), (&rows, &json!("crm")));
    // It is a request like any other.
    let newest = &page(&front, "requests").await["requests"][0];
    assert_eq!((&newest["endpoint"], &newest["caller"]), (&json!("v1_users"), &json!("crm")));
    let (status, told) =
        tried(&front, OWN, ask("v1_users", "sag=canary-group", "canary-of-a-key")).await;
    assert_eq!(
        (status, &told["status"], &told["error"]),
        (200, &json!(401), &json!("unknown_credential"))
    );
    assert!(!told.to_string().contains("canary"), "{told}");
    let many = ask("v1_users", &"x".repeat(20_000), LEGACY_KEY);
    for (headers, body, expected) in [
        ("content-type: application/json\r\n", ask("v1_users", "", LEGACY_KEY), 403),
        ("x-tieline-console: 1\r\n", ask("v1_users", "", LEGACY_KEY), 415),
        (OWN, ask("v1_click2call", "", LEGACY_KEY), 400),
        (OWN, ask("canary", "", LEGACY_KEY), 400),
        (OWN, ask("v1_users", "", "a key"), 400),
        (OWN, ask("v1_users", "canary of a query", LEGACY_KEY), 400),
        (OWN, "{\"canary\": 1".to_owned(), 400),
        (OWN, many, 413),
    ] {
        let (status, told) = tried(&front, headers, body).await;
        assert_eq!(status, expected, "{told}");
        assert!(told["error"].is_string() && !told.to_string().contains("canary"), "{told}");
    }
    assert_eq!(front.admin("/api/v1/try").await.status, 405);
    assert!(front.admin("/").await.text().contains("Try a request"));
    // Off by default.
    assert_eq!(tried(&world.front, OWN, ask("v1_users", "", LEGACY_KEY)).await.0, 404);
    assert!(!world.front.admin("/").await.text().contains("Try a request"));
}
