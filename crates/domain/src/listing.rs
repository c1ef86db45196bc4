//! Upstream collections in hub words: the listings that are read page by page, and their rows.
//!
//! Only a dialect knows where a listing is found on its wire. A listing names no path and no wire
//! field.

use std::borrow::Cow;
use std::sync::Arc;

use crate::hub::{Named, Text, User};

/// One paged upstream collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listing {
    /// The users of the contact center.
    Users(Which),
    /// One user, found by something unique: a list of one, or none.
    User(By),
    /// Teams.
    Teams,
    /// Messages that were written beforehand, for any channel.
    Messages,
    /// Skills.
    Skills,
    /// The numbers that users may show as their caller id.
    CallerIds,
    /// The users of the team with this upstream id.
    TeamMembers(Arc<str>),
    /// The users who have the skill with this upstream id.
    SkillMembers(Arc<str>),
    /// The users whose things must be asked for one by one.
    Owners(Owned),
    /// The things that the user with this upstream id owns.
    OfUser(Owned, Arc<str>),
}

/// Which users. An upstream that cannot tell them apart lists all; each row says its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// Users who exist.
    Live,
    /// Users who are deleted.
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

/// Things that some upstreams list only user by user.
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
    /// The words of all listings.
    pub const NAMES: [&str; 10] = [
        "users",
        "user",
        "teams",
        "skills",
        "caller_ids",
        "team_members",
        "skill_members",
        "skills_of_user",
        "supervised_teams_of_user",
        "queues_of_user",
    ];

    /// The word for logs and errors.
    pub fn name(&self) -> &'static str {
        match self {
            Listing::Users(_) | Listing::Owners(_) => "users",
            Listing::User(_) => "user",
            Listing::Teams => "teams",
            Listing::Messages => "messages",
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
    /// A record of anything else.
    Item(&'r Item<'a>),
    /// A row that is not asked for; it counts for paging.
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
    /// What the row is beside its id and name, where it is about a message.
    pub message: Option<Arc<Message>>,
}

/// A message that was written beforehand.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// Its text.
    pub body: Text<'static>,
    /// The kinds of channels it is for, in the upstream's words.
    pub channels: Vec<String>,
    /// The teams that may use it; all may where there is none.
    pub teams: Vec<Named<'static>>,
}

impl Item<'_> {
    /// A copy that outlives its page.
    pub fn into_owned(self) -> Item<'static> {
        Item {
            key: self.key,
            id: Cow::Owned(self.id.into_owned()),
            shown: self.shown.into_owned(),
            level: self.level,
            message: self.message,
        }
    }
}
