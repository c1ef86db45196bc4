//! Whole lists of users that are hard to believe: most users are gone, or nobody has a documented field. The ids
//! in front of the test names are those of the fault list in `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tests::raw::{Raw, Reply, page, user};
use tests::{Answer, Front, V1_USERS, V3_USERS, expect};

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

/// The answer for a list of `users` users, each changed by `change`.
async fn changed(
    users: u64,
    more: &str,
    path: &str,
    change: impl Fn(u64, String) -> String + Send + Sync + 'static,
) -> (Answer, u64) {
    let raw = Raw::start(move |head| {
        let (offset, limit) = (head.number_of("offset"), head.number_of("limit"));
        let ids = (1..=users).skip(offset).take(limit);
        let rows: Vec<String> = ids.map(|id| change(id, user(id))).collect();
        Reply::json(200, page(&rows, users as usize))
    })
    .await;
    let front = Front::over(raw.address, more, "").await;
    let answer = front.get(path).await;
    let metrics = front.admin("/metrics").await.text();
    let absent = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tieline_list_events_total{event=\"field_absent\"} "));
    (answer, absent.unwrap().parse().unwrap())
}

/// A user without a field.
fn without(field: &'static str) -> impl Fn(u64, String) -> String + Send + Sync + 'static {
    move |id, row| {
        let member = match field {
            "name" => format!("\"name\":\"User {id}\","),
            field => format!("\"{field}\":null,"),
        };
        assert!(row.contains(&member), "{member} in {row}");
        row.replacen(&member, "", 1)
    }
}

/// A whole user, whose every documented field is there.
fn whole(_: u64, row: String) -> String {
    let rest = "\"sip_account\":null,\"extension\":null,\"caller_id\":null,\"employee_id\":null,\
                \"timezone\":null,\"security_access_group\":null,\"webrtc_ringtone\":null,\
                \"status\":null,\"deleted_at\":null,";
    row.replacen("\"email\"", &format!("{rest}\"email\""), 1)
}

#[tokio::test]
async fn f23_a_list_in_which_nobody_has_a_name_or_an_address_is_502() {
    for field in ["name", "email"] {
        for users in [2, 250] {
            let (answer, _) = changed(users, "", V1_USERS, without(field)).await;
            expect::error(&answer, "502 upstream_bad_schema", field);
        }
        let allowed = format!("absent_fields = [\"{field}\"]");
        let (answer, _) = changed(250, &allowed, V1_USERS, without(field)).await;
        assert_eq!(answer.status, 200, "{field} is allowed to be absent");
        let other = if field == "name" { "email" } else { "name" };
        let (answer, _) = changed(250, &allowed, V1_USERS, without(other)).await;
        expect::error(&answer, "502 upstream_bad_schema", other);
    }
}

#[tokio::test]
async fn f23_a_field_that_somebody_has_be_it_null_is_not_absent() {
    let all: Vec<u64> = (1..=250).collect();
    // The last user alone has an address.
    let last = |id, row| if id == 250 { row } else { without("email")(id, row) };
    expect::rows(&changed(250, "", V1_USERS, last).await.0, &all, "the last user has the field");
    let (answer, absent) = changed(250, "", V1_USERS, whole).await;
    expect::rows(&answer, &all, "every field is null");
    assert_eq!(absent, 0);
}

#[tokio::test]
async fn f23_other_documented_fields_that_nobody_has_are_counted() {
    let (answer, absent) = changed(250, "", V1_USERS, |_, row| row).await;
    assert_eq!((answer.status.as_u16(), absent), (200, 9));
    let lacks_one = |id, row| whole(id, row).replacen("\"extension\":null,", "", 1);
    assert_eq!(changed(2, "", V1_USERS, lacks_one).await.1, 1);
}

#[tokio::test]
async fn f23_a_list_of_one_and_a_filtered_list_say_nothing_of_the_schema() {
    let (answer, absent) = changed(1, "", V1_USERS, without("email")).await;
    assert_eq!((answer.status.as_u16(), absent), (200, 0));
    let filtered = format!("{V1_USERS}?name=User");
    let (answer, absent) = changed(250, "", &filtered, without("email")).await;
    assert_eq!((answer.status.as_u16(), absent), (200, 0));
}
