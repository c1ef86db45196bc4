//! Which pages are kept, for which questions they are found again, and what drops them. Must never ask an upstream.

use std::sync::Arc;

use domain::legacy::ENDPOINTS;
use domain::legacy::Planned;
use domain::listing::Which;
use domain::params::Params;
use domain::plan::Resolved;
use http::HeaderName;

use super::*;
use crate::layer::call::{Askers, Behalf};

const MAX: Duration = Duration::from_secs(60);

fn headers(values: &[(HeaderName, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        headers.append(name.clone(), HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn only_one_tag_in_the_form_of_the_standard_is_kept() {
    for (value, is_kept) in [
        ("\"abc\"", true),
        ("W/\"abc\"", true),
        ("\"\"", true),
        ("*", false),
        ("abc", false),
        ("w/\"abc\"", false),
        ("\"a\", \"b\"", false),
        ("\"a b\"", false),
        ("\"abc", false),
        ("\"", false),
        ("", false),
    ] {
        let told = tag(&headers(&[(ETAG, value)]));
        assert_eq!(told.is_some(), is_kept, "{value}");
        assert!(told.is_none_or(|told| told == value), "it is sent back as it came");
    }
    assert_eq!(tag(&headers(&[])), None);
    assert_eq!(tag(&headers(&[(ETAG, "\"a\""), (ETAG, "\"a\"")])), None);
    let (fits, too_long) = (format!("\"{}\"", "x".repeat(254)), format!("\"{}\"", "x".repeat(255)));
    for (text, is_kept) in [(fits, true), (too_long, false)] {
        let headers = [(ETAG, HeaderValue::from_str(&text).unwrap())].into_iter().collect();
        assert_eq!(tag(&headers).is_some(), is_kept, "{} bytes", text.len());
    }
    for (control, is_kept) in
        [("max-age=0, private, must-revalidate", true), ("private, No-Store", false)]
    {
        let headers = headers(&[(ETAG, "\"a\""), (CACHE_CONTROL, control)]);
        assert_eq!(tag(&headers).is_some(), is_kept, "{control}");
    }
}

fn rows_of(endpoint: usize, query: &str) -> Ask {
    let (endpoint, quirks) = (ENDPOINTS[endpoint], Arc::default());
    let Planned::Ask(plan) = endpoint.plan(Params::parse(query), &quirks) else {
        unreachable!("it asks for something")
    };
    let Resolved::Ask(plan) = plan.resolve(Vec::new()) else { unreachable!("there is no group") };
    Ask::Rows(Arc::new(RowsAsk { lists: endpoint.lists(), quirks, plan }))
}

fn call(ask: Ask) -> ListCall {
    let until = Instant::now() + MAX;
    ListCall::new(Listing::Users(Which::Live), ask, until, Behalf::default())
}

fn page(bytes: usize) -> PageRead {
    let rows = Rows { bytes: vec![b'x'; bytes], ..Rows::default() };
    PageRead { rows: rows.into(), found: Found::default(), is_unchanged: false }
}

fn asked(pages: &Pages, call: &ListCall, target: &'static str) -> PageQuestion {
    let target = PathAndQuery::from_static(target);
    pages.question(call, &target, pages.generation()).unwrap()
}

fn put(pages: &Pages, question: PageQuestion, bytes: usize) {
    pages.put(question, HeaderValue::from_static("\"a\""), &page(bytes), 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_found_for_the_very_view_it_was_rendered_for() {
    let pages = Pages::new(1 << 20, MAX);
    let plain = call(rows_of(0, ""));
    assert!(!pages.has_any());
    put(&pages, asked(&pages, &plain, "/users?offset=0"), 10);
    // An equal question of another request.
    let found = pages.get(&asked(&pages, &call(rows_of(0, "")), "/users?offset=0")).unwrap();
    assert_eq!((found.rows.bytes.len(), found.again().is_unchanged), (10, true));
    let joined =
        |related: &Arc<Related>| ListCall { related: Arc::clone(related), ..call(rows_of(0, "")) };
    let mut some = Related::default();
    some.add_lacking(Listing::Skills);
    let mut others = Related::default();
    others.add_lacking(Listing::Skills);
    let (some, others) = (Arc::new(some), Arc::new(others));
    let listing = Listing::Users(Which::All);
    for (other, target) in [
        (call(rows_of(0, "")), "/users?offset=99"),
        (call(rows_of(0, "timezone=London")), "/users?offset=0"),
        (call(rows_of(1, "")), "/users?offset=0"),
        (call(Ask::Groups), "/users?offset=0"),
        (call(Ask::Teams), "/users?offset=0"),
        (call(Ask::Items), "/users?offset=0"),
        (ListCall { for_roster: true, ..call(rows_of(0, "")) }, "/users?offset=0"),
        (ListCall { listing, ..call(rows_of(0, "")) }, "/users?offset=0"),
        (joined(&some), "/users?offset=0"),
    ] {
        assert!(pages.get(&asked(&pages, &other, target)).is_none(), "{other:?}");
    }
    // What is joined counts by when it was read, not by what it says.
    put(&pages, asked(&pages, &joined(&some), "/users?offset=0"), 20);
    let found = pages.get(&asked(&pages, &joined(&some), "/users?offset=0")).unwrap();
    assert_eq!(found.rows.bytes.len(), 20);
    assert!(pages.get(&asked(&pages, &joined(&others), "/users?offset=0")).is_none());
}

#[tokio::test(start_paused = true)]
async fn pages_of_several_questions_and_of_background_requests_are_not_kept() {
    let pages = Pages::new(1 << 20, MAX);
    let target = PathAndQuery::from_static("/users");
    let audience = Arc::<Askers>::default();
    let mut shared = call(rows_of(0, ""));
    let Ask::Rows(ask) = &shared.ask else { unreachable!("it asks for rows") };
    let _one = audience.join(ask, Instant::now() + MAX);
    shared.audience = Some(Arc::clone(&audience));
    assert!(pages.question(&shared, &target, 0).is_some());
    let Ask::Rows(ask) = &shared.ask else { unreachable!("it asks for rows") };
    let _other = audience.join(ask, Instant::now() + MAX);
    assert!(pages.question(&shared, &target, 0).is_none());
    let background = ListCall { behalf: Behalf::background(), ..call(rows_of(0, "")) };
    assert!(pages.question(&background, &target, 0).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_believed_from_the_reading_of_its_page_for_so_long_and_no_longer() {
    let pages = Pages::new(1 << 20, MAX);
    let question = || asked(&pages, &call(rows_of(0, "")), "/users");
    put(&pages, question(), 10);
    tokio::time::advance(MAX - Duration::from_secs(1)).await;
    assert!(pages.get(&question()).is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(pages.get(&question()).is_none());
    // A page that has changed is a new one.
    put(&pages, question(), 10);
    assert!(pages.get(&question()).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_forgets_what_is_kept_and_what_is_being_read() {
    let pages = Pages::new(1 << 20, MAX);
    let question = || asked(&pages, &call(rows_of(0, "")), "/users");
    put(&pages, question(), 10);
    let before = question();
    pages.forget();
    assert!(pages.get(&question()).is_none());
    assert!(!pages.is_current(&before) && pages.is_current(&question()));
    put(&pages, before, 10);
    assert!(pages.get(&question()).is_none(), "it was asked for before the refusal");
    put(&pages, question(), 10);
    pages.drop_kept();
    assert!(pages.get(&question()).is_none());
    put(&pages, question(), 10);
    pages.remove(&question());
    assert!(pages.get(&question()).is_none());
}

#[tokio::test(start_paused = true)]
async fn kept_pages_have_no_more_bytes_than_their_share() {
    let pages = Pages::new(20_000, MAX);
    for number in 0..100 {
        let target = PathAndQuery::try_from(format!("/users?offset={number}")).unwrap();
        let question = pages.question(&call(rows_of(0, "")), &target, 0).unwrap();
        put(&pages, question, 1_000);
    }
    let kept = pages.kept.get().unwrap();
    assert!((1..=20_000).contains(&kept.weighted_size()), "{}", kept.weighted_size());
    assert!((1..=13).contains(&kept.entry_count()), "{}", kept.entry_count());
    // One that is larger than all there is goes at once.
    put(&pages, asked(&pages, &call(rows_of(0, "")), "/users"), 30_000);
    assert!(pages.get(&asked(&pages, &call(rows_of(0, "")), "/users")).is_none());
}
