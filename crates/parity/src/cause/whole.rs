//! Why the parts differ that an answer has once: status, headers, envelope.

use corpus::ask::Reply;
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
                let why = "another envelope makes it equal";
                Judgement::quirk(self.table(), "envelope", quoted(control), why)
            }
            (ENVELOPE, _) => Judgement::bug("something else stands around the list"),
            (STATUS, _) => Judgement::bug("another status"),
            (ERROR, _) => Judgement::bug("another text of the error"),
            _ => Judgement::bug("nothing known explains it"),
        }
    }

    /// Judges the answers to a key that does not exist, which the setting `invalid_key` covers.
    pub fn refused(&self, control: &Reply, candidate: &Reply) -> Option<Judgement> {
        let value = invalid_key(control)?;
        let current = &self.settings.invalid_key;
        let is_as_set = invalid_key(candidate)? == key_value(current.status, &current.text);
        let why = "another answer to a wrong key makes it equal";
        is_as_set.then(|| Judgement::quirk(self.table(), "invalid_key", value, why))
    }
}

/// The envelopes of lists of users, with the names of the setting.
pub(crate) const ENVELOPES: [&str; 3] = ["array", "users", "sample"];

/// The value of the setting `invalid_key` under which candidate gives this answer, if there is one.
pub(super) fn invalid_key(reply: &Reply) -> Option<String> {
    let body = Node::parse(&reply.body).ok()?;
    let is_error = matches!(&body, Node::Object(members) if members.len() == 1);
    let text = body.get("error")?.text()?;
    (is_error && (400..500).contains(&reply.status)).then(|| key_value(reply.status, text))
}

fn key_value(status: u16, text: &str) -> String {
    format!("{{ status = {status}, text = {} }}", quoted(text))
}
