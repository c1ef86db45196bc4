//! Where Voiso has its list of teams: no page says it, so both places are asked, and a list that the key
//! may not read is never replaced by the teams of users.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use simulator::{Faults, Settings, TeamsAt};
use tests::raw::{Raw, Reply, page, user};
use tests::{Front, TEAMS, V1_USERS, World};

const FIRST: &str = "/api/v4/users/teams";
const SECOND: &str = "/api/v4/teams";

/// The paths that were asked, in order.
fn paths(raw: &Raw) -> Vec<String> {
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    raw.heads().iter().map(|head| path(head.target())).collect()
}

fn error(status: u16) -> Reply {
    Reply::json(status, "{\"error\":\"no\"}")
}

/// A page of so many teams, with ids from 1.
fn teams(head: &tests::raw::Head, total: usize) -> Reply {
    let rows = (1..=total).skip(head.number_of("offset")).take(head.number_of("limit"));
    let rows: Vec<String> =
        rows.map(|id| format!("{{\"id\":{id},\"name\":\"Team {id}\"}}")).collect();
    let rows = rows.join(",");
    Reply::json(200, format!("{{\"teams\":[{rows}],\"metadata\":{{\"total\":{total}}}}}"))
}

/// An upstream with users, and what it answers at each of the two places of teams.
async fn upstream(
    first: impl Fn(&tests::raw::Head) -> Reply + Send + Sync + 'static,
    second: impl Fn(&tests::raw::Head) -> Reply + Send + Sync + 'static,
) -> Raw {
    Raw::start(move |head| match head.target().split('?').next() {
        Some(FIRST) => first(head),
        Some(SECOND) => second(head),
        _ => Reply::json(200, page(&[user(1)], 1)),
    })
    .await
}

#[tokio::test]
async fn teams_are_found_at_either_place_and_the_place_is_remembered() {
    for (teams_at, asked) in [(TeamsAt::Both, 1), (TeamsAt::Users, 1), (TeamsAt::Alone, 2)] {
        let settings = Settings { teams_list: true, teams_at, ..Settings::default() };
        let world = World::new(settings).await;
        let theirs = world.legacy(TEAMS).await;
        let asked = world.vendor.stats().requests + asked;
        for round in 0..4 {
            let ours = world.get(TEAMS).await;
            assert!(ours.body == theirs.body, "{teams_at:?}: {}", ours.text());
            assert_eq!(world.vendor.stats().users_pages, 0, "{teams_at:?}");
            assert_eq!(world.vendor.stats().requests, asked + round, "{teams_at:?}");
        }
    }
}

#[tokio::test]
async fn the_second_place_is_asked_where_the_first_has_none_or_takes_it_for_an_id() {
    for status in [400, 404, 422] {
        let raw = upstream(move |_| error(status), |head| teams(head, 3)).await;
        let front = Front::over(raw.address, "", "").await;
        assert_eq!(front.get(TEAMS).await.ids(), [1, 2, 3], "{status}");
        assert_eq!(paths(&raw), [FIRST, SECOND], "{status}");
    }
    // Behind the last place there is none, and only a 404 says that there is no list.
    for (status, verdict) in [(400, "502 upstream_refused_call"), (404, "200 ")] {
        let raw = upstream(|_| error(404), move |_| error(status)).await;
        let front = Front::over(raw.address, "", "").await;
        assert_eq!(front.get(TEAMS).await.verdict(), verdict, "{status}");
    }
    for status in [409, 500] {
        let raw = upstream(move |_| error(status), |head| teams(head, 3)).await;
        let front = Front::over(raw.address, "attempts_max = 1", "").await;
        assert_eq!(front.get(TEAMS).await.status, 502, "{status}");
        assert!(!paths(&raw).contains(&SECOND.to_owned()), "{status}");
    }
}

#[tokio::test]
async fn a_place_that_has_no_list_any_more_is_forgotten() {
    let is_first = Arc::new(AtomicBool::new(false));
    let (one, other) = (Arc::clone(&is_first), Arc::clone(&is_first));
    let raw = upstream(
        move |head| if one.load(Ordering::SeqCst) { teams(head, 3) } else { error(404) },
        move |head| if other.load(Ordering::SeqCst) { error(404) } else { teams(head, 3) },
    )
    .await;
    let front = Front::over(raw.address, "", "").await;
    for (moves, asked) in [
        (false, &[FIRST, SECOND][..]),
        (false, &[SECOND]),
        (true, &[SECOND, FIRST]),
        (true, &[FIRST]),
        (false, &[FIRST, SECOND]),
    ] {
        is_first.store(moves, Ordering::SeqCst);
        let before = raw.asked();
        assert_eq!(front.get(TEAMS).await.ids(), [1, 2, 3]);
        assert_eq!(paths(&raw)[before..], *asked);
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_in_its_middle_is_no_lack_of_a_list() {
    for status in [400, 404, 422] {
        let broken = move |head: &tests::raw::Head| match head.number_of("offset") {
            0 => teams(head, 150),
            _ => error(status),
        };
        let raw = upstream(broken, |_| error(404)).await;
        let front = Front::over(raw.address, "", "").await;
        assert_eq!(front.get(TEAMS).await.verdict(), "502 upstream_refused_call", "{status}");
        let asked = paths(&raw);
        assert!(asked.iter().all(|path| path == FIRST), "{status}: {asked:?}");
    }
}

#[tokio::test]
async fn a_path_from_the_settings_is_the_only_one_and_must_be_there() {
    let raw = upstream(|head| teams(head, 3), |head| teams(head, 5)).await;
    let pinned = format!("teams_path = \"{SECOND}\"");
    let front = Front::over(raw.address, &pinned, "").await;
    assert_eq!(front.get(TEAMS).await.ids().len(), 5);
    assert_eq!(paths(&raw), [SECOND]);
    for status in [400, 404, 422] {
        let raw = upstream(move |_| error(status), |head| teams(head, 5)).await;
        let pinned = format!("teams_path = \"{FIRST}\"");
        let front = Front::over(raw.address, &pinned, "").await;
        assert_eq!(front.get(TEAMS).await.verdict(), "502 upstream_refused_call", "{status}");
        assert_eq!(paths(&raw), [FIRST], "{status}");
    }
}

#[tokio::test]
async fn d19_a_list_of_teams_that_the_key_may_not_read_is_502_and_never_the_teams_of_users() {
    let faults = Faults { keys_without_teams: vec!["*".to_owned()], ..Faults::default() };
    for teams_at in [TeamsAt::Both, TeamsAt::Users, TeamsAt::Alone] {
        for from in ["auto", "list"] {
            let faults = faults.clone();
            let settings = Settings { teams_list: true, teams_at, faults, ..Settings::default() };
            let from = format!("teams_from = \"{from}\"");
            let world = World::with(settings, &from, "").await;
            for _ in 0..2 {
                let answer = world.get(TEAMS).await;
                assert_eq!(answer.verdict(), "502 upstream_forbidden", "{teams_at:?} {from}");
            }
            let counted = "tieline_errors_total{slug=\"upstream_forbidden\"}";
            assert_eq!(world.front.count(counted).await, 2);
            // The key itself is good: users are listed, and nothing is forgotten.
            assert_eq!(world.get(V1_USERS).await.status, 200, "{teams_at:?}");
            let callers = world.front.admin("/callers").await;
            assert_eq!(callers.json()[0]["upstream_key"], "accepted");
            // The scope was added.
            world.vendor.set_faults(Faults::default());
            assert_eq!(world.get(TEAMS).await.body, world.legacy(TEAMS).await.body);
        }
    }
}

#[tokio::test]
async fn d19_a_narrowed_caller_without_the_scope_gets_no_teams_either_unless_users_have_them() {
    let raw = upstream(|_| error(403), |head| teams(head, 3)).await;
    for (from, verdict) in [("auto", "502 upstream_forbidden"), ("users", "200 ")] {
        let config = tests::config_text(raw.address, &format!("teams_from = \"{from}\""), "")
            .replace("\"everything\"", "{ users = [1] }");
        let before = raw.asked();
        assert_eq!(Front::start(&config).await.get(TEAMS).await.verdict(), verdict);
        let asked = paths(&raw)[before..].to_vec();
        let expected = if from == "users" { "/api/v4/users" } else { FIRST };
        assert_eq!(asked, [expected]);
    }
}

#[tokio::test]
async fn ids_as_numbers_and_as_text_are_the_same_on_every_page() {
    let turn = Arc::new(AtomicUsize::new(0));
    let raw = Raw::start(move |head| {
        // The other form each time that a page is read.
        let turn = turn.fetch_add(1, Ordering::SeqCst);
        let id = |id: usize| match (id + turn) % 2 {
            0 => format!("{id}"),
            _ => format!("\"{id}\""),
        };
        let numbers = (1..=250).skip(head.number_of("offset")).take(head.number_of("limit"));
        let rows: Vec<String> = match head.target().starts_with("/api/v4/users?") {
            false => numbers.map(|n| format!("{{\"id\":{},\"name\":\"T\"}}", id(n))).collect(),
            true => numbers
                .map(|n| {
                    let (text, team) = (format!("\"id\":\"{n}\""), id(n % 3 + 1));
                    let row = user(n as u64).replace(&text, &format!("\"id\":{}", id(n)));
                    row.replace(
                        "\"teams\":[]",
                        &format!("\"teams\":[{{\"id\":{team},\"name\":\"T\"}}]"),
                    )
                })
                .collect(),
        };
        let name = if head.target().starts_with("/api/v4/users?") { "users" } else { "teams" };
        let rows = rows.join(",");
        Reply::json(200, format!("{{\"{name}\":[{rows}],\"metadata\":{{\"total\":250}}}}"))
    })
    .await;
    let all: Vec<u64> = (1..=250).collect();
    let front = Front::over(raw.address, "", "").await;
    assert_eq!(front.get(V1_USERS).await.ids(), all);
    assert_eq!(front.get(TEAMS).await.ids(), all);
    let front = Front::over(raw.address, "teams_from = \"users\"", "").await;
    assert_eq!(front.get(TEAMS).await.ids(), [1, 2, 3]);
    let config = tests::config_text(raw.address, "", "");
    let config = config.replace("\"everything\"", "{ users = [1, 2] }");
    assert_eq!(Front::start(&config).await.get(TEAMS).await.ids(), [2, 3]);
}
