//! Two answers to one question, compared: records by id, joined lists as list and as set, everything
//! else exactly. It says what differs, never why; that is `cause`.

mod answers;
mod elements;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use corpus::endpoint::Endpoint;
use corpus::node::Node;

use crate::list::{Envelope, List};
use crate::words::Words;
pub(crate) use answers::{HEADERS, has_records};
pub use answers::{Listener, RecordPair, compare, compare_into};
pub(crate) use elements::parts;
use elements::{BESIDE_MAX, elements, unshared};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Another value of the same kind.
    Value,
    /// Another kind of value, such as `null` for `""`, or `"7"` for `7`.
    Type,
    /// A member that one side does not have.
    Absent,
    /// A record of control that candidate does not have.
    Missing,
    /// A record of candidate that control does not have.
    Extra,
    /// A record that occurs more often on one side.
    Repeated,
    /// The same things in another order.
    Order,
}

impl Kind {
    fn of(control: Option<&Node>, candidate: Option<&Node>) -> Kind {
        match (control, candidate) {
            (Some(one), Some(other)) if one.kind() == other.kind() => Kind::Value,
            (Some(_), Some(_)) => Kind::Type,
            _ => Kind::Absent,
        }
    }

    /// The words in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Value => "value",
            Kind::Type => "type",
            Kind::Absent => "absent",
            Kind::Missing => "record missing",
            Kind::Extra => "record extra",
            Kind::Repeated => "record repeated",
            Kind::Order => "order",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The key of the record; `None` for a part of the whole answer.
    pub record: Option<String>,
    /// The field under which it is counted.
    pub field: String,
    /// The place below the field, such as `assigned_channels[].type`, or the field.
    pub path: String,
    pub kind: Kind,
    /// Control's value; `None` means absent.
    pub control: Option<Node>,
    pub candidate: Option<Node>,
    /// The report's own words for both sides, where the values are none that a side sent.
    pub said: Option<Box<[Option<Words>; 2]>>,
    /// The path and the value of the member that names the element of a list, such as a skill's name.
    pub part: Part,
}

/// See [`Difference::part`].
pub type Part = Option<Box<(String, Node)>>;

/// How often a field was compared and equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub compared: u64,
    pub matched: u64,
}

/// The result of comparing two answers.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// The tally of each field.
    pub tallies: BTreeMap<String, Tally>,
    pub differences: Vec<Difference>,
    pub control_records: u64,
    pub candidate_records: u64,
    /// Records that both sides list.
    pub common_records: u64,
    /// Whether fields are not tallied, because an answer may have any number of them.
    is_untallied: bool,
}

pub const STATUS: &str = "$status";
/// The body of an error.
pub const ERROR: &str = "$error";
pub const ENVELOPE: &str = "$envelope";
/// The set of records in a list.
pub const RECORDS: &str = "$records";
pub const ORDER: &str = "$order";
/// The order of a record's members.
pub const MEMBERS: &str = "$members";
/// The copies of a record that occurs more than once.
pub const COPIES: &str = "$copies";
/// Whether a wrong key is refused.
pub const KEY: &str = "$key";
/// The users of a whole list, as a share.
pub(crate) const USERS: &str = "$users";
/// A body that is not a list of objects.
pub const BODY: &str = "$body";

/// Whether a field is a part of the whole answer, which each question has once, and not of a record.
pub fn is_of_the_answer(field: &str) -> bool {
    field.starts_with('$') && ![RECORDS, MEMBERS, COPIES].contains(&field)
}

impl Compared {
    fn count(&mut self, field: &str, is_equal: bool) {
        if self.is_untallied {
            return;
        }
        if !self.tallies.contains_key(field) {
            self.tallies.insert(field.to_owned(), Tally::default());
        }
        if let Some(tally) = self.tallies.get_mut(field) {
            tally.compared += 1;
            tally.matched += u64::from(is_equal);
        }
    }

    /// Compares a part that an answer has once.
    fn whole(&mut self, field: &str, control: Option<Node>, candidate: Option<Node>) {
        self.count(field, control == candidate);
        if control == candidate {
            return;
        }
        let kind = Kind::of(control.as_ref(), candidate.as_ref());
        self.differ(None, field, field, kind, control, candidate);
    }

    /// Compares what the report says of both sides in its own words.
    fn described(&mut self, field: &str, control: Option<Words>, candidate: Option<Words>) {
        self.count(field, control == candidate);
        if control != candidate {
            self.differ_in_words(None, field, Kind::Value, [control, candidate]);
        }
    }

    fn differ_in_words(
        &mut self,
        record: Option<&str>,
        field: &str,
        kind: Kind,
        said: [Option<Words>; 2],
    ) {
        let node = |words: &Option<Words>| Some(Node::Text(words.as_ref()?.text(str::to_owned)));
        let (control, candidate) = (node(&said[0]), node(&said[1]));
        self.differ(record, field, field, kind, control, candidate);
        if let Some(difference) = self.differences.last_mut() {
            difference.said = Some(Box::new(said));
        }
    }

    fn differ(
        &mut self,
        record: Option<&str>,
        field: &str,
        path: &str,
        kind: Kind,
        control: Option<Node>,
        candidate: Option<Node>,
    ) {
        self.differences.push(Difference {
            record: record.map(str::to_owned),
            field: field.to_owned(),
            path: path.to_owned(),
            kind,
            control,
            candidate,
            said: None,
            part: None,
        });
    }

    fn lists(
        &mut self,
        endpoint: &Endpoint,
        control: &List<'_>,
        candidate: &List<'_>,
        listener: &mut Listener<'_>,
    ) {
        if control.envelope == candidate.envelope {
            self.count(ENVELOPE, true);
            self.around(control, candidate);
        } else {
            let named = |list: &List<'_>| {
                let words = list.envelope.words();
                let is_known = list.is_as_set() || matches!(list.envelope, Envelope::Other(_));
                Some(if is_known { words } else { words.and(", with other members") })
            };
            self.described(ENVELOPE, named(control), named(candidate));
        }
        self.control_records = control.records.len() as u64;
        self.candidate_records = candidate.records.len() as u64;
        for (place, key) in control.keys.iter().enumerate() {
            if control.places.get(key) != Some(&place) {
                continue;
            }
            (listener.take)(self.differences.drain(..), None);
            if !(listener.goes_on)() {
                return;
            }
            let of_control = control.records[place];
            let Some(of_candidate) = candidate.record(key) else {
                self.count(RECORDS, false);
                let node = Some(of_control.node());
                self.differ(Some(key), RECORDS, RECORDS, Kind::Missing, node, None);
                continue;
            };
            self.common_records += 1;
            let often = |list: &List<'_>| list.repeated.get(key).map_or(0, Vec::len);
            let is_as_often = often(control) == often(candidate);
            self.count(RECORDS, is_as_often);
            if !is_as_often {
                let times = [control, candidate].map(|list| Some(Words::count(1 + often(list))));
                self.differ_in_words(Some(key), RECORDS, Kind::Repeated, times);
            } else if often(control) > 0 {
                self.copies(key, control, candidate);
                continue;
            }
            let (of_control, of_candidate) = (of_control.node(), of_candidate.node());
            self.record(endpoint, key, &of_control, &of_candidate);
            (listener.take)(self.differences.drain(..), Some((&of_control, &of_candidate)));
        }
        for (place, key) in candidate.keys.iter().enumerate() {
            let is_first = candidate.places.get(key) == Some(&place);
            if is_first && !control.places.contains_key(key) {
                (listener.take)(self.differences.drain(..), None);
                self.count(RECORDS, false);
                let node = Some(candidate.records[place].node());
                self.differ(Some(key), RECORDS, RECORDS, Kind::Extra, None, node);
            }
        }
        self.order(control, candidate);
    }

    /// Compares the copies of a record that occurs equally often on both sides, in any order.
    fn copies(&mut self, key: &str, control: &List<'_>, candidate: &List<'_>) {
        let is_equal = control.copies(key) == candidate.copies(key);
        self.count(COPIES, is_equal);
        if is_equal {
            return;
        }
        let copies = |list: &List<'_>| {
            let copies = list.copies(key);
            Some(Node::List(copies.iter().map(|copy| Node::from(copy.as_str())).collect()))
        };
        let (control, candidate) = (copies(control), copies(candidate));
        self.differ(Some(key), COPIES, COPIES, Kind::Value, control, candidate);
    }

    /// Compares the members beside the lists in two envelopes of one kind.
    fn around(&mut self, control: &List<'_>, candidate: &List<'_>) {
        // Counts follow from who is listed, which differs already.
        let counted = |list: &List<'_>| (list.is_as_set(), list.records.len());
        let is_counted_right = counted(control).0 && counted(candidate).0;
        if is_counted_right && counted(control) != counted(candidate) {
            return;
        }
        let mut seen = BTreeSet::new();
        for (name, _) in control.around.iter().chain(&candidate.around) {
            if seen.insert(name) {
                let of = |list: &List<'_>| {
                    let member = list.around.iter().find(|(known, _)| known == name);
                    member.map(|(_, node)| node.clone())
                };
                self.whole(&format!("{ENVELOPE}.{name}"), of(control), of(candidate));
            }
        }
    }

    fn order(&mut self, control: &List<'_>, candidate: &List<'_>) {
        let common = |one: &List<'_>, other: &List<'_>| -> Vec<String> {
            let firsts = one.keys.iter().enumerate();
            let firsts = firsts.filter(|(place, key)| one.places.get(*key) == Some(place));
            let both = firsts.filter(|(_, key)| other.places.contains_key(*key));
            both.map(|(_, key)| key.clone()).collect()
        };
        let (of_control, of_candidate) = (common(control, candidate), common(candidate, control));
        if of_control.is_empty() {
            return;
        }
        let is_equal = of_control == of_candidate;
        self.count(ORDER, is_equal);
        if !is_equal {
            let first = of_control.iter().zip(&of_candidate).position(|(a, b)| a != b);
            let at = |keys: &[String]| {
                first.and_then(|place| keys.get(place)).map(|key| Node::Text(key.clone()))
            };
            let (control, candidate) = (at(&of_control), at(&of_candidate));
            self.differ(None, ORDER, ORDER, Kind::Order, control, candidate);
        }
    }

    fn record(&mut self, endpoint: &Endpoint, key: &str, control: &Node, candidate: &Node) {
        let (Node::Object(of_control), Node::Object(of_candidate)) = (control, candidate) else {
            let is_equal = control == candidate;
            self.count(BODY, is_equal);
            if !is_equal {
                let (control, candidate) = (Some(control.clone()), Some(candidate.clone()));
                self.differ(Some(key), BODY, BODY, Kind::Value, control, candidate);
            }
            return;
        };
        let (in_control, in_candidate) = (members(of_control), members(of_candidate));
        let mut seen = BTreeSet::new();
        for (field, _) in of_control.iter().chain(of_candidate) {
            if !seen.insert(field.as_str()) {
                continue;
            }
            let control = in_control.get(field.as_str()).map(Vec::as_slice).unwrap_or_default();
            let candidate = in_candidate.get(field.as_str()).map(Vec::as_slice).unwrap_or_default();
            let found = value(endpoint, field, control, candidate);
            self.count(field, found.is_empty());
            for (path, kind, control, candidate, part) in found {
                self.differ(Some(key), field, &path, kind, control, candidate);
                if let Some(difference) = self.differences.last_mut() {
                    difference.part = part;
                }
            }
        }
        let names = |members: &[(String, Node)], other: &Members<'_>| -> Vec<String> {
            // A name that occurs twice counts at its first place.
            let mut seen = BTreeSet::new();
            let both = members.iter().filter(|(name, _)| other.contains_key(name.as_str()));
            let firsts = both.filter(|(name, _)| seen.insert(name.as_str()));
            firsts.map(|(name, _)| name.clone()).collect()
        };
        let control = names(of_control, &in_candidate);
        let candidate = names(of_candidate, &in_control);
        self.count(MEMBERS, control == candidate);
        if control != candidate {
            let said = [control, candidate].map(|names| Some(Words::names("", &names)));
            self.differ_in_words(Some(key), MEMBERS, Kind::Order, said);
        }
    }
}

/// Every value of every member; several where the name occurs several times.
type Members<'a> = HashMap<&'a str, Vec<&'a Node>>;

fn members(all: &[(String, Node)]) -> Members<'_> {
    let mut members = Members::with_capacity(all.len());
    for (name, value) in all {
        members.entry(name.as_str()).or_default().push(value);
    }
    members
}

/// A path, the kind of the difference, both values, and the name of the element.
type FieldDifference = (String, Kind, Option<Node>, Option<Node>, Part);

fn value(
    endpoint: &Endpoint,
    field: &str,
    control: &[&Node],
    candidate: &[&Node],
) -> Vec<FieldDifference> {
    let whole = |kind| {
        let first = |all: &[&Node]| all.first().map(|node| (*node).clone());
        vec![(field.to_owned(), kind, first(control), first(candidate), None)]
    };
    match (control, candidate) {
        ([control], [candidate]) => below(endpoint, field, control, candidate),
        ([], _) | (_, []) => whole(Kind::Absent),
        (control, candidate) if control == candidate => Vec::new(),
        _ => whole(Kind::Value),
    }
}

fn below(
    endpoint: &Endpoint,
    field: &str,
    control: &Node,
    candidate: &Node,
) -> Vec<FieldDifference> {
    if control == candidate {
        return Vec::new();
    }
    let whole =
        |kind| vec![(field.to_owned(), kind, Some(control.clone()), Some(candidate.clone()), None)];
    match (control, candidate) {
        (Node::Text(one), Node::Text(other)) if endpoint.is_joined(field) => {
            whole(if is_same_set(one, other) { Kind::Order } else { Kind::Value })
        }
        (Node::List(one), Node::List(other)) => match unshared(one, other) {
            (left, _) if left.is_empty() && one.len() == other.len() => whole(Kind::Order),
            (left, right) if left.len() == right.len() && left.len() <= BESIDE_MAX => {
                elements(field, &left, &right)
            }
            _ => whole(Kind::Value),
        },
        _ => whole(Kind::of(Some(control), Some(candidate))),
    }
}

/// Whether two joined lists have the same parts, each equally often.
fn is_same_set(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        let mut parts: Vec<String> = text.split(", ").map(str::to_owned).collect();
        parts.sort();
        parts
    };
    parts(one) == parts(other)
}
