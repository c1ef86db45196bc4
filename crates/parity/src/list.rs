//! A list as it was received: its envelope, and its records as slices of the body. So lists of any length
//! are in memory once, and records are parsed one by one.

use std::collections::HashMap;

use corpus::endpoint::Endpoint;
use corpus::node::Node;
use serde_json::value::RawValue;

use crate::letters::halves_shown;
use crate::words::Words;

/// The JSON around the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    Array,
    /// `{"users":[..],"metadata":{..}}`.
    Users,
    /// `{"summary":..,"description":..,"value":..}`, as the documentation prints it.
    Sample,
    /// Another object, with the names of its members.
    Other(Vec<String>),
}

impl Envelope {
    /// The name that the setting `envelope` uses, or the members of another object.
    pub(crate) fn words(&self) -> Words {
        match self {
            Envelope::Array => "array".into(),
            Envelope::Users => "users".into(),
            Envelope::Sample => "sample".into(),
            Envelope::Other(names) => Words::names("an object of ", names),
        }
    }

    /// The same as a text.
    pub fn name(&self) -> String {
        self.words().text(str::to_owned)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub raw: &'a str,
}

impl Record<'_> {
    pub fn node(&self) -> Node {
        let read = |text: &str| Node::parse(text.as_bytes()).ok();
        // A record that cannot be parsed is compared as text.
        read(self.raw)
            .or_else(|| read(&halves_shown(self.raw)?))
            .unwrap_or_else(|| Node::from(self.raw))
    }
}

#[derive(Debug)]
pub struct List<'a> {
    pub envelope: Envelope,
    /// The members of the envelope, in order. The list itself is only a bracket here.
    pub around: Vec<(String, Node)>,
    /// The key of each record, in order. A record without one has its place, such as `#3`.
    pub keys: Vec<String>,
    pub records: Vec<Record<'a>>,
    /// The first place of each key.
    pub places: HashMap<String, usize>,
    /// The further places of keys that occur more than once.
    pub repeated: HashMap<String, Vec<usize>>,
}

/// The members of a record that may be its key.
#[derive(serde::Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    email: Option<&'a RawValue>,
}

/// The member that identifies a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyedBy {
    /// The `id`, a number or a string of digits.
    Id,
    /// The `email`, where the two sides give the same people different ids.
    Email,
}

impl KeyedBy {
    /// The member that identifies a record of an endpoint, as its page shows it.
    pub fn own(endpoint: &Endpoint) -> KeyedBy {
        if endpoint.by_email { KeyedBy::Email } else { KeyedBy::Id }
    }

    /// The member by which the users of two answers are aligned: the id, or the e-mail address where the
    /// two sides give the same people different ids.
    pub fn of(control: &[u8], candidate: &[u8]) -> KeyedBy {
        let shared = |by: KeyedBy| -> Option<(usize, usize)> {
            let control = List::read(control, by).ok()?;
            let candidate = List::read(candidate, by).ok()?;
            let is_shared =
                |key: &&String| !key.starts_with('#') && candidate.places.contains_key(*key);
            let both = control.keys.iter().filter(is_shared).count();
            Some((both, control.keys.len().min(candidate.keys.len())))
        };
        match (shared(KeyedBy::Id), shared(KeyedBy::Email)) {
            (Some((by_id, all)), Some((by_email, _))) if by_id * 10 < all && by_email * 2 > all => {
                KeyedBy::Email
            }
            _ => KeyedBy::Id,
        }
    }
}

impl<'a> List<'a> {
    pub fn read(body: &'a [u8], by: KeyedBy) -> Result<List<'a>, NotAList> {
        let (envelope, around, raw) = open(body)?;
        let mut list = List {
            envelope,
            around,
            keys: Vec::with_capacity(raw.len()),
            records: Vec::with_capacity(raw.len()),
            places: HashMap::with_capacity(raw.len()),
            repeated: HashMap::new(),
        };
        for (place, record) in raw.into_iter().enumerate() {
            let key = key(record, by).unwrap_or_else(|| format!("#{place}"));
            if list.places.contains_key(&key) {
                list.repeated.entry(key.clone()).or_default().push(place);
            } else {
                list.places.insert(key.clone(), place);
            }
            list.keys.push(key);
            list.records.push(Record { raw: record });
        }
        Ok(list)
    }

    /// The texts of all copies of a record, sorted.
    pub fn copies(&self, key: &str) -> Vec<String> {
        let others = self.repeated.get(key).into_iter().flatten();
        let places = self.places.get(key).into_iter().chain(others);
        let copies = places.map(|place| self.records[*place].node().to_json());
        let mut copies: Vec<String> = copies.collect();
        copies.sort();
        copies
    }

    /// Whether the envelope is exactly one that the setting `envelope` can produce.
    pub fn is_as_set(&self) -> bool {
        let rows = self.records.len();
        let is = |wanted: &[(&str, Node)]| {
            let wanted = wanted.iter().map(|(name, node)| (*name, node));
            self.around.iter().map(|(name, node)| (name.as_str(), node)).eq(wanted)
        };
        match self.envelope {
            Envelope::Array => true,
            Envelope::Users => {
                let counts = [("total", rows), ("page", 1), ("page_size", rows)];
                let counts =
                    counts.map(|(name, count)| (name.to_owned(), Node::Number(count.into())));
                is(&[("users", Node::from("[")), ("metadata", Node::Object(counts.into()))])
            }
            Envelope::Sample => is(&[
                ("summary", Node::from("Agents parameters")),
                ("description", Node::from("All of the user data")),
                ("value", Node::from(if rows == 1 { "{" } else { "[" })),
            ]),
            Envelope::Other(_) => false,
        }
    }

    pub fn record(&self, key: &str) -> Option<Record<'a>> {
        self.places.get(key).map(|place| self.records[*place])
    }
}

fn key(record: &str, by: KeyedBy) -> Option<String> {
    let keyed: Keyed<'_> = serde_json::from_str(record).ok()?;
    let raw = if by == KeyedBy::Id { keyed.id? } else { keyed.email? };
    if raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        // The digits as written, in any length.
        return Some(raw.get().to_owned());
    }
    match Node::parse(raw.get().as_bytes()).ok()? {
        Node::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn texts(list: Vec<&RawValue>) -> Vec<&str> {
    list.into_iter().map(RawValue::get).collect()
}

type Opened<'a> = (Envelope, Vec<(String, Node)>, Vec<&'a str>);

fn open(body: &[u8]) -> Result<Opened<'_>, NotAList> {
    if body.starts_with(&GZIP) {
        return Err(NotAList::Compressed);
    }
    let text = std::str::from_utf8(body).map_err(|_| NotAList::NotJson)?;
    if text.starts_with('\u{feff}') {
        return Err(NotAList::Marked);
    }
    if text.trim_start().starts_with('[') {
        let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| NotAList::NotJson)?;
        return Ok((Envelope::Array, Vec::new(), texts(list)));
    }
    let members: Members<'_> = serde_json::from_str(text).map_err(|_| NotAList::NotJson)?;
    let names: Vec<String> = members.0.iter().map(|(name, _)| name.clone()).collect();
    let has = |wanted: &[&str]| names == wanted;
    let envelope = match () {
        () if has(&["users", "metadata"]) || has(&["users"]) => Envelope::Users,
        () if has(&["summary", "description", "value"]) => Envelope::Sample,
        () => Envelope::Other(names),
    };
    let inner = members.0.iter().find(|(name, value)| {
        let is_one = name == "value" && value.get().starts_with('{');
        value.get().starts_with('[') || is_one
    });
    let Some((place, inner)) = inner else { return Err(NotAList::NoList) };
    let beside = members.0.iter().map(|(name, value)| {
        let is_list = name == place;
        let text = if is_list { &value.get()[..1] } else { value.get() };
        (name.clone(), Node::parse(text.as_bytes()).unwrap_or_else(|_| Node::from(text)))
    });
    let around = beside.collect();
    if inner.get().starts_with('{') {
        return Ok((envelope, around, vec![inner.get()]));
    }
    let list: Vec<&RawValue> = serde_json::from_str(inner.get()).map_err(|_| NotAList::NotJson)?;
    Ok((envelope, around, texts(list)))
}

/// The members of an object, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> serde::de::Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object or an array")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        de.deserialize_map(MembersVisitor)
    }
}

/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAList {
    /// The text is not JSON, or is neither an array nor an object.
    NotJson,
    NoList,
    /// It is compressed, and no question asks for that.
    Compressed,
    /// It begins with a byte order mark, which JSON does not allow.
    Marked,
}

impl NotAList {
    /// The same for people who want to compare it, behind "the answer".
    pub fn advice(self) -> &'static str {
        match self {
            NotAList::NotJson => "is not JSON, perhaps a web page: is that its address?",
            NotAList::NoList => "is JSON without a list: is that its address?",
            NotAList::Compressed => {
                "is compressed with gzip, although the request did not ask for that. Perhaps a proxy \
                 in between does it; such an answer cannot be compared"
            }
            NotAList::Marked => {
                "begins with a byte order mark (BOM), which JSON does not allow. Perhaps a proxy in \
                 between adds it; such an answer cannot be compared"
            }
        }
    }

    /// The report's word for it.
    pub fn words(self) -> &'static str {
        match self {
            NotAList::NotJson => "not JSON",
            NotAList::NoList => "JSON without a list",
            NotAList::Compressed => {
                "compressed with gzip, although the request did not ask for that"
            }
            NotAList::Marked => "JSON behind a byte order mark (BOM), which JSON does not allow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(body: &str) -> Result<(String, Vec<String>), NotAList> {
        List::read(body.as_bytes(), KeyedBy::Id).map(|list| (list.envelope.name(), list.keys))
    }

    #[test]
    fn a_list_is_found_in_every_envelope() {
        let array = r#"[{"id":1},{"id":"2"},{"name":"x"},{"id":null}]"#;
        let all = ["1", "2", "#2", "#3"].map(str::to_owned).to_vec();
        assert_eq!(keys(array), Ok(("array".to_owned(), all.clone())));
        let users = format!(r#"{{"users":{array},"metadata":{{"total":4}}}}"#);
        assert_eq!(keys(&users), Ok(("users".to_owned(), all.clone())));
        let sample = format!(r#"{{"summary":"","description":"","value":{array}}}"#);
        assert_eq!(keys(&sample), Ok(("sample".to_owned(), all.clone())));
        let one = r#"{"summary":"","description":"","value":{"id":7}}"#;
        assert_eq!(keys(one), Ok(("sample".to_owned(), vec!["7".to_owned()])));
        let other = format!(r#"{{"agents":{array}}}"#);
        assert_eq!(keys(&other), Ok(("an object of agents".to_owned(), all)));
    }

    #[test]
    fn a_body_without_a_list_is_refused() {
        for bad in ["", "1", "\"x\"", "[1,", "null"] {
            assert_eq!(keys(bad), Err(NotAList::NotJson), "{bad}");
        }
        assert_eq!(keys("{}"), Err(NotAList::NoList));
        assert_eq!(keys(r#"{"error":"no"}"#), Err(NotAList::NoList));
    }

    #[test]
    fn a_record_that_occurs_again_is_counted() {
        let list = List::read(br#"[{"id":1},{"id":1},{"id":1}]"#, KeyedBy::Id).unwrap();
        assert_eq!(list.repeated.get("1").map(Vec::len), Some(2));
    }
}
