//! The envelope around the records of a list, as data and as text.

use crate::quirks::Envelope;

/// A member of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its value.
    pub part: Part,
}

/// The value of a member of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The records, in an array.
    Records,
    /// The one record of a list of one, else the array.
    RecordOrRecords,
    /// A text.
    Text,
    /// A whole number, not negative.
    Count,
    /// The number 1.
    One,
    /// An object with these members.
    Object(&'static [Member]),
}

const fn member(name: &'static str, part: Part) -> Member {
    Member { name, part }
}

const USERS: &[Member] = &[member("users", Part::Records), member("metadata", METADATA)];

const METADATA: Part = Part::Object(&[
    member("total", Part::Count),
    member("page", Part::One),
    member("page_size", Part::Count),
]);

const SAMPLE: &[Member] = &[
    member("summary", Part::Text),
    member("description", Part::Text),
    member("value", Part::RecordOrRecords),
];

const TEMPLATES: &[Member] = &[
    member("templates", Part::Records),
    member(
        "metadata",
        Part::Object(&[
            member("total", Part::Count),
            member("page", Part::Count),
            member("page_size", Part::Count),
        ]),
    ),
];

const CALL: &[Member] = &[member("call_id", Part::Text)];

/// Names that may stand beside a list in an answer of the legacy API: those of every envelope, and
/// `total`, which lists of sibling services have there.
pub const NAMES: [&str; 7] =
    ["users", "templates", "metadata", "summary", "description", "value", "total"];

/// How many records an answer has, and which part of the list they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Records of the answer.
    pub rows: u64,
    /// Records of the whole list.
    pub total: u64,
    /// The page, from 1.
    pub page: u64,
}

impl From<u64> for Counts {
    /// A whole list.
    fn from(rows: u64) -> Self {
        Counts { rows, total: rows, page: 1 }
    }
}

/// What an endpoint wraps its records in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrap {
    /// Nothing but the brackets.
    Bare,
    /// As the `users` of [`Envelope`].
    Users,
    /// As the `sample` of [`Envelope`].
    Sample,
    /// `{"templates":[..],"metadata":{..}}`.
    Templates,
    /// `{"call_id":".."}`.
    Call,
}

impl Wrap {
    pub(super) fn of(envelope: Envelope) -> Self {
        match envelope {
            Envelope::Array => Wrap::Bare,
            Envelope::Users => Wrap::Users,
            Envelope::Sample => Wrap::Sample,
        }
    }

    /// The members; none where the list is a bare array.
    pub(super) fn members(self) -> &'static [Member] {
        match self {
            Wrap::Bare => &[],
            Wrap::Users => USERS,
            Wrap::Sample => SAMPLE,
            Wrap::Templates => TEMPLATES,
            Wrap::Call => CALL,
        }
    }

    /// The text before and after the records.
    pub(super) fn around(self, counts: Counts) -> (String, String) {
        let Counts { rows, total, page } = counts;
        let metadata = |total: u64, page: u64| {
            format!("],\"metadata\":{{\"total\":{total},\"page\":{page},\"page_size\":{rows}}}}}")
        };
        match self {
            Wrap::Bare => ("[".to_owned(), "]".to_owned()),
            Wrap::Users => ("{\"users\":[".to_owned(), metadata(rows, 1)),
            Wrap::Call => ("{\"call_id\":\"".to_owned(), "\"}".to_owned()),
            Wrap::Templates => ("{\"templates\":[".to_owned(), metadata(total, page)),
            Wrap::Sample => {
                let (open, close) = if rows == 1 { ("", "}") } else { ("[", "]}") };
                let intro = "{\"summary\":\"Agents parameters\",\
                             \"description\":\"All of the user data\",\"value\":";
                (format!("{intro}{open}"), close.to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_written_with_just_its_members_in_their_order() {
        for envelope in [Wrap::Bare, Wrap::Users, Wrap::Sample, Wrap::Templates, Wrap::Call] {
            for (rows, records) in [(0, ""), (1, "{}"), (2, "{},{}")] {
                let (open, close) = envelope.around(rows.into());
                let text = format!("{open}{records}{close}");
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                check(envelope.members(), &json, &text);
            }
            for member in envelope.members() {
                let is_list = envelope != Wrap::Call;
                assert!(!is_list || NAMES.contains(&member.name), "{}", member.name);
            }
        }
    }

    fn check(members: &[Member], json: &serde_json::Value, text: &str) {
        let Some(object) = json.as_object() else {
            assert!(members.is_empty() && json.is_array(), "{text}");
            return;
        };
        assert_eq!(object.len(), members.len(), "{text}");
        let mut at = 0;
        for Member { name, part } in members {
            let found = text[at..].find(&format!("\"{name}\":"));
            at += found.unwrap_or_else(|| panic!("{name} in {text}"));
            let value = &object[*name];
            let fits = match part {
                Part::Records => value.is_array(),
                Part::RecordOrRecords => value.is_array() || value.is_object(),
                Part::Text => value.is_string(),
                Part::Count => value.is_u64(),
                Part::One => *value == 1,
                Part::Object(members) => {
                    check(members, value, &text[at..]);
                    true
                }
            };
            assert!(fits, "{name} in {text}");
        }
    }
}
