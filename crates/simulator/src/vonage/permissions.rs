//! A user's permissions for groups and queues.
//!
//! A supervisor may write to the teams that it supervises in the store, and may read one more. An
//! administrator may write to every group. Other users have no group permission.

use serde::Serialize;

use crate::Simulator;
use crate::answer::Answer;
use crate::people::data;
use crate::people::record::{Named, User};
use crate::vonage::identity::{vonage_group_id, vonage_role};
use crate::vonage::lists::{in_two_plans, listing, owner, plan_id, queue_id};
use crate::vonage::paging::Paging;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupPermission {
    group_id: String,
    group_display_id: String,
    group_name: String,
    group_permission: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueuePermission {
    queue_id: String,
    queue_name: String,
    interaction_plan_id: String,
    queue_permission: &'static str,
}

/// `permissions/groups`
pub(crate) fn groups(simulator: &Simulator, user: &User, paging: Paging) -> Answer {
    let permission = |team: &Named, kind: &'static str| GroupPermission {
        group_id: vonage_group_id(team.id),
        group_display_id: team.id.to_string(),
        group_name: team.name.to_string(),
        group_permission: kind,
    };
    let all: Vec<GroupPermission> = simulator.with_teams(|teams| match vonage_role(user) {
        "Admin" => teams.iter().map(|team| permission(team, "Write")).collect(),
        "Supervisor" => {
            let supervises = |team: &Named| user.supervised_teams.iter().any(|t| t.id == team.id);
            let others: Vec<&Named> = teams.iter().filter(|team| !supervises(team)).collect();
            let one = (user.id as usize).checked_rem(others.len()).and_then(|k| others.get(k));
            let written = user.supervised_teams.iter().map(|team| permission(team, "Write"));
            written.chain(one.map(|team| permission(team, "Read"))).collect()
        }
        _ => Vec::new(),
    });
    listing("groupPermissions", &owner(user), &all, paging)
}

/// `permissions/queues`: the queues that the user answers, and a closed one. A queue in two interaction
/// plans appears twice under one name.
pub(crate) fn queues(user: &User, paging: Paging) -> Answer {
    let permission = |queue: &Named, plan: u64, kind: &'static str| QueuePermission {
        queue_id: queue_id(queue.id, plan),
        queue_name: queue.name.to_string(),
        interaction_plan_id: plan_id(plan),
        queue_permission: kind,
    };
    let mut all = Vec::new();
    for queue in &user.queues {
        all.push(permission(queue, 1, "Read"));
        if in_two_plans(queue.id) {
            all.push(permission(queue, 2, "Read"));
        }
    }
    let answers = |queue: &Named| user.queues.iter().any(|other| other.id == queue.id);
    let closed = data::queues().into_iter().find(|queue| !answers(queue));
    all.extend(closed.map(|queue| permission(&queue, 1, "None")));
    listing("queues", &[], &all, paging)
}
