//! The endpoints beside v1 users, against the vendor's own legacy bytes over the same data.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;

use simulator::Settings;
use tests::{DELETED, LEGACY_KEY, TEAMS, V1_USERS, V3_USERS, World, query, users};

/// Both answers to one request are the same bytes; how many records they hold.
async fn same(world: &World, target: &str) -> usize {
    let answer = same_bytes(world, target).await;
    answer.ids().len()
}

async fn same_bytes(world: &World, target: &str) -> tests::Answer {
    // These generations send their key in the query.
    let joint = if target.contains('?') { '&' } else { '?' };
    let target = format!("{target}{joint}key={LEGACY_KEY}");
    let ours = world.front.get_with(&target, &[]).await;
    let theirs =
        tests::send(&tests::client(), world.vendor_address, http::Method::GET, &target, &[]).await;
    assert_eq!((ours.status.as_u16(), theirs.status.as_u16()), (200, 200), "{target}");
    assert!(
        ours.body == theirs.body,
        "{target}: {} and {} bytes",
        ours.body.len(),
        theirs.body.len()
    );
    ours
}

#[tokio::test]
async fn v3_users_and_deleted_agents_are_the_legacy_bytes_at_every_size() {
    for users in [0, 1, 99, 100, 101, 750] {
        let world = World::new(tests::users(users)).await;
        same(&world, V3_USERS).await;
        same(&world, DELETED).await;
    }
}

#[tokio::test]
async fn v3_filters_work_in_both_spellings_and_know_no_id() {
    let world = World::new(users(300)).await;
    let all = same(&world, V3_USERS).await;
    for record in world.vendor.legacy_users(&[]).iter().step_by(37) {
        for field in ["name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"] {
            let Some(value) = record[field].as_str().filter(|value| !value.is_empty()) else {
                continue;
            };
            for spelled in [field.to_owned(), format!("filter[{field}]")] {
                let found =
                    same(&world, &format!("{V3_USERS}?{}", query(&[(&spelled, value)]))).await;
                assert!((1..all).contains(&found), "{spelled} found {found} of {all}");
            }
        }
        let id = record["id"].to_string();
        assert_eq!(same(&world, &format!("{V3_USERS}?id={id}")).await, all);
    }
    let nobody = query(&[("filter[sag]", "no such group")]);
    assert_eq!(same(&world, &format!("{V3_USERS}?{nobody}")).await, 0);
}

#[tokio::test]
async fn no_user_is_both_live_and_deleted_and_each_is_one_of_them() {
    let world = World::new(users(600)).await;
    let ids = |answer: tests::Answer| answer.ids().into_iter().collect::<BTreeSet<u64>>();
    let live = ids(world.get(V1_USERS).await);
    let v3 = ids(world.get(V3_USERS).await);
    let deleted = ids(world.get(DELETED).await);
    assert_eq!(live, v3);
    assert!(!deleted.is_empty());
    assert!(live.is_disjoint(&deleted));
    let all: BTreeSet<u64> = world
        .vendor
        .users()
        .iter()
        .map(|user| user["id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(live.union(&deleted).copied().collect::<BTreeSet<_>>(), all);
}

#[tokio::test]
async fn a_narrowed_caller_is_narrowed_on_every_endpoint() {
    let settings = users(300);
    let (vendor, address, _guard) = tests::vendor(settings).await;
    let agents: BTreeSet<u64> = vendor
        .users()
        .iter()
        .filter(|user| user["security_access_group"]["name"] == "Agent")
        .map(|user| user["id"].as_str().unwrap().parse().unwrap())
        .collect();
    let config = tests::config_text(address, "", "")
        .replace("sees = \"everything\"", "sees = { groups = [\"Agent\"] }");
    let front = tests::Front::start(&config).await;
    let mut seen = BTreeSet::new();
    for target in [V1_USERS, DELETED] {
        seen.extend(front.get(target).await.ids());
    }
    assert_eq!(seen, agents);
    assert_eq!(front.get(V3_USERS).await.ids(), front.get(V1_USERS).await.ids());
}

fn with_teams_list(users: usize) -> Settings {
    Settings { users, teams_list: true, ..Settings::default() }
}

/// The teams that some live user has.
fn teams_of_users(world: &World) -> BTreeSet<u64> {
    let live: BTreeSet<u64> =
        world.vendor.legacy_users(&[]).iter().map(|user| user["id"].as_u64().unwrap()).collect();
    let records = world.vendor.records();
    let users = records.iter().filter(|user| live.contains(&user.id));
    users
        .flat_map(|user| user.teams.iter().chain(&user.supervised_teams).map(|team| team.id))
        .collect()
}

#[tokio::test]
async fn teams_are_the_legacy_bytes_where_v4_has_a_list_of_them() {
    for users in [0, 1, 300] {
        let world = World::new(with_teams_list(users)).await;
        let teams = same(&world, TEAMS).await;
        assert_eq!(teams, world.vendor.legacy_teams().len());
        // A list of teams needs no user.
        assert_eq!(world.vendor.stats().users_pages, 0);
    }
}

#[tokio::test]
async fn teams_of_many_pages_are_the_legacy_bytes_each_once_and_in_order() {
    for rows in [2, 7, 20, 41, 42, 43] {
        let more = format!("page_rows_max = {rows}");
        let world = World::with(with_teams_list(50), &more, "").await;
        assert_eq!(same(&world, TEAMS).await, world.vendor.legacy_teams().len(), "{rows}");
    }
}

#[tokio::test]
async fn teams_without_a_list_are_those_that_users_have() {
    for (settings, more) in [(users(300), ""), (with_teams_list(300), "teams_from = \"users\"")] {
        let world = World::with(settings, more, "").await;
        let answer = world.get(TEAMS).await;
        let shown = answer.ids();
        assert_eq!(shown, teams_of_users(&world).into_iter().collect::<Vec<_>>(), "{more}");
        // The ledger says so: a team without members is missing.
        assert!(shown.len() < world.vendor.legacy_teams().len());
        let names: Vec<_> = world.vendor.legacy_teams();
        for team in answer.json().as_array().unwrap() {
            assert!(names.contains(team), "{team}");
        }
    }
    let wanted = World::with(Settings::default(), "teams_from = \"list\"", "").await;
    assert_eq!(wanted.get(TEAMS).await.verdict(), "502 upstream_refused_call");
    // One list that is not there says nothing about the others.
    assert_eq!(wanted.get(V1_USERS).await.status, 200);
}

#[tokio::test]
async fn a_narrowed_caller_sees_listed_teams_and_those_of_visible_users() {
    for teams_list in [true, false] {
        let settings = Settings { users: 300, teams_list, ..Settings::default() };
        let (vendor, address, _guard) = tests::vendor(settings).await;
        let records = vendor.records();
        let live = vendor.legacy_users(&[]);
        let user = records
            .iter()
            .find(|user| user.teams.len() > 1 && live.iter().any(|other| other["id"] == user.id))
            .unwrap();
        let own: BTreeSet<u64> =
            user.teams.iter().chain(&user.supervised_teams).map(|team| team.id).collect();
        let config = tests::config_text(address, "", "")
            .replace("\"everything\"", &format!("{{ users = [{}] }}", user.id));
        let front = tests::Front::start(&config).await;
        let seen: BTreeSet<u64> = front.get(TEAMS).await.ids().into_iter().collect();
        assert_eq!(seen, own, "{teams_list}");
        // A listed team is seen, and so are the other teams of its members.
        let listed = *own.iter().next().unwrap();
        let config = tests::config_text(address, "", "")
            .replace("\"everything\"", &format!("{{ teams = [{listed}] }}"));
        let front = tests::Front::start(&config).await;
        let seen: BTreeSet<u64> = front.get(TEAMS).await.ids().into_iter().collect();
        assert!(seen.is_superset(&own), "{teams_list}: {seen:?} lacks some of {own:?}");
    }
}
