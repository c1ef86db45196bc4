//! Shadow mode: the other side is asked in the background, within a budget of its own. Clients notice
//! nothing of it.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use http::Method;
use serde_json::Value;
use simulator::{Settings, Simulator};
use tests::folder::File;
use tests::raw::{Head, Raw, Reply};
use tests::shadow::{found, front, outcome, text};
use tests::wire::{Far, Wire};
use tests::{Answer, Front, LEGACY_KEY, V1_USERS, V4_KEY, nowhere, vendor};

/// Every header but those that differ from answer to answer, and the body.
fn told(mut answer: Answer) -> (u16, Vec<(String, String)>, Vec<u8>) {
    for name in ["date", "x-request-id"] {
        answer.headers.remove(name);
    }
    let names = answer.headers.keys().map(|name| name.as_str().to_owned());
    let mut headers: Vec<_> = names.map(|name| (name.clone(), answer.header(&name))).collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.body.to_vec())
}

/// What a few clients of all kinds are told.
async fn clients(front: &Front) -> Vec<(u16, Vec<(String, String)>, Vec<u8>)> {
    let bearer = format!("Bearer {LEGACY_KEY}");
    let key = ("authorization", bearer.as_str());
    let mut all = vec![front.get(V1_USERS).await];
    let etag = all[0].header("etag");
    for (method, target, headers) in [
        (Method::GET, V1_USERS, &[key, ("if-none-match", &etag)][..]),
        (Method::GET, V1_USERS, &[key, ("accept-encoding", "gzip")]),
        (Method::HEAD, V1_USERS, &[key]),
        (Method::GET, "/user_management/v1/users?id=x", &[key]),
        (Method::GET, "/api/v2/cdr/teams?key=legacy-demo-key", &[]),
        (Method::GET, "/api/v3/cdr/users?filter[sag]=Agent&page=2", &[key]),
        (Method::GET, V1_USERS, &[("authorization", "Bearer nobody")]),
        (Method::POST, V1_USERS, &[key]),
    ] {
        all.push(front.send(method, target, headers).await);
    }
    all.into_iter().map(told).collect()
}

#[tokio::test]
async fn answers_in_any_coding_are_compared_by_their_plain_bytes() {
    let settings = Settings { teams_list: true, ..Settings::default() };
    let (_vendor, address, _guard) = vendor(settings).await;
    let front = front(&text(address, address, "", "")).await;
    assert_eq!(clients(&front).await[1].0, 304);
    // All but the unknown key and the POST.
    let found = found(&front, 7).await;
    assert_eq!((outcome(&found, "equal"), found["differences"].as_array().unwrap().len()), (7, 0));
    assert_eq!(front.count("tieline_control_requests_total{outcome=\"answered\"}").await, 7);
    assert_eq!(
        front
            .count("tieline_requests_total{caller=\"crm\",endpoint=\"v1_users\",status=\"200\"}")
            .await,
        4
    );
}

#[tokio::test]
async fn l01_whatever_control_does_the_answer_is_the_same_byte_for_byte() {
    let (_vendor, address, _guard) = vendor(Settings::default()).await;
    let plain = Front::over(address, "attempts_max = 1", "").await;
    let expected = clients(&plain).await;
    // It says nothing: a request that waited for it would never end.
    let silent = Far::silent().await;
    let list = "[{\"id\":1}]".repeat(50_000);
    let mut broken = Vec::new();
    for reply in [
        Reply::json(200, "").reset(),
        Reply::json(200, &list).cut_at(1000),
        Reply::json(200, &list).reset(),
        Reply::json(200, "<html>"),
        Reply::json(500, "{}"),
        Reply::bytes("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n["),
        Reply::bytes("nonsense\r\n\r\n").closed(),
    ] {
        broken.push(Raw::start(move |_: &Head| reply.clone()).await);
    }
    let mut controls = vec![nowhere().await, silent.address];
    controls.extend(broken.iter().map(|raw| raw.address));
    for control in controls {
        for timeout in ["\"60s\"", "\"100ms\""] {
            let front =
                front(&text(address, control, "", &format!("attempt_timeout = {timeout}"))).await;
            // No client is answered later: the question that waits for ever is not even given up.
            assert_eq!(clients(&front).await, expected, "{control}");
            let found = front.admin("/shadow").await.json();
            assert_eq!(outcome(&found, "different"), 0, "{found}");
        }
    }
}

#[tokio::test]
async fn l01_an_answer_of_ten_gibibytes_is_cut_off_and_not_held() {
    let (_vendor, address, _guard) = vendor(Settings::default()).await;
    let taken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&taken);
    let endless = Far::start(move |mut wire: Wire| {
        let count = Arc::clone(&count);
        async move {
            wire.head().await?;
            wire.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(1 << 16));
            for _ in 0..(10_u64 << 30) / (1 << 16) {
                wire.say(&chunk).await?;
                count.fetch_add(1 << 16, Ordering::Relaxed);
            }
            None
        }
    })
    .await;
    let front = front(&text(address, endless.address, "", "answer_bytes_max = \"1MiB\"")).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    let found = found(&front, 1).await;
    assert_eq!(outcome(&found, "failed"), 1);
    assert_eq!(front.count("tieline_control_requests_total{outcome=\"too_large\"}").await, 1);
    // The bytes that were held, and those that the system holds of a connection.
    let taken = taken.load(Ordering::Relaxed);
    assert!((1 << 20..32 << 20).contains(&taken), "{taken} bytes");
}

#[tokio::test]
async fn l01_comparisons_that_do_not_fit_are_dropped_and_counted() {
    let (_vendor, address, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|_: &Head| Reply::json(200, "[]")).await;
    let shadow = "queue_max = 4\nrequests_per_second_max = 0.001";
    let slow =
        text(address, control.address, "", shadow).replace("requests_per_second_max = 1000\n", "");
    let front = front(&slow).await;
    assert_eq!(front.get(&format!("{V1_USERS}?id=x")).await.status, 200);
    assert_eq!(outcome(&found(&front, 1).await, "equal"), 1);
    for _ in 0..20 {
        assert_eq!(front.get(&format!("{V1_USERS}?id=x")).await.status, 200);
    }
    // Four wait in the queue, and one for its turn.
    let dropped = front.count("tieline_shadow_dropped_total{why=\"queue_full\"}").await;
    assert!((15..=16).contains(&dropped), "{dropped}");
    assert_eq!(control.asked(), 1, "the next turn is in a quarter of an hour");
    let large = text(address, control.address, "", "answer_bytes_max = \"64KiB\"");
    let front = tests::shadow::front(&large).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    assert_eq!(found(&front, 1).await["dropped"]["too_large"], 1);
}

#[tokio::test]
async fn l02_nothing_but_a_get_of_a_legacy_list_is_ever_sent() {
    let upstream =
        Raw::start(|_: &Head| Reply::json(200, "{\"users\":[],\"metadata\":{\"total\":0}}")).await;
    let control = Raw::start(|_: &Head| Reply::json(200, "[]")).await;
    for percent in [0, 100] {
        let caller = format!("control_percent = {percent}");
        let through = "[passthrough]\nenabled = true";
        let front = front(&text(upstream.address, control.address, &caller, through)).await;
        let bearer = format!("Bearer {LEGACY_KEY}");
        let key = [("authorization", bearer.as_str())];
        for (method, target) in [
            (Method::POST, V1_USERS),
            (Method::PUT, V1_USERS),
            (Method::PATCH, "/api/v2/cdr/teams"),
            (Method::DELETE, "/api/v3/cdr/users?id=1"),
            (Method::OPTIONS, V1_USERS),
            (Method::GET, "/api/v1/click2call?agent=7&number=31201234567"),
            (Method::HEAD, "/api/v1/click2call?agent=7&number=31201234567"),
            (Method::POST, "/api/v2/call_sessions"),
            (Method::GET, "/api/v2/cdr"),
            (Method::GET, "/api/v2/cdr/teams/3"),
            (Method::GET, "/openapi.json"),
        ] {
            front.send(method, target, &key).await;
        }
        // Requests of unknown callers are not compared either.
        front.get_with(V1_USERS, &[("authorization", "Bearer nobody")]).await;
        front.get_with(V1_USERS, &[]).await;
        front.get_with(&format!("{V1_USERS}?key={LEGACY_KEY}"), &key).await;
        let before = control.asked();
        // By now everything of before would have been sent: one worker keeps the order.
        assert_eq!(front.send(Method::HEAD, V1_USERS, &key).await.status, 200);
        found(&front, 1).await;
        let heads = control.heads();
        assert_eq!(heads.len(), before + 1, "percent {percent}");
        assert!(heads[before].text.starts_with(&format!("GET {V1_USERS} HTTP/1.1\r\n")));
        assert!(before <= 1, "{before} effects");
    }
}

#[tokio::test]
async fn l03_a_limit_of_control_is_kept_by_the_shadow_alone() {
    let (_vendor, address, _guard) = vendor(Settings::default()).await;
    for reply in [
        "HTTP/1.1 429 Too Many\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 Not Now\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n",
    ] {
        let control = Raw::start(move |_: &Head| Reply::bytes(reply)).await;
        for percent in [0, 100] {
            let before = control.asked();
            let caller = format!("control_percent = {percent}");
            let front = front(&text(address, control.address, &caller, "")).await;
            for _ in 0..10 {
                assert_eq!(front.get(&format!("{V1_USERS}?id=x")).await.status, 200);
            }
            let found = found(&front, 10).await;
            assert_eq!(control.asked() - before, 1, "{reply}");
            let (failed, paused) = (outcome(&found, "failed"), &found["dropped"]["paused"]);
            let failed_in_background = u64::from(percent == 0);
            assert_eq!(
                (failed, paused.as_u64()),
                (failed_in_background, Some(10 - failed_in_background))
            );
            assert_eq!(front.count("tieline_control_requests_total{outcome=\"limited\"}").await, 1);
        }
    }
}

#[tokio::test]
async fn comparisons_that_wait_for_a_resting_control_take_no_turns() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let goes_on = Arc::new(tokio::sync::Notify::new());
    let waiting = Arc::clone(&goes_on);
    let control = Far::start(move |mut wire: Wire| {
        let waiting = Arc::clone(&waiting);
        async move {
            wire.head().await?;
            waiting.notified().await;
            wire.say("HTTP/1.1 429 No\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n").await
        }
    })
    .await;
    let shadow = "requests_per_second_max = 0.001";
    let slow = text(upstream, control.address, "", shadow);
    let front = front(&slow.replace("requests_per_second_max = 1000\n", "")).await;
    for _ in 0..10 {
        assert_eq!(front.get(&format!("{V1_USERS}?id=x")).await.status, 200);
    }
    goes_on.notify_one();
    // Nine turns would come within hours.
    let found = found(&front, 10).await;
    assert_eq!((outcome(&found, "failed"), &found["dropped"]["paused"]), (1, &9.into()), "{found}");
}

#[tokio::test]
async fn long_questions_that_wait_count_as_answers_do() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let shadow = "requests_per_second_max = 0.001\nqueue_max = 1000\nanswer_bytes_max = \"64KiB\"";
    let slow = text(upstream, nowhere().await, "", shadow);
    let front = front(&slow.replace("requests_per_second_max = 1000\n", "")).await;
    let target = format!("{V1_USERS}?id=x&name={}", "a".repeat(6000));
    for _ in 0..20 {
        assert_eq!(front.get(&target).await.status, 200);
    }
    let found = front.admin("/shadow").await.json();
    let dropped = found["dropped"]["queue_full"].as_u64();
    // Each is held as it came and taken apart, and all of them may have 128 KiB.
    assert!((Some(8)..=Some(11)).contains(&dropped), "{found}");
}

/// Two vendors that differ in one name, and a gateway between them.
async fn differing(shadow: &str) -> (Front, Vec<Box<dyn std::any::Any>>) {
    let (candidate, upstream, one) = vendor(Settings::default()).await;
    let (control, address, other) = vendor(Settings::default()).await;
    let id = control.records().iter().find(|user| user.id > 0).unwrap().id;
    assert!(control.rename_user(id, "Canary Personage"));
    let front = front(&text(upstream, address, "", shadow)).await;
    (front, vec![Box::new(candidate), Box::new(control), Box::new(one), Box::new(other)])
}

#[tokio::test]
async fn l04_a_difference_is_kept_as_where_and_why_and_no_value_of_it() {
    let file = File::new("shadow.json");
    let (front, _world) =
        differing(&format!("report_file = {:?}", file.display().to_string())).await;
    for target in [V1_USERS, "/user_management/v1/users?sag=CanaryGroup"] {
        assert_eq!(front.get(target).await.status, 200);
    }
    let found = found(&front, 2).await;
    assert_eq!((outcome(&found, "different"), outcome(&found, "equal")), (1, 1), "{found}");
    let rows = found["differences"].as_array().unwrap();
    let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    let words =
        ["endpoint", "caller", "field", "kind", "cause"].map(|name| row[name].as_str().unwrap());
    assert_eq!(words, ["v1_users", "crm", "name", "value", "bug"]);
    let hmacs = ["record", "control", "candidate"].map(|name| row[name].as_str().unwrap());
    assert!(
        hmacs.iter().all(|hmac| hmac.len() == 32 && hmac.bytes().all(|b| b.is_ascii_hexdigit()))
    );
    assert!(hmacs[1] != hmacs[2] && row["at"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(
        front.count("tieline_shadow_total{endpoint=\"v1_users\",outcome=\"different\"}").await,
        1
    );
    assert_eq!(
        front.count("tieline_shadow_differences_total{cause=\"bug\",endpoint=\"v1_users\"}").await,
        1
    );
    let shown = [front.admin("/shadow").await.text(), front.admin("/metrics").await.text()];
    front.stop();
    front.running.finished().await;
    let report = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&report).unwrap()["differences"],
        found["differences"]
    );
    for text in shown.iter().chain([&report]) {
        for secret in ["Canary", "Personage", "CanaryGroup", LEGACY_KEY, V4_KEY, "/users", "sag="] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}

#[tokio::test]
async fn l04_a_difference_that_stays_costs_one_more_question_and_equal_answers_none() {
    let ids: Vec<u64> = (1..=5).collect();
    let upstream = Raw::start(move |head: &Head| Reply::page_of(&ids, head)).await;
    let control = Raw::start(|head: &Head| match head.target().contains("id=x") {
        true => Reply::json(200, "[]"),
        false => Reply::json(200, "[{\"id\":1}]"),
    })
    .await;
    let front = front(&text(upstream.address, control.address, "", "")).await;
    assert_eq!(front.get(&format!("{V1_USERS}?id=x")).await.status, 200);
    assert_eq!(outcome(&found(&front, 1).await, "equal"), 1);
    assert_eq!(control.asked(), 1);
    assert_eq!(front.get(V1_USERS).await.status, 200);
    assert_eq!(outcome(&found(&front, 2).await, "different"), 1);
    assert_eq!(control.asked(), 3);
    // Asking this side once more is no client's request.
    let series = "tieline_requests_total{caller=\"crm\",endpoint=\"v1_users\",status=\"200\"}";
    assert_eq!(front.count(series).await, 2);
    assert_eq!(front.count("tieline_answers_total{source=\"read\"}").await, 1);
}

#[tokio::test]
async fn l05_three_values_of_control_are_noise_and_one_edit_excuses_nothing() {
    let upstream = Raw::start(|head: &Head| Reply::page_of(&[1], head)).await;
    for (names, outcomes) in [(["a", "b", "c"], (1, 0)), (["a", "b", "b"], (0, 1))] {
        let control = Raw::start(move |head: &Head| {
            let name = names[head.number.min(2)];
            Reply::json(200, format!("[{{\"id\":1,\"name\":\"{name}\"}}]"))
        })
        .await;
        let front = front(&text(upstream.address, control.address, "", "")).await;
        assert_eq!(front.get(V1_USERS).await.status, 200);
        let found = found(&front, 1).await;
        let counted = (outcome(&found, "explained"), outcome(&found, "different"));
        assert_eq!((counted, control.asked()), (outcomes, 3), "{names:?}: {found}");
    }
}

#[tokio::test]
async fn l05_a_404_beside_an_empty_list_is_a_difference_and_a_web_page_is_none() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    for (body, outcomes) in
        [("{\"error\":\"Not found\"}", (1, 0)), ("", (1, 0)), ("<html>", (0, 1))]
    {
        let control = Raw::start(move |_: &Head| Reply::json(404, body)).await;
        let front = front(&text(upstream, control.address, "", "")).await;
        assert_eq!(front.get(&format!("{V1_USERS}?id=x")).await.text(), "[]");
        let found = found(&front, 1).await;
        let counted = (outcome(&found, "different"), outcome(&found, "failed"));
        assert_eq!(counted, outcomes, "{body}: {found}");
    }
}

#[tokio::test]
async fn l05_order_numbers_and_names_of_zones_are_no_faults() {
    let (candidate, upstream, _guard) = vendor(Settings::default()).await;
    let mut records = candidate.legacy_users(&[]);
    records.reverse();
    for record in &mut records {
        let teams = record["assigned_teams"].as_str().unwrap_or_default().to_owned();
        let turned: Vec<&str> = teams.split(", ").collect::<Vec<_>>().into_iter().rev().collect();
        record["assigned_teams"] = turned.join(", ").into();
        record["timezone"] = "Europe/Istanbul".into();
    }
    let list = serde_json::to_string(&records).unwrap();
    let control = Raw::start(move |_: &Head| Reply::json(200, &list)).await;
    let front = front(&text(upstream, control.address, "", "")).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    let found = found(&front, 1).await;
    assert_eq!((outcome(&found, "explained"), outcome(&found, "different")), (1, 0), "{found}");
    let causes = found["causes"].as_object().unwrap();
    assert_eq!(causes.keys().collect::<Vec<_>>(), ["order", "quirk"]);
    assert_eq!(control.asked(), 1, "what is explained is not asked again");
}

#[tokio::test]
async fn l05_a_list_that_changes_under_both_sides_is_no_fault() {
    let (vendor, upstream, _guard) = vendor(Settings::default()).await;
    let (live, changing) = (vendor.clone(), AtomicBool::new(true));
    let (changing, changes) = (Arc::new(changing), AtomicUsize::new(0));
    let goes_on = Arc::clone(&changing);
    // One user changes just before control answers, and another one just after it.
    let change = move |vendor: &Simulator| {
        let number = changes.fetch_add(1, Ordering::SeqCst);
        let id = vendor.records()[number].id;
        assert!(!goes_on.load(Ordering::SeqCst) || vendor.rename_user(id, "Renamed"));
    };
    let control = Raw::start(move |_: &Head| {
        change(&live);
        let list = live.legacy_body(&[]);
        change(&live);
        Reply::json(200, list)
    })
    .await;
    let front = front(&text(upstream, control.address, "", "")).await;
    for answered in 1..=20 {
        assert_eq!(front.get(V1_USERS).await.status, 200);
        let found = found(&front, answered).await;
        assert_eq!(outcome(&found, "different"), 0, "{found}");
    }
    let changed = found(&front, 20).await;
    assert!(outcome(&changed, "explained") >= 15, "{changed}");
    assert!(changed["causes"]["race"].as_u64() >= Some(15), "{changed}");
    // Without changes the twins are equal, every time and at the first look.
    changing.store(false, Ordering::SeqCst);
    let asked = control.asked();
    for _ in 0..20 {
        assert_eq!(front.get(V1_USERS).await.status, 200);
    }
    let quiet = found(&front, 40).await;
    assert_eq!(quiet["causes"], changed["causes"]);
    assert_eq!(outcome(&quiet, "equal") - outcome(&changed, "equal"), 20);
    assert_eq!(control.asked() - asked, 20);
}
