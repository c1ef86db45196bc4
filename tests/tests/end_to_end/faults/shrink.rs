//! A list of users that suddenly lacks most of them: read once more, then believed or refused. The ids in
//! front of the test names are those of the fault list in `docs/ERRORS.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tests::raw::{Raw, Reply};
use tests::{Front, V1_USERS, V3_USERS, expect};

/// An upstream with as many users as the number says, counted down from `after` requests on.
struct Shrinking {
    front: Front,
    raw: Raw,
    users: Arc<AtomicUsize>,
}

impl Shrinking {
    async fn new(users: usize, more: &str) -> Shrinking {
        let users = Arc::new(AtomicUsize::new(users));
        let now = Arc::clone(&users);
        let raw = Raw::start(move |head| {
            let ids: Vec<u64> = (1..=now.load(SeqCst) as u64).collect();
            Reply::page_of(&ids, head)
        })
        .await;
        let front = Front::over(raw.address, more, "").await;
        Shrinking { front, raw, users }
    }

    async fn expect_rows(&self, users: usize) {
        let ids: Vec<u64> = (1..=users as u64).collect();
        expect::rows(&self.front.get(V1_USERS).await, &ids, &format!("{users} users"));
    }

    async fn counted(&self) -> bool {
        let metrics = self.front.admin("/metrics").await.text();
        metrics.contains("tieline_list_events_total{event=\"shrunk\"} 1")
    }
}

#[tokio::test]
async fn f22_a_list_that_is_empty_for_a_moment_is_read_once_more() {
    let world = Shrinking::new(60, "").await;
    world.expect_rows(60).await;
    world.users.store(0, SeqCst);
    let users = Arc::clone(&world.users);
    let asked = world.raw.asked();
    // The users are there again before the pause ends.
    let comes_back = async {
        while world.raw.asked() == asked {
            tokio::task::yield_now().await;
        }
        users.store(60, SeqCst);
    };
    tokio::join!(world.expect_rows(60), comes_back);
    assert_eq!(world.raw.asked(), asked + 2);
    assert!(!world.counted().await, "nothing was lost");
}

#[tokio::test]
async fn f22_a_list_that_stays_empty_or_short_is_believed_counted_and_then_usual() {
    for left in [0, 29] {
        let world = Shrinking::new(60, "").await;
        world.expect_rows(60).await;
        world.users.store(left, SeqCst);
        let asked = world.raw.asked();
        world.expect_rows(left).await;
        assert_eq!(world.raw.asked(), asked + 2, "{left} left");
        assert!(world.counted().await, "{left} left");
        world.expect_rows(left).await;
        assert_eq!(world.raw.asked(), asked + 3, "{left} left: believed by now");
    }
}

#[tokio::test]
async fn f22_a_list_that_stays_empty_is_503_where_the_operator_says_so() {
    let world = Shrinking::new(60, "shrunk_list = \"refuse\"").await;
    world.expect_rows(60).await;
    world.users.store(0, SeqCst);
    for path in [V1_USERS, V3_USERS, V1_USERS] {
        let answer = world.front.get(path).await;
        expect::error(&answer, "503 upstream_list_shrunk", path);
        assert_eq!(answer.header("retry-after"), "1");
    }
    world.users.store(31, SeqCst);
    world.expect_rows(31).await;
}

#[tokio::test]
async fn f22_lists_that_are_half_as_long_or_filtered_or_were_short_are_read_once() {
    for (before, after) in [(60, 30), (10, 0), (60, 61)] {
        let world = Shrinking::new(before, "").await;
        world.expect_rows(before).await;
        world.users.store(after, SeqCst);
        let asked = world.raw.asked();
        world.expect_rows(after).await;
        assert_eq!(world.raw.asked(), asked + 1, "{before}, then {after}");
    }
    let world = Shrinking::new(60, "").await;
    world.expect_rows(60).await;
    let asked = world.raw.asked();
    let one = world.front.get(&format!("{V1_USERS}?name=User%201")).await;
    assert_eq!(one.status, 200);
    assert_eq!(world.raw.asked(), asked + 1, "a filter");
}
