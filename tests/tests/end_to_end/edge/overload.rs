//! More than there is room for: queues, shares of callers, pages that take long to read, and a clock
//! that jumps.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tests::raw::page;
use tests::wire::{Far, Wire, values};
use tests::{Answer, Front, LEGACY_KEY, V1_USERS, V4_KEY, config, config_text, eventually, expect};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const OTHER_KEY: &str = "the-legacy-key-of-another";
const OTHER_V4_KEY: &str = "the-v4-key-of-another";

/// An upstream without users that answers nobody before its gate is opened.
struct Gated {
    far: Far,
    asked: Arc<AtomicUsize>,
    /// Requests with the other caller's key.
    asked_by_other: Arc<AtomicUsize>,
    gate: watch::Sender<bool>,
}

impl Gated {
    async fn start() -> Gated {
        let (gate, opened) = watch::channel(false);
        let (asked, asked_by_other) = (Arc::<AtomicUsize>::default(), Arc::default());
        let counters = (Arc::clone(&asked), Arc::clone(&asked_by_other));
        let far = Far::start(move |wire| converse(wire, opened.clone(), counters.clone())).await;
        Gated { far, asked, asked_by_other, gate }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn converse(
    mut wire: Wire,
    mut opened: watch::Receiver<bool>,
    (asked, asked_by_other): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) -> Option<()> {
    loop {
        let head = wire.head().await?;
        asked.fetch_add(1, Ordering::SeqCst);
        let is_other = values(&head, "authorization") == [format!("Bearer {OTHER_V4_KEY}")];
        asked_by_other.fetch_add(usize::from(is_other), Ordering::SeqCst);
        opened.wait_for(|is_open| *is_open).await.ok()?;
        let body = page(&[], 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        wire.say(format!("{head}{}\r\n\r\n{body}", body.len())).await?;
    }
}

/// A gateway over it, for two callers.
async fn front(gated: &Gated, upstream: &str, limits: &str) -> Arc<Front> {
    let (key, v4_key) = (config::digest(OTHER_KEY), config::env("OTHER"));
    let limits = format!("[limits]\n{limits}");
    let rest = config::caller("other", "ams", &key, &v4_key, &limits);
    let env = [("V4", V4_KEY), ("OTHER", OTHER_V4_KEY)];
    Arc::new(Front::start_with(&config_text(gated.far.address, upstream, &rest), &env).await)
}

/// Asks in a task of its own. No two numbers ask the same, so that nothing is shared.
fn ask(front: &Arc<Front>, key: &'static str, number: usize) -> JoinHandle<Answer> {
    let front = Arc::clone(front);
    tokio::spawn(async move {
        let key = format!("Bearer {key}");
        front.get_with(&format!("{V1_USERS}?name={number}"), &[("authorization", &key)]).await
    })
}

async fn metric(front: &Front, series: &str) -> f64 {
    let text = front.admin("/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or("-1").parse().unwrap()
}

#[tokio::test]
async fn c10_further_requests_wait_in_a_short_queue_and_the_rest_is_refused_at_once() {
    let gated = Gated::start().await;
    let limits = "requests_in_flight_max = 2\nrequests_queued_max = 3\nqueue_wait_max = \"60s\"\n\
                  requests_per_caller_max = 10";
    let front = front(&gated, "", limits).await;
    let mut asking: Vec<_> = (0..2).map(|number| ask(&front, LEGACY_KEY, number)).collect();
    eventually("two in flight", async || gated.asked() == 2).await;
    asking.extend((2..5).map(|number| ask(&front, LEGACY_KEY, number)));
    eventually("three wait", async || metric(&front, "tieline_queue_depth").await == 3.0).await;
    let one_more = ask(&front, LEGACY_KEY, 5).await.unwrap();
    expect::error(&one_more, "503 overloaded", "the queue is full");
    assert_eq!(metric(&front, "tieline_shed_total{why=\"queue_full\"}").await, 1.0);
    assert_eq!(front.admin("/healthz").await.status, 200);
    assert_eq!(gated.asked(), 2, "a request that waits asks no upstream");
    gated.gate.send(true).unwrap();
    for answer in asking {
        expect::rows(&answer.await.unwrap(), &[], "who waited");
    }
    assert_eq!(metric(&front, "tieline_queue_depth").await, 0.0);
}

#[tokio::test]
async fn c10_no_request_waits_longer_than_the_queue_allows() {
    let gated = Gated::start().await;
    let limits = "requests_in_flight_max = 1\nqueue_wait_max = \"100ms\"";
    let front = front(&gated, "", limits).await;
    let first = ask(&front, LEGACY_KEY, 0);
    eventually("one in flight", async || gated.asked() == 1).await;
    let second = ask(&front, OTHER_KEY, 1).await.unwrap();
    expect::error(&second, "503 overloaded", "it waited");
    assert_eq!(metric(&front, "tieline_shed_total{why=\"queue_wait\"}").await, 1.0);
    gated.gate.send(true).unwrap();
    expect::rows(&first.await.unwrap(), &[], "the first");
}

#[tokio::test]
async fn c11_only_a_caller_beyond_its_share_is_refused() {
    let gated = Gated::start().await;
    let limits = "requests_in_flight_max = 8\nrequests_per_caller_max = 4";
    let front = front(&gated, "", limits).await;
    let mut asking: Vec<_> = (0..4).map(|number| ask(&front, LEGACY_KEY, number)).collect();
    eventually("its share in flight", async || gated.asked() == 4).await;
    for number in 4..204 {
        let answer = ask(&front, LEGACY_KEY, number).await.unwrap();
        expect::error(&answer, "429 tenant_limit", "fifty times its share");
    }
    assert_eq!(metric(&front, "tieline_shed_total{why=\"tenant\"}").await, 200.0);
    let counted = "tieline_requests_total{caller=\"crm\",endpoint=\"v1_users\",status=\"429\"}";
    assert_eq!(metric(&front, counted).await, 200.0);
    asking.extend((0..4).map(|number| ask(&front, OTHER_KEY, number)));
    eventually("the other's as well", async || gated.asked() == 8).await;
    gated.gate.send(true).unwrap();
    for answer in asking {
        expect::rows(&answer.await.unwrap(), &[], "within the shares");
    }
    let again = ask(&front, LEGACY_KEY, 300).await.unwrap();
    expect::rows(&again, &[], "its share is free again");
}

#[tokio::test]
async fn c11_one_callers_pages_leave_half_of_an_upstream_to_the_others() {
    let gated = Gated::start().await;
    let front = front(&gated, "requests_in_flight_max = 4", "").await;
    let mut asking: Vec<_> = (0..50).map(|number| ask(&front, LEGACY_KEY, number)).collect();
    eventually("half of its places", async || gated.asked() == 2).await;
    asking.push(ask(&front, OTHER_KEY, 0));
    let by_other = || gated.asked_by_other.load(Ordering::SeqCst);
    eventually("the other's is not behind fifty", async || by_other() == 1).await;
    assert_eq!(gated.asked(), 3);
    gated.gate.send(true).unwrap();
    for answer in asking {
        expect::rows(&answer.await.unwrap(), &[], "in its turn");
    }
}

/// One row in a page of nearly the largest size, most of which nobody wants.
fn large_page() -> String {
    let row = tests::raw::user(7);
    let unwanted = format!(",\"unwanted\":[{}1]}}", "1,".repeat(3 << 20));
    page(&[row.replace('}', &unwanted)], 1)
}

#[tokio::test]
async fn c09_a_slow_page_keeps_no_other_request_waiting() {
    // One thread serves everything here, so what is read on it holds up all the rest.
    let body = Arc::new(large_page());
    let (sent, mut is_sent) = watch::channel(false);
    let said = Arc::clone(&body);
    let far = Far::start(move |mut wire| {
        let (body, sent) = (Arc::clone(&said), sent.clone());
        async move {
            wire.head().await?;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
            wire.say(format!("{head}{}\r\n\r\n{body}", body.len())).await?;
            sent.send(true).ok()
        }
    })
    .await;
    let front = Arc::new(Front::over(far.address, "", "").await);
    let asked = Arc::clone(&front);
    let reading = tokio::spawn(async move { asked.get(&format!("{V1_USERS}?id=7")).await });
    is_sent.wait_for(|is_sent| *is_sent).await.unwrap();
    let began = Instant::now();
    let (mut longest, mut small) = (Duration::ZERO, 0);
    while !reading.is_finished() {
        let asked = Instant::now();
        assert_eq!(front.get_with(V1_USERS, &[]).await.verdict(), "401 no_credential");
        longest = longest.max(asked.elapsed());
        small += 1;
    }
    let whole = began.elapsed();
    expect::rows(&reading.await.unwrap(), &[7], "the large page");
    assert!(longest < whole / 2 && small > 3, "{small} small ones, {longest:?} of {whole:?}");
}

/// Where the clock on the wall is looked at, and why that moves no timer.
const WALL_CLOCK: &[(&str, &str)] = &[
    ("gateway/src/admin/console/overview.rs", "the time that the console shows"),
    ("gateway/src/admin/console/panel.rs", "dates of the configuration that the console shows"),
    ("gateway/src/admin/console/requests.rs", "the time that the console shows"),
    ("gateway/src/admin/reload.rs", "whether a certificate has ended"),
    ("gateway/src/brownout.rs", "whether a window of dates is on"),
    ("gateway/src/edge/sunset.rs", "dates that headers show"),
    ("gateway/src/list/remember.rs", "dates that the roster shows"),
    ("gateway/src/observe/epochs.rs", "when a configuration came, for the console"),
    ("gateway/src/observe/metrics.rs", "when the process began, for a metric"),
    ("gateway/src/observe/spans.rs", "when a span began and ended, for its reader"),
    ("settings/src/files.rs", "times of files, compared for being the same"),
    ("shadow/src/results.rs", "when a difference was found, for its reader"),
    ("tieline/src/log/human.rs", "when a line was logged, for its reader"),
    ("tieline/src/log/json.rs", "when a line was logged, for its reader"),
    ("tieline/src/otlp/message.rs", "when a span began and ended, as the collector is told"),
    ("tieline/src/utc.rs", "dates that reports show, and which windows of dates come next"),
    ("transport/src/retry_after.rs", "a date of an upstream, measured by the upstream's own"),
];

#[test]
fn k09_h12_the_clock_on_the_wall_moves_no_timer() {
    let crates =
        ["gateway", "limits", "settings", "shadow", "transport", "roster", "tieline", "domain"];
    let mut folders: Vec<PathBuf> =
        crates.map(|name| Path::new("../crates").join(name).join("src")).into();
    let (mut looked_at, mut found) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            looked_at += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            // `std::time::Instant` is disallowed as well, in `clippy.toml`: all timers are tokio's.
            if code.contains("SystemTime") || code.contains("UNIX_EPOCH") {
                found.push(path.strip_prefix("../crates").unwrap().display().to_string());
            }
        }
    }
    assert!(looked_at >= 100, "{looked_at} files");
    found.sort();
    let known: Vec<&str> = WALL_CLOCK.iter().map(|(file, _)| *file).collect();
    assert_eq!(found, known, "say in WALL_CLOCK why it moves no timer");
}
