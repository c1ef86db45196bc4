//! Why something differs that an answer has once: its status, its headers, what is around the list.

use super::{Evidence, Judgement, quoted};
use crate::compare::{Difference, ENVELOPE, ERROR, STATUS};
use crate::node::Node;

impl Evidence<'_> {
    pub(super) fn whole(&self, difference: &Difference) -> Judgement {
        let texts = (
            difference.control.as_ref().and_then(Node::text),
            difference.candidate.as_ref().and_then(Node::text),
        );
        match (difference.field.as_str(), texts) {
            (ENVELOPE, (Some(control), Some(candidate)))
                if candidate == self.settings.envelope
                    && ["array", "users", "sample"].contains(&control) =>
            {
                Judgement::quirk(
                    self.table(),
                    format!("envelope = \"{control}\""),
                    "another envelope makes it equal",
                )
            }
            (ENVELOPE, _) => Judgement::bug("something else stands around the list"),
            (STATUS, _) => Judgement::bug("another status"),
            (ERROR, _) => Judgement::bug("another text of the error"),
            _ => Judgement::bug("nothing known explains it"),
        }
    }

    /// Judges the answers to a key that nobody has: the setting `invalid_key` is there for that.
    /// `control` is the status and the body of control's answer.
    pub fn refused(&self, control: (u16, &Node), candidate: (u16, &Node)) -> Option<Judgement> {
        let text = |body: &Node| match body {
            Node::Object(members) if members.len() == 1 => {
                body.get("error").and_then(Node::text).map(str::to_owned)
            }
            _ => None,
        };
        let current = &self.settings.invalid_key;
        let is_as_set = candidate.0 == current.status
            && text(candidate.1).as_deref() == Some(current.text.as_str());
        let wanted = text(control.1)?;
        let is_possible = (400..500).contains(&control.0);
        (is_as_set && is_possible).then(|| {
            Judgement::quirk(
                self.table(),
                format!("invalid_key = {{ status = {}, text = {} }}", control.0, quoted(&wanted)),
                "another answer to a wrong key makes it equal",
            )
        })
    }
}
