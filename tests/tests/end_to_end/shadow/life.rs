//! The other side through the life of a process: another configuration, and its end.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::Surroundings;
use shadow::{Judge, Listener, Question, Reply};
use simulator::Settings;
use tests::folder::File;
use tests::raw::{Head, Raw, Reply as Said};
use tests::shadow::{found, front, outcome, text};
use tests::wire::Far;
use tests::{Front, V1_USERS, V4_KEY, eventually, parsed, vendor};

const NOBODY: &str = "/api/user_management/v1/users?id=x";

fn reload(front: &Front, text: &str) {
    let config = parsed(text, &[("V4", V4_KEY)]).unwrap();
    front.running.reloader().reload(config).unwrap();
}

#[tokio::test]
async fn another_configuration_ends_one_shadow_and_begins_another() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let first = Raw::start(|_: &Head| Said::json(200, "[]")).await;
    let second = Raw::start(|_: &Head| Said::json(200, "[{\"id\":1}]")).await;
    let front = front(&text(upstream, first.address, "", "")).await;
    assert_eq!(front.get(NOBODY).await.status, 200);
    assert_eq!(outcome(&found(&front, 1).await, "equal"), 1);
    reload(&front, &text(upstream, second.address, "", ""));
    assert_eq!(front.get(NOBODY).await.status, 200);
    let all = found(&front, 2).await;
    assert_eq!((outcome(&all, "equal"), outcome(&all, "different")), (1, 1), "counts go on");
    let none = text(upstream, second.address, "", "");
    reload(&front, none.split("[shadow]").next().unwrap());
    let asked = (first.asked(), second.asked());
    assert_eq!((asked, front.get(NOBODY).await.status.as_u16()), ((1, 2), 200));
    let after = front.admin("/shadow").await.json();
    assert_eq!(
        (after["enabled"].as_bool(), &after["differences"]),
        (Some(false), &all["differences"])
    );
    assert_eq!((first.asked(), second.asked()), asked);
    // Waiting in the queue, and under way, when the configuration goes.
    let silent = Far::silent().await;
    reload(&front, &text(upstream, silent.address, "", "attempt_timeout = \"1h\""));
    for _ in 0..5 {
        assert_eq!(front.get(NOBODY).await.status, 200);
    }
    reload(&front, &text(upstream, first.address, "", ""));
    assert_eq!(front.get(NOBODY).await.status, 200);
    assert_eq!(outcome(&found(&front, 3).await, "equal"), 2);
}

#[tokio::test]
async fn another_configuration_of_the_same_control_begins_nothing_anew() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|_: &Head| Said::json(200, "[ ]")).await;
    let config = text(upstream, control.address, "control_percent = 30", "");
    let config = config.replace("sample = 1\n", "sample = 0\n");
    let front = front(&config).await;
    // Of a hundred, however often the configuration comes.
    for _ in 0..20 {
        for _ in 0..5 {
            assert_eq!(front.get(NOBODY).await.status, 200);
        }
        reload(&front, &config);
    }
    assert_eq!(control.asked(), 30);
    let limited = Raw::start(|_: &Head| {
        Said::bytes("HTTP/1.1 429 No\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let config = config.replace("control_percent = 30", "control_percent = 100");
    let config = config.replace(&control.address.to_string(), &limited.address.to_string());
    for _ in 0..3 {
        reload(&front, &config);
        assert_eq!(front.get(NOBODY).await.status, 200);
    }
    assert_eq!(limited.asked(), 1, "what it said is kept");
    reload(&front, &config.replace(&limited.address.to_string(), &control.address.to_string()));
    assert_eq!((front.get(NOBODY).await.text().as_str(), control.asked()), ("[ ]", 31));
}

/// A control that never agrees, so that both sides are asked once more.
async fn differing() -> Raw {
    Raw::start(|_: &Head| Said::json(200, "[{\"id\":77}]")).await
}

#[tokio::test]
async fn a_limit_that_a_comparison_meets_is_no_clients() {
    let upstream = Raw::start(|head: &Head| match head.number {
        1 => {
            let head_of = "HTTP/1.1 429 No\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";
            Said::bytes(head_of)
        }
        _ => Said::page_of(&[1, 2, 3], head),
    })
    .await;
    let control = differing().await;
    let config = text(upstream.address, control.address, "", "");
    // A pause as long as it asks for would leave no time for an answer.
    let long = "attempts_max = 1\nretry_after_max = \"2h\"";
    let front = front(&config.replacen("attempts_max = 1", long, 1)).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    assert_eq!(found(&front, 1).await["dropped"]["busy"], 1);
    assert_eq!((upstream.asked(), control.asked()), (2, 2));
    let answer = front.get(V1_USERS).await;
    assert_eq!((answer.status.as_u16(), upstream.asked() >= 3), (200, true), "nobody pauses");
}

#[tokio::test]
async fn a_comparison_takes_no_place_that_is_not_free_at_once() {
    let upstream = Raw::start(|head: &Head| Said::page_of(&[1, 2, 3], head)).await;
    let control = differing().await;
    let config = text(upstream.address, control.address, "", "");
    // One place is free, and the next one in three quarters of a minute.
    let paced = "attempts_max = 1\nrequests_per_minute_max = 1";
    let front = front(&config.replacen("attempts_max = 1", paced, 1)).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    let found = found(&front, 1).await;
    assert_eq!((&found["dropped"]["busy"], outcome(&found, "failed")), (&1.into(), 0), "{found}");
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn told_to_stop_it_waits_for_no_comparison_and_leaves_its_report() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let silent = Far::silent().await;
    let file = File::new("report.json");
    let shadow = format!(
        "attempt_timeout = \"1h\"\nqueue_max = 1\nreport_file = {:?}\n[limits]\ndrain_delay = \"0s\"",
        file.display().to_string()
    );
    let front = front(&text(upstream, silent.address, "", &shadow)).await;
    for _ in 0..3 {
        assert_eq!(front.get(NOBODY).await.status, 200);
    }
    eventually("one is under way", async || silent.connections() > 0).await;
    for _ in 0..3 {
        assert_eq!(front.get(NOBODY).await.status, 200);
    }
    assert_eq!(silent.connections(), 1, "one is under way");
    front.stop();
    front.running.finished().await;
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(outcome(&report, "failed") + outcome(&report, "equal"), 0, "given up, not counted");
    assert!(report["dropped"]["queue_full"].as_u64() >= Some(2), "{report}");
}

#[tokio::test]
async fn a_report_that_cannot_be_written_stops_nothing() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let shadow = "report_file = \"/proc/report.json\"\n[limits]\ndrain_delay = \"0s\"";
    let front = front(&text(upstream, upstream, "", shadow)).await;
    assert_eq!(front.get(NOBODY).await.status, 200);
    assert_eq!(outcome(&found(&front, 1).await, "equal"), 1);
    front.stop();
    front.running.finished().await;
}

#[tokio::test]
async fn without_a_judge_nothing_is_compared_and_control_still_answers() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let control = Raw::start(|_: &Head| Said::json(200, "[ ]")).await;
    let front = Front::start(&text(upstream, control.address, "control_percent = 50", "")).await;
    for _ in 0..100 {
        assert_eq!(front.get(NOBODY).await.status, 200);
    }
    assert_eq!(control.asked(), 50);
    assert_eq!(front.admin("/shadow").await.json()["answered_by"]["control"], 50);
}

#[tokio::test]
async fn a_control_that_is_this_gateway_itself_is_found_out_and_another_gateway_is_none() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    for percent in [0, 100] {
        let caller = format!("control_percent = {percent}");
        let front = front(&text(upstream, upstream, &caller, "")).await;
        let itself = text(upstream, front.running.address, &caller, "");
        reload(&front, &itself);
        assert_eq!(front.get(NOBODY).await.status, 200);
        let found = found(&front, 1).await;
        let looped = front.count("tieline_control_requests_total{outcome=\"loop\"}").await;
        // The client's question, where control is to answer it, and the comparison's.
        let asked = 1 + percent / 100;
        assert_eq!((outcome(&found, "equal"), looped), (0, asked), "{found}");
        let series = "tieline_requests_total{caller=\"crm\",endpoint=\"v1_users\",status=\"200\"}";
        assert_eq!(front.count(series).await, 1 + asked, "none of them begins another one");
    }
    // Another gateway, with a shadow of its own.
    let other = front(&text(upstream, upstream, "", "")).await;
    let front = front(&text(upstream, other.running.address, "", "")).await;
    assert_eq!(front.get(NOBODY).await.status, 200);
    assert_eq!(outcome(&found(&front, 1).await, "equal"), 1);
    assert_eq!(outcome(&found(&other, 1).await, "equal"), 1);
}

/// Has nothing to say.
#[derive(Debug)]
struct Unwell;

impl Judge for Unwell {
    fn judge(&self, _: &Question<'_>, _: &Reply, _: &Reply, _: &mut dyn Listener) {
        panic!("a text that must not be shown");
    }
}

#[tokio::test]
async fn a_judge_that_panics_costs_one_comparison() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let surroundings = Surroundings { judge: Some(Arc::new(Unwell)), ..Surroundings::default() };
    let front =
        Front::start_in(&text(upstream, upstream, "", ""), &[("V4", V4_KEY)], surroundings).await;
    for answered in 1..=3 {
        assert_eq!(front.get(NOBODY).await.status, 200);
        assert_eq!(outcome(&found(&front, answered).await, "failed"), answered);
    }
}

/// Never comes to an end of its own.
#[derive(Debug, Default)]
struct Endless {
    at_work: AtomicUsize,
    begun: AtomicUsize,
}

impl Judge for Endless {
    fn judge(&self, _: &Question<'_>, _: &Reply, _: &Reply, listener: &mut dyn Listener) {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.at_work.fetch_add(1, Ordering::SeqCst);
        while listener.goes_on() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn another_configuration_and_the_end_stop_a_comparison_that_goes_on_for_long() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let judge = Arc::new(Endless::default());
    let surroundings = Surroundings { judge: Some(judge.clone()), ..Surroundings::default() };
    let config = text(upstream, upstream, "", "[limits]\ndrain_delay = \"0s\"");
    let front = Front::start_in(&config, &[("V4", V4_KEY)], surroundings).await;
    for begun in 1..=2 {
        assert_eq!(front.get(NOBODY).await.status, 200);
        eventually("it begins", async || judge.begun.load(Ordering::SeqCst) == begun).await;
        assert_eq!(judge.at_work.load(Ordering::SeqCst), 1);
        match begun {
            1 => reload(&front, &config),
            _ => front.stop(),
        }
        eventually("it ends", async || judge.at_work.load(Ordering::SeqCst) == 0).await;
    }
    front.running.finished().await;
}

#[tokio::test]
async fn an_answer_that_would_take_many_times_its_length_is_not_compared() {
    let (_vendor, upstream, _guard) = vendor(Settings::default()).await;
    let noughts = format!("[0{}]", ",0".repeat(1 << 19));
    let control = Raw::start(move |_: &Head| Said::json(200, &noughts)).await;
    let front = front(&text(upstream, control.address, "", "")).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    let found = found(&front, 1).await;
    assert_eq!(
        (&found["dropped"]["too_large"], &found["causes"]),
        (&1.into(), &serde_json::json!({}))
    );
}
