//! A user's permissions for groups and queues.
//!
//! A supervisor may write to the teams that it supervises in the store, and may read one more. An
//! administrator may write to every group. Other users have no group permission.

use crate::Simulator;
use crate::answer::Answer;
use crate::object::Object;
use crate::people::data;
use crate::people::record::{Named, User};
use crate::vonage::identity::{vonage_group_id, vonage_role};
use crate::vonage::lists::{in_two_plans, listing, owner, queue};
use crate::vonage::paging::Paging;

/// `permissions/groups`
pub(crate) fn groups(simulator: &Simulator, user: &User, paging: Paging) -> Answer {
    let permission = |team: &Named, kind: &'static str| {
        Object::default()
            .with("groupId", vonage_group_id(team.id))
            .with("groupDisplayId", team.id.to_string())
            .with("groupName", team.name.as_ref())
            .with("groupPermission", kind)
    };
    let all = simulator.with_teams(|teams| match vonage_role(user) {
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
    listing("groupPermissions", owner(user), all, paging)
}

/// `permissions/queues`: the queues that the user answers, and a closed one. A queue in two interaction
/// plans appears twice under one name.
pub(crate) fn queues(user: &User, paging: Paging) -> Answer {
    let permission =
        |one: &Named, plan: u64, kind: &'static str| queue(one, plan).with("queuePermission", kind);
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
    listing("queues", Object::default(), all, paging)
}
