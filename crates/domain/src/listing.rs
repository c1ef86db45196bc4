//! Upstream collections in hub words: what can be read page by page, and what one row of it says.
//!
//! A dialect knows where a listing is found on its wire; nobody else does. A listing names no path
//! and no wire field.

use std::borrow::Cow;
use std::sync::Arc;

use crate::hub::{Named, User};

/// One paged upstream collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listing {
    /// The users of the contact center.
    Users(Which),
    /// One user, found by something unique: a list of one, or none.
    User(By),
    /// Teams.
    Teams,
    /// Skills.
    Skills,
    /// What users may show as their caller id.
    CallerIds,
    /// The users of the team with this upstream id.
    TeamMembers(Arc<str>),
    /// The users who have the skill with this upstream id.
    SkillMembers(Arc<str>),
    /// The users of whom it must be asked one by one what they own.
    Owners(Owned),
    /// What the user with this upstream id owns.
    OfUser(Owned, Arc<str>),
}

/// Which users. An upstream that cannot tell them apart lists them all; every row says its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// Those who exist.
    Live,
    /// Those who are gone.
    Deleted,
    /// Both.
    All,
}

/// Something that only one user has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum By {
    /// The upstream's own id.
    Id(Arc<str>),
    /// The short id that addresses an agent.
    DisplayId(Arc<str>),
}

/// Things that some upstreams only tell user by user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owned {
    /// Skills with their levels.
    Skills,
    /// Teams the user supervises.
    SupervisedTeams,
    /// Queues.
    Queues,
}

impl Listing {
    /// The word for logs and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Listing::Users(_) | Listing::Owners(_) => "users",
            Listing::User(_) => "user",
            Listing::Teams => "teams",
            Listing::Skills => "skills",
            Listing::CallerIds => "caller_ids",
            Listing::TeamMembers(_) => "team_members",
            Listing::SkillMembers(_) => "skill_members",
            Listing::OfUser(Owned::Skills, _) => "skills_of_user",
            Listing::OfUser(Owned::SupervisedTeams, _) => "supervised_teams_of_user",
            Listing::OfUser(Owned::Queues, _) => "queues_of_user",
        }
    }
}

/// One row of a listing.
#[derive(Debug, Clone, Copy)]
pub enum Row<'r, 'a> {
    /// A user, whole.
    User(&'r User<'a>),
    /// Anything else that is listed.
    Item(&'r Item<'a>),
    /// A row that is listed but not meant; it counts for paging.
    Other {
        /// Its identity.
        key: u64,
    },
}

/// A row that is no whole user: a team, a skill, a caller id, or a user in a list of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// Identity inside its listing; of a member, the user's key.
    pub key: u64,
    /// The upstream's own id, by which more can be asked.
    pub id: Cow<'a, str>,
    /// Id and name as legacy shows them.
    pub shown: Named<'a>,
    /// Level, where the row is about a skill and has one.
    pub level: Option<u32>,
}

impl Item<'_> {
    /// A copy that outlives its page.
    pub fn into_owned(self) -> Item<'static> {
        Item {
            key: self.key,
            id: Cow::Owned(self.id.into_owned()),
            shown: self.shown.into_owned(),
            level: self.level,
        }
    }
}
