//! Every list except the users: groups, skills, queues and callback numbers, of the account and of one
//! user, and their members.
//!
//! Groups are the store's teams. Members are only active users, as in the samples.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::Simulator;
use crate::answer::Answer;
use crate::legacy::is_deleted;
use crate::people::data;
use crate::people::record::{Named, SkillLevel, User};
use crate::vonage::identity::{
    uuid, vonage_agent_display_id, vonage_callback_number_id, vonage_group_id, vonage_skill_id,
    vonage_user_id,
};
use crate::vonage::paging::{Meta, Paging};
use crate::vonage::user::caller_id;
use crate::vonage::{json, simple};

/// A page of a list: `meta`, its owner, and the rows.
struct Listing<'a, T> {
    name: &'static str,
    owner: &'a [(&'static str, String)],
    rows: &'a [T],
    meta: Meta,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    group_id: String,
    group_name: &'a str,
    group_max_unexpected_time: u64,
    group_max_wrap_up_time: u64,
    group_display_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupOfUser<'a> {
    group_id: String,
    group_display_id: String,
    group_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Skill<'a> {
    skill_id: String,
    skill_display_id: String,
    skill_name: &'a str,
    /// A text here, but a number in the list of a skill's users.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_skill_level: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    queue_id: String,
    queue_name: String,
    interaction_plan_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallbackNumber<'a> {
    callback_number_id: String,
    callback_number_name: &'a str,
    callback_number_clid: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_display_id: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_skill_level: Option<u32>,
}

impl<T: Serialize> Serialize for Listing<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("meta", &self.meta)?;
        for (name, value) in self.owner {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry(self.name, self.rows)?;
        map.end()
    }
}

/// The answer with the requested part of `all`.
pub(crate) fn listing<T: Serialize>(
    name: &'static str,
    owner: &[(&'static str, String)],
    all: &[T],
    paging: Paging,
) -> Answer {
    let rows = paging.cut(all);
    let meta = paging.meta(rows.len(), all.len() as u64);
    match serde_json::to_string(&Listing { name, owner, rows, meta }) {
        Ok(body) => json(200, body),
        Err(_) => simple(500),
    }
}

/// The owner that a user's list names.
pub(crate) fn owner(user: &User) -> Vec<(&'static str, String)> {
    let mut owner = vec![("userId", vonage_user_id(user.id))];
    owner.extend(vonage_agent_display_id(user).map(|id| ("agentDisplayId", id)));
    owner
}

pub(crate) fn groups(simulator: &Simulator, paging: Paging) -> Answer {
    simulator.with_teams(|teams| {
        let all: Vec<Group<'_>> = teams.iter().map(Group::of).collect();
        listing("groups", &[], &all, paging)
    })
}

/// The group with this UUID.
pub(crate) fn group(simulator: &Simulator, uuid: &str) -> Option<Answer> {
    let team = team(simulator, uuid)?;
    serde_json::to_string(&Group::of(&team)).ok().map(|body| json(200, body))
}

pub(crate) fn users_of_group(simulator: &Simulator, uuid: &str, paging: Paging) -> Option<Answer> {
    let team = team(simulator, uuid)?;
    let all = members(simulator, |user| {
        user.teams.iter().any(|other| other.id == team.id).then_some(None)
    });
    Some(listing("users", &[("groupId", uuid.to_owned())], &all, paging))
}

pub(crate) fn groups_of(user: &User, paging: Paging) -> Answer {
    let groups = user.teams.iter().map(|team| GroupOfUser {
        group_id: vonage_group_id(team.id),
        group_display_id: team.id.to_string(),
        group_name: &team.name,
    });
    let all: Vec<_> = groups.collect();
    listing("agentGroups", &owner(user), &all, paging)
}

pub(crate) fn skills(simulator: &Simulator, paging: Paging) -> Answer {
    let skills = all_skills(simulator);
    let all: Vec<_> = skills.iter().map(|(id, name)| Skill::of(*id, name, None)).collect();
    listing("skills", &[], &all, paging)
}

pub(crate) fn users_of_skill(simulator: &Simulator, uuid: &str, paging: Paging) -> Option<Answer> {
    let skills = all_skills(simulator);
    let id = skills.into_keys().find(|id| vonage_skill_id(*id) == uuid)?;
    let all = members(simulator, |user| {
        let level = user.skills.iter().find(|level| level.skill.id == id)?;
        Some(Some(level.value))
    });
    Some(listing("users", &[], &all, paging))
}

pub(crate) fn skills_of(user: &User, paging: Paging) -> Answer {
    let skills = user.skills.iter();
    let all: Vec<_> = skills
        .map(|SkillLevel { skill, value }| Skill::of(skill.id, &skill.name, Some(*value)))
        .collect();
    listing("agentSkills", &owner(user), &all, paging)
}

/// A name is unique only within an interaction plan: some are in two.
pub(crate) fn queues(paging: Paging) -> Answer {
    let queues = data::queues();
    let of = |queue: &Named, plan: u64| Queue {
        queue_id: queue_id(queue.id, plan),
        queue_name: queue.name.to_string(),
        interaction_plan_id: plan_id(plan),
    };
    let first = queues.iter().map(|queue| of(queue, 1));
    let second = queues.iter().filter(|queue| in_two_plans(queue.id)).map(|queue| of(queue, 2));
    listing("queues", &[], &first.chain(second).collect::<Vec<_>>(), paging)
}

/// One for each caller id of any user.
pub(crate) fn callback_numbers(simulator: &Simulator, paging: Paging) -> Answer {
    simulator.with_users(|users| {
        let names: BTreeSet<&str> = users.iter().filter_map(|user| caller_id(user)).collect();
        let all: Vec<_> = names.into_iter().map(CallbackNumber::of).collect();
        listing("callbackNumbers", &[], &all, paging)
    })
}

pub(crate) fn callback_numbers_of(user: &User, paging: Paging) -> Answer {
    let all: Vec<_> = caller_id(user).map(CallbackNumber::of).into_iter().collect();
    listing("callbackNumbers", &owner(user), &all, paging)
}

/// The UUID of a queue in a plan.
pub(crate) fn queue_id(queue: u64, plan: u64) -> String {
    uuid(&format!("queue:{plan}:{queue}"))
}

/// The UUID of an interaction plan; there are two.
pub(crate) fn plan_id(plan: u64) -> String {
    uuid(&format!("plan:{plan}"))
}

/// Whether the second plan also has this queue.
pub(crate) fn in_two_plans(queue: u64) -> bool {
    queue.is_multiple_of(4)
}

fn team(simulator: &Simulator, uuid: &str) -> Option<Named> {
    simulator
        .with_teams(|teams| teams.iter().find(|team| vonage_group_id(team.id) == uuid).cloned())
}

/// The active users for whom `belongs` returns a level.
fn members(simulator: &Simulator, belongs: impl Fn(&User) -> Option<Option<u32>>) -> Vec<Member> {
    let one = |user: &Arc<User>| {
        let agent_skill_level = belongs(user)?;
        Some(Member {
            user_id: vonage_user_id(user.id),
            agent_display_id: vonage_agent_display_id(user),
            name: user.name.to_string(),
            agent_skill_level,
        })
    };
    simulator
        .with_users(|users| users.iter().filter(|user| !is_deleted(user)).filter_map(one).collect())
}

/// The skills of the contact center, and further ones of single users, by id.
fn all_skills(simulator: &Simulator) -> BTreeMap<u64, String> {
    let mut all: BTreeMap<u64, String> =
        data::skills().into_iter().map(|skill| (skill.id, skill.name.into_owned())).collect();
    simulator.with_users(|users| {
        for level in users.iter().flat_map(|user| &user.skills) {
            all.entry(level.skill.id).or_insert_with(|| level.skill.name.to_string());
        }
    });
    all
}

impl<'a> Group<'a> {
    fn of(team: &'a Named) -> Group<'a> {
        Group {
            group_id: vonage_group_id(team.id),
            group_name: &team.name,
            group_max_unexpected_time: 1 + team.id % 600,
            group_max_wrap_up_time: 1 + team.id % 300,
            group_display_id: team.id.to_string(),
        }
    }
}

impl<'a> Skill<'a> {
    fn of(id: u64, name: &'a str, level: Option<u32>) -> Skill<'a> {
        Skill {
            skill_id: vonage_skill_id(id),
            skill_display_id: id.to_string(),
            skill_name: name,
            agent_skill_level: level.map(|level| level.to_string()),
        }
    }
}

impl<'a> CallbackNumber<'a> {
    fn of(name: &'a str) -> CallbackNumber<'a> {
        let id = vonage_callback_number_id(name);
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        // A name without digits also gets a number, from a range that no phone uses.
        let digits = if digits.is_empty() {
            let sum: u32 = id.bytes().map(u32::from).sum();
            format!("441632960{:03}", sum % 1000)
        } else {
            digits
        };
        CallbackNumber {
            callback_number_id: id,
            callback_number_name: name,
            callback_number_clid: format!("+{digits}"),
        }
    }
}
