//! The endpoints beside v1 users, against the vendor's own legacy bytes over the same data.

use std::collections::BTreeSet;

use simulator::Settings;
use tests::{LEGACY_KEY, V1_USERS, World, query};

const V3_USERS: &str = "/api/v3/cdr/users";
const DELETED: &str = "/api/v2/cdr/deleted_agents";

/// Both answers to one request are the same bytes; how many records they hold.
async fn same(world: &World, target: &str) -> usize {
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
    ours.ids().len()
}

#[tokio::test]
async fn v3_users_and_deleted_agents_are_the_legacy_bytes_at_every_size() {
    for users in [0, 1, 99, 100, 101, 750] {
        let world = World::new(Settings { users, ..Settings::default() }).await;
        same(&world, V3_USERS).await;
        same(&world, DELETED).await;
    }
}

#[tokio::test]
async fn v3_filters_work_in_both_spellings_and_know_no_id() {
    let world = World::new(Settings { users: 300, ..Settings::default() }).await;
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
    let world = World::new(Settings { users: 600, ..Settings::default() }).await;
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
    let settings = Settings { users: 300, ..Settings::default() };
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
