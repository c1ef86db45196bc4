//! The records of two answers, by key, where both are lists.

use corpus::node::Node;

use super::Pair;
use crate::list::{KeyedBy, List};

pub(super) struct Records<'a> {
    pub(super) control: Option<List<'a>>,
    pub(super) candidate: Option<List<'a>>,
}

impl<'a> Records<'a> {
    pub(super) fn of(pair: &'a Pair, by: KeyedBy) -> Records<'a> {
        let read = |status: u16, body| if status == 200 { List::read(body, by).ok() } else { None };
        Records {
            control: read(pair.control.status, &pair.control.body),
            candidate: read(pair.candidate.status, &pair.candidate.body),
        }
    }

    pub(super) fn control(&self, key: &str) -> Option<Node> {
        Some(self.control.as_ref()?.record(key)?.node())
    }

    pub(super) fn candidate(&self, key: &str) -> Option<Node> {
        Some(self.candidate.as_ref()?.record(key)?.node())
    }

    /// The records that both sides have, as pairs.
    pub(super) fn both(&self) -> impl Iterator<Item = (Node, Node)> {
        let of_control = self.control.iter().flat_map(|list| list.keys.iter().zip(&list.records));
        of_control.filter_map(|(key, record)| Some((record.node(), self.candidate(key)?)))
    }
}
