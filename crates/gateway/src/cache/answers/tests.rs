//! Thousands of requests share one reading, also when clients leave or the reading fails. Answers are kept
//! for one caller only.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use domain::legacy::{Planned, endpoint_at};
use domain::params::Params;
use domain::quirks::Quirks;
use domain::sweep::Part;
use futures_util::FutureExt;
use http::HeaderValue;
use tokio::sync::Notify;

use super::*;
use crate::layer::rope::Rope;
use crate::request::coding::Coded;

const NOT_KEPT: Freshness = Freshness {
    fresh_for: Duration::ZERO,
    stale_if_error: Duration::ZERO,
    misses_fresh_for: Duration::from_secs(5),
    own_fresh_for_max: Duration::ZERO,
};
const KEPT: Freshness = Freshness {
    fresh_for: Duration::from_secs(60),
    stale_if_error: Duration::from_secs(600),
    ..NOT_KEPT
};

/// Only an endpoint with a freshness of its own has its answers kept.
const OWN: Freshness = Freshness { own_fresh_for_max: Duration::from_secs(1), ..NOT_KEPT };

/// Enough for each test.
const READINGS: usize = 100;

fn question(query: &str) -> Question {
    let endpoint = endpoint_at("/api/user_management/v1/users").unwrap();
    match endpoint.plan(Params::parse(query), &Quirks::default()) {
        Planned::Ask(plan) => Question::new(endpoint.name(), &plan, None),
        Planned::Nobody { .. } | Planned::Unclear => unreachable!("{query}"),
    }
}

fn whole(bytes: impl Into<Bytes>) -> Whole {
    Whole {
        is_from_elsewhere: false,
        bytes: bytes.into().into(),
        rows: 1,
        etag: HeaderValue::from_static("\"x\""),
        coded: Coded::default(),
        lending: Default::default(),
        story: Default::default(),
        joined_pages: 0,
        since: Instant::now(),
    }
}

/// What a reading gives when it is let go.
#[derive(Default)]
struct Gate {
    readings: AtomicUsize,
    open: Notify,
}

impl Gate {
    async fn read(self: Arc<Self>, bytes: &'static str) -> Result<Whole, Error> {
        self.readings.fetch_add(1, Ordering::SeqCst);
        self.open.notified().await;
        Ok(whole(bytes))
    }
}

/// Ten thousand requests wait for one reading; `leaving` of them leave before it ends.
async fn ten_thousand(leaving: usize) {
    let answers = Answers::new(NOT_KEPT, 1 << 20, 0, READINGS);
    let gate = Arc::<Gate>::default();
    let mut requests = Vec::new();
    for _ in 0..10_000 {
        let (answers, gate) = (Arc::clone(&answers), Arc::clone(&gate));
        requests.push(tokio::spawn(async move {
            answers.get(question(""), false, || Arc::clone(&gate).read("all")).await
        }));
        // Each is under way before the next one comes, so the first is the leader.
        tokio::task::yield_now().await;
    }
    for request in requests.drain(..leaving) {
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
    }
    assert_eq!(gate.readings.load(Ordering::SeqCst), 1);
    gate.open.notify_one();
    let mut first = None;
    for request in requests {
        let given = request.await.unwrap().unwrap();
        // One set of bytes, not copies.
        let bytes = first.get_or_insert(given.whole.bytes.joined().as_ptr());
        assert_eq!(*bytes, given.whole.bytes.joined().as_ptr());
    }
    assert_eq!(gate.readings.load(Ordering::SeqCst), 1);
    assert!(answers.readings().under_way.is_empty());
}

#[tokio::test]
async fn i01_ten_thousand_equal_requests_make_one_reading() {
    ten_thousand(0).await;
}

#[tokio::test]
async fn i02_a_thousand_leaders_that_leave_end_no_reading_and_nothing_panics() {
    ten_thousand(1000).await;
    // And each of a thousand leaves while it is the only one.
    let answers = Answers::new(NOT_KEPT, 1 << 20, 0, READINGS);
    let gate = Arc::<Gate>::default();
    for _ in 0..1000 {
        let leaving = answers.get(question(""), false, || Arc::clone(&gate).read("all"));
        tokio::select! {
            biased;
            _ = leaving => panic!("nothing was let go"),
            () = tokio::task::yield_now() => {}
        }
    }
    gate.open.notify_one();
    let never = || async { Err(Error::Internal) };
    let given = answers.get(question(""), false, never).await.unwrap();
    assert_eq!((given.source, &*given.whole.bytes.joined()), (Source::Shared, &b"all"[..]));
    assert_eq!(gate.readings.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn i04_a_reading_that_panics_is_an_error_to_all_who_wait_and_the_next_one_reads() {
    for freshness in [NOT_KEPT, KEPT] {
        let answers = Answers::new(freshness, 1 << 20, 0, READINGS);
        let open = Arc::new(Notify::new());
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let (answers, open) = (Arc::clone(&answers), Arc::clone(&open));
                tokio::spawn(async move {
                    let read = || async move {
                        open.notified().await;
                        panic!("a reading that panics, on purpose");
                    };
                    answers.get(question("name=a"), false, read).await.map(|_| ())
                })
            })
            .collect();
        tokio::task::yield_now().await;
        open.notify_one();
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Err(Error::Internal));
        }
        assert!(answers.readings().under_way.is_empty());
        let read = || async { Ok(whole("good")) };
        let given = answers.get(question("name=a"), false, read).await.unwrap();
        assert_eq!((given.source, &*given.whole.bytes.joined()), (Source::Read, &b"good"[..]));
    }
}

#[tokio::test]
async fn readings_that_nobody_waits_for_any_more_take_places_as_well() {
    let answers = Answers::new(NOT_KEPT, 1 << 20, 0, 3);
    let gate = Arc::<Gate>::default();
    let ask = |query: &str| {
        let (answers, gate, question) = (Arc::clone(&answers), Arc::clone(&gate), question(query));
        async move { answers.get(question, false, || gate.read("x")).await }
    };
    for query in ["name=a", "name=b", "name=c"] {
        // Asked, and left at once.
        assert!(ask(query).now_or_never().is_none());
    }
    assert!(matches!(ask("name=d").await, Err(Error::TenantLimit)));
    while gate.readings.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    gate.open.notify_waiters();
    while answers.places.available_permits() < 3 {
        tokio::task::yield_now().await;
    }
    let (given, ()) = tokio::join!(ask("name=d"), async {
        gate.open.notify_one();
    });
    assert!(given.is_ok());
}

#[tokio::test]
async fn what_is_dropped_for_its_memory_is_gone_at_once_and_readings_are_still_shared() {
    let answers = Answers::new(KEPT, 1 << 20, 0, READINGS);
    answers.get(question(""), false, || async { Ok(whole("kept")) }).await.unwrap();
    let gate = Arc::<Gate>::default();
    let ask = || answers.get(question("name=a"), false, || Arc::clone(&gate).read("x"));
    let (first, second) = (ask(), async {
        answers.drop_kept();
        assert_eq!(answers.kept.entry_count(), 0);
        gate.open.notify_one();
        ask().await
    });
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.unwrap().source, second.unwrap().source), (Source::Read, Source::Shared));
}

#[tokio::test]
async fn i07_what_is_kept_or_being_read_is_given_to_nobody_after_a_refusal() {
    let answers = Answers::new(KEPT, 1 << 20, 0, READINGS);
    let read = |text: &'static str| move || async move { Ok(whole(text)) };
    answers.get(question(""), false, read("old")).await.unwrap();
    let gate = Arc::<Gate>::default();
    let slow = {
        let (answers, gate) = (Arc::clone(&answers), Arc::clone(&gate));
        tokio::spawn(async move {
            answers.get(question("name=a"), false, || Arc::clone(&gate).read("read before")).await
        })
    };
    while gate.readings.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    answers.forget();
    let given = answers.get(question(""), false, read("new")).await.unwrap();
    assert_eq!((given.source, &*given.whole.bytes.joined()), (Source::Read, &b"new"[..]));
    // Who comes now does not wait for what began before.
    let given = answers.get(question("name=a"), false, read("new")).await.unwrap();
    assert_eq!((given.source, &*given.whole.bytes.joined()), (Source::Read, &b"new"[..]));
    gate.open.notify_one();
    assert_eq!(&*slow.await.unwrap().unwrap().whole.bytes.joined(), b"read before");
    // Nor is it kept, and it ends nothing of what began after it.
    let given = answers.get(question("name=a"), false, read("newer")).await.unwrap();
    assert_eq!((given.source, &*given.whole.bytes.joined()), (Source::Kept, &b"new"[..]));
}

#[tokio::test(start_paused = true)]
async fn i07_a_reading_that_fails_after_a_refusal_is_not_covered_by_an_old_answer() {
    let fresh_for = Duration::from_millis(1);
    let answers = Answers::new(Freshness { fresh_for, ..KEPT }, 1 << 20, 0, READINGS);
    answers.get(question(""), false, || async { Ok(whole("old")) }).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    let down = || async { Err(Error::UpstreamTimeout) };
    let given = answers.get(question(""), false, down).await.unwrap();
    assert_eq!((given.source, &*given.whole.bytes.joined()), (Source::Stale, &b"old"[..]));
    let refuses = Arc::clone(&answers);
    let refused_meanwhile = || async move {
        refuses.forget();
        Err(Error::UpstreamTimeout)
    };
    let given = answers.get(question(""), false, refused_meanwhile).await;
    assert_eq!(given.map(|given| given.source), Err(Error::UpstreamTimeout));
}

#[tokio::test]
async fn i08_a_caller_keeps_no_more_than_its_share_and_long_questions_count() {
    let share = 1 << 20;
    let answers = Answers::new(KEPT, share, 3, READINGS);
    for number in 0..5_000 {
        let question = question(&format!("name={number}-{}", "n".repeat(2000)));
        answers.get(question, false, || async { Ok(whole("[]")) }).await.unwrap();
        assert!(answers.kept.weighted_size() <= share);
    }
    let each = answers.kept.weighted_size() / answers.kept.entry_count();
    assert!(each >= 2000, "{each} bytes for a question of 2000");
    assert!(answers.kept.entry_count() > 100, "{} answers kept", answers.kept.entry_count());
}

#[tokio::test]
async fn i09_an_answer_above_the_share_is_given_and_not_kept() {
    // Twice its plain bytes: that is what it may grow to in three codings.
    for (bytes, source) in [(400 << 10, Source::Kept), (600 << 10, Source::Read)] {
        let answers = Answers::new(KEPT, 1 << 20, 3, READINGS);
        let read = || async move { Ok(whole(vec![b'x'; bytes])) };
        assert_eq!(answers.get(question(""), false, read).await.unwrap().whole.bytes.len(), bytes);
        assert_eq!(answers.get(question(""), false, read).await.unwrap().source, source);
    }
}

#[tokio::test(start_paused = true)]
async fn i12_kept_answers_are_passed_over_once_a_second_at_most() {
    let answers = Answers::new(KEPT, 1 << 20, 0, READINGS);
    let read = || async { Ok(whole("all")) };
    answers.get(question(""), false, read).await.unwrap();
    for second in 0..3 {
        let mut sources = Vec::new();
        for query in ["", "", "name=a", "name=a"] {
            sources.push(answers.get(question(query), true, read).await.unwrap().source);
        }
        // Another question is no way around it.
        let other = if second == 0 { Source::Read } else { Source::Kept };
        assert_eq!(sources, [Source::Read, Source::Kept, other, Source::Kept], "{second}");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn n04_that_no_user_fits_is_believed_for_a_while_where_it_took_a_whole_list() {
    let answers = Answers::new(NOT_KEPT, 1 << 20, 0, READINGS);
    let ask = |query: &str, pages| {
        let (answers, question) = (Arc::clone(&answers), question(query));
        async move {
            let read = || async move {
                let story = domain::sweep::Story { pages, ..Default::default() };
                Ok(Whole { rows: 0, story, ..whole("[]") })
            };
            answers.get(question, false, read).await.unwrap().source
        }
    };
    assert_eq!((ask("id=7", 500).await, ask("id=7", 500).await), (Source::Read, Source::Kept));
    assert_eq!(ask("id=8", 500).await, Source::Read, "another user");
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(ask("id=7", 500).await, Source::Read, "not for long");
    // One page costs little, and that there are no users at all is no answer to a question.
    for (query, pages) in [("email=a", 1), ("", 500)] {
        assert_eq!(
            (ask(query, pages).await, ask(query, pages).await),
            (Source::Read, Source::Read)
        );
    }
    answers.forget();
    assert_eq!(ask("id=7", 500).await, Source::Read, "a refused caller knows nothing");
}

#[tokio::test(start_paused = true)]
async fn n06_a_reading_that_nobody_waits_for_gives_its_place_back_within_a_second() {
    for (freshness, goes_on) in [(NOT_KEPT, false), (KEPT, true)] {
        let answers = Answers::new(freshness, 1 << 20, 0, 1);
        let gate = Arc::<Gate>::default();
        let ask = || answers.get(question("id=7"), false, || Arc::clone(&gate).read("x"));
        assert!(ask().now_or_never().is_none(), "asked, and left at once");
        // An equal question that comes meanwhile keeps it going.
        let waiting = tokio::time::timeout(Duration::from_secs(5), ask());
        assert!(waiting.await.is_err());
        assert_eq!(answers.places.available_permits(), 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(answers.places.available_permits(), usize::from(!goes_on));
        assert_eq!(answers.readings().under_way.len(), usize::from(goes_on));
        gate.open.notify_one();
        assert_eq!(&*ask().await.unwrap().whole.bytes.joined(), b"x");
    }
}

#[tokio::test]
async fn n05_an_answer_is_counted_once_until_its_last_client_has_taken_it() {
    let (room, large) = (limits::Room::new(1 << 20), whole(vec![b'x'; 100_000]));
    let share = room.share(1 << 20);
    let lend = |whole: &Whole| whole.lend(None, whole.bytes.clone(), &share).joined();
    let (one, other) = (lend(&large), lend(&large));
    assert_eq!((one.as_ptr(), share.held()), (large.bytes.joined().as_ptr(), 100_000));
    let coded =
        large.lend(Some(settings::Coding::Gzip), Bytes::from(vec![b'z'; 20_000]).into(), &share);
    assert_eq!(share.held(), 120_000);
    drop((one, coded));
    assert_eq!(share.held(), 100_000);
    drop(other);
    assert_eq!(share.held(), 0);
    let _small = lend(&whole("fits into a connection's buffers"));
    assert_eq!(share.held(), 0);
    // A long list is counted until its last piece is gone, whichever that is.
    let page = || Part::of([&b","[..], &[b'x'; 100_000]].concat());
    let long = Whole { bytes: Rope::of_list("[", vec![page(), page()], "]"), ..whole("") };
    let lent = long.lend(None, long.bytes.clone(), &share);
    let pieces = Vec::from_iter(lent.pieces().iter().cloned());
    drop(lent);
    for piece in pieces {
        assert_eq!(share.held(), 200_003, "{} bytes are still to be sent", piece.len());
    }
    assert_eq!(share.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn n04_that_no_user_fits_grows_old_from_the_first_page_on() {
    let answers = Answers::new(NOT_KEPT, 1 << 20, 0, READINGS);
    for (took, source) in [(2, Source::Kept), (6, Source::Read)] {
        answers.forget();
        let read = || async move {
            let since = Instant::now();
            tokio::time::sleep(Duration::from_secs(took)).await;
            let story = domain::sweep::Story { pages: 2, ..Default::default() };
            Ok(Whole { rows: 0, story, since, ..whole("[]") })
        };
        answers.get(question("id=1"), false, read).await.unwrap();
        let again = answers.get(question("id=1"), false, read).await.unwrap();
        assert_eq!(again.source, source);
        let age = if source == Source::Kept { took } else { 0 };
        assert_eq!(again.age, Duration::from_secs(age));
    }
}

fn own_question() -> Question {
    let endpoint = endpoint_at("/api/user_management/v1/users").unwrap();
    match endpoint.plan(Params::parse(""), &Quirks::default()) {
        Planned::Ask(plan) => Question::new("own", &plan, Some(OWN.own_fresh_for_max)),
        Planned::Nobody { .. } | Planned::Unclear => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_freshness_of_its_own_is_kept_for_it_at_any_length_and_covers_no_failure()
{
    // 10,000 agents of a hundred bytes.
    let agents = || async { Ok(whole(vec![b'x'; 1_000_000])) };
    let nothing = || async { Err(Error::UpstreamTimeout) };
    let stale = Freshness { stale_if_error: Duration::from_secs(600), ..OWN };
    for freshness in [OWN, stale, Freshness { own_fresh_for_max: OWN.own_fresh_for_max, ..KEPT }] {
        let answers = Answers::new(freshness, 32 << 20, 3, READINGS);
        let ask = || answers.get(own_question(), false, agents);
        assert_eq!(ask().await.unwrap().source, Source::Read);
        assert_eq!(ask().await.unwrap().source, Source::Kept);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let failed = answers.get(own_question(), false, nothing).await;
        assert!(matches!(failed, Err(Error::UpstreamTimeout)), "{freshness:?}");
    }
    assert_eq!([NOT_KEPT, OWN, KEPT].map(|of| of.room(1 << 30)), [1 << 20, 8 << 20, 1 << 30]);
    assert_eq!([NOT_KEPT, OWN, KEPT].map(|of| of.room(9)), [9; 3]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_replica_has_its_age_for_those_too_who_share_it_here() {
    tokio::time::advance(Duration::from_secs(100)).await;
    for (is_from_elsewhere, age, source) in [(true, 7, Source::Replica), (false, 0, Source::Read)] {
        let answers = Answers::new(NOT_KEPT, 1 << 20, 0, READINGS);
        let read = || async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let since = Instant::now() - Duration::from_secs(7);
            Ok(Whole { is_from_elsewhere, since, ..whole("all") })
        };
        let get = || answers.get(question(""), false, read);
        let (one, other) = tokio::join!(get(), get());
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!((one.source, other.source), (source, Source::Shared));
        assert_eq!([one.age, other.age], [Duration::from_secs(age); 2]);
    }
}
