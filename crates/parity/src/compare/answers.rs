//! Compares two whole answers: status, headers, and a list or an error. A listener takes the differences.

use std::vec::Drain;

use corpus::ask::Reply;
use corpus::endpoint::Endpoint;
use corpus::node::Node;

use super::{BODY, Compared, Difference, ERROR, KEY, Kind, STATUS};
use crate::list::{KeyedBy, List, NotAList};
use crate::words::Words;

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

/// Whether an answer has records.
pub(crate) fn has_records(reply: &Reply) -> bool {
    let list = List::read(&reply.body, KeyedBy::Id);
    reply.status < 300 && list.is_ok_and(|list| !list.records.is_empty())
}

impl Compared {
    /// For the answers to a wrong key: records in one of them are the only difference, in the place of all
    /// that follow from them.
    pub(crate) fn for_wrong_key(&mut self, control: &Reply, candidate: &Reply) {
        let answered = [control, candidate].map(has_records);
        if answered == [false, false] {
            return self.count(KEY, true);
        }
        *self = Compared::default();
        self.count(KEY, false);
        let words = |is_answered: bool| if is_answered { "records" } else { "no records" };
        let said = answered.map(|one| Some(Words::from(words(one))));
        self.differ_in_words(None, KEY, Kind::Value, said);
    }

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
            let field = format!("$header.{name}");
            let is_sent = |reply: &Reply| reply.header(name).is_some();
            match [control, candidate].map(is_sent) {
                [false, false] => {}
                // It changes from moment to moment.
                sent if name == "retry-after" => {
                    let [control, candidate] = sent.map(|is_it| is_it.then(|| "present".into()));
                    self.described(&field, control, candidate);
                }
                _ => self.whole(&field, header(control, name), header(candidate, name)),
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
                let words = |list: Result<List<'_>, NotAList>| match list {
                    Ok(_) => Words::from("a list"),
                    Err(error) => error.words().into(),
                };
                let (control, candidate) = (words(control), words(candidate));
                if control == candidate && !is_same {
                    // Two answers without a list may still differ.
                    self.count(BODY, false);
                    let said = [Some(control), Some(candidate.and(", and another one"))];
                    self.differ_in_words(None, BODY, Kind::Value, said);
                } else {
                    self.described(BODY, Some(control), Some(candidate));
                }
            }
        }
    }
}

/// The part of a header that is compared: of a media type, the text without spaces and case.
fn header(reply: &Reply, name: &str) -> Option<Node> {
    let value = reply.header(name)?;
    Some(match name {
        "content-type" => {
            let text: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            // JSON is UTF-8 with and without a charset.
            Node::Text(text.to_ascii_lowercase().replace(";charset=utf-8", ""))
        }
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
