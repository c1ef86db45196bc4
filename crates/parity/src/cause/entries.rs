//! Entries of dictionaries that need more than one record as evidence: the two values of one record may just be two
//! values.

use corpus::node::Node;

use super::values::is_number;
use super::{Evidence, Judgement, quoted};

impl Evidence<'_> {
    pub(super) fn caller_id(
        &self,
        group: &str,
        number: &str,
        control: &Node,
        candidate: &Node,
    ) -> Option<Judgement> {
        // Two different numbers are not a number and its group, nor is a number that is cut or written with signs.
        let digits: String = group.chars().filter(char::is_ascii_digit).collect();
        let is_shape = !digits.is_empty()
            && !group.chars().any(char::is_alphabetic)
            && number.trim_start_matches('+').starts_with(&digits);
        if is_number(group) || group.is_empty() || number.is_empty() || is_shape {
            return None;
        }
        // The new API may have a text in the place of a number. An entry for it needs the witness and two
        // users, and neither side may have the other's text for another user.
        if !is_number(number) {
            let is_another = self.pairs.is_shown("caller_id", control)
                || self.pairs.is_beside("caller_id", candidate)
                || !self.pairs.is_inverse("caller_id", control);
            let (evidence, against) = self.pairs.evidence("caller_id", candidate, control);
            if self.witness.is_none() || is_another || evidence < 2 || against > 0 {
                return None;
            }
        }
        if self.pairs.is_function("caller_id", candidate, control) {
            return Some(Judgement::quirk(
                format!("{}.caller_id_groups", self.table()),
                &quoted(number),
                quoted(group),
                "an entry of the dictionary of caller ids makes it equal",
            ));
        }
        // Without the witness the number may be another user's. A group has more than one user.
        let is_group = self.pairs.times("caller_id", control) > 1;
        (is_group && self.witness.is_some()).then(|| {
            Judgement::loss(
                "the new API has numbers in place of caller-id groups, and this number belongs to \
                 several groups",
            )
        })
    }

    /// One agent may have changed from one status to the other, so an entry needs two, and neither side may have the
    /// other's word for another agent.
    pub(super) fn status(
        &self,
        raw: &str,
        word: &str,
        control: &Node,
        candidate: &Node,
    ) -> Option<Judgement> {
        let is_another = self.pairs.is_shown("status", control)
            || self.pairs.is_beside("status", candidate)
            || !self.pairs.is_inverse("status", control);
        let (evidence, against) = self.pairs.evidence("status", candidate, control);
        (!is_another && evidence > 1 && against == 0).then(|| {
            Judgement::quirk(
                format!("{}.statuses", self.table()),
                &quoted(raw),
                quoted(word),
                "an entry of the dictionary of statuses makes it equal",
            )
        })
    }
}
