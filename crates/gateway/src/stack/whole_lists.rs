//! Lists as transcripts: which pages are asked for and when, in whatever order they come back. Time is paused.

use std::sync::Arc;
use std::time::Duration;

use domain::listing::{Listing, Which};
use domain::plan::Resolved;
use domain::sweep::{Failure, Rows, Window};
use limits::{Admission, Queue};
use tokio::time::Instant;
use tokio_test::task;
use tower::{Layer, ServiceExt};
use tower_test::mock;

use super::transcripts::{WAIT, line, sent, state};
use crate::error::Error;
use crate::layer::call::{Ask, Behalf, ListCall, Listed, PageCall, PageRead, RowsAsk};
use crate::layer::{Stage, Tower, layer};
use crate::list::expected::Tags;
use crate::list::fan_out::FanOut;
use crate::state::State;

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
        pace: line.pace.clone(),
        turns: Arc::new(Admission::new(Queue { in_flight_max: 1, queued_max: 1, wait_max: WAIT })),
        share: line.share.clone(),
        wait_max: WAIT,
        tags: Tags::new(Duration::from_secs(300)),
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
    let ask = Ask::Rows(Arc::new(RowsAsk { lists: endpoint.lists(), quirks, plan }));
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

/// The layer, after the caller has read a list of so many rows.
async fn read_before(state: &State, rows: u64) -> (Stage<ListCall, Listed>, Pages) {
    line(state).upstream.set_paging_proven(true);
    let (lists, mut pages) = lists(state);
    read(&lists, &mut pages, rows).await;
    (lists, pages)
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
        let (lists, mut pages) = read_before(&state, 250).await;
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
    let (lists, mut pages) = read_before(&state, 250).await;
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
    let (lists, mut pages) = read_before(&state, 250).await;
    let list = tokio::spawn(lists.clone().oneshot(everyone()));
    let mut asked = at_once(&mut pages, 3).await;
    asked.remove(0).1.send_error(Error::UpstreamFailed { status: 500 });
    assert_eq!(list.await.unwrap().unwrap_err(), Error::UpstreamFailed { status: 500 });
}

#[tokio::test(start_paused = true)]
async fn pages_that_a_shorter_list_does_not_reach_hold_no_bytes() {
    let state = state(3);
    let share = line(&state).share.clone();
    let (lists, mut pages) = read_before(&state, 290).await;
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
    let (lists, mut pages) = read_before(&state, 250).await;
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
    PageRead { rows: rows.into(), found: Default::default(), is_unchanged: false }
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
    let bytes: Vec<u8> = listed.list.parts.iter().flat_map(|part| part.to_vec()).collect();
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
