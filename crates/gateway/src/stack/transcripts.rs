//! Layers as transcripts: what each sends down, when, and what it says to what comes back up. Time is
//! paused, so waits are exact and cost nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Response, StatusCode};
use limits::{Budget, CALLER_REPEATS_MIN};
use settings::Config;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{BoxError, Layer, ServiceExt};
use tower_test::mock;

use crate::error::Error;
use crate::layer::call::{Attempt, Behalf};
use crate::layer::{Answering, Around, Below, Stage, Tower, bottom, layer};
use crate::line::Line;
use crate::line::retry::{Refused, Retry};
use crate::state::State;

const CONFIG: &str = r#"
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:9"
pages_in_flight_max = PAGES
MORE
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
"#;

/// How long a list waits for its turn.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// A gateway whose lists read so many pages at a time.
pub(super) fn state(pages_in_flight_max: u32) -> State {
    state_with(pages_in_flight_max, "")
}

/// The same with more TOML in the upstream's table.
pub(super) fn state_with(pages_in_flight_max: u32, more: &str) -> State {
    let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-key")));
    let config = CONFIG.replace("PAGES", &pages_in_flight_max.to_string()).replace("MORE", more);
    let config = Config::parse(&config, "t.toml", &env).unwrap();
    State::new(config, crate::Surroundings::default()).unwrap()
}

pub(super) fn line(state: &State) -> &Line {
    &state.callers.all()[0].line
}

fn attempt(deadline: Duration) -> Attempt {
    Attempt {
        target: PathAndQuery::from_static("/"),
        accept: "application/json",
        if_none_match: None,
        deadline: Instant::now() + deadline,
        behalf: Behalf::default(),
    }
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response<Bytes> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Bytes::new()).unwrap()
}

/// The error that a test sent for an answer.
pub(super) fn sent(error: BoxError) -> Error {
    *error.downcast::<Error>().unwrap()
}

type Retrying = mock::Spawn<Stage<Attempt, Response<Bytes>>>;

/// The layer that repeats, as the line of the caller has it.
fn retrying(state: &State) -> (Retrying, mock::Handle<Attempt, Response<Bytes>>) {
    let line = line(state);
    let retry = layer(Retry {
        upstream: Arc::clone(&line.upstream),
        pause: Arc::clone(&line.pause),
        pace: line.pace.clone(),
        repeats: Budget::new(CALLER_REPEATS_MIN),
        commons: state.commons.clone(),
        refused: Refused::default(),
        metrics: state.metrics.clone(),
    });
    mock::spawn_with(|below: mock::Mock<_, _>| Stage::new(retry.layer(Tower(below.map_err(sent)))))
}

#[tokio::test(start_paused = true)]
async fn h01_a_429_is_repeated_no_sooner_than_the_upstream_said() {
    let state = state(3);
    let (mut retrying, mut handle) = retrying(&state);
    assert_ready_ok!(retrying.poll_ready());
    let started = Instant::now();
    let mut call = task::spawn(retrying.call(attempt(Duration::from_secs(25))));
    assert_pending!(call.poll());
    let (_, send) = handle.next_request().await.unwrap();
    send.send_response(answer(429, &[("retry-after", "2")]));
    assert_pending!(call.poll());
    tokio::time::sleep(Duration::from_millis(1999)).await;
    assert_pending!(call.poll());
    assert_pending!(handle.poll_request());
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_pending!(call.poll());
    let (_, send) = handle.next_request().await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));
    send.send_response(answer(200, &[]));
    assert_eq!(assert_ready_ok!(call.poll()).status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn h04_a_first_429_without_a_time_holds_others_for_a_moment_and_a_second_one_for_all_of_it() {
    // Waits are drawn by chance.
    for _ in 0..30 {
        let state = state(3);
        let (mut retrying, mut handle) = retrying(&state);
        let pause = &line(&state).pause;
        assert_ready_ok!(retrying.poll_ready());
        let call = tokio::spawn(retrying.call(attempt(Duration::from_secs(25))));
        let mut held = Vec::new();
        for _ in 0..2 {
            handle.next_request().await.unwrap().1.send_response(answer(429, &[]));
            let met = Instant::now();
            tokio::task::yield_now().await;
            held.push((met, pause.until().unwrap_or(met)));
        }
        let (first, until) = held[0];
        assert!(until - first <= Duration::from_millis(50), "{:?}", until - first);
        // The others wait as long as it does itself; a timer is right to the millisecond.
        handle.next_request().await.unwrap().1.send_response(answer(200, &[]));
        let over = Instant::now() - held[1].1;
        assert!(over <= Duration::from_millis(2), "{over:?} after the pause");
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn h04_many_429_without_a_time_at_once_hold_others_for_all_of_it() {
    let mut longest = Duration::ZERO;
    for _ in 0..30 {
        let state = state(3);
        let (mut retrying, mut handle) = retrying(&state);
        let pause = &line(&state).pause;
        handle.allow(4);
        let mut calls = Vec::new();
        for _ in 0..4 {
            assert_ready_ok!(retrying.poll_ready());
            calls.push(tokio::spawn(retrying.call(attempt(Duration::from_secs(25)))));
        }
        let mut asked = Vec::new();
        for _ in 0..4 {
            asked.push(handle.next_request().await.unwrap().1);
        }
        let met = Instant::now();
        let mut held = Vec::new();
        for send in asked {
            send.send_response(answer(429, &[]));
            tokio::task::yield_now().await;
            held.push(pause.until().map_or(Duration::ZERO, |until| until - met));
        }
        assert!(held[1] <= Duration::from_millis(50), "{held:?} after two of four");
        longest = longest.max(held[3]);
    }
    // Each is drawn from a quarter of a second: thirty times two are not all below a fifth of it.
    assert!(longest > Duration::from_millis(50), "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_429_every_page_of_the_caller_waits() {
    let state = state(3);
    let (mut retrying, mut handle) = retrying(&state);
    line(&state).pause.extend(Instant::now() + Duration::from_secs(3));
    assert_ready_ok!(retrying.poll_ready());
    let mut call = task::spawn(retrying.call(attempt(Duration::from_secs(25))));
    assert_pending!(call.poll());
    assert_pending!(handle.poll_request());
    tokio::time::sleep(Duration::from_millis(3001)).await;
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response(answer(200, &[]));
    assert_ready_ok!(call.poll());
}

#[tokio::test(start_paused = true)]
async fn g08_a_wait_that_does_not_fit_is_told_to_the_client_at_once() {
    for (wait, deadline) in [("120", 25), ("20", 10)] {
        let state = state(3);
        let (mut retrying, mut handle) = retrying(&state);
        assert_ready_ok!(retrying.poll_ready());
        let deadline = Duration::from_secs(deadline);
        let mut call = task::spawn(retrying.call(attempt(deadline)));
        assert_pending!(call.poll());
        let (_, send) = handle.next_request().await.unwrap();
        send.send_response(answer(429, &[("retry-after", wait)]));
        let told = Duration::from_secs(wait.parse().unwrap());
        let failed = assert_ready_err!(call.poll());
        assert_eq!(failed, Error::RateLimited { retry_after: told });
        // The next page does not even ask: the upstream has said when.
        let mut next = task::spawn(retrying.call(attempt(deadline)));
        let failed = assert_ready_err!(next.poll());
        assert!(matches!(failed, Error::RateLimited { retry_after } if retry_after >= deadline));
        assert_pending!(handle.poll_request());
    }
}

#[tokio::test(start_paused = true)]
async fn h05_a_failing_upstream_is_asked_three_times_and_then_named() {
    for (status, slug) in [(500, "upstream_5xx"), (503, "upstream_unavailable")] {
        let state = state(3);
        let (mut retrying, mut handle) = retrying(&state);
        assert_ready_ok!(retrying.poll_ready());
        let attempt = attempt(Duration::from_secs(25));
        let call = tokio::spawn(retrying.call(attempt));
        for _ in 0..3 {
            handle.next_request().await.unwrap().1.send_response(answer(status, &[]));
        }
        let failed = call.await.unwrap().unwrap_err();
        assert_eq!(failed.slug(), slug);
    }
}

#[tokio::test(start_paused = true)]
async fn h06_a_refusal_is_not_repeated() {
    for status in [400, 401, 403, 404, 406, 409, 422, 501, 505] {
        let state = state(3);
        let (mut retrying, mut handle) = retrying(&state);
        assert_ready_ok!(retrying.poll_ready());
        let attempt = attempt(Duration::from_secs(25));
        let mut call = task::spawn(retrying.call(attempt));
        assert_pending!(call.poll());
        handle.next_request().await.unwrap().1.send_response(answer(status, &[]));
        assert_eq!(assert_ready_ok!(call.poll()).status().as_u16(), status);
    }
}

#[tokio::test]
async fn a_layer_asks_twice_where_there_is_one_place() {
    // The classic mistake: poll one clone for readiness, call another; over a limit of one place that is a
    // deadlock.
    let below = bottom(Places(Semaphore::new(1)));
    let service = Stage::new(layer(Twice).layer(below));
    for _ in 0..3 {
        assert_eq!(assert_ready_ok!(task::spawn(service.ask(1)).poll()), 3);
    }
}

/// Asks twice.
struct Twice;

impl<S: Below<u32, u32>> Around<S, u32> for Twice {
    type Response = u32;

    fn call<'a>(&'a self, inner: &'a S, n: u32) -> Answering<'a, u32> {
        Box::pin(async move {
            let n = inner.ask(n).await?;
            inner.ask(n).await
        })
    }
}

/// Adds one, with a place for each request.
struct Places(Semaphore);

impl Around<(), u32> for Places {
    type Response = u32;

    fn call<'a>(&'a self, (): &'a (), n: u32) -> Answering<'a, u32> {
        Box::pin(async move {
            let _place = self.0.acquire().await.map_err(|_| Error::Internal)?;
            Ok(n + 1)
        })
    }
}
