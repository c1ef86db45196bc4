//! The hub: the neutral model between legacy endpoints and upstream dialects.
//!
//! Everything borrows from the page it was read from (`Cow<'a, str>`), and is dropped with it. Wire
//! names of either side must never appear here.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::text::draft::Draft;

/// Text as the upstream sent it; `None` where it sent `null` or nothing.
pub type Text<'a> = Option<Cow<'a, str>>;

/// One user, page-borrowed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct User<'a> {
    /// Identity inside one listing: the upstream's own decimal id, or a hash of a textual one.
    /// Sweeps compare keys, so they are independent of the id policy.
    pub key: u64,
    /// The upstream's own id, by which it is asked for something about this user.
    pub own_id: Cow<'a, str>,
    /// The number legacy clients see, after the id policy.
    pub id: u64,
    /// Display name.
    pub name: Text<'a>,
    /// Sign-in e-mail address.
    pub email: Text<'a>,
    /// SIP address of the softphone, `user@domain`.
    pub sip_account: Text<'a>,
    /// Security access group; at most one per user.
    pub group: Option<Named<'a>>,
    /// Internal extension.
    pub extension: Text<'a>,
    /// Caller id, a number in the upstream's spelling.
    pub caller_id: Text<'a>,
    /// Time zone in the upstream's spelling, normally an IANA id.
    pub time_zone: Text<'a>,
    /// Name of the softphone ringtone.
    pub ringtone: Text<'a>,
    /// Teams the user belongs to, in upstream order.
    pub teams: Vec<Named<'a>>,
    /// Teams the user supervises, in upstream order.
    pub supervised_teams: Vec<Named<'a>>,
    /// Skills with their levels.
    pub skills: Vec<Skill<'a>>,
    /// Queues the user serves.
    pub queues: Vec<Named<'a>>,
    /// The customer's own employee number.
    pub employee_id: Text<'a>,
    /// Digital channels.
    pub channels: Vec<Channel<'a>>,
    /// Whether the user can take a call just now, in the upstream's word.
    pub status: Text<'a>,
    /// Whether the user exists, as the upstream has it.
    pub state: State,
}

/// Whether a user counts as existing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// An ordinary user.
    #[default]
    Live,
    /// A user with a deletion date that nevertheless counts as live: the documentation's own sample.
    LiveWithDeletionDate,
    /// A deleted user; never listed among the live ones.
    Deleted,
    /// A user without a legacy number whom the operator chose to leave out of every list.
    Unlisted,
}

/// Something with an id and a name: a group, team or queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named<'a> {
    /// Id as sent.
    pub id: Id<'a>,
    /// Name; `null` is possible and kept.
    pub name: Text<'a>,
}

impl Named<'_> {
    /// The same, borrowed.
    pub fn borrowed(&self) -> Named<'_> {
        Named {
            id: match &self.id {
                Id::Number(n) => Id::Number(*n),
                Id::Text(text) => Id::Text(Cow::Borrowed(text)),
            },
            name: self.name.as_deref().map(Cow::Borrowed),
        }
    }

    /// A copy that outlives its page.
    pub fn into_owned(self) -> Named<'static> {
        Named {
            id: self.id.into_owned(),
            name: self.name.map(|name| Cow::Owned(name.into_owned())),
        }
    }
}

/// An id from the wire: a whole number or text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id<'a> {
    /// A JSON integer, or a string that spells one.
    Number(u64),
    /// Any other JSON string.
    Text(Cow<'a, str>),
}

impl<'a> Id<'a> {
    /// The id of a text. An upstream may send one id as a number here and as text there, so a text that
    /// spells a number is that number.
    pub fn of(text: Cow<'a, str>) -> Self {
        crate::id::decimal(&text).map_or(Id::Text(text), Id::Number)
    }
}

impl Id<'_> {
    /// Appends the id in its plain spelling, as the inside of a JSON string.
    pub(crate) fn write(&self, to: &mut Draft<'_>) {
        match self {
            Id::Number(n) => to.number(*n),
            Id::Text(t) => to.inner(t),
        }
    }

    /// Whether `text` spells this id.
    pub fn spells(&self, text: &str) -> bool {
        match self {
            Id::Number(n) => itoa::Buffer::new().format(*n) == text,
            Id::Text(t) => t == text,
        }
    }

    /// A copy that outlives its page.
    pub fn into_owned(self) -> Id<'static> {
        match self {
            Id::Number(n) => Id::Number(n),
            Id::Text(t) => Id::Text(Cow::Owned(t.into_owned())),
        }
    }
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Id::Number(n) => n.fmt(f),
            Id::Text(t) => f.write_str(t),
        }
    }
}

/// A skill and its level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skill<'a> {
    /// Skill name.
    pub name: Text<'a>,
    /// Level; `None` where the upstream has none for it.
    pub level: Option<u32>,
}

/// A digital channel assigned to a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel<'a> {
    /// Kind of channel as the upstream spells it (a slug).
    pub kind: Cow<'a, str>,
    /// The channel's own name.
    pub name: Text<'a>,
    /// The number or handle that reaches it, if any.
    pub identifier: Text<'a>,
}
