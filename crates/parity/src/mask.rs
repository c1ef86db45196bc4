//! Masks values for a report. Of a value about a person only the shape is shown, with a tag that is the
//! same for equal values within one report. Values of open fields are checked as well, because a value of
//! another field may have got there by mistake.

mod open;
mod people;

use std::collections::HashSet;

use corpus::endpoint::ENDPOINTS;
use corpus::node::Node;
use corpus::pseudonym::is_word;
use hmac::{Hmac, KeyInit, Mac};
use report::secrets::Secrets;
use sha2::Sha256;

use crate::compare::{Difference, ERROR, HEADERS};
use crate::words::Words;
use open::{DIGITS_MIN, Open, is_number};
use people::People;

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

/// The longest text shown, in characters.
const CHARS_MAX: usize = 120;

/// Masks values, with tags under a random key.
#[derive(Clone)]
pub(crate) struct Mask {
    key: [u8; 32],
    /// Keys that are removed from every text.
    pub(crate) secrets: Secrets,
    /// A group, a team or a queue may be named after one of them.
    people: People,
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
        Mask { key: rand::random(), secrets, people: People::default() }
    }

    /// Notes the name of a user, which stays hidden wherever it stands.
    pub(crate) fn note_user(&mut self, user: &Node) {
        if let Some(name) = user.get("name").and_then(Node::text) {
            self.people.note(name);
        }
    }

    /// Both values of a difference. Only words of the report itself are shown as they are.
    pub(crate) fn both(&self, difference: &Difference, records: &[Node]) -> [String; 2] {
        let Difference { path, control, candidate, said, .. } = difference;
        match said {
            None => [control, candidate].map(|value| self.show(path, value.as_ref(), records)),
            Some(said) => said.each_ref().map(|words| {
                self.cut(words.as_ref().map_or_else(absent, |words| self.words(words)))
            }),
        }
    }

    fn words(&self, words: &Words) -> String {
        words.text(|name| self.word(name))
    }

    fn cut(&self, text: String) -> String {
        let text = self.secrets.hide(&text);
        if text.chars().count() <= CHARS_MAX {
            return text;
        }
        text.chars().take(CHARS_MAX).chain(['…']).collect()
    }

    /// A value at a path, such as `name` or `assigned_channels[].type`. `records` are the records of both
    /// sides that contain it: a personal value of one field stays hidden in every other field.
    pub(crate) fn show(&self, path: &str, value: Option<&Node>, records: &[Node]) -> String {
        let Some(value) = value else { return absent() };
        let personal = Personal::of(records);
        let header = path.strip_prefix("$header.");
        let shown = match (path, value) {
            (_, Node::Text(text)) if header.is_some() => {
                Node::Text(self.header(header.unwrap_or_default(), text))
            }
            (ERROR, _) if is_known_error(value) => value.clone(),
            _ => self.node(value, Open::of(path), &personal),
        };
        self.cut(shown.to_json())
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
        if let Some(part) = path.strip_prefix('$') {
            // A part of the answer, and perhaps a header or a member of the envelope.
            return match part.split_once('.') {
                None => format!("${}", self.word(part)),
                Some((part, name)) if HEADERS.contains(&name) => {
                    format!("${}.{name}", self.word(part))
                }
                Some((part, name)) => format!("${}.{}", self.word(part), self.word(name)),
            };
        }
        let (names, end) = path.strip_suffix("[]").map_or((path, ""), |names| (names, "[]"));
        let names: Vec<String> = names.split("[].").map(|name| self.word(name)).collect();
        format!("{}{end}", names.join("[]."))
    }

    fn word(&self, name: &str) -> String {
        let shown = if is_word(name) { name.to_owned() } else { shape(name) };
        self.secrets.hide(&shown)
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
                let is_personal = || personal.has(text) || self.people.are_in(text);
                match open.shows(text) && (is_plain || !is_personal()) {
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

fn absent() -> String {
    "(absent)".to_owned()
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
    use crate::compare::ENVELOPE;

    fn mask() -> Mask {
        let secrets = Secrets::new(["legacy-demo-key".to_owned()]);
        Mask { key: [7; 32], secrets, people: People::default() }
    }

    /// Both sides of a difference that the report tells in its own words.
    fn told(said: Words) -> String {
        let difference = Difference {
            record: None,
            field: ENVELOPE.to_owned(),
            path: ENVELOPE.to_owned(),
            kind: crate::compare::Kind::Value,
            control: None,
            candidate: None,
            said: Some(Box::new([Some(said), None])),
            part: None,
        };
        let [said, none] = mask().both(&difference, &[]);
        assert_eq!(none, "(absent)");
        said
    }

    #[test]
    fn words_of_the_report_are_shown_and_names_of_members_are_masked() {
        assert_eq!(told("a list".into()), "a list");
        assert_eq!(
            told(Words::from("users").and(", with other members")),
            "users, with other members"
        );
        assert_eq!(told(Words::count(1_234_567)), "1234567");
        let names = ["agents", "jane@x.example", "legacy-demo-key"].map(str::to_owned);
        let shown = told(Words::names("an object of ", &names));
        assert_eq!(shown, "an object of agents, xxxx@x.xxxxxxx, xxxxxx-xxxx-xxx");
    }

    #[test]
    fn what_is_named_after_a_user_is_masked_for_every_user() {
        let mut mask = mask();
        for name in ["Jane Döe", "Support", "Ali"] {
            mask.note_user(&json(&format!("{{\"name\":\"{name}\"}}")));
        }
        let show = |path: &str, value: &str| mask.show(path, Some(&json(value)), &[]);
        for (path, value) in [
            ("sag", "\"jane döe\""),
            ("sag", "\"Support\""),
            ("assigned_teams", "\"12, Jane Döe\""),
            ("assigned_queues", "\"Team of Jane Döe (EU)\""),
            ("assigned_skills", r#"[{"name":"Jane Döe","value":5}]"#),
        ] {
            let shown = show(path, value);
            assert!(shown.contains('#'), "{path}: {shown}");
            assert!(!shown.to_lowercase().contains("jane"), "{path}: {shown}");
        }
        for value in ["\"Support EU\"", "\"Mary Jane Döetsch\"", "\"Alicante\""] {
            assert_eq!(show("sag", value), value);
        }
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
            ("$header.Jane", "$header.Xxxx"),
            ("$copies", "$copies"),
            ("$jane@x", "$xxxx@x"),
            ("$jane@x.location", "$xxxx@x.location"),
            ("$envelope.metadata", "$envelope.metadata"),
            ("$envelope.jane@x", "$envelope.xxxx@x"),
            ("$members", "$members"),
        ] {
            assert_eq!(mask.name(path), shown);
        }
        let record = shown("$records", r#"{"jane@x.example":1,"id":7}"#, "{}");
        assert!(record.contains("\"xxxx@x.xxxxxxx\"") && record.contains("\"id\":7"), "{record}");
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
    }

    #[test]
    fn a_repeated_key_is_hidden_in_open_places_too() {
        for (path, value) in [
            ("sag", "\"legacy-demo-key\""),
            ("$header.content-type", "\"legacy-demo-key\""),
            ("$header.www-authenticate", "\"legacy-demo-key\""),
            ("$header.location", "\"/api/legacy%2Ddemo-key\""),
            ("$error", r#"{"error":"legacy-demo-key"}"#),
        ] {
            let shown = shown(path, value, "{}");
            assert!(!shown.to_lowercase().contains("demo"), "{path}: {shown}");
        }
        let spelled = Mask::new(Secrets::new(["demokey".to_owned()]));
        assert_eq!(spelled.name("demokey"), "(key)");
    }
}
