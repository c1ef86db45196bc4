//! The other lists of the Vonage face against the vendor's pages, and against the store.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::{BTreeSet, HashSet};

use crate::common::vonage::{get, meta, of, settings, texts};
use serde_json::{Value, json};
use simulator::{
    Settings, Simulator, User, VonageSettings, vonage_agent_display_id, vonage_callback_number_id,
    vonage_group_id, vonage_role, vonage_skill_id, vonage_user_id,
};

/// All rows of a list, read page by page.
async fn all(simulator: &Simulator, path: &str, name: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for page in 1.. {
        let body = get(simulator, &format!("{path}?limit=7&page={page}")).await.json();
        let [number, count, pages, total] = meta(&body);
        let list = body[name].as_array().unwrap();
        assert_eq!((number, count), (page, list.len() as u64), "{path}");
        assert_eq!(pages, total.div_ceil(7), "{path}");
        rows.extend(list.iter().cloned());
        if page >= pages {
            assert_eq!(rows.len() as u64, total, "{path}");
            break;
        }
    }
    rows
}

/// The active users of the store, as the legacy face lists them.
fn active(simulator: &Simulator) -> Vec<std::sync::Arc<User>> {
    let listed: HashSet<u64> =
        simulator.legacy_users(&[]).iter().map(|user| user["id"].as_u64().unwrap()).collect();
    simulator.records().into_iter().filter(|user| listed.contains(&user.id)).collect()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A user of a list, without the list's own fields.
fn member(user: &User) -> Value {
    let mut member = json!({"userId": vonage_user_id(user.id), "name": user.name});
    if let Some(id) = vonage_agent_display_id(user) {
        member["agentDisplayId"] = json!(id);
    }
    member
}

#[tokio::test]
async fn groups_are_the_teams_of_the_store() {
    let simulator = of(200);
    let groups = all(&simulator, "/groups", "groups").await;
    let found: Vec<Value> = groups
        .iter()
        .map(|group| {
            let id: u64 = group["groupDisplayId"].as_str().unwrap().parse().unwrap();
            assert_eq!(group["groupId"], vonage_group_id(id));
            json!({"name": group["groupName"], "id": id})
        })
        .collect();
    assert_eq!(found, simulator.legacy_teams());
    let expected =
        ["groupDisplayId", "groupId", "groupMaxUnexpectedTime", "groupMaxWrapUpTime", "groupName"];
    assert_eq!(keys(&groups[0]), expected.into());
    let path = format!("/groups/{}", vonage_group_id(2408));
    assert_eq!(get(&simulator, &path).await.json(), groups[1]);
    let text = get(&simulator, "/groups?limit=1").await.text().to_owned();
    assert!(
        text.starts_with(
            r#"{"meta":{"page":1,"count":1,"pageCount":42,"totalCount":42},"groups":[{"groupId""#
        ),
        "{text}"
    );
    for path in ["/groups/2408", "/groups/2408/users", "/skills/1/users"] {
        assert_eq!(get(&simulator, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn members_of_groups_are_the_active_users_of_the_team() {
    let simulator = of(300);
    let active = active(&simulator);
    let mut empty = 0;
    for team in simulator.legacy_teams() {
        let id = team["id"].as_u64().unwrap();
        let path = format!("/groups/{}/users", vonage_group_id(id));
        let found = all(&simulator, &path, "users").await;
        let expected: Vec<Value> = active
            .iter()
            .filter(|user| user.teams.iter().any(|team| team.id == id))
            .map(|user| member(user))
            .collect();
        assert_eq!(found, expected, "{team}");
        empty += usize::from(found.is_empty());
    }
    assert_eq!(empty, 2);
    let id = vonage_group_id(2401);
    let body = get(&simulator, &format!("/groups/{}/users", id.to_uppercase())).await.json();
    assert_eq!(body["groupId"], id);
}

#[tokio::test]
async fn the_level_of_a_skill_is_a_number_in_one_list_and_a_text_in_another() {
    let simulator = of(300);
    let skills = all(&simulator, "/skills", "skills").await;
    assert_eq!(skills.len(), 31);
    assert_eq!(keys(&skills[0]), ["skillDisplayId", "skillId", "skillName"].into());
    let active = active(&simulator);
    for skill in &skills {
        let id: u64 = skill["skillDisplayId"].as_str().unwrap().parse().unwrap();
        assert_eq!(skill["skillId"], vonage_skill_id(id));
        let mut expected = Vec::new();
        for user in &active {
            if let Some(level) = user.skills.iter().find(|level| level.skill.id == id) {
                assert_eq!(skill["skillName"], json!(level.skill.name));
                let mut member = member(user);
                member["agentSkillLevel"] = json!(level.value);
                expected.push(member);
            }
        }
        let path = format!("/skills/{}/users", vonage_skill_id(id));
        assert_eq!(all(&simulator, &path, "users").await, expected, "{skill}");
    }
    for user in simulator.records() {
        let path = format!("/users/{}/skills", vonage_user_id(user.id));
        let found = all(&simulator, &path, "agentSkills").await;
        let expected: Vec<Value> = user
            .skills
            .iter()
            .map(|level| {
                json!({
                    "skillId": vonage_skill_id(level.skill.id),
                    "skillDisplayId": level.skill.id.to_string(),
                    "skillName": level.skill.name,
                    "agentSkillLevel": level.value.to_string(),
                })
            })
            .collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn the_list_of_skills_can_be_missing_and_has_skills_of_one_user_too() {
    let vonage = VonageSettings { skills_list: false, ..VonageSettings::default() };
    let without = Simulator::new(Settings { vonage, ..settings() });
    assert_eq!(get(&without, "/skills").await.status, 404);
    let path = format!("/skills/{}/users", vonage_skill_id(1));
    assert_eq!(get(&without, &path).await.status, 200);

    let simulator = of(3);
    simulator.edit_user(10_001, |user| {
        user.skills[0].skill.id = 4_711;
        user.skills[0].skill.name = "Falconry".into();
        user.status = Some("available".into());
    });
    let skills = all(&simulator, "/skills", "skills").await;
    assert_eq!(skills.last().unwrap()["skillName"], "Falconry");
    let path = format!("/skills/{}/users", vonage_skill_id(4_711));
    assert_eq!(meta(&get(&simulator, &path).await.json())[3], 1);
}

#[tokio::test]
async fn lists_of_one_user_name_the_user() {
    let simulator = of(200);
    for user in simulator.records() {
        let id = vonage_user_id(user.id);
        for (part, name) in [
            ("groups", "agentGroups"),
            ("skills", "agentSkills"),
            ("callbackNumbers", "callbackNumbers"),
            ("permissions/groups", "groupPermissions"),
        ] {
            let body = get(&simulator, &format!("/users/{id}/{part}")).await.json();
            assert_eq!(body["userId"], id);
            let display_id = body.get("agentDisplayId").map(|id| id.as_str().unwrap().to_owned());
            assert_eq!(display_id, vonage_agent_display_id(&user));
            assert!(body[name].is_array(), "{part}");
        }
        let groups = all(&simulator, &format!("/users/{id}/groups"), "agentGroups").await;
        let expected: Vec<Value> = user
            .teams
            .iter()
            .map(|team| {
                let id = team.id.to_string();
                json!({"groupId": vonage_group_id(team.id), "groupDisplayId": id, "groupName": team.name})
            })
            .collect();
        assert_eq!(groups, expected);
    }
    for part in ["groups", "skills", "callbackNumbers", "permissions/groups", "permissions/queues"]
    {
        let path = format!("/users/8e22b1fe-d2ea-403d-8c03-50eb21188e79/{part}");
        assert_eq!(get(&simulator, &path).await.status, 404);
    }
    let path = format!("/users/{}/schedules", vonage_user_id(10_001));
    assert_eq!(get(&simulator, &path).await.status, 404, "not a part of this pretence");
}

#[tokio::test]
async fn supervisors_write_to_the_groups_they_supervise_and_read_one_more() {
    let simulator = of(400);
    let mut seen = BTreeSet::new();
    for user in simulator.records() {
        let path = format!("/users/{}/permissions/groups", vonage_user_id(user.id));
        let rows = all(&simulator, &path, "groupPermissions").await;
        let with = |kind: &str| -> Vec<String> {
            let rows = rows.iter().filter(|row| row["groupPermission"] == kind);
            rows.map(|row| row["groupDisplayId"].as_str().unwrap().to_owned()).collect()
        };
        let supervised: Vec<String> =
            user.supervised_teams.iter().map(|team| team.id.to_string()).collect();
        match vonage_role(&user) {
            "Supervisor" => {
                assert_eq!(with("Write"), supervised);
                assert_eq!(with("Read").len(), 1);
                assert!(!supervised.contains(&with("Read")[0]));
                seen.insert(("Supervisor", supervised.is_empty()));
            }
            "Admin" => assert_eq!(with("Write").len(), 42),
            role => {
                assert_eq!(rows, Vec::<Value>::new());
                seen.insert((role, supervised.is_empty()));
            }
        }
        let expected = ["groupDisplayId", "groupId", "groupName", "groupPermission"];
        assert!(rows.iter().all(|row| keys(row) == expected.into()));
    }
    assert!(seen.contains(&("Supervisor", false)) && seen.contains(&("Agent", false)), "{seen:?}");
}

#[tokio::test]
async fn queue_permissions_are_the_queues_of_the_user_and_a_closed_one() {
    let simulator = of(200);
    let account = all(&simulator, "/queues", "queues").await;
    assert_eq!(keys(&account[0]), ["interactionPlanId", "queueId", "queueName"].into());
    let known: HashSet<(&str, &str)> = account
        .iter()
        .map(|queue| (queue["queueId"].as_str().unwrap(), queue["queueName"].as_str().unwrap()))
        .collect();
    assert_eq!(known.len(), account.len(), "ids are unique");
    let names: HashSet<&str> = known.iter().map(|(_, name)| *name).collect();
    assert!(names.len() < account.len(), "names are not");
    let mut repeats = 0;
    for user in simulator.records() {
        let path = format!("/users/{}/permissions/queues", vonage_user_id(user.id));
        let body = get(&simulator, &path).await.json();
        assert_eq!(keys(&body), ["meta", "queues"].into(), "no user is named here");
        let rows = all(&simulator, &path, "queues").await;
        for row in &rows {
            let pair = (row["queueId"].as_str().unwrap(), row["queueName"].as_str().unwrap());
            assert!(known.contains(&pair), "{row}");
        }
        let (closed, open): (Vec<&Value>, Vec<&Value>) =
            rows.iter().partition(|row| row["queuePermission"] == "None");
        assert!(open.iter().all(|row| row["queuePermission"] == "Read"));
        let mut names: Vec<&str> =
            open.iter().map(|row| row["queueName"].as_str().unwrap()).collect();
        let before = names.len();
        names.dedup();
        repeats += before - names.len();
        let expected: Vec<&str> = user.queues.iter().map(|queue| queue.name.as_ref()).collect();
        assert_eq!(names, expected);
        assert_eq!(closed.len(), 1);
        assert!(!expected.contains(&closed[0]["queueName"].as_str().unwrap()));
    }
    assert!(repeats > 0);
}

#[tokio::test]
async fn there_is_a_callback_number_for_every_caller_id() {
    let simulator = of(300);
    let numbers = all(&simulator, "/callbackNumbers", "callbackNumbers").await;
    let names: Vec<String> = texts(&Value::from(numbers.clone()), "callbackNumberName");
    let expected: BTreeSet<String> = simulator
        .records()
        .iter()
        .filter_map(|user| user.caller_id.as_deref().map(str::to_owned))
        .collect();
    assert_eq!(names, expected.into_iter().collect::<Vec<_>>());
    for number in &numbers {
        let name = number["callbackNumberName"].as_str().unwrap();
        assert_eq!(number["callbackNumberId"], vonage_callback_number_id(name));
        let clid = number["callbackNumberClid"].as_str().unwrap();
        let digits = clid.strip_prefix('+').unwrap();
        assert!(!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()), "{clid}");
        if name.bytes().all(|b| b.is_ascii_digit()) {
            assert_eq!(digits, name);
        }
    }
    for user in simulator.records() {
        let path = format!("/users/{}/callbackNumbers", vonage_user_id(user.id));
        let own = all(&simulator, &path, "callbackNumbers").await;
        let expected: Vec<Value> = numbers
            .iter()
            .filter(|number| user.caller_id.as_deref() == number["callbackNumberName"].as_str())
            .cloned()
            .collect();
        assert_eq!(own, expected);
    }
}

#[tokio::test]
async fn every_list_has_the_same_paging() {
    let simulator = of(100);
    let user = vonage_user_id(10_002);
    for path in [
        "/groups".to_owned(),
        "/skills".to_owned(),
        "/queues".to_owned(),
        "/callbackNumbers".to_owned(),
        format!("/groups/{}/users", vonage_group_id(2401)),
        format!("/skills/{}/users", vonage_skill_id(1)),
        format!("/users/{user}/groups"),
        format!("/users/{user}/permissions/queues"),
    ] {
        for wrong in ["page=0", "limit=0", "limit=5001", "page=x"] {
            let reply = get(&simulator, &format!("{path}?{wrong}")).await;
            assert_eq!(reply.status, 400, "{path} {wrong}");
            assert!(reply.json()["message"].is_string());
        }
        let body = get(&simulator, &format!("{path}?page=1000")).await.json();
        let [page, count, pages, total] = meta(&body);
        assert_eq!((page, count, pages), (1000, 0, total.div_ceil(25)), "{path}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_kind() {
    let simulator = of(30);
    crate::common::vonage::token(&simulator).await;
    for id in [2401, 2408, 2415] {
        get(&simulator, &format!("/groups/{}/users", vonage_group_id(id))).await;
    }
    for user in simulator.records() {
        get(&simulator, &format!("/users/{}", vonage_user_id(user.id))).await;
    }
    get(&simulator, "/users?page=1&limit=10").await;
    get(&simulator, "/users?page=2&limit=10").await;
    let stats = simulator.stats();
    assert_eq!((stats.token_requests, stats.users_pages, stats.useradmin_requests), (1, 2, 33));
    assert_eq!(stats.users_queries, ["page=1&limit=10", "page=2&limit=10"]);
    let expected = json!({
        "/Auth/connect/token": 1,
        "/useradmin/groups/{groupId}/users": 3,
        "/useradmin/users": 2,
        "/useradmin/users/{userId}": 30,
    });
    assert_eq!(json!(stats.by_path), expected);
}
