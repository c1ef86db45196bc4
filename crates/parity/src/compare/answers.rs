//! Compares two whole answers: status, headers, and a list or an error. A listener takes the differences.

use std::vec::Drain;

use corpus::ask::Reply;
use corpus::endpoint::Endpoint;
use corpus::node::Node;

use super::{A_LIST, BODY, Compared, Difference, ERROR, Kind, STATUS};
use crate::list::{KeyedBy, List, NotAList};

/// Headers that clients act on. Dates, lengths, ids and headers of connections are not compared.
pub(crate) const HEADERS: [&str; 4] =
    ["content-type", "location", "retry-after", "www-authenticate"];

pub fn compare(endpoint: &Endpoint, control: &Reply, candidate: &Reply, by: KeyedBy) -> Compared {
    let mut differences = Vec::new();
    let take = &mut |found: Drain<'_, Difference>, _: RecordPair<'_>| differences.extend(found);
    let mut compared = Compared::default();
    compared.answers(endpoint, (control, candidate), by, &mut Listener { take, goes_on: &|| true });
    differences.append(&mut compared.differences);
    compared.differences = differences;
    compared
}

/// Control's record and candidate's record, for a difference within a record that both sides have.
pub type RecordPair<'a> = Option<(&'a Node, &'a Node)>;

/// Takes differences as they are found: record by record, and those of the whole answers.
pub struct Listener<'a> {
    /// Takes the differences found since the last call.
    pub take: &'a mut dyn FnMut(Drain<'_, Difference>, RecordPair<'_>),
    /// Called before each record. Comparing ends where it returns false.
    pub goes_on: &'a dyn Fn() -> bool,
}

/// Compares two answers and gives every difference to a listener, so that memory holds the differences of
/// one record at a time.
pub fn compare_into(
    endpoint: &Endpoint,
    control: &Reply,
    candidate: &Reply,
    by: KeyedBy,
    listener: &mut Listener<'_>,
) {
    let mut compared = Compared { is_untallied: true, ..Compared::default() };
    compared.answers(endpoint, (control, candidate), by, listener);
    (listener.take)(compared.differences.drain(..), None);
}

impl Compared {
    fn answers(
        &mut self,
        endpoint: &Endpoint,
        (control, candidate): (&Reply, &Reply),
        by: KeyedBy,
        listener: &mut Listener<'_>,
    ) {
        let number = |status: u16| Some(Node::Number(status.into()));
        self.whole(STATUS, number(control.status), number(candidate.status));
        for name in HEADERS {
            let (control, candidate) = (header(control, name), header(candidate, name));
            if control.is_some() || candidate.is_some() {
                self.whole(&format!("$header.{name}"), control, candidate);
            }
        }
        if control.status != candidate.status {
            // Answers with different status are not compared further.
            return;
        }
        if control.status != 200 {
            self.whole(ERROR, error(control), error(candidate));
            return;
        }
        let is_same = control.body == candidate.body;
        match (List::read(&control.body, by), List::read(&candidate.body, by)) {
            (Ok(control), Ok(candidate)) => self.lists(endpoint, &control, &candidate, listener),
            (control, candidate) => {
                let described = |list: Result<List<'_>, NotAList>| match list {
                    Ok(_) => Some(Node::from(A_LIST)),
                    Err(error) => Some(Node::from(error.to_string().as_str())),
                };
                let is_none = control.is_err() && candidate.is_err() && !is_same;
                self.whole(BODY, described(control), described(candidate));
                if is_none {
                    // Two answers without a list may still differ.
                    self.differ(None, BODY, BODY, Kind::Value, None, None);
                }
            }
        }
    }
}

/// The part of a header that is compared: the media type without spaces and case, and only the presence
/// of a header that changes from moment to moment.
fn header(reply: &Reply, name: &str) -> Option<Node> {
    let value = reply.header(name)?;
    Some(match name {
        "content-type" => {
            let text: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            // JSON is UTF-8 with and without a charset.
            Node::Text(text.to_ascii_lowercase().replace(";charset=utf-8", ""))
        }
        "retry-after" => Node::from("present"),
        // The query may repeat the request, even its key.
        "location" => Node::from(value.split(['?', '#']).next().unwrap_or_default()),
        _ => Node::from(value),
    })
}

/// The body of an error: its JSON, or its text.
fn error(reply: &Reply) -> Option<Node> {
    if reply.body.is_empty() {
        return None;
    }
    let text = || Node::Text(String::from_utf8_lossy(&reply.body).into_owned());
    Some(Node::parse(&reply.body).unwrap_or_else(|_| text()))
}
