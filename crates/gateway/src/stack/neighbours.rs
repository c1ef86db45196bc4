//! Many questions of one caller at once, as transcripts of the layers that make lists: which pages are asked
//! for, when, and for whom. Time is paused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::legacy::{Planned, endpoint_at};
use domain::listing::{Listing, Which};
use domain::params::Params;
use domain::plan::Resolved;
use domain::quirks::Quirks;
use domain::sweep::{List, Rows, Window};
use http::Response;
use limits::{Admission, Queue, Room, Share};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::{BoxError, Layer, ServiceExt};
use tower_test::mock;

use super::transcripts::{state, state_with};
use crate::error::Error;
use crate::layer::call::{
    Ask, Askers, Attempt, Behalf, ListCall, Listed, PageCall, PageRead, RowsAsk,
};
use crate::layer::{Below, Stage, Tower, layer};
use crate::list::exchange::Exchange;
use crate::list::expected::Tags;
use crate::list::fan_out::FanOut;
use crate::list::gather::Gather;
use crate::list::plausible::Plausible;
use crate::state::State;

const WAIT: Duration = Duration::from_secs(10);
/// How long a question may take.
const DEADLINE: Duration = Duration::from_secs(25);

/// One caller's lists, whose pages the test answers.
struct Lists {
    lists: Stage<ListCall, Listed>,
    pages: mock::Handle<PageCall, PageRead>,
    room: Room,
    share: Share,
}

impl Lists {
    /// With so many turns and so many bytes.
    fn new(turns: usize, bytes_max: u64) -> Self {
        Lists::over(&state(8), turns, bytes_max)
    }

    fn over(state: &State, turns: usize, bytes_max: u64) -> Self {
        let line = &state.callers.all()[0].line;
        line.upstream.set_paging_proven(true);
        let (below, pages) = mock::pair::<PageCall, PageRead>();
        let queue = Queue { in_flight_max: turns, queued_max: 2, wait_max: WAIT };
        let (turns, room) = (Arc::new(Admission::new(queue)), Room::new(bytes_max));
        let share = room.share(bytes_max);
        let gather = layer(Gather {
            upstream: Arc::clone(&line.upstream),
            turns: Arc::clone(&turns),
            open: Default::default(),
            wait_max: WAIT,
            metrics: state.metrics.clone(),
        });
        let fan_out = layer(FanOut {
            upstream: Arc::clone(&line.upstream),
            pause: Arc::clone(&line.pause),
            pace: line.pace.clone(),
            turns,
            share: share.clone(),
            wait_max: WAIT,
            tags: Tags::new(Duration::from_secs(300)),
            lengths: Default::default(),
            metrics: state.metrics.clone(),
        });
        let below = below.map_err(|error: BoxError| *error.downcast::<Error>().unwrap());
        Lists { lists: Stage::new(gather.layer(fan_out.layer(Tower(below)))), pages, room, share }
    }

    /// Asks, and lets everybody come as far as they can.
    async fn ask(&self, query: &str) -> JoinHandle<Result<String, Error>> {
        let ask = Ask::Rows(asked(query));
        let deadline = Instant::now() + DEADLINE;
        let call = ListCall::new(Listing::Users(Which::Live), ask, deadline, Behalf::default());
        let lists = self.lists.clone();
        let asked = tokio::spawn(async move { text(lists.ask(call).await) });
        tokio::task::yield_now().await;
        asked
    }

    /// Asks questions that share a reading, because all of them wait for the turn of another one.
    async fn ask_together(&mut self, queries: &[&str]) -> Vec<JoinHandle<Result<String, Error>>> {
        let busy = self.ask("id=800000").await;
        let (page, send) = self.next().await;
        let mut asked = Vec::new();
        for query in queries {
            asked.push(self.ask(query).await);
        }
        send.send_response(page_of(&page, 1));
        assert!(busy.await.unwrap().is_ok());
        asked
    }

    /// The next page that is asked for.
    async fn next(&mut self) -> (PageCall, mock::SendResponse<PageRead>) {
        let page = tokio::time::timeout(Duration::from_secs(100), self.pages.next_request());
        page.await.expect("a page is asked for").unwrap()
    }

    /// Answers every page that is asked for with users 0, 1, 2 .. until none is; how many that were.
    async fn answer(&mut self, total: u64) -> usize {
        for answered in 0.. {
            let page = tokio::time::timeout(Duration::from_millis(1), self.pages.next_request());
            let Ok(Some((call, send))) = page.await else { return answered };
            send.send_response(page_of(&call, total));
        }
        unreachable!()
    }
}

/// A question to v1 users.
fn asked(query: &str) -> Arc<RowsAsk> {
    let (endpoint, quirks) =
        (endpoint_at("/api/user_management/v1/users").unwrap(), Arc::new(Quirks::default()));
    let Planned::Ask(plan) = endpoint.plan(Params::parse(query), &quirks) else { panic!() };
    let Resolved::Ask(plan) = plan.resolve(Vec::new()) else { panic!() };
    Arc::new(RowsAsk { lists: endpoint.lists(), quirks, plan })
}

/// A page of users 0, 1, 2 .., each shown to the questions that ask for its id or for everyone.
fn page_of(call: &PageCall, total: u64) -> PageRead {
    let Window { offset, limit } = call.window;
    let asks = match (&call.list.audience, &call.list.ask) {
        (Some(audience), _) => audience.questions(),
        (None, Ask::Rows(ask)) => vec![Some(Arc::clone(ask))],
        _ => unreachable!("only rows are asked for here"),
    };
    let mut rows = Rows { total, views: asks.len() as u32, ..Rows::default() };
    for id in offset..total.min(offset + u64::from(limit)) {
        for (view, ask) in (0..).zip(&asks) {
            let fits = |ask: &RowsAsk| ask.plan.filter.id().is_none_or(|wanted| wanted == id);
            if ask.as_deref().is_some_and(fits) {
                rows.bytes.extend_from_slice(format!(",{id}").as_bytes());
                rows.show(view, Default::default());
            }
        }
        rows.push(id, id);
    }
    PageRead { rows: rows.into(), found: Default::default(), is_unchanged: false }
}

fn text(listed: Result<Listed, Error>) -> Result<String, Error> {
    let parts = listed?.list.parts;
    let bytes = parts.iter().flat_map(|part| part.to_vec()).collect();
    Ok(String::from_utf8(bytes).unwrap())
}

#[tokio::test(start_paused = true)]
async fn n03_different_questions_that_wait_for_the_same_list_share_one_reading() {
    let mut lists = Lists::new(1, 1 << 30);
    let asked = lists.ask_together(&["id=900001", "id=7", "", "timezone=Berlin"]).await;
    // The first page is asked for: what it says may be older than this one, which waits for another reading.
    let (page, send) = lists.next().await;
    let late = lists.ask("id=499").await;
    send.send_response(page_of(&page, 500));
    // The rest of the first reading, 6 pages in all, and the whole second one.
    assert_eq!(lists.answer(500).await, 5 + 6);
    let everyone: String = (0..500).map(|id| format!(",{id}")).collect();
    for (asked, expected) in asked.into_iter().zip(["", ",7", &everyone, &everyone]) {
        assert_eq!(asked.await.unwrap().as_deref(), Ok(expected));
    }
    assert_eq!(late.await.unwrap().as_deref(), Ok(",499"));
}

#[tokio::test(start_paused = true)]
async fn n03_a_question_for_one_user_is_answered_by_the_page_that_has_it() {
    let mut lists = Lists::new(1, 1 << 30);
    let mut asked = lists.ask_together(&["id=7", "id=900000"]).await;
    let (page, send) = lists.next().await;
    // A row that the page repeats is one.
    let mut page = page_of(&page, 500);
    let rows = Arc::make_mut(&mut page.rows);
    rows.bytes.extend_from_slice(b",7");
    rows.show(0, Default::default());
    rows.push(7, 7);
    send.send_response(page);
    let (nobody, one) = (asked.pop().unwrap(), asked.pop().unwrap());
    assert_eq!(one.await.unwrap().as_deref(), Ok(",7"));
    assert!(!nobody.is_finished());
    // The one who began it has its answer; the reading goes on for the other one.
    assert_eq!(lists.answer(500).await, 5);
    assert_eq!(nobody.await.unwrap().as_deref(), Ok(""));
    // Where every user is found, the rest is not read.
    let one = lists.ask("id=7").await;
    assert_eq!(lists.answer(500).await, 1);
    assert_eq!(one.await.unwrap().as_deref(), Ok(",7"));
}

#[tokio::test(start_paused = true)]
async fn n03_an_error_is_told_to_all_and_the_next_question_reads_anew() {
    let mut lists = Lists::new(1, 1 << 30);
    let asked = lists.ask_together(&["id=1", "id=2"]).await;
    lists.next().await.1.send_error(Error::UpstreamFailed { status: 500 });
    for asked in asked {
        assert_eq!(asked.await.unwrap(), Err(Error::UpstreamFailed { status: 500 }));
    }
    let next = lists.ask("id=1").await;
    assert_eq!(lists.answer(50).await, 1);
    assert_eq!(next.await.unwrap().as_deref(), Ok(",1"));
}

#[tokio::test(start_paused = true)]
async fn n06_a_shared_reading_goes_on_while_somebody_waits_and_ends_when_nobody_does() {
    let mut lists = Lists::new(1, 1 << 30);
    let mut asked = lists.ask_together(&["id=900000", "id=900001"]).await;
    let (second, first) = (asked.pop().unwrap(), asked.pop().unwrap());
    let (page, send) = lists.next().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    send.send_response(page_of(&page, 500));
    let (page, send) = lists.next().await;
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    tokio::time::sleep(Duration::from_secs(1)).await;
    send.send_response(page_of(&page, 500));
    // Its turn is free again. Its other four pages were asked for before.
    let next = lists.ask("").await;
    assert_eq!(lists.answer(500).await, 4 + 6);
    assert!(next.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn n02_long_lists_take_turns_in_the_order_in_which_they_came_and_no_more_than_so_many_wait() {
    let mut lists = Lists::new(1, 1 << 30);
    // Each of them is another list upstream, so none can share. The first page is had at once.
    let (mut asked, mut held) = (Vec::new(), Vec::new());
    for number in 0..4 {
        asked.push(lists.ask(&format!("email={number}")).await);
        let (page, send) = lists.next().await;
        assert_eq!(page.window.offset, 0);
        send.send_response(page_of(&page, 500));
        if number == 0 {
            // It has the turn: its other five pages are asked for.
            for _ in 0..5 {
                held.push(lists.next().await);
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Two wait, and the last one is told at once.
    assert_eq!(asked.pop().unwrap().await.unwrap(), Err(Error::TenantLimit));
    for (number, asked) in asked.into_iter().enumerate() {
        for (page, send) in held.drain(..) {
            let Ask::Rows(ask) = &page.list.ask else { panic!() };
            let email = ask.plan.filter.pushdown(domain::plan::TextOf::Email);
            assert_eq!(email, Some(&*number.to_string()), "one list after another");
            send.send_response(page_of(&page, 500));
        }
        assert!(asked.await.unwrap().is_ok());
        for _ in 0..if number < 2 { 5 } else { 0 } {
            held.push(lists.next().await);
        }
    }
    // A list of one page needs no turn, and a list that has waited half of its time is refused.
    let long = lists.ask("email=long").await;
    let (page, send) = lists.next().await;
    send.send_response(page_of(&page, 500));
    let held = [lists.next().await, lists.next().await, lists.next().await];
    let held = (held, [lists.next().await, lists.next().await]);
    let (short, waits) = (lists.ask("email=short").await, lists.ask("email=waits").await);
    for total in [50, 500] {
        let (page, send) = lists.next().await;
        send.send_response(page_of(&page, total));
    }
    assert!(short.await.unwrap().is_ok());
    let began = Instant::now();
    assert_eq!(waits.await.unwrap(), Err(Error::TenantLimit));
    assert!(began.elapsed() <= WAIT);
    drop((long, held));
}

#[tokio::test(start_paused = true)]
async fn n01_lists_that_hold_what_they_may_wait_and_the_oldest_goes_on() {
    // A page of a hundred users holds about 2 KiB here.
    let mut lists = Lists::new(2, 6 << 10);
    let (first, second) = (lists.ask("email=1").await, lists.ask("email=2").await);
    let mut order = Vec::new();
    let mut pages = 0;
    while pages < 2 * 31 {
        let (page, send) = lists.next().await;
        let Ask::Rows(ask) = &page.list.ask else { panic!() };
        let email = ask.plan.filter.pushdown(domain::plan::TextOf::Email).unwrap().to_owned();
        send.send_response(page_of(&page, 3000));
        order.push(email);
        pages += 1;
    }
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    let last_of_first = order.iter().rposition(|email| email == "1").unwrap();
    let of_second = order[..last_of_first].iter().filter(|email| *email == "2").count();
    assert!(of_second <= 9, "the second list read {of_second} pages while there was no room");
}

#[tokio::test(start_paused = true)]
async fn n05_answers_that_nobody_takes_let_no_list_begin() {
    let mut lists = Lists::new(1, 1 << 20);
    let answers = lists.room.share(1 << 20).lend(1 << 20);
    // The share is another one, the room is the same: 503, and at once.
    assert_eq!(lists.ask("email=1").await.await.unwrap(), Err(Error::Overloaded));
    drop(answers);
    let asked = lists.ask("email=1").await;
    assert_eq!(lists.answer(50).await, 1);
    assert!(asked.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn n01_questions_whose_answers_are_too_large_together_are_refused_the_latest_first() {
    let mut lists = Lists::new(1, 20 << 10);
    let asked = lists.ask_together(&["timezone=Berlin"; 16]).await;
    lists.answer(3000).await;
    let mut answered = Vec::new();
    for asked in asked {
        answered.push(asked.await.unwrap());
    }
    let (first, last) = (&answered[0], &answered[15]);
    assert_eq!(
        first.as_ref().map(String::len),
        Ok((0..3000).map(|id| format!(",{id}").len()).sum())
    );
    assert_eq!(*last, Err(Error::TenantLimit));
    assert!(answered.is_sorted_by_key(Result::is_err), "the latest first");
}

#[tokio::test(start_paused = true)]
async fn n01_a_question_that_holds_little_is_answered_beside_one_that_holds_too_much() {
    let mut lists = Lists::new(1, 20 << 10);
    let asked = lists.ask_together(&["timezone=Berlin", "id=2999", "", "id=900000"]).await;
    lists.answer(3000).await;
    let mut answered = Vec::new();
    for asked in asked {
        answered.push(asked.await.unwrap().map(|text| text.len()));
    }
    let everyone = (0..3000).map(|id| format!(",{id}").len()).sum();
    assert_eq!(answered, [Ok(everyone), Ok(5), Err(Error::TenantLimit), Ok(0)]);
    assert_eq!(lists.share.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn n01_a_list_that_waits_for_its_turn_counts_with_its_first_page() {
    // Two first pages of 3 KiB leave room for no third one, although another list may still wait.
    let mut lists = Lists::new(1, 7 << 10);
    let mut asked = Vec::new();
    for number in 0..3 {
        asked.push(lists.ask(&format!("email={number}")).await);
    }
    let first_pages = [lists.next().await, lists.next().await, lists.next().await];
    for (page, send) in first_pages {
        // The first one has the turn; its other pages are not answered.
        send.send_response(page_of(&page, 500));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(asked.pop().unwrap().await.unwrap(), Err(Error::TenantLimit));
    assert!(asked.iter().all(|asked| !asked.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn n02_a_question_waits_for_a_turn_as_long_as_it_would_alone() {
    let mut lists = Lists::new(1, 1 << 30);
    let busy = lists.ask("id=800000").await;
    let (page, send) = lists.next().await;
    let began = Instant::now();
    let first = lists.ask("id=1").await;
    tokio::time::sleep(WAIT / 2).await;
    let second = lists.ask("id=2").await;
    assert_eq!(first.await.unwrap(), Err(Error::TenantLimit));
    assert_eq!(began.elapsed().as_secs(), WAIT.as_secs());
    assert!(!second.is_finished());
    send.send_response(page_of(&page, 1));
    assert!(busy.await.unwrap().is_ok());
    assert_eq!(lists.answer(50).await, 1);
    assert_eq!(second.await.unwrap().as_deref(), Ok(",2"));
}

#[tokio::test(start_paused = true)]
async fn n02_of_those_who_share_a_reading_each_has_its_own_deadline() {
    let mut lists = Lists::over(&state_with(8, "requests_per_minute_max = 5"), 1, 1 << 30);
    let busy = lists.ask("id=800000").await;
    let (page, send) = lists.next().await;
    let early = lists.ask("timezone=Berlin").await;
    tokio::time::sleep(WAIT - Duration::from_secs(1)).await;
    let (late, one) = (lists.ask("timezone=Paris").await, lists.ask("id=399").await);
    send.send_response(page_of(&page, 1));
    assert!(busy.await.unwrap().is_ok());
    // Four more pages take 21 s at this pace. The early one has 16 s left, the others have 25 s.
    assert_eq!(lists.answer(400).await, 5);
    let early = early.await.unwrap();
    assert!(matches!(early, Err(Error::RateLimited { .. })), "{early:?}");
    assert!(late.await.unwrap().is_ok());
    assert_eq!(one.await.unwrap().as_deref(), Ok(",399"));
}

#[tokio::test(start_paused = true)]
async fn n01_a_list_that_is_read_once_more_holds_nothing_meanwhile() {
    let state = state(8);
    let line = &state.callers.all()[0].line;
    let (below, mut lists) = mock::pair::<ListCall, Listed>();
    let plausible = layer(Plausible {
        caller: "crm".into(),
        upstream: Arc::clone(&line.upstream),
        last: [(Which::Live, 100)].into_iter().collect::<HashMap<_, _>>().into(),
        metrics: state.metrics.clone(),
    });
    let below = below.map_err(|error: BoxError| *error.downcast::<Error>().unwrap());
    let (ask, deadline) = (Ask::Items, Instant::now() + DEADLINE);
    let call = ListCall::new(Listing::Users(Which::Live), ask, deadline, Behalf::default());
    let plausible = Stage::new(plausible.layer(Tower(below)));
    let asked = tokio::spawn(async move { plausible.ask(call).await });
    let share = Room::new(1 << 20).share(1 << 20);
    for (read, held) in [(10, 0), (100, 0)] {
        let (_, send) = lists.next_request().await.unwrap();
        assert_eq!(share.held(), held);
        let list = List { read, documented: u64::MAX, ..List::default() };
        let holding = Some(Arc::new(share.holding(1000)));
        send.send_response(Listed { list, holding, ..Listed::default() });
    }
    assert_eq!(asked.await.unwrap().unwrap().list.read, 100);
}

#[test]
fn c09_a_page_that_many_questions_share_is_read_aside() {
    // One thread reads pages aside, and the test keeps it busy: so no page that is read aside is there at once.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(pages_of_many_questions());
}

async fn pages_of_many_questions() {
    let state = state(8);
    let caller = &state.callers.all()[0];
    let body =
        format!("{{\"users\":[],\"metadata\":{{\"total\":0}},\"pad\":\"{}\"}}", "x".repeat(60_000));
    let below = tower::service_fn(move |_: Attempt| {
        std::future::ready(Ok(Response::new(Bytes::from(body.clone()))))
    });
    let exchange = layer(Exchange::new(
        Arc::clone(&caller.line.upstream),
        caller.visibility.clone(),
        Arc::clone(&caller.line.key),
        None,
        state.metrics.clone(),
    ));
    let exchange = Stage::new(exchange.layer(Tower(below)));
    for (questions, is_aside) in [(1, false), (8, false), (9, true), (500, true)] {
        let deadline = Instant::now() + DEADLINE;
        let audience = Arc::<Askers>::default();
        let ask = asked("id=7");
        let _told = Vec::from_iter((0..questions).map(|_| audience.join(&ask, deadline)));
        let listing = Listing::Users(Which::Live);
        let mut list = ListCall::new(listing, Ask::Rows(ask), deadline, Behalf::default());
        list.audience = Some(audience);
        let window = Window { offset: 0, limit: 100 };
        let page = PageCall { list: Arc::new(list), window, is_read_anew: false };
        let (free, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv().is_err());
        let mut read = exchange.ask(page);
        let at_once = futures_util::poll!(&mut read);
        assert_eq!(at_once.is_pending(), is_aside, "{questions} questions");
        drop(free);
        assert!(busy.await.unwrap());
        if is_aside {
            read.await.unwrap();
        }
    }
}
