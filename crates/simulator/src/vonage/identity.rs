//! Vonage's identities of stored things: UUIDs, a user's role, an agent's display id.
//!
//! Pure functions of the record, so that a test can compute what it expects without the simulator.
//! They must read nothing except their arguments.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::people::data::{FIRST_ID, own_extension};
use crate::people::record::User;

/// Generated extensions repeat after this many ids.
const EXTENSIONS: u64 = 9_000;

pub fn vonage_user_id(id: u64) -> String {
    uuid(&format!("user:{id}"))
}

/// The `groupId` of a team.
pub fn vonage_group_id(team_id: u64) -> String {
    uuid(&format!("group:{team_id}"))
}

pub fn vonage_skill_id(skill_id: u64) -> String {
    uuid(&format!("skill:{skill_id}"))
}

pub fn vonage_callback_number_id(caller_id: &str) -> String {
    uuid(&format!("callback:{caller_id}"))
}

/// The role of a user, by the exact name of the security access group. Two names are roles themselves,
/// others stand for a role, and all other users are an `Agent`.
///
/// | group | role |
/// |---|---|
/// | `Admin` | `Admin` |
/// | `Supervisor`, `QA, Training & Audit`, `Équipe Nuit` | `Supervisor` |
/// | `Analyst`, ` Read only ` | `Wallboard` |
/// | any other, or none | `Agent` |
pub fn vonage_role(user: &User) -> &'static str {
    match user.security_access_group.as_ref().map(|group| group.name.as_ref()) {
        Some("Admin") => "Admin",
        Some("Supervisor" | "QA, Training & Audit" | "Équipe Nuit") => "Supervisor",
        Some("Analyst" | " Read only ") => "Wallboard",
        _ => "Agent",
    }
}

/// The `agentDisplayId` of a user who acts as an agent, which is a user with an extension.
///
/// It must be unique, but extensions repeat. So it is the extension if the generator gave it to this
/// user first (four digits), `0` and the user's id if the extension begins with 0, and otherwise `9`
/// and the user's id in nine digits. `telephonyExtension` has the extension unchanged.
pub fn vonage_agent_display_id(user: &User) -> Option<String> {
    let extension = user.extension.as_deref().filter(|text| !text.is_empty())?;
    let id = user.id;
    let first_round = (FIRST_ID..FIRST_ID + EXTENSIONS).contains(&id);
    Some(if first_round && extension == own_extension(id) {
        extension.to_owned()
    } else if extension.starts_with('0') {
        format!("0{id}")
    } else {
        format!("9{id:09}")
    })
}

/// A UUID in lower case, made from a name. It is version 8, because no other version fits.
pub(crate) fn uuid(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let mut out = String::with_capacity(36);
    for (k, byte) in digest.iter().take(16).enumerate() {
        let byte = match k {
            6 => byte & 0x0F | 0x80,
            8 => byte & 0x3F | 0x80,
            _ => *byte,
        };
        let dash = if matches!(k, 4 | 6 | 8 | 10) { "-" } else { "" };
        // Writing to a String can't fail.
        let _ = write!(out, "{dash}{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::people::data;
    use crate::people::record::Named;

    #[test]
    fn uuids_are_stable_and_well_formed() {
        assert_eq!(vonage_user_id(10_001), vonage_user_id(10_001));
        let all = [
            vonage_user_id(7),
            vonage_group_id(7),
            vonage_skill_id(7),
            vonage_callback_number_id("7"),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:?}");
        for uuid in all {
            let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
            assert!(uuid.chars().all(|c| c == '-' || "0123456789abcdef".contains(c)), "{uuid}");
            assert_eq!(uuid.as_bytes()[14], b'8', "{uuid}");
            assert!("89ab".contains(char::from(uuid.as_bytes()[19])), "{uuid}");
        }
    }

    #[test]
    fn no_two_agents_share_a_display_id() {
        let users = data::users(1, 50_000);
        let ids: Vec<String> = users.iter().filter_map(vonage_agent_display_id).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        let has = |test: &dyn Fn(&User) -> bool| users.iter().take(250).any(test);
        assert!(has(
            &|user| vonage_agent_display_id(user) == user.extension.as_deref().map(Into::into)
        ));
        assert!(has(&|user| vonage_agent_display_id(user).is_some_and(|id| id.starts_with('0'))));
        assert!(has(&|user| user.extension.is_none() && vonage_agent_display_id(user).is_none()));
        assert!(has(&|user| user.extension.as_deref() == Some("")));
        let mut user = User::documented_sample();
        assert_eq!(vonage_agent_display_id(&user).as_deref(), Some("9000001234"));
        user.extension = Some("".into());
        assert_eq!(vonage_agent_display_id(&user), None);
    }

    #[test]
    fn every_role_occurs_and_names_match_exactly() {
        let users = data::users(1, 250);
        let roles: HashSet<&str> = users.iter().map(vonage_role).collect();
        assert_eq!(roles, HashSet::from(["Admin", "Supervisor", "Wallboard", "Agent"]));
        let mut user = User::documented_sample();
        for (group, role) in [
            (Some("Boarding"), "Agent"),
            (Some("Admin"), "Admin"),
            (Some("admin"), "Agent"),
            (Some("Supervisor"), "Supervisor"),
            (Some(" Read only "), "Wallboard"),
            (None, "Agent"),
        ] {
            user.security_access_group = group.map(|name| Named { id: 1, name: name.into() });
            assert_eq!(vonage_role(&user), role, "{group:?}");
        }
    }
}
