//! A narrowed caller's answer is the answer over data that was cut down beforehand: hidden rows do
//! not show, match, count or lend a group its name.
#![expect(clippy::unwrap_used, reason = "a test may")]

use domain::hub::Id;
use domain::legacy::{ENDPOINTS, Planned};
use domain::page::{Shape, read_groups, read_rows};
use domain::params::Params;
use domain::plan::Resolved;
use domain::quirks::Quirks;
use domain::upstream::{DIALECTS, Rules};
use domain::visibility::{Only, Visibility};
use proptest::prelude::*;
use serde_json::{Value, json};

const GROUPS: [(u64, &str); 4] = [(1, "Agent"), (2, "Sales"), (3, "Sales"), (4, "Admin")];

/// A user as v4 sends it, with few different values so that filters and lists often meet.
fn user() -> impl Strategy<Value = Value> {
    let teams = proptest::collection::vec(0..5_u64, 0..3);
    let group = proptest::option::of(0..GROUPS.len());
    (1..60_u64, 0..4_u8, group, teams.clone(), teams, any::<bool>()).prop_map(
        |(id, name, group, teams, supervised, is_deleted)| {
            let named = |ids: Vec<u64>| -> Vec<Value> {
                ids.into_iter().map(|id| json!({"id": id, "name": format!("team {id}")})).collect()
            };
            json!({
                "id": id.to_string(), "name": format!("name {name}"), "email": null,
                "security_access_group":
                    group.map(|group| json!({"id": GROUPS[group].0, "name": GROUPS[group].1})),
                "teams": named(teams), "supervised_teams": named(supervised), "queues": [],
                "channel_profiles": [], "skills": [], "status": "offline",
                "deleted_at": is_deleted.then_some("2025-11-11T12:00:00.216Z"),
            })
        },
    )
}

fn sees() -> impl Strategy<Value = Only> {
    (
        proptest::collection::vec(0..5_u64, 0..3),
        proptest::collection::vec(prop_oneof!["Agent", "Sales", "1", "3"], 0..2),
        proptest::collection::vec(1..60_u64, 0..4),
    )
        .prop_map(|(teams, groups, users)| Only {
            teams: teams.into_iter().map(|id| id.to_string()).collect(),
            groups,
            users,
        })
}

/// What `sees` means, told a second time over plain JSON.
fn is_visible(user: &Value, only: &Only) -> bool {
    let id: u64 = user["id"].as_str().unwrap().parse().unwrap();
    let group = &user["security_access_group"];
    let teams = ["teams", "supervised_teams"].map(|list| user[list].as_array().unwrap());
    only.users.contains(&id)
        || only.groups.iter().any(|wanted| {
            group["name"] == wanted.as_str()
                || wanted.parse().is_ok_and(|id: u64| group["id"] == id)
        })
        || teams.into_iter().flatten().any(|team| only.teams.contains(&team["id"].to_string()))
}

fn page(users: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({"users": users, "metadata": {"total": users.len()}})).unwrap()
}

/// The rendered rows of every endpoint over every dialect that reads the page.
fn answers(body: &[u8], query: &str, visibility: &Visibility) -> Vec<Vec<u8>> {
    let (rules, quirks) = (Rules::default(), Quirks::default());
    let dialect = *DIALECTS.iter().find(|dialect| dialect.name() == "voiso-v4").unwrap();
    let mut answers = Vec::new();
    for endpoint in ENDPOINTS.iter().copied() {
        let Planned::Ask(plan) = endpoint.plan(Params::parse(query), &quirks) else {
            answers.push(Vec::new());
            continue;
        };
        let ids: Vec<Id<'static>> = match plan.group() {
            None => Vec::new(),
            Some(name) => read_groups(dialect, body, &rules, visibility).unwrap().1.ids(name),
        };
        let Resolved::Ask(plan) = plan.resolve(ids) else {
            answers.push(Vec::new());
            continue;
        };
        let shape = Shape { endpoint, quirks: &quirks, filter: &plan.filter, visibility };
        answers.push(read_rows(dialect, body, &rules, shape).unwrap().bytes);
    }
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn narrowing_answers_as_if_hidden_rows_were_not_there(
        users in proptest::collection::vec(user(), 0..25),
        only in sees(),
        query in prop_oneof![
            Just(String::new()),
            (1..60_u64).prop_map(|id| format!("id={id}")),
            (0..4_u8).prop_map(|name| format!("name=name%20{name}")),
            prop_oneof!["Agent", "Sales", "Admin", "None"].prop_map(|sag| format!("sag={sag}")),
            (0..4_u8).prop_map(|name| format!("sag=Sales&name=name%20{name}")),
        ],
    ) {
        let mut users = users;
        users.sort_by_key(|user| user["id"].as_str().unwrap().parse::<u64>().unwrap());
        users.dedup_by_key(|user| user["id"].clone());
        let cut: Vec<Value> =
            users.iter().filter(|user| is_visible(user, &only)).cloned().collect();
        let narrowed = answers(&page(&users), &query, &Visibility::Only(only));
        prop_assert_eq!(narrowed, answers(&page(&cut), &query, &Visibility::Everything));
    }
}
