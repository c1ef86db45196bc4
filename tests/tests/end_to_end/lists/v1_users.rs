//! v1 users end to end: the gateway over v4 against the vendor's own legacy API over the same data.
#![expect(clippy::panic, reason = "a test may")]

use simulator::{Order, Settings, Simulator, User};
use tests::{V1_USERS, World, query, users};

/// Both answers to one request must be the same bytes.
async fn same(world: &World, target: &str) -> usize {
    let (ours, theirs) = (world.get(target).await, world.legacy(target).await);
    assert_eq!(theirs.status, 200, "{target}");
    assert_eq!(ours.status, 200, "{target}: {}", ours.verdict());
    if ours.body != theirs.body {
        let (ours, theirs) = (ours.text(), theirs.text());
        let at = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
        let from = at.saturating_sub(200);
        let part = |text: &str| {
            String::from_utf8_lossy(text.as_bytes().get(from..).unwrap_or_default())
                .chars()
                .take(400)
                .collect::<String>()
        };
        panic!(
            "{target}: differs at byte {at}\n ours: {}\n theirs: {}",
            part(&ours),
            part(&theirs)
        );
    }
    ours.ids().len()
}

#[tokio::test]
async fn the_documented_user_becomes_the_documented_record() {
    let world = World::new(users(0)).await;
    world.vendor.insert_with(|user| {
        // The page shows its addresses masked.
        let masked = "[email protected]".into();
        *user = User { email: masked, ..User::documented_sample() };
        user.sip_account = Some(user.email.clone());
    });
    let answer = world.get(V1_USERS).await;
    let golden = "../crates/domain/golden/v1_users/voiso-v4__documented_user/legacy.json";
    let golden = std::fs::read_to_string(golden).unwrap();
    assert_eq!(answer.text(), golden.trim_end());
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(answer.header("x-request-id").len(), 16);
}

#[tokio::test]
async fn whole_lists_are_the_legacy_bytes_at_every_size() {
    for users in [0, 1, 2, 99, 100, 101, 198, 199, 200, 1050] {
        let world = World::new(tests::users(users)).await;
        same(&world, V1_USERS).await;
        same(&world, "/user_management/v1/users").await;
    }
}

#[tokio::test]
async fn whole_lists_are_the_legacy_bytes_in_every_order_but_a_random_one() {
    for order in [Order::IdDescending, Order::Name] {
        let world = World::new(Settings { users: 777, order, ..Settings::default() }).await;
        let ours = world.get(V1_USERS).await;
        assert_eq!(ours.status, 200, "{order:?}");
        // Rows come in the upstream's order; the legacy face may sort its own way.
        let sorted = |mut records: Vec<serde_json::Value>| {
            records.sort_by_key(|record| record["id"].as_u64());
            records
        };
        let theirs = world.legacy(V1_USERS).await;
        let theirs = sorted(theirs.json().as_array().unwrap().clone());
        let ours = sorted(ours.json().as_array().unwrap().clone());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{order:?}");
        }
        assert_eq!(ours.len(), theirs.len(), "{order:?}");
    }
}

/// Values to filter by, taken from the data itself.
fn sampled(vendor: &Simulator, field: &str) -> Vec<String> {
    let mut values: Vec<String> = vendor
        .legacy_users(&[])
        .iter()
        .filter_map(|record| match &record[field] {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .filter(|value| !value.is_empty())
        .collect();
    values.sort();
    values.dedup();
    let step = (values.len() / 12).max(1);
    values.into_iter().step_by(step).collect()
}

const FILTERS: [&str; 8] =
    ["id", "name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"];

#[tokio::test]
async fn every_filter_alone_gives_the_legacy_bytes() {
    let world = World::new(users(450)).await;
    for filter in FILTERS {
        let values = sampled(&world.vendor, filter);
        assert!(values.len() >= 3, "{filter}: too few values to prove anything");
        for value in values {
            let found = same(&world, &format!("{V1_USERS}?{}", query(&[(filter, &value)]))).await;
            assert!(found > 0, "{filter}={value:?} found nobody");
        }
        for nothing in ["no such value", "%", "0", "\u{0}", "Ã©", "' OR 1=1 --"] {
            same(&world, &format!("{V1_USERS}?{}", query(&[(filter, nothing)]))).await;
        }
        same(&world, &format!("{V1_USERS}?{filter}=")).await;
        same(&world, &format!("{V1_USERS}?{filter}")).await;
    }
}

#[tokio::test]
async fn filters_together_give_the_legacy_bytes() {
    let world = World::new(users(330)).await;
    let records = world.vendor.legacy_users(&[]);
    let text = |record: &serde_json::Value, field: &str| match &record[field] {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    for (index, record) in records.iter().enumerate().step_by(29) {
        let set: Vec<(&str, String)> =
            FILTERS.iter().filter_map(|f| Some((*f, text(record, f)?))).collect();
        let all: Vec<(&str, &str)> = set.iter().map(|(f, v)| (*f, v.as_str())).collect();
        assert_eq!(same(&world, &format!("{V1_USERS}?{}", query(&all))).await, 1);
        for pair in all.windows(2) {
            assert!(same(&world, &format!("{V1_USERS}?{}", query(pair))).await > 0);
        }
        // One value of another user: nobody fits both.
        let other = &records[(index + 7) % records.len()];
        if let Some(email) = text(other, "email") {
            let id = record["id"].to_string();
            let both = query(&[("id", &id), ("email", &email)]);
            assert_eq!(same(&world, &format!("{V1_USERS}?{both}")).await, 0);
        }
    }
}

#[tokio::test]
async fn empty_and_unknown_parameters_are_ignored_and_reported() {
    let world = World::new(users(120)).await;
    let target = format!("{V1_USERS}?page=2&utm_source=x&name=&limit=1");
    assert_eq!(same(&world, &target).await, world.get(V1_USERS).await.ids().len());
    let key = format!("Bearer {}", tests::LEGACY_KEY);
    let headers = [("authorization", key.as_str()), ("x-tieline-explain", "1")];
    let answer = world.front.get_with(&target, &headers).await;
    let story: serde_json::Value =
        serde_json::from_str(&answer.header("x-tieline-explanation")).unwrap();
    assert_eq!(
        story["ignored_parameters"],
        serde_json::json!(["limit", "name", "page", "utm_source"])
    );
    assert_eq!(story["pages"], 2);
    let metrics = world.front.admin("/metrics").await.text();
    assert!(
        metrics.contains("tieline_ignored_parameters_total{endpoint=\"v1_users\"} 8"),
        "{metrics}"
    );
}

#[tokio::test]
async fn an_id_stops_the_reading_as_soon_as_it_is_found() {
    let settings = users(3000);
    let world = World::with(settings, "pages_in_flight_max = 1", "").await;
    let all = world.get(V1_USERS).await.ids();
    world.vendor.reset_stats();
    assert_eq!(world.get(&format!("{V1_USERS}?id={}", all[150])).await.ids(), [all[150]]);
    assert_eq!(world.vendor.stats().users_pages, 2, "the id is on the second page");
    world.vendor.reset_stats();
    assert!(world.get(&format!("{V1_USERS}?id=999999999")).await.ids().is_empty());
    assert!(world.vendor.stats().users_pages > 30, "nobody is only known after the last page");
    world.vendor.reset_stats();
    for no_number in ["abc", "1.5", "-1", "99999999999999999999999", "12%2034"] {
        assert_eq!(world.get(&format!("{V1_USERS}?id={no_number}")).await.text(), "[]");
    }
    assert_eq!(world.vendor.stats().users_pages, 0, "no number is no reason to ask");
}

#[tokio::test]
async fn filters_are_pushed_down_and_only_save_pages() {
    let world = World::new(users(500)).await;
    let record = &world.vendor.legacy_users(&[])[17];
    for field in ["name", "email"] {
        world.vendor.reset_stats();
        let value = record[field].as_str().unwrap();
        world.get(&format!("{V1_USERS}?{}", query(&[(field, value)]))).await;
        assert_eq!(world.vendor.stats().users_pages, 1, "{field}");
        let asked = &world.vendor.stats().users_queries[0];
        assert!(asked.contains(&format!("{field}=")), "{asked}");
    }
}

#[tokio::test]
async fn an_unknown_group_is_the_empty_list_and_never_everyone() {
    let world = World::new(users(300)).await;
    for name in ["Nobody", "agent ", "%", "3", "null", "\u{fffd}"] {
        let answer = world.get(&format!("{V1_USERS}?{}", query(&[("sag", name)]))).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "[]"), "{name}");
    }
}

#[tokio::test]
async fn groups_that_share_a_name_are_a_union_in_list_order() {
    let world = World::new(users(400)).await;
    let mut ids_by_name =
        std::collections::BTreeMap::<String, std::collections::BTreeSet<u64>>::new();
    for user in world.vendor.users() {
        let group = &user["security_access_group"];
        if let (Some(name), Some(id)) = (group["name"].as_str(), group["id"].as_u64()) {
            ids_by_name.entry(name.to_owned()).or_default().insert(id);
        }
    }
    let (shared, _) = ids_by_name.iter().find(|(_, ids)| ids.len() > 1).unwrap();
    let found = same(&world, &format!("{V1_USERS}?{}", query(&[("sag", shared)]))).await;
    assert!(found > 1);
}
