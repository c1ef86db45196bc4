//! Two whole answers: status, headers, and a list or an error. Who compares says where what differs goes.

use std::vec::Drain;

use corpus::ask::Reply;
use corpus::endpoint::Endpoint;
use corpus::node::Node;

use super::{BODY, Compared, Difference, ERROR, Kind, STATUS};
use crate::list::{KeyedBy, List, NotAList};

/// Headers that clients act on. Dates, lengths, ids and connections are not among them.
pub(crate) const HEADERS: [&str; 4] =
    ["content-type", "location", "retry-after", "www-authenticate"];

/// Compares two answers.
pub fn compare(endpoint: &Endpoint, control: &Reply, candidate: &Reply, by: KeyedBy) -> Compared {
    let mut differences = Vec::new();
    let all = &mut |found: Drain<'_, Difference>, _: Both<'_>| differences.extend(found);
    let mut compared = Compared::default();
    compared.answers(endpoint, (control, candidate), by, &mut Told { all, goes_on: &|| true });
    compared.differences = differences;
    compared
}

/// The record of control and that of candidate, where what differs is in one that both have.
pub type Both<'a> = Option<(&'a Node, &'a Node)>;

/// Who is told what differs: record by record, and what belongs to the whole answers.
pub struct Told<'a> {
    /// What was found, to be taken at once.
    pub all: &'a mut dyn FnMut(Drain<'_, Difference>, Both<'_>),
    /// Asked before each record; where it says no the rest is left.
    pub goes_on: &'a dyn Fn() -> bool,
}

/// Compares two answers and keeps nothing: of what differs no more than one record's is held at once.
pub fn tell(
    endpoint: &Endpoint,
    control: &Reply,
    candidate: &Reply,
    by: KeyedBy,
    told: &mut Told<'_>,
) {
    let mut compared = Compared { is_untallied: true, ..Compared::default() };
    compared.answers(endpoint, (control, candidate), by, told);
}

impl Compared {
    fn answers(
        &mut self,
        endpoint: &Endpoint,
        (control, candidate): (&Reply, &Reply),
        by: KeyedBy,
        told: &mut Told<'_>,
    ) {
        self.whole_answers(endpoint, (control, candidate), by, told);
        (told.all)(self.differences.drain(..), None);
    }

    fn whole_answers(
        &mut self,
        endpoint: &Endpoint,
        (control, candidate): (&Reply, &Reply),
        by: KeyedBy,
        told: &mut Told<'_>,
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
            // Two answers of different status have nothing else in common.
            return;
        }
        if control.status != 200 {
            self.whole(ERROR, error(control), error(candidate));
            return;
        }
        let is_same = control.body == candidate.body;
        match (List::read(&control.body, by), List::read(&candidate.body, by)) {
            (Ok(control), Ok(candidate)) => self.lists(endpoint, &control, &candidate, told),
            (control, candidate) => {
                let told = |list: Result<List<'_>, NotAList>| match list {
                    Ok(_) => Some(Node::from("a list")),
                    Err(error) => Some(Node::from(error.to_string().as_str())),
                };
                let is_none = control.is_err() && candidate.is_err() && !is_same;
                self.whole(BODY, told(control), told(candidate));
                if is_none {
                    // Two answers that are no list are not the same for that.
                    self.differ(None, BODY, BODY, Kind::Value, None, None);
                }
            }
        }
    }
}

/// A header as it matters: the media type without spaces and case; what may differ from moment to
/// moment only by its presence.
fn header(reply: &Reply, name: &str) -> Option<Node> {
    let value = reply.header(name)?;
    Some(match name {
        "content-type" => {
            let text: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            // JSON is UTF-8 whether the header says so or not.
            Node::Text(text.to_ascii_lowercase().replace(";charset=utf-8", ""))
        }
        "retry-after" => Node::from("present"),
        // Behind the path there may be what was asked for, the key as well.
        "location" => Node::from(value.split(['?', '#']).next().unwrap_or_default()),
        _ => Node::from(value),
    })
}

/// The body of an error: its JSON, else its text.
fn error(reply: &Reply) -> Option<Node> {
    if reply.body.is_empty() {
        return None;
    }
    let text = || Node::Text(String::from_utf8_lossy(&reply.body).into_owned());
    Some(Node::parse(&reply.body).unwrap_or_else(|_| text()))
}
