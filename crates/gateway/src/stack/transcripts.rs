//! Layers as transcripts: what each sends down, when, and what it says to what comes back up. Time is
//! paused, so waits are exact and cost nothing.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::listing::{Listing, Which};
use domain::plan::Resolved;
use domain::sweep::{Failure, Rows, Window};
use http::uri::PathAndQuery;
use http::{Response, StatusCode};
use limits::{Admission, Budget, CALLER_REPEATS_MIN, Queue};
use settings::Config;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{BoxError, Layer, ServiceExt};
use tower_test::mock;

use crate::error::Error;
use crate::layer::call::{Ask, Attempt, Behalf, ListCall, Listed, PageCall, PageRead, RowsAsk};
use crate::layer::{Answering, Around, Below, Stage, Tower, bottom, layer};
use crate::line::Line;
use crate::line::retry::Retry;
use crate::list::fan_out::FanOut;
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
const WAIT: Duration = Duration::from_secs(10);

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

fn line(state: &State) -> &Line {
    &state.callers.all()[0].line
}

fn attempt(deadline: Duration) -> Attempt {
    Attempt {
        target: PathAndQuery::from_static("/"),
        accept: "application/json",
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
fn sent(error: BoxError) -> Error {
    *error.downcast::<Error>().unwrap()
}

type Retrying = mock::Spawn<Stage<Attempt, Response<Bytes>>>;

/// The layer that repeats, as the line of the caller has it.
fn retrying(state: &State) -> (Retrying, mock::Handle<Attempt, Response<Bytes>>) {
    let line = line(state);
    let retry = layer(Retry {
        upstream: Arc::clone(&line.upstream),
        pause: Arc::clone(&line.pause),
        repeats: Budget::new(CALLER_REPEATS_MIN),
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

type Pages = mock::Handle<PageCall, PageRead>;

type Reading = tokio::task::JoinHandle<Result<Listed, Error>>;

/// A list of every user, its pages answered by the test.
fn list(state: &State) -> (Reading, Pages) {
    let (lists, handle) = lists(state);
    (tokio::spawn(lists.oneshot(everyone())), handle)
}

/// The layer that reads lists; their pages are answered by the test.
fn lists(state: &State) -> (Stage<ListCall, Listed>, Pages) {
    let (pages, handle) = mock::pair::<PageCall, PageRead>();
    let line = line(state);
    let fan_out = layer(FanOut {
        upstream: Arc::clone(&line.upstream),
        pause: Arc::clone(&line.pause),
        turns: Arc::new(Admission::new(Queue { in_flight_max: 1, queued_max: 1, wait_max: WAIT })),
        share: line.share.clone(),
        wait_max: WAIT,
        lengths: Default::default(),
        metrics: state.metrics.clone(),
    });
    (Stage::new(fan_out.layer(Tower(pages.map_err(sent)))), handle)
}

fn everyone() -> ListCall {
    let endpoint = domain::legacy::ENDPOINTS[0];
    let quirks = Arc::new(domain::quirks::Quirks::default());
    let domain::legacy::Planned::Ask(plan) = endpoint.plan(Default::default(), &quirks) else {
        unreachable!("no parameter, no refusal")
    };
    let Resolved::Ask(plan) = plan.resolve(Vec::new()) else {
        unreachable!("no group, no look-up")
    };
    let ask = Ask::Rows(Arc::new(RowsAsk { lists: endpoint.lists(), quirks, plan: *plan }));
    let deadline = Instant::now() + Duration::from_secs(25);
    ListCall::new(Listing::Users(Which::Live), ask, deadline, Behalf::default())
}

/// Answers pages of a list of so many rows until the list is there; the offsets that were asked for.
async fn read(lists: &Stage<ListCall, Listed>, pages: &mut Pages, total: u64) -> Vec<u64> {
    let mut list = tokio::spawn(lists.clone().oneshot(everyone()));
    let mut offsets = Vec::new();
    loop {
        tokio::select! {
            biased;
            listed = &mut list => {
                assert_eq!(listed.unwrap().unwrap().list.rows, total);
                return offsets;
            }
            Some((request, send)) = pages.next_request() => {
                offsets.push(offset(&request));
                send.send_response(page(request.window, total));
            }
        }
    }
}

/// The offsets of so many pages that are asked for before any is answered, and no more.
async fn at_once(pages: &mut Pages, count: usize) -> Vec<(PageCall, mock::SendResponse<PageRead>)> {
    let mut asked = Vec::new();
    for _ in 0..count {
        asked.push(pages.next_request().await.unwrap());
    }
    assert!(task::spawn(pages.next_request()).poll().is_pending());
    asked
}

#[tokio::test(start_paused = true)]
async fn a_list_is_expected_to_be_as_long_as_the_last_one() {
    let state = state(3);
    line(&state).upstream.set_paging_proven(true);
    let (lists, mut pages) = lists(&state);
    let first = read(&lists, &mut pages, 250).await;
    assert_eq!(first, [0, 99, 198]);
    let list = tokio::spawn(lists.clone().oneshot(everyone()));
    // It has become longer.
    for (request, send) in at_once(&mut pages, 3).await {
        send.send_response(page(request.window, 320));
    }
    let (fourth, send) = pages.next_request().await.unwrap();
    assert_eq!(offset(&fourth), 297);
    send.send_response(page(fourth.window, 320));
    assert_eq!(list.await.unwrap().unwrap().list.rows, 320);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_a_shorter_list_does_not_reach_is_not_waited_for() {
    for fails in [false, true] {
        let state = state(3);
        line(&state).upstream.set_paging_proven(true);
        let (lists, mut pages) = lists(&state);
        read(&lists, &mut pages, 250).await;
        let list = tokio::spawn(lists.clone().oneshot(everyone()));
        let mut asked = at_once(&mut pages, 3).await;
        let (_, beyond) = asked.pop().unwrap();
        let (second, send_second) = asked.pop().unwrap();
        let (first, send_first) = asked.pop().unwrap();
        send_first.send_response(page(first.window, 120));
        tokio::task::yield_now().await;
        let waiting = if fails {
            // Some vendors refuse what lies beyond the end.
            beyond.send_error(Error::RefusedCall { status: 400 });
            None
        } else {
            Some(beyond)
        };
        tokio::task::yield_now().await;
        send_second.send_response(page(second.window, 120));
        let listed = list.await.unwrap().unwrap();
        assert_eq!((listed.list.rows, listed.list.story.restarts), (120, 0));
        drop(waiting);
        assert_eq!(read(&lists, &mut pages, 120).await, [0, 99]);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_expected_after_a_list_that_was_left() {
    let state = state(3);
    line(&state).upstream.set_paging_proven(true);
    let (lists, mut pages) = lists(&state);
    read(&lists, &mut pages, 250).await;
    let left = tokio::spawn(lists.clone().oneshot(everyone()));
    drop(at_once(&mut pages, 3).await.split_off(3));
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    let next = tokio::spawn(lists.clone().oneshot(everyone()));
    let mut first = at_once(&mut pages, 1).await;
    let (request, send) = first.pop().unwrap();
    assert_eq!(offset(&request), 0);
    send.send_response(page(request.window, 50));
    assert_eq!(next.await.unwrap().unwrap().list.rows, 50);
}

#[tokio::test(start_paused = true)]
async fn a_first_page_that_fails_ends_an_expected_list_at_once() {
    let state = state(3);
    line(&state).upstream.set_paging_proven(true);
    let (lists, mut pages) = lists(&state);
    read(&lists, &mut pages, 250).await;
    let list = tokio::spawn(lists.clone().oneshot(everyone()));
    let mut asked = at_once(&mut pages, 3).await;
    asked.remove(0).1.send_error(Error::UpstreamFailed { status: 500 });
    assert_eq!(list.await.unwrap().unwrap_err(), Error::UpstreamFailed { status: 500 });
}

#[tokio::test(start_paused = true)]
async fn pages_that_a_shorter_list_does_not_reach_hold_no_bytes() {
    let state = state(3);
    line(&state).upstream.set_paging_proven(true);
    let share = line(&state).share.clone();
    let (lists, mut pages) = lists(&state);
    read(&lists, &mut pages, 290).await;
    let list = tokio::spawn(lists.clone().oneshot(everyone()));
    let mut asked = at_once(&mut pages, 3).await;
    let (first, send_first) = asked.remove(0);
    let (second, send_second) = asked.remove(0);
    let (third, send_third) = asked.remove(0);
    send_third.send_response(page(third.window, 290));
    tokio::task::yield_now().await;
    let before = share.held();
    assert!(before > 0);
    send_first.send_response(page(first.window, 120));
    tokio::task::yield_now().await;
    // The first page has come in place of the third, which had nearly as many rows.
    assert!(share.held() < before * 3 / 2, "{} after {before}", share.held());
    send_second.send_response(page(second.window, 120));
    assert_eq!(list.await.unwrap().unwrap().list.rows, 120);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_beyond_the_end_that_comes_first_is_no_failure() {
    let state = state(3);
    line(&state).upstream.set_paging_proven(true);
    let (lists, mut pages) = lists(&state);
    read(&lists, &mut pages, 250).await;
    let list = tokio::spawn(lists.clone().oneshot(everyone()));
    let mut asked = at_once(&mut pages, 3).await;
    let (_, beyond) = asked.pop().unwrap();
    beyond.send_error(Error::RefusedCall { status: 404 });
    // Nothing is expected any more.
    let mut first = at_once(&mut pages, 1).await;
    let (request, send) = first.pop().unwrap();
    send.send_response(page(request.window, 50));
    assert_eq!(list.await.unwrap().unwrap().list.rows, 50);
}

/// The rows a list of ids 0, 1, 2 .. has in a window.
fn page(window: Window, total: u64) -> PageRead {
    let mut rows = Rows { total, ..Rows::default() };
    for id in window.offset..total.min(window.offset + u64::from(window.limit)) {
        rows.bytes.extend_from_slice(format!(",{id}").as_bytes());
        rows.push(id, id);
    }
    PageRead { rows, found: Default::default() }
}

fn offset(request: &PageCall) -> u64 {
    request.window.offset
}

#[tokio::test(start_paused = true)]
async fn pages_run_so_many_at_a_time_and_come_out_in_order() {
    let state = state(3);
    line(&state).upstream.set_paging_proven(true);
    let (list, mut pages) = list(&state);
    let (first, send) = pages.next_request().await.unwrap();
    assert_eq!(offset(&first), 0);
    send.send_response(page(first.window, 500));
    let mut waiting = Vec::new();
    for expected in [99, 198, 297] {
        let (request, send) = pages.next_request().await.unwrap();
        assert_eq!(offset(&request), expected);
        waiting.push((request, send));
    }
    // Three are in flight, which is the setting; the last one is answered first.
    assert!(task::spawn(pages.next_request()).poll().is_pending());
    let (request, send) = waiting.pop().unwrap();
    send.send_response(page(request.window, 500));
    let (fifth, fifth_send) = pages.next_request().await.unwrap();
    assert_eq!(offset(&fifth), 396);
    fifth_send.send_response(page(fifth.window, 500));
    for (request, send) in waiting {
        send.send_response(page(request.window, 500));
    }
    let (end, send) = pages.next_request().await.unwrap();
    assert_eq!(offset(&end), 495);
    send.send_response(page(end.window, 500));
    let listed = list.await.unwrap().unwrap();
    assert_eq!((listed.list.rows, listed.list.story.pages), (500, 6));
    let bytes: Vec<u8> = listed
        .list
        .parts
        .iter()
        .flat_map(|(bytes, range)| bytes[range.clone()].iter().copied())
        .collect();
    let expected: String = (0..500).map(|id| format!(",{id}")).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_failing_third_page_fails_the_whole_call() {
    let state = state(3);
    line(&state).upstream.set_paging_proven(true);
    let (list, mut pages) = list(&state);
    let (first, send) = pages.next_request().await.unwrap();
    send.send_response(page(first.window, 300));
    let (second, second_send) = pages.next_request().await.unwrap();
    let (_, third_send) = pages.next_request().await.unwrap();
    second_send.send_response(page(second.window, 300));
    third_send.send_error(Error::UpstreamFailed { status: 500 });
    let failed = list.await.unwrap().unwrap_err();
    assert_eq!(failed, Error::UpstreamFailed { status: 500 });
}

#[tokio::test(start_paused = true)]
async fn f12_an_ignored_offset_is_found_after_two_requests() {
    let state = state(3);
    let (list, mut pages) = list(&state);
    for _ in 0..2 {
        let (request, send) = pages.next_request().await.unwrap();
        send.send_response(page(Window { offset: 0, ..request.window }, 500));
    }
    let failed = list.await.unwrap().unwrap_err();
    assert_eq!(failed, Error::List(Failure::PagingBroken));
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
