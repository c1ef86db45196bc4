//! The part of the contact center that a caller may see: a legacy user key saw less than a v4 key.
//!
//! A hidden row never counts, matches, resolves a name or appears, as if it did not exist.

use crate::hub::{Id, User};

/// The rows a caller sees. There is no default: a caller without it is a configuration error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visibility {
    /// The whole contact center, as a contact center key saw it.
    Everything,
    /// Users that fit at least one of the lists.
    Only(Only),
}

/// Lists of which a row must fit one; visible rows are shown whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Teams by id: members and supervisors are visible.
    pub teams: Vec<String>,
    /// Groups by id or name.
    pub groups: Vec<String>,
    /// Users by legacy id.
    pub users: Vec<u64>,
}

impl Visibility {
    /// Whether this user exists for the caller.
    pub fn sees(&self, user: &User<'_>) -> bool {
        let only = match self {
            Visibility::Everything => return true,
            Visibility::Only(only) => only,
        };
        only.users.contains(&user.id)
            || user.teams.iter().chain(&user.supervised_teams).any(|team| only.lists_team(&team.id))
            || user.group.as_ref().is_some_and(|group| {
                listed(&only.groups, &group.id)
                    || group.name.as_ref().is_some_and(|name| only.groups.iter().any(|g| g == name))
            })
    }

    /// Whether the caller saw a user who is gone, by the last known legacy id, group (id and name) and
    /// ids of all teams.
    pub fn saw(
        &self,
        id: u64,
        group: Option<(&str, Option<&str>)>,
        mut teams: impl Iterator<Item: AsRef<str>>,
    ) -> bool {
        let only = match self {
            Visibility::Everything => return true,
            Visibility::Only(only) => only,
        };
        let lists_group = |text: &str| only.groups.iter().any(|listed| listed == text);
        only.users.contains(&id)
            || teams.any(|team| only.teams.iter().any(|listed| listed == team.as_ref()))
            || group.is_some_and(|(id, name)| lists_group(id) || name.is_some_and(lists_group))
    }

    /// Whether teams decide which users are visible.
    pub fn needs_teams(&self) -> bool {
        matches!(self, Visibility::Only(only) if !only.teams.is_empty())
    }
}

impl Only {
    /// Whether a team is listed.
    pub fn lists_team(&self, team: &Id<'_>) -> bool {
        listed(&self.teams, team)
    }
}

fn listed(list: &[String], id: &Id<'_>) -> bool {
    list.iter().any(|wanted| id.spells(wanted))
}
