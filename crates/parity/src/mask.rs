//! Values as a report may show them: what belongs to a person keeps its shape only, with a tag that is
//! the same for the same value within one report.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::node::Node;

/// Fields that say nothing of a person.
const OPEN: [&str; 13] = [
    "id",
    "sag",
    "timezone",
    "webrtc_ringtone",
    "assigned_teams",
    "agent_in_teams",
    "supervisor_in_teams",
    "assigned_queues",
    "assigned_skills",
    "type",
    "$members",
    "$status",
    "$envelope",
];

/// Errors that the vendor's pages print; any other text may repeat what was asked, or the key.
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

/// The longest text shown, in characters.
const CHARS_MAX: usize = 120;

/// Masks values under a key of its own.
#[derive(Clone)]
pub struct Mask([u8; 32]);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Default for Mask {
    fn default() -> Self {
        Mask(rand::random())
    }
}

impl Mask {
    /// A value of a path, such as `name` or `assigned_channels[].type`.
    pub fn show(&self, path: &str, value: Option<&Node>) -> String {
        let Some(value) = value else { return "(absent)".to_owned() };
        let field = path.rsplit('.').next().unwrap_or(path);
        let top = path.split(['[', '.']).next().unwrap_or(path);
        let is_open = OPEN.contains(&field)
            || OPEN.contains(&top)
            || path.starts_with("$header")
            || path == "$order" && is_id(value)
            || path == "$error" && is_known_error(value);
        let text = match is_open {
            true => value.to_json(),
            false => self.masked(value).to_json(),
        };
        if text.chars().count() <= CHARS_MAX {
            return text;
        }
        text.chars().take(CHARS_MAX).chain(['…']).collect()
    }

    fn masked(&self, value: &Node) -> Node {
        match value {
            Node::Text(text) if text.is_empty() => value.clone(),
            Node::Text(text) => Node::Text(format!("{} #{}", shape(text), self.tag(text))),
            Node::Number(number) => {
                let text = number.to_string();
                Node::Text(format!("number {} #{}", shape(&text), self.tag(&text)))
            }
            Node::List(list) => Node::List(list.iter().map(|node| self.masked(node)).collect()),
            Node::Object(members) => {
                let masked = |(name, node): &(String, Node)| {
                    let is_open = OPEN.contains(&name.as_str());
                    let node = if is_open { node.clone() } else { self.masked(node) };
                    (name.clone(), node)
                };
                Node::Object(members.iter().map(masked).collect())
            }
            Node::Null | Node::Bool(_) => value.clone(),
        }
    }

    /// Four hexadecimal digits: enough to see that two values are the same, too few to guess one.
    fn tag(&self, text: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(text.as_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes.iter().take(2).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where records are aligned by e-mail address, their order is told in addresses.
fn is_id(value: &Node) -> bool {
    value.text().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_known_error(value: &Node) -> bool {
    match value {
        Node::Object(members) => members.iter().all(|(name, text)| {
            name == "error" && text.text().is_some_and(|text| SENTENCES.contains(&text))
        }),
        _ => false,
    }
}

/// Letters as `x`, digits as `9`; what stands between them stays.
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

    #[test]
    fn a_persons_value_keeps_its_shape_only() {
        let mask = Mask([7; 32]);
        let shown = mask.show("name", Some(&Node::from("Jane Döe 3")));
        assert!(shown.starts_with("\"Xxxx Xxx 9 #"), "{shown}");
        assert_ne!(shown, mask.show("name", Some(&Node::from("June Döe 3"))));
        assert_eq!(mask.show("timezone", Some(&Node::from("Istanbul"))), "\"Istanbul\"");
        assert_eq!(mask.show("email", None), "(absent)");
        assert_eq!(mask.show("email", Some(&Node::Null)), "null");
        let record = Node::parse(br#"{"id":7,"email":"a@b.c","sag":"Agent"}"#).unwrap();
        let shown = mask.show("$records", Some(&record));
        assert!(shown.contains("\"id\":7") && shown.contains("Agent"), "{shown}");
        assert!(!shown.contains("a@b.c"), "{shown}");
    }
}
