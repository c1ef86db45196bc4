//! Every list except the users: groups, skills, queues and callback numbers, of the account and of one
//! user, and their members.
//!
//! Groups are the store's teams. Members are only active users, as in the samples.

use std::collections::{BTreeMap, BTreeSet};

use crate::Simulator;
use crate::answer::Answer;
use crate::legacy::is_deleted;
use crate::object::Object;
use crate::people::data;
use crate::people::record::{Named, User};
use crate::vonage::identity::{
    uuid, vonage_agent_display_id, vonage_callback_number_id, vonage_group_id, vonage_skill_id,
    vonage_user_id,
};
use crate::vonage::json;
use crate::vonage::paging::Paging;
use crate::vonage::user::caller_id;

/// The answer with the requested part of `all`, behind `meta` and the owner of the list.
pub(crate) fn listing(
    name: &'static str,
    owner: Object,
    all: Vec<Object>,
    paging: Paging,
) -> Answer {
    let total = all.len() as u64;
    let rows = paging.cut(all);
    let meta = Object::default().object("meta", paging.meta(rows.len(), total));
    json(200, meta.and(owner).list(name, rows).to_json())
}

/// The owner that a user's list names.
pub(crate) fn owner(user: &User) -> Object {
    Object::default()
        .with("userId", vonage_user_id(user.id))
        .maybe("agentDisplayId", vonage_agent_display_id(user))
}

pub(crate) fn groups(simulator: &Simulator, paging: Paging) -> Answer {
    let all = simulator.with_teams(|teams| teams.iter().map(whole_group).collect());
    listing("groups", Object::default(), all, paging)
}

pub(crate) fn group(simulator: &Simulator, uuid: &str) -> Option<Answer> {
    Some(json(200, whole_group(&team(simulator, uuid)?).to_json()))
}

pub(crate) fn users_of_group(simulator: &Simulator, uuid: &str, paging: Paging) -> Option<Answer> {
    let team = team(simulator, uuid)?;
    let all = members(simulator, |user| {
        user.teams.iter().any(|other| other.id == team.id).then_some(None)
    });
    Some(listing("users", Object::default().with("groupId", uuid), all, paging))
}

pub(crate) fn groups_of(user: &User, paging: Paging) -> Answer {
    let group = |team: &Named| {
        Object::default()
            .with("groupId", vonage_group_id(team.id))
            .with("groupDisplayId", team.id.to_string())
            .with("groupName", team.name.as_ref())
    };
    listing("agentGroups", owner(user), user.teams.iter().map(group).collect(), paging)
}

pub(crate) fn skills(simulator: &Simulator, paging: Paging) -> Answer {
    let all = all_skills(simulator).iter().map(|(id, name)| skill(*id, name)).collect();
    listing("skills", Object::default(), all, paging)
}

pub(crate) fn users_of_skill(simulator: &Simulator, uuid: &str, paging: Paging) -> Option<Answer> {
    let skills = all_skills(simulator);
    let id = skills.into_keys().find(|id| vonage_skill_id(*id) == uuid)?;
    let all = members(simulator, |user| {
        let level = user.skills.iter().find(|level| level.skill.id == id)?;
        Some(Some(level.value))
    });
    Some(listing("users", Object::default(), all, paging))
}

pub(crate) fn skills_of(user: &User, paging: Paging) -> Answer {
    // The level is a text here, but a number in the list of a skill's users.
    let all = user.skills.iter().map(|level| {
        let skill = skill(level.skill.id, &level.skill.name);
        skill.with("agentSkillLevel", level.value.to_string())
    });
    listing("agentSkills", owner(user), all.collect(), paging)
}

/// A name is unique only within an interaction plan: some are in two.
pub(crate) fn queues(paging: Paging) -> Answer {
    let queues = data::queues();
    let first = queues.iter().map(|one| queue(one, 1));
    let second = queues.iter().filter(|one| in_two_plans(one.id)).map(|one| queue(one, 2));
    listing("queues", Object::default(), first.chain(second).collect(), paging)
}

/// One for each caller id of any user.
pub(crate) fn callback_numbers(simulator: &Simulator, paging: Paging) -> Answer {
    let all = simulator.with_users(|users| {
        let names: BTreeSet<&str> = users.iter().filter_map(|user| caller_id(user)).collect();
        names.into_iter().map(callback_number).collect()
    });
    listing("callbackNumbers", Object::default(), all, paging)
}

pub(crate) fn callback_numbers_of(user: &User, paging: Paging) -> Answer {
    let all = caller_id(user).map(callback_number).into_iter().collect();
    listing("callbackNumbers", owner(user), all, paging)
}

/// A queue in an interaction plan; there are two plans.
pub(crate) fn queue(queue: &Named, plan: u64) -> Object {
    Object::default()
        .with("queueId", uuid(&format!("queue:{plan}:{}", queue.id)))
        .with("queueName", queue.name.as_ref())
        .with("interactionPlanId", uuid(&format!("plan:{plan}")))
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
fn members(simulator: &Simulator, belongs: impl Fn(&User) -> Option<Option<u32>>) -> Vec<Object> {
    let member = |user: &User| {
        let level = belongs(user)?;
        let member = owner(user).with("name", user.name.as_ref());
        Some(member.maybe("agentSkillLevel", level))
    };
    simulator.with_users(|users| {
        let active = users.iter().filter(|user| !is_deleted(user));
        active.filter_map(|user| member(user)).collect()
    })
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

fn whole_group(team: &Named) -> Object {
    Object::default()
        .with("groupId", vonage_group_id(team.id))
        .with("groupName", team.name.as_ref())
        .with("groupMaxUnexpectedTime", 1 + team.id % 600)
        .with("groupMaxWrapUpTime", 1 + team.id % 300)
        .with("groupDisplayId", team.id.to_string())
}

fn skill(id: u64, name: &str) -> Object {
    Object::default()
        .with("skillId", vonage_skill_id(id))
        .with("skillDisplayId", id.to_string())
        .with("skillName", name)
}

fn callback_number(name: &str) -> Object {
    let id = vonage_callback_number_id(name);
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    // A name without digits also gets a number, from a range that no phone uses.
    let digits = if digits.is_empty() {
        let sum: u32 = id.bytes().map(u32::from).sum();
        format!("441632960{:03}", sum % 1000)
    } else {
        digits
    };
    Object::default()
        .with("callbackNumberId", id)
        .with("callbackNumberName", name)
        .with("callbackNumberClid", format!("+{digits}"))
}
