//! Pages that are kept, between the layer that asks for them and an upstream that says what a test wants.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::listing::{Listing, Which};
use domain::sweep::Window;
use http::header::ETAG;
use http::{HeaderValue, Response};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};
use tower_test::mock;

use super::transcripts::{sent, state};
use crate::cache::pages::Pages;
use crate::error::Error;
use crate::layer::call::{Ask, Attempt, Behalf, ListCall, PageCall, PageRead};
use crate::layer::{Below, Stage, Tower, layer};
use crate::list::exchange::Exchange;

/// The layer that asks for a page, with pages that are kept and the upstream below it.
struct Asking {
    pages: Arc<Pages>,
    exchange: Stage<PageCall, PageRead>,
    upstream: mock::Handle<Attempt, Response<Bytes>>,
}

impl Asking {
    fn new() -> Asking {
        let state = state(8);
        let caller = &state.callers.all()[0];
        let pages = Pages::new(1 << 20, Duration::from_secs(60));
        let (below, upstream) = mock::pair::<Attempt, Response<Bytes>>();
        let exchange = layer(Exchange::new(
            Arc::clone(&caller.line.upstream),
            caller.visibility.clone(),
            Arc::clone(&caller.line.key),
            Some(Arc::clone(&pages)),
            state.metrics.clone(),
        ));
        let exchange = Stage::new(exchange.layer(Tower(below.map_err(sent))));
        Asking { pages, exchange, upstream }
    }

    /// Asks for the first page of all groups.
    fn ask(&self, is_read_anew: bool) -> tokio::task::JoinHandle<Result<PageRead, Error>> {
        let (users, until) =
            (Listing::Users(Which::Live), Instant::now() + Duration::from_secs(25));
        let list = Arc::new(ListCall::new(users, Ask::Groups, until, Behalf::default()));
        let page = PageCall { list, window: Window { offset: 0, limit: 100 }, is_read_anew };
        let exchange = self.exchange.clone();
        tokio::spawn(async move { exchange.ask(page).await })
    }

    /// The tag with which the page is asked for, and what answers it.
    async fn asked(&mut self) -> (Option<HeaderValue>, mock::SendResponse<Response<Bytes>>) {
        let (attempt, send) = self.upstream.next_request().await.unwrap();
        (attempt.if_none_match, send)
    }
}

fn answer(status: u16, total: u64) -> Response<Bytes> {
    let body = format!("{{\"users\":[],\"metadata\":{{\"total\":{total}}}}}");
    let body = if status == 200 { Bytes::from(body) } else { Bytes::new() };
    Response::builder().status(status).header(ETAG, "\"a\"").body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_304_that_comes_after_a_refusal_gives_no_kept_page() {
    let mut asking = Asking::new();
    let first = asking.ask(false);
    let (tag, send) = asking.asked().await;
    assert_eq!(tag, None);
    send.send_response(answer(200, 1));
    assert!(!first.await.unwrap().unwrap().is_unchanged);
    let again = asking.ask(false);
    let (tag, send) = asking.asked().await;
    assert_eq!(tag, Some(HeaderValue::from_static("\"a\"")));
    send.send_response(answer(304, 0));
    let read = again.await.unwrap().unwrap();
    assert_eq!((read.rows.total, read.is_unchanged), (1, true));
    // While the upstream thinks, it refuses the caller's other requests.
    let late = asking.ask(false);
    let (tag, send) = asking.asked().await;
    assert!(tag.is_some());
    asking.pages.forget();
    send.send_response(answer(304, 0));
    let (tag, send) = asking.asked().await;
    assert_eq!(tag, None, "it is asked for anew");
    send.send_response(answer(200, 2));
    let read = late.await.unwrap().unwrap();
    assert_eq!((read.rows.total, read.is_unchanged), (2, false));
    // The reading began before the refusal, so it is not kept either.
    let next = asking.ask(false);
    let (tag, send) = asking.asked().await;
    assert_eq!(tag, None);
    send.send_response(answer(304, 0));
    let refused = next.await.unwrap().map(|read| read.rows.total);
    assert_eq!(refused, Err(Error::RefusedCall { status: 304 }));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_must_be_read_anew_is_asked_for_without_its_tag_and_kept() {
    let mut asking = Asking::new();
    for (is_read_anew, has_tag) in [(false, false), (true, false), (false, true)] {
        let page = asking.ask(is_read_anew);
        let (tag, send) = asking.asked().await;
        assert_eq!(tag.is_some(), has_tag);
        send.send_response(answer(if has_tag { 304 } else { 200 }, 7));
        assert_eq!(page.await.unwrap().unwrap().rows.total, 7);
    }
}
