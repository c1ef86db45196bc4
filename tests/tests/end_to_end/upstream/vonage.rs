//! Every legacy endpoint over Vonage, against what the vendor's own legacy API says of the same data.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use simulator::{Fail, Faults, Settings, VonageSettings};
use tests::vonage::{expected, mapped_world, plain, world};
use tests::{Answer, DELETED, TEAMS, V1_USERS, V3_USERS, World, failing, query, users};

/// The records of an answer by id.
fn records(answer: &Answer) -> BTreeMap<u64, Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let all = answer.json();
    let records = all.as_array().unwrap().iter();
    records.map(|record| (record["id"].as_u64().unwrap(), plain(record.clone()))).collect()
}

async fn pages(world: &World) -> u64 {
    world.vendor.stats().users_pages
}

#[tokio::test]
async fn v1_users_are_the_legacy_records_but_for_declared_losses_at_every_size() {
    for size in [0, 1, 2, 250, 1200] {
        let world = mapped_world(users(size), "", "").await;
        let answer = world.get(V1_USERS).await;
        let (ours, truth) = (records(&answer), expected(&world.vendor));
        assert_eq!(ours.len(), truth.len(), "{size}");
        for (id, record) in &truth {
            assert_eq!(&ours[id], record, "{size}: {id}");
        }
        let order: Vec<u64> = world
            .vendor
            .legacy_users(&[])
            .iter()
            .map(|user| user["id"].as_u64().unwrap())
            .collect();
        assert_eq!(answer.ids(), order, "{size}: the list's own order");
    }
}

#[tokio::test]
async fn v3_users_are_v1_users_with_their_own_name_for_teams() {
    let world = mapped_world(users(300), "", "").await;
    let renamed: Vec<Value> = world
        .get(V1_USERS)
        .await
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            let mut record = record.clone();
            let teams = record.as_object_mut().unwrap().remove("assigned_teams").unwrap();
            record["agent_in_teams"] = teams;
            record
        })
        .collect();
    assert_eq!(world.get(V3_USERS).await.json(), Value::Array(renamed));
}

#[tokio::test]
async fn deleted_agents_and_teams_are_the_legacy_ones() {
    let world = mapped_world(users(600), "", "").await;
    let deleted = world.get(DELETED).await;
    assert_eq!(deleted.text(), world.legacy(DELETED).await.text());
    assert!(!deleted.ids().is_empty());
    assert_eq!(world.get(TEAMS).await.text(), world.legacy(TEAMS).await.text());
    let live: BTreeSet<u64> = world.get(V1_USERS).await.ids().into_iter().collect();
    assert!(deleted.ids().iter().all(|id| !live.contains(id)));
}

#[tokio::test]
async fn every_filter_answers_the_rows_that_fit_and_no_others() {
    let world = mapped_world(users(400), "", "").await;
    let truth = expected(&world.vendor);
    for record in truth.values().step_by(61) {
        for field in ["id", "name", "email", "sag", "extension", "caller_id"] {
            let value = match &record[field] {
                Value::String(text) if !text.is_empty() => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            let target = format!("{V1_USERS}?{}", query(&[(field, &value)]));
            let wanted: BTreeSet<u64> = truth
                .iter()
                .filter(|(_, other)| other[field] == record[field])
                .map(|(id, _)| *id)
                .collect();
            let found: BTreeSet<u64> = world.get(&target).await.ids().into_iter().collect();
            assert_eq!(found, wanted, "{target}");
        }
    }
    for nobody in [
        "sip_account=a%40b",
        "timezone=Istanbul",
        "sag=Nobody",
        "id=1",
        "extension=none%2F..%3F",
        "id=x",
        "name=no+such+name",
        "sag=Agent&sip_account=x",
    ] {
        let answer = world.get(&format!("{V1_USERS}?{nobody}")).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "[]".to_owned()), "{nobody}");
    }
}

#[tokio::test]
async fn one_user_is_asked_for_alone_where_the_id_tells_which() {
    let world = mapped_world(users(300), "", "").await;
    let id = world.get(V1_USERS).await.ids()[7];
    world.vendor.reset_stats();
    assert_eq!(world.get(&format!("{V1_USERS}?id={id}")).await.ids(), [id]);
    let stats = world.vendor.stats();
    assert_eq!((stats.users_pages, stats.requests), (0, 1), "{:?}", stats.by_path);
    assert!(stats.by_path.contains_key("/useradmin/users/{userId}"), "{:?}", stats.by_path);
    // A number that no table has belongs to no user; no call is made for it.
    assert_eq!(world.get(&format!("{V1_USERS}?id=7")).await.text(), "[]");
    assert_eq!(world.vendor.stats().requests, 1);
    // An archived user stands in the table, but not among the live.
    let gone = world.get(DELETED).await.ids()[0];
    assert_eq!(world.get(&format!("{V1_USERS}?id={gone}")).await.text(), "[]");
    // Nor does one that was deleted for good.
    assert!(world.vendor.delete_user(id));
    assert_eq!(world.get(&format!("{V1_USERS}?id={id}")).await.text(), "[]");
}

#[tokio::test]
async fn ids_are_hashes_by_default_and_display_ids_where_asked() {
    let hashed = world(users(300), "", "").await;
    let ids = hashed.get(V1_USERS).await.ids();
    assert_eq!(ids.len(), expected(&hashed.vendor).len());
    assert!(ids.iter().all(|id| (1 << 32..1 << 53).contains(id)), "{ids:?}");
    assert_eq!(hashed.get(&format!("{V1_USERS}?id={}", ids[3])).await.ids(), [ids[3]]);
    let displayed = world(users(300), "id_policy = \"agent_display_id\"", "").await;
    let answer = displayed.get(V1_USERS).await.json();
    let mut numbered = 0;
    for record in answer.as_array().unwrap() {
        let id = record["id"].as_u64().unwrap();
        match record["extension"].as_str() {
            Some(extension) if !extension.starts_with('0') => {
                assert_eq!(extension, id.to_string());
                numbered += 1;
            }
            _ => assert!(id > 1 << 32, "{record}"),
        }
    }
    assert!(numbered > 100);
    displayed.vendor.reset_stats();
    let extension = answer[5]["id"].as_u64().unwrap();
    let one = displayed.get(&format!("{V1_USERS}?id={extension}")).await;
    assert_eq!(one.ids(), [extension]);
    assert_eq!(pages(&displayed).await, 0);
}

#[tokio::test]
async fn lists_longer_than_a_page_are_whole() {
    for (size, page) in [(100, 100), (101, 100), (199, 100), (200, 100), (750, 100), (1201, 400)] {
        let world = mapped_world(users(size), &format!("page_rows_max = {page}"), "").await;
        let answer = world.get(V1_USERS).await;
        assert_eq!(answer.status, 200, "{size} by {page}: {}", answer.text());
        let truth: Vec<u64> = expected(&world.vendor).into_keys().collect();
        assert_eq!(answer.ids(), truth, "{size} by {page}");
    }
}

#[tokio::test]
async fn joined_listings_are_read_once_and_cached() {
    let world = mapped_world(users(300), "", "").await;
    world.get(V1_USERS).await;
    let first = world.vendor.stats().requests;
    assert!(first > 20, "{first}");
    for _ in 0..3 {
        assert_eq!(world.get(V1_USERS).await.status, 200);
    }
    assert_eq!(world.vendor.stats().requests, first + 3);
    let eager =
        mapped_world(users(300), "related_fresh_for = \"0s\"\nrelated_stale_max = \"0s\"", "")
            .await;
    eager.get(V1_USERS).await;
    let first = eager.vendor.stats().requests;
    eager.get(V1_USERS).await;
    // But for the token.
    assert_eq!(eager.vendor.stats().requests, 2 * first - 1);
}

#[tokio::test]
async fn an_upstream_without_a_list_of_skills_is_asked_user_by_user() {
    let vonage = VonageSettings { skills_list: false, ..VonageSettings::default() };
    let world = mapped_world(Settings { vonage, ..users(120) }, "", "").await;
    let agents = expected(&world.vendor);
    for (id, record) in records(&world.get(V1_USERS).await) {
        // Only agents are asked about.
        if !record["extension"].is_null() {
            assert_eq!(record, agents[&id]);
        }
    }
    let bounded = mapped_world(
        Settings {
            vonage: VonageSettings { skills_list: false, ..VonageSettings::default() },
            ..users(120)
        },
        "related_lists_max = 50",
        "",
    )
    .await;
    assert_eq!(bounded.get(V1_USERS).await.verdict(), "413 result_too_large");
}

#[tokio::test]
async fn unreadable_members_are_never_an_empty_list() {
    for under in ["/useradmin/groups/", "/useradmin/skills/"] {
        let faults = Faults { only_under: Some(under.to_owned()), ..failing(404) };
        let world = mapped_world(Settings { faults, ..users(60) }, "", "").await;
        assert_eq!(world.get(V1_USERS).await.verdict(), "502 upstream_refused_call", "{under}");
        world.vendor.set_faults(Faults::default());
        assert_eq!(world.get(V1_USERS).await.status, 200, "{under}");
    }
    // One of many is as bad as all.
    let fail = Fail { at_offset: None, status: 404, times: Some(1), retry_after: None };
    let faults = Faults {
        fail: Some(fail),
        only_under: Some("/useradmin/groups/".to_owned()),
        ..Faults::default()
    };
    let world = mapped_world(Settings { faults, ..users(60) }, "", "").await;
    assert_eq!(world.get(V1_USERS).await.verdict(), "502 upstream_refused_call");
}

#[tokio::test]
async fn a_refusal_of_a_request_that_no_client_made_is_the_upstreams_fault() {
    let faults = Faults { only_under: Some("/useradmin/users".to_owned()), ..failing(400) };
    let world = mapped_world(Settings { faults, ..users(60) }, "", "").await;
    for target in ["", "?name=Bob", "?sag=Agent"] {
        let answer = world.get(&format!("{V1_USERS}{target}")).await;
        assert_eq!(answer.verdict(), "502 upstream_refused_call", "{target}");
    }
}
