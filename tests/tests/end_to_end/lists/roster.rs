//! The roster: a user who was seen and is gone is a deleted agent, and no user is live and deleted in
//! one answer.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use roster::{FileRoster, Scope};
use simulator::{Dialect, Settings};
use tests::folder::File;
use tests::{DELETED, Front, V1_USERS, V4_KEY, World, config, expect, parsed, users};

fn with_roster(file: &Path) -> String {
    format!("[roster]\nfile = {:?}", file.display().to_string())
}

fn set(ids: Vec<u64>) -> BTreeSet<u64> {
    ids.into_iter().collect()
}

#[tokio::test]
async fn users_who_vanish_are_deleted_agents_after_two_readings() {
    let file = File::new("roster.sqlite");
    let world = World::with(users(250), "", &with_roster(&file)).await;
    let live = world.get(V1_USERS).await.ids();
    let before = world.get(DELETED).await;
    assert_eq!(before.text(), world.legacy(DELETED).await.text(), "nobody has vanished yet");
    let gone: Vec<u64> = live.iter().copied().step_by(50).collect();
    let names: Vec<_> = world
        .vendor
        .records()
        .iter()
        .filter(|user| gone.contains(&user.id))
        .map(|user| serde_json::json!({"id": user.id, "name": user.name}))
        .collect();
    for id in &gone {
        assert!(world.vendor.delete_user(*id));
    }
    // One reading may have been a bad moment.
    let first = world.get(DELETED).await;
    assert_eq!(set(first.ids()), set(before.ids()));
    let second = world.get(DELETED).await.json();
    let second = second.as_array().unwrap();
    assert_eq!(second[before.ids().len()..], names, "behind the others, by id");
    // It is remembered across a restart.
    let again =
        Front::start(&tests::config_text(world.vendor_address, "", &with_roster(&file))).await;
    assert_eq!(again.get(DELETED).await.json().as_array().unwrap(), second);
}

#[tokio::test]
async fn a_user_who_comes_back_is_live_and_no_deleted_agent() {
    let file = File::new("roster.sqlite");
    let (first, second) = (World::new(users(60)).await, World::new(users(61)).await);
    // Two vendors whose users have the same ids but for one, asked in turn under one name.
    let of = |world: &World| tests::config_text(world.vendor_address, "", &with_roster(&file));
    let more = Front::start(&of(&second)).await;
    let all = set(more.get(V1_USERS).await.ids());
    let few = Front::start(&of(&first)).await;
    for _ in 0..2 {
        few.get(V1_USERS).await;
    }
    let live = set(few.get(V1_USERS).await.ids());
    let gone: BTreeSet<u64> = all.difference(&live).copied().collect();
    let deleted = set(few.get(DELETED).await.ids());
    assert!(!gone.is_empty() && gone.is_subset(&deleted), "{gone:?} {deleted:?}");
    assert!(deleted.is_disjoint(&live));
    // In the answer that finds them back they are not deleted any more.
    assert!(gone.is_disjoint(&set(more.get(DELETED).await.ids())));
}

#[tokio::test]
async fn imported_users_are_listed_unless_they_are_live_and_each_source_can_be_switched_off() {
    let file = File::new("roster.sqlite");
    let vendor = World::new(users(80)).await;
    let live = vendor.get(V1_USERS).await.ids();
    let marked = set(vendor.get(DELETED).await.ids());
    let roster = FileRoster::open(&file).unwrap();
    let scope = Scope { caller: "crm".to_owned(), upstream: "ams".to_owned() };
    let rows = [(7, Some("Roberta Ride".to_owned())), (live[0], Some("Alive".to_owned()))];
    roster.import(&scope, &rows).unwrap();
    for (sources, expected) in [
        ("\"deleted_at\", \"vanished\", \"imported\"", {
            let mut all = marked.clone();
            all.insert(7);
            all
        }),
        ("\"deleted_at\"", marked.clone()),
        ("\"imported\"", BTreeSet::from([7])),
        ("\"vanished\"", BTreeSet::new()),
        ("", BTreeSet::new()),
    ] {
        let more = format!("deleted_from = [{sources}]");
        let config = tests::config_text(vendor.vendor_address, &more, &with_roster(&file));
        let front = Front::start(&config).await;
        assert_eq!(set(front.get(DELETED).await.ids()), expected, "{sources}");
    }
    let off = "deleted_from = [\"imported\"]";
    let without = Front::start(&tests::config_text(vendor.vendor_address, off, "")).await;
    assert_eq!(without.get(DELETED).await.text(), "[]");
}

#[tokio::test]
async fn a_filtered_list_makes_no_user_vanish_and_no_caller_sees_anothers_users() {
    let file = File::new("roster.sqlite");
    let second = config::another("wall", "second-key", "{ groups = [\"Agent\"] }");
    let second = second + &with_roster(&file);
    let world = World::with(users(250), "", &second).await;
    let wall = [("authorization", "Bearer second-key")];
    let live = world.get(V1_USERS).await.ids();
    let before = world.get(DELETED).await.ids();
    for filter in ["name=Nobody", "sag=Agent", "id=3", "email=a%40b", "timezone=Istanbul"] {
        for _ in 0..3 {
            assert_eq!(world.get(&format!("{V1_USERS}?{filter}")).await.status, 200);
        }
        assert_eq!(gone(&file), 0, "{filter}");
    }
    assert_eq!(world.get(DELETED).await.ids(), before);
    // The other caller first sees the users when some are gone already.
    let gone: Vec<u64> = live.iter().copied().step_by(40).collect();
    for id in &gone {
        world.vendor.delete_user(*id);
    }
    for _ in 0..3 {
        world.get(DELETED).await;
        world.front.get_with(DELETED, &wall).await;
    }
    let ours = set(world.get(DELETED).await.ids());
    assert!(gone.iter().all(|id| ours.contains(id)));
    let theirs = set(world.front.get_with(DELETED, &wall).await.ids());
    assert!(gone.iter().all(|id| !theirs.contains(id)), "{theirs:?}");
}

#[tokio::test]
async fn a_narrowed_caller_sees_only_its_own_users_among_the_deleted() {
    let file = File::new("roster.sqlite");
    let (vendor, address, _guard) = tests::vendor(users(250)).await;
    let config = tests::config_text(address, "", &with_roster(&file))
        .replace("\"everything\"", "{ groups = [\"Agent\"] }");
    let front = Front::start(&config).await;
    let agents = front.get(V1_USERS).await.ids();
    let others: Vec<u64> = vendor
        .legacy_users(&[])
        .iter()
        .map(|user| user["id"].as_u64().unwrap())
        .filter(|id| !agents.contains(id))
        .collect();
    let (agent, other) = (agents[3], others[3]);
    assert!(vendor.delete_user(agent) && vendor.delete_user(other));
    front.get(DELETED).await;
    let deleted = front.get(DELETED).await.ids();
    assert!(deleted.contains(&agent) && !deleted.contains(&other));
}

#[tokio::test]
async fn an_upstream_that_suddenly_lists_very_few_users_is_not_believed_at_once() {
    let file = File::new("roster.sqlite");
    let (full, empty) = (World::new(users(100)).await, World::new(users(0)).await);
    let of = |world: &World| tests::config_text(world.vendor_address, "", &with_roster(&file));
    let front = Front::start(&of(&full)).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    let front = Front::start(&of(&empty)).await;
    for _ in 0..2 {
        assert_eq!(front.get(DELETED).await.text(), "[]");
    }
}

#[tokio::test]
async fn over_vonage_users_deleted_for_good_are_remembered_too() {
    let file = File::new("roster.sqlite");
    let settings = Settings { dialect: Dialect::VonageV4, ..users(200) };
    let (vendor, address, _guard) = tests::vendor(settings).await;
    let config = tests::vonage::config_text(address, "", &with_roster(&file));
    let front = Front::start_with(&config, &tests::vonage::ENV).await;
    let live = front.get(V1_USERS).await.json();
    let archived = front.get(DELETED).await.ids();
    assert!(!archived.is_empty());
    let user = &live.as_array().unwrap()[11];
    let record = vendor.records().iter().find(|other| user["email"] == *other.email).unwrap().id;
    assert!(vendor.delete_user(record));
    // Readings count as two only if one begins a millisecond or more after the other has ended.
    let moment = Duration::from_millis(5);
    tokio::time::sleep(moment).await;
    front.get(V1_USERS).await;
    tokio::time::sleep(moment).await;
    let deleted = front.get(DELETED).await.ids();
    assert_eq!(deleted[..archived.len()], archived);
    assert_eq!(deleted[archived.len()..], [user["id"].as_u64().unwrap()]);
}

#[tokio::test]
async fn over_vonage_no_filter_makes_anybody_vanish() {
    let file = File::new("roster.sqlite");
    let settings = Settings { dialect: Dialect::VonageV4, ..users(9) };
    let (_vendor, address, _guard) = tests::vendor(settings).await;
    let rest = format!("[legacy.v1_users.filters]\nname = \"contains\"\n{}", with_roster(&file));
    let config = tests::vonage::config_text(address, "", &rest);
    let front = Front::start_with(&config, &tests::vonage::ENV).await;
    assert_eq!(front.get(V1_USERS).await.status, 200);
    let before = front.get(DELETED).await.text();
    for filter in
        ["timezone=Istanbul", "sip_account=a", "name=zzz", "extension=1", "id=7", "sag=Nobody"]
    {
        for _ in 0..4 {
            assert_eq!(front.get(&format!("{V1_USERS}?{filter}")).await.text(), "[]");
        }
        // Before any whole reading could set it right.
        assert_eq!(gone(&file), 0, "{filter}");
    }
    assert_eq!(front.get(DELETED).await.text(), before);
}

#[tokio::test]
async fn r04_without_its_database_live_users_are_listed_and_deleted_ones_are_not() {
    // Nobody listens there any more.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // This one accepts and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [unused, silent.local_addr().unwrap()] {
        let place = format!("postgresql://tieline@{address}/tieline?sslmode=disable");
        let world = World::with(users(60), "", &format!("[roster]\npostgres = {place:?}")).await;
        for _ in 0..2 {
            assert_eq!(world.get(V1_USERS).await.text(), world.legacy(V1_USERS).await.text());
            expect::error(&world.get(DELETED).await, "503 roster_failed", "without its database");
        }
        let metrics = world.front.admin("/metrics").await.text();
        assert!(!metrics.contains("tieline_roster_users{"), "{metrics}");
    }
}

#[test]
fn a_file_that_is_no_roster_is_refused_and_stays_as_it_is() {
    let file = File::new("roster.sqlite");
    std::fs::write(&file, "my diary").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let config = tests::config_text(address, "", &with_roster(&file));
    let config = parsed(&config, &[("V4", V4_KEY)]).unwrap();
    let start = gateway::start(config, Default::default());
    let error = runtime.block_on(start).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let line = error.to_string();
    assert!(line.starts_with("test.toml:") && line.contains(": roster.file: "), "{line}");
    assert_eq!(std::fs::read(&file).unwrap(), b"my diary");
}

/// How many a roster takes for vanished or half gone.
fn gone(file: &Path) -> usize {
    let roster = FileRoster::open(file).unwrap();
    let scopes = roster.scopes().unwrap();
    scopes.iter().map(|scope| roster.counts(scope).unwrap().vanished).sum()
}
