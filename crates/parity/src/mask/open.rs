//! What a report may show at each place of an answer. It must never open a place that is about a person.

use crate::compare::{ENVELOPE, ORDER, STATUS};

/// The counts in an envelope.
const PAGING: [&str; 5] = ["total", "page", "page_size", "limit", "offset"];

/// A text with this many digits may be the number of a person.
pub(super) const DIGITS_MIN: usize = 7;

/// What a report may show at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Nothing, because the value may be about a person.
    Shut,
    /// A decimal number.
    Id,
    /// Numbers, or names of things, joined by a comma and a space.
    Ids,
    /// Names of things.
    Words,
    /// Names of things, with names and levels below them.
    Skills,
    Count,
    /// An envelope: only the counts below it.
    Around,
}

impl Open {
    /// What may be shown at a field of a record, or a part of an answer.
    pub(super) fn at(name: &str) -> Open {
        match name {
            "id" | ORDER => Open::Id,
            "assigned_teams" | "agent_in_teams" | "supervisor_in_teams" => Open::Ids,
            "sag" | "timezone" | "webrtc_ringtone" | "assigned_queues" | "type" => Open::Words,
            "assigned_skills" => Open::Skills,
            STATUS => Open::Count,
            _ => Open::Shut,
        }
    }

    /// What may be shown at a member below this place.
    pub(super) fn below(self, name: &str) -> Open {
        match (self, name) {
            (Open::Skills, "name" | "value") => Open::Words,
            (Open::Around, name) if PAGING.contains(&name) => Open::Count,
            (Open::Around, _) => Open::Around,
            _ => Open::at(name),
        }
    }

    /// What may be shown at the path of a difference.
    pub(super) fn of(path: &str) -> Open {
        if let Some(name) = around(path) {
            return Open::Around.below(name);
        }
        let mut names = path.trim_end_matches("[]").split("[].");
        let first = Open::at(names.next().unwrap_or_default());
        names.fold(first, Open::below)
    }

    /// Whether a text may be shown that is not known to be personal.
    pub(super) fn shows(self, text: &str) -> bool {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        match self {
            Open::Shut | Open::Around | Open::Count => false,
            Open::Id => is_number(text),
            Open::Ids => text.split(", ").all(|part| is_number(part) || Open::Words.shows(part)),
            Open::Words | Open::Skills => !text.contains('@') && digits < DIGITS_MIN,
        }
    }
}

/// The member of the envelope that a path names.
fn around(path: &str) -> Option<&str> {
    path.strip_prefix(ENVELOPE)?.strip_prefix('.')
}

pub(super) fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
