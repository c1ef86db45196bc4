//! Masks values for a report. Of a value about a person only the shape is shown, with a tag that is the
//! same for equal values within one report. Values of open fields are checked as well, because a value of
//! another field may have got there by mistake.

use std::collections::HashSet;

use corpus::endpoint::ENDPOINTS;
use corpus::node::Node;
use corpus::pseudonym::is_word;
use hmac::{Hmac, KeyInit, Mac};
use report::secrets::Secrets;
use sha2::Sha256;

use crate::compare::{A_LIST, BODY, ENVELOPE, ERROR, HEADERS, MEMBERS, ORDER, RECORDS, STATUS};
use crate::list::NotAList;

/// Errors that the vendor's pages print. Any other text may repeat the request, or even its key.
const SENTENCES: [&str; 9] = [
    "Invalid User API Key",
    "Invalid api_key",
    "Invalid API key",
    "Invalid key",
    "API rate limit exceeded",
    "Too many requests",
    "Unauthorized",
    "Forbidden",
    "Not found",
];

/// Schemes of `WWW-Authenticate`. Any other text may repeat the request.
const SCHEMES: [&str; 7] = ["basic", "bearer", "digest", "negotiate", "ntlm", "apikey", "key"];

/// The counts in an envelope.
const PAGING: [&str; 5] = ["total", "page", "page_size", "limit", "offset"];

/// A text with this many digits may be the number of a person.
const DIGITS_MIN: usize = 7;

/// The longest text shown, in characters.
const CHARS_MAX: usize = 120;

/// What a report may show at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// Nothing, because the value may be about a person.
    Shut,
    /// A decimal number.
    Id,
    /// Numbers, or names of things, joined by a comma and a space.
    Ids,
    /// Names of things.
    Words,
    /// Names of things, with names and levels below them.
    Skills,
    Count,
    /// An envelope: only the counts below it.
    Around,
}

impl Open {
    /// What may be shown at a field of a record, or a part of an answer.
    fn at(name: &str) -> Open {
        match name {
            "id" | ORDER => Open::Id,
            "assigned_teams" | "agent_in_teams" | "supervisor_in_teams" => Open::Ids,
            "sag" | "timezone" | "webrtc_ringtone" | "assigned_queues" | "type" => Open::Words,
            "assigned_skills" => Open::Skills,
            STATUS => Open::Count,
            _ => Open::Shut,
        }
    }

    /// What may be shown at a member below this place.
    fn below(self, name: &str) -> Open {
        match (self, name) {
            (Open::Skills, "name" | "value") => Open::Words,
            (Open::Around, name) if PAGING.contains(&name) => Open::Count,
            (Open::Around, _) => Open::Around,
            _ => Open::at(name),
        }
    }

    /// What may be shown at the path of a difference.
    fn of(path: &str) -> Open {
        if let Some(name) = around(path) {
            return Open::Around.below(name);
        }
        let mut names = path.trim_end_matches("[]").split("[].");
        let first = Open::at(names.next().unwrap_or_default());
        names.fold(first, Open::below)
    }

    /// Whether a text may be shown that is not known to be personal.
    fn shows(self, text: &str) -> bool {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        match self {
            Open::Shut | Open::Around | Open::Count => false,
            Open::Id => is_number(text),
            Open::Ids => text.split(", ").all(|part| is_number(part) || Open::Words.shows(part)),
            Open::Words | Open::Skills => !text.contains('@') && digits < DIGITS_MIN,
        }
    }
}

/// The member of the envelope that a path names.
fn around(path: &str) -> Option<&str> {
    path.strip_prefix(ENVELOPE)?.strip_prefix('.')
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Masks values, with tags under a random key.
#[derive(Clone)]
pub(crate) struct Mask {
    key: [u8; 32],
    /// Keys that are removed from every text.
    pub(crate) secrets: Secrets,
}

/// The personal values of records, in lower case: the values of fields that are not open.
struct Personal(HashSet<String>);

impl Personal {
    fn of(records: &[Node]) -> Personal {
        let mut personal = Personal(HashSet::new());
        records.iter().for_each(|record| personal.note(record, Open::Shut));
        personal
    }

    fn note(&mut self, node: &Node, open: Open) {
        match node {
            Node::Object(members) => {
                members.iter().for_each(|(name, node)| self.note(node, open.below(name)));
            }
            Node::List(list) => list.iter().for_each(|node| self.note(node, open)),
            Node::Text(text) if open == Open::Shut && !text.is_empty() => {
                self.0.insert(text.to_lowercase());
            }
            Node::Number(number) if open == Open::Shut => {
                self.0.insert(number.to_string());
            }
            _ => {}
        }
    }

    fn has(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.0.contains(&text) || text.split(", ").any(|part| self.0.contains(part))
    }
}

impl Mask {
    /// A mask that also removes these keys from every text.
    pub(crate) fn new(secrets: Secrets) -> Mask {
        Mask { key: rand::random(), secrets }
    }

    /// A value at a path, such as `name` or `assigned_channels[].type`. `records` are the records of both
    /// sides that contain it: a personal value of one field stays hidden in every other field.
    pub(crate) fn show(&self, path: &str, value: Option<&Node>, records: &[Node]) -> String {
        let Some(value) = value else { return "(absent)".to_owned() };
        let personal = Personal::of(records);
        let header = path.strip_prefix("$header.");
        let shown = match (path, value) {
            (_, Node::Text(text)) if header.is_some() => {
                Node::Text(self.header(header.unwrap_or_default(), text))
            }
            (ENVELOPE | MEMBERS, Node::Text(names)) => Node::Text(self.names(names)),
            (ERROR, _) if is_known_error(value) => value.clone(),
            (BODY, Node::Text(text)) if is_own_word(text) => value.clone(),
            _ => self.node(value, Open::of(path), &personal),
        };
        let text = self.secrets.hide(&shown.to_json());
        if text.chars().count() <= CHARS_MAX {
            return text;
        }
        text.chars().take(CHARS_MAX).chain(['…']).collect()
    }

    /// The key of a record: numbers are shown, e-mail addresses are masked.
    pub(crate) fn record(&self, key: &str, records: &[Node]) -> String {
        let place = key.strip_prefix('#').filter(|place| is_number(place));
        match place {
            Some(_) => key.to_owned(),
            None => match self.node(&Node::from(key), Open::Id, &Personal::of(records)) {
                Node::Text(text) if text == key => text,
                masked => masked.to_json(),
            },
        }
    }

    /// The path of a difference. A name that does not look like an API's own may be that of a person.
    pub(crate) fn name(&self, path: &str) -> String {
        let parts = [STATUS, ERROR, ENVELOPE, RECORDS, ORDER, MEMBERS, BODY];
        let header = path.strip_prefix("$header.");
        if parts.contains(&path) || header.is_some_and(|name| HEADERS.contains(&name)) {
            return path.to_owned();
        }
        if let Some(name) = around(path) {
            return format!("{ENVELOPE}.{}", self.word(name));
        }
        let (names, end) = path.strip_suffix("[]").map_or((path, ""), |names| (names, "[]"));
        let names: Vec<String> = names.split("[].").map(|name| self.word(name)).collect();
        format!("{}{end}", names.join("[]."))
    }

    fn word(&self, name: &str) -> String {
        let shown = if is_word(name) { name.to_owned() } else { shape(name) };
        self.secrets.hide(&shown)
    }

    /// Names of members, perhaps behind words of our own.
    fn names(&self, names: &str) -> String {
        let (before, names) = match names.strip_prefix("an object of ") {
            Some(names) => ("an object of ", names),
            None => ("", names),
        };
        let names: Vec<String> = names.split(", ").map(|name| self.word(name)).collect();
        format!("{before}{}", names.join(", "))
    }

    /// The part of a header that shows its meaning. The rest may repeat the request.
    fn header(&self, name: &str, text: &str) -> String {
        let shown = match name {
            "www-authenticate" => {
                let scheme = text.split([' ', ',']).next().unwrap_or_default();
                let is_known = SCHEMES.contains(&scheme.to_ascii_lowercase().as_str());
                if is_known { scheme.to_owned() } else { shape(scheme) }
            }
            "location" => {
                let path = text.split(['?', '#']).next().unwrap_or_default();
                let path = path
                    .split_once("://")
                    .map_or(path, |(_, rest)| rest.find('/').map_or("", |start| &rest[start..]));
                path.split('/').map(segment).collect::<Vec<_>>().join("/")
            }
            _ => text.split(';').next().unwrap_or_default().to_owned(),
        };
        match shown == text {
            true => shown,
            false => format!("{shown} #{}", self.tag(text)).trim_start().to_owned(),
        }
    }

    fn node(&self, node: &Node, open: Open, personal: &Personal) -> Node {
        match node {
            Node::Null | Node::Bool(_) => node.clone(),
            Node::Text(text) if text.is_empty() => node.clone(),
            Node::Text(text) => {
                // A short number is shown as an id, even if another field has the same number.
                let is_plain = open == Open::Id && is_number(text) && text.len() < DIGITS_MIN;
                match open.shows(text) && (is_plain || !personal.has(text)) {
                    true => node.clone(),
                    false => Node::Text(format!("{} #{}", shape(text), self.tag(text))),
                }
            }
            Node::Number(number) => {
                let text = number.to_string();
                let is_shown = match open {
                    Open::Count => true,
                    Open::Id => text.len() < DIGITS_MIN || !personal.has(&text),
                    _ => open.shows(&text) && !personal.has(&text),
                };
                match is_shown {
                    true => node.clone(),
                    false => Node::Text(format!("number {} #{}", shape(&text), self.tag(&text))),
                }
            }
            Node::List(list) => {
                Node::List(list.iter().map(|one| self.node(one, open, personal)).collect())
            }
            Node::Object(members) => {
                let shown = members.iter().map(|(name, node)| {
                    (self.word(name), self.node(node, open.below(name), personal))
                });
                Node::Object(shown.collect())
            }
        }
    }

    /// Four hexadecimal digits: enough to show that two values are equal, too few to guess a value.
    fn tag(&self, text: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(text.as_bytes());
        let bytes = mac.finalize().into_bytes();
        corpus::hex(&bytes[..2])
    }
}

/// A segment of a path. Segments of the legacy endpoints are shown.
fn segment(text: &str) -> String {
    let is_known = |path: &str| path.split('/').any(|known| known == text);
    let paths = ENDPOINTS.iter().flat_map(|one| [Some(one.path), one.other_path]).flatten();
    if paths.into_iter().any(is_known) { text.to_owned() } else { shape(text) }
}

/// Whether a text is this crate's own description of a body.
fn is_own_word(text: &str) -> bool {
    let none = [NotAList::NotJson, NotAList::NoList];
    text == A_LIST || none.iter().any(|one| one.to_string() == text)
}

fn is_known_error(value: &Node) -> bool {
    match value {
        Node::Object(members) => members.iter().all(|(name, text)| {
            name == "error" && text.text().is_some_and(|text| SENTENCES.contains(&text))
        }),
        _ => false,
    }
}

/// The shape of a text: letters become `x`, digits become `9`, other characters stay.
fn shape(text: &str) -> String {
    let masked = |c: char| match c {
        _ if c.is_uppercase() => 'X',
        _ if c.is_alphabetic() => 'x',
        _ if c.is_numeric() => '9',
        _ => c,
    };
    text.chars().map(masked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        Mask { key: [7; 32], secrets: Secrets::new(["legacy-demo-key".to_owned()]) }
    }

    fn json(text: &str) -> Node {
        Node::parse(text.as_bytes()).unwrap()
    }

    /// The shown text of a value at a path of a record.
    fn shown(path: &str, value: &str, record: &str) -> String {
        mask().show(path, Some(&json(value)), &[json(record)])
    }

    #[test]
    fn of_a_personal_value_only_the_shape_is_shown() {
        let mask = mask();
        let show = |path: &str, value: &str| shown(path, value, "{}");
        let name = show("name", "\"Jane Döe 3\"");
        assert!(name.starts_with("\"Xxxx Xxx 9 #"), "{name}");
        assert_ne!(name, show("name", "\"June Döe 3\""));
        assert_eq!(show("timezone", "\"Istanbul\""), "\"Istanbul\"");
        assert_eq!(mask.show("email", None, &[]), "(absent)");
        assert_eq!(show("email", "null"), "null");
        let record = r#"{"id":7,"email":"a@b.c","sag":"Agent"}"#;
        let shown = shown("$records", record, record);
        assert!(shown.contains("\"id\":7") && shown.contains("Agent"), "{shown}");
        assert!(!shown.contains("a@b.c"), "{shown}");
    }

    #[test]
    fn below_the_envelope_only_counts_are_shown() {
        let show = |path: &str, value: &str| shown(path, value, "{}");
        assert_eq!(show("$envelope", "\"users\""), "\"users\"");
        assert_eq!(
            show("$envelope", "\"an object of agents, jane@x.example\""),
            "\"an object of agents, xxxx@x.xxxxxxx\""
        );
        assert_eq!(show("$envelope.total", "12"), "12");
        let metadata = r#"{"total":7,"page":"jane","owner":"jane@x.example","id":44,"sag":"Jane"}"#;
        let metadata = show("$envelope.metadata", metadata);
        assert!(metadata.starts_with(r#"{"total":7,"page":"xxxx #"#), "{metadata}");
        for hidden in ["jane", "Jane", "44"] {
            assert!(!metadata.contains(hidden), "{metadata}");
        }
        assert!(!show("$envelope.jane", "\"jane\"").contains("jane\""));
        assert!(!show("$envelope.total", "\"jane\"").contains("jane"));
    }

    #[test]
    fn a_personal_value_in_an_open_field_is_masked() {
        let record = r#"{"id":28982,"name":"Agent Smith","email":"jane@x.example",
            "extension":"2594","caller_id":"12025550123",
            "assigned_channels":[{"type":"Viber","name":"V","value":4915112345678}]}"#;
        for (path, value) in [
            ("sag", "\"jane@x.example\""),
            ("sag", "\"agent smith\""),
            ("sag", "\"+1 (202) 555-0199\""),
            ("id", "\"jane@x.example\""),
            ("id", "\"0b97ce11-aaaa\""),
            ("id", "12025550123"),
            ("assigned_teams", "\"12, 2594\""),
            ("assigned_teams", "\"12, +12025550199\""),
            ("assigned_queues", "\"Sales, Agent Smith\""),
            ("assigned_skills", r#"[{"name":"jane@x.example","value":5}]"#),
            ("assigned_skills[].name", "\"Agent Smith\""),
            ("assigned_skills[].value", "4915112345678"),
            ("assigned_channels[].type", "\"4915112345678\""),
            ("$order", "\"jane@x.example\""),
        ] {
            let shown = shown(path, value, record);
            assert!(shown.contains(" #"), "{path}: {shown}");
            for part in ["jane", "smith", "Smith", "2594", "5550", "49151", "0b97"] {
                assert!(!shown.contains(part), "{path}: {shown}");
            }
        }
        for (path, value) in [
            ("id", "28982"),
            ("id", "\"7\""),
            ("id", "2594"),
            ("assigned_teams", "\"12, 1234567\""),
            ("assigned_teams", "\"Team One, 12\""),
            ("assigned_skills", r#"[{"name":"Sales","value":5}]"#),
            ("timezone", "\"Eastern Time (US & Canada)\""),
            ("assigned_channels[].type", "\"WhatsApp\""),
        ] {
            assert_eq!(shown(path, value, record), value, "{path}");
        }
        assert_eq!(mask().record("28982", &[json(record)]), "28982");
        assert_eq!(mask().record("#3", &[]), "#3");
        assert!(mask().record("12025550123", &[json(record)]).contains('#'));
        assert!(!mask().record("jane@x.example", &[]).contains("jane"));
    }

    #[test]
    fn names_that_do_not_look_like_an_api_are_masked() {
        let mask = mask();
        for (path, shown) in [
            ("assigned_channels[].type", "assigned_channels[].type"),
            ("assigned_channels[]", "assigned_channels[]"),
            ("jane@x.example", "xxxx@x.xxxxxxx"),
            ("assigned_skills[].Jane Doe", "assigned_skills[].Xxxx Xxx"),
            ("$header.location", "$header.location"),
            ("$header.Jane", "$xxxxxx.Xxxx"),
            ("$envelope.metadata", "$envelope.metadata"),
            ("$envelope.jane@x", "$envelope.xxxx@x"),
            ("$members", "$members"),
        ] {
            assert_eq!(mask.name(path), shown);
        }
        let record = shown("$records", r#"{"jane@x.example":1,"id":7}"#, "{}");
        assert!(record.contains("\"xxxx@x.xxxxxxx\"") && record.contains("\"id\":7"), "{record}");
        assert_eq!(shown("$members", "\"id, jane.doe, sag\"", "{}"), "\"id, xxxx.xxx, sag\"");
    }

    #[test]
    fn parts_of_headers_that_may_repeat_the_request_are_hidden() {
        let show = |name: &str, value: &str| shown(&format!("$header.{name}"), value, "{}");
        assert_eq!(show("www-authenticate", "\"Bearer\""), "\"Bearer\"");
        let shown = show("www-authenticate", "\"Bearer realm=jane, key=abc\"");
        assert!(shown.starts_with("\"Bearer #") && !shown.contains("realm"), "{shown}");
        let shown = show("www-authenticate", "\"some-other-key\"");
        assert!(shown.starts_with("\"xxxx-xxxxx-xxx #"), "{shown}");
        let shown = show("location", "\"https://x.example/api/v3/cdr/users/jane?key=abc\"");
        assert!(shown.starts_with("\"/api/v3/cdr/users/xxxx #"), "{shown}");
        assert_eq!(show("location", "\"/api/v2/cdr/teams\""), "\"/api/v2/cdr/teams\"");
        assert_eq!(show("content-type", "\"text/html\""), "\"text/html\"");
        assert!(show("content-type", "\"text/html;boundary=abc\"").starts_with("\"text/html #"));
        assert_eq!(show("retry-after", "\"present\""), "\"present\"");
    }

    #[test]
    fn a_repeated_key_is_hidden_in_open_places_too() {
        for (path, value) in [
            ("sag", "\"legacy-demo-key\""),
            ("$header.content-type", "\"legacy-demo-key\""),
            ("$header.www-authenticate", "\"legacy-demo-key\""),
            ("$header.location", "\"/api/legacy%2Ddemo-key\""),
            ("$error", r#"{"error":"legacy-demo-key"}"#),
            ("$members", "\"id, legacy-demo-key\""),
            ("$envelope", "\"an object of legacy-demo-key\""),
        ] {
            let shown = shown(path, value, "{}");
            assert!(!shown.to_lowercase().contains("demo"), "{path}: {shown}");
        }
        let spelled = Mask { key: [7; 32], secrets: Secrets::new(["demokey".to_owned()]) };
        assert_eq!(spelled.name("demokey"), "(key)");
    }
}
