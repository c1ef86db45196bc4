//! Why the parts differ that an answer has once: status, headers, envelope.

use corpus::node::Node;

use super::{Evidence, Judgement, quoted};
use crate::compare::{Difference, ENVELOPE, ERROR, STATUS};

impl Evidence<'_> {
    pub(super) fn whole(&self, difference: &Difference) -> Judgement {
        let texts = (
            difference.control.as_ref().and_then(Node::text),
            difference.candidate.as_ref().and_then(Node::text),
        );
        match (difference.field.as_str(), texts) {
            (ENVELOPE, (Some(control), Some(candidate)))
                if self.endpoint.lists_users()
                    && candidate == self.settings.envelope
                    && ENVELOPES.contains(&control) =>
            {
                Judgement::quirk(
                    self.table(),
                    "envelope",
                    quoted(control),
                    "another envelope makes it equal",
                )
            }
            (ENVELOPE, _) => Judgement::bug("something else stands around the list"),
            (STATUS, _) => Judgement::bug("another status"),
            (ERROR, _) => Judgement::bug("another text of the error"),
            _ => Judgement::bug("nothing known explains it"),
        }
    }

    /// Judges the answers to a key that does not exist, which the setting `invalid_key` covers. Each answer
    /// is its status and its body.
    pub fn refused(&self, control: (u16, &Node), candidate: (u16, &Node)) -> Option<Judgement> {
        let current = &self.settings.invalid_key;
        let is_as_set =
            refusal(candidate.0, candidate.1) == Some((current.status, current.text.as_str()));
        let (status, wanted) = refusal(control.0, control.1)?;
        is_as_set.then(|| {
            Judgement::quirk(
                self.table(),
                "invalid_key",
                invalid_key(status, wanted),
                "another answer to a wrong key makes it equal",
            )
        })
    }
}

/// The envelopes of lists of users, with the names of the setting.
pub(super) const ENVELOPES: [&str; 3] = ["array", "users", "sample"];

/// The status and the text of an answer, if `invalid_key` can be set to them.
pub(super) fn refusal(status: u16, body: &Node) -> Option<(u16, &str)> {
    match body {
        Node::Object(members) if members.len() == 1 && (400..500).contains(&status) => {
            Some((status, body.get("error")?.text()?))
        }
        _ => None,
    }
}

/// The value of `invalid_key`.
pub(super) fn invalid_key(status: u16, text: &str) -> String {
    format!("{{ status = {status}, text = {} }}", quoted(text))
}
