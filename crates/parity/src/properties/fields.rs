//! Whether every record has exactly the fields that the vendor's pages print, in their order and with
//! their JSON types. Settings that change a form are respected. Where they are not known, every form that
//! a setting allows is right.

use std::collections::BTreeMap;

use corpus::endpoint::Endpoint;
use corpus::node::Node;

use super::{Alone, Tries};
use crate::knowledge::Knowledge;
use crate::list::{KeyedBy, List};
use crate::mask::Mask;

#[derive(Clone, Copy)]
enum Type {
    Number,
    NumberOrNull,
    Text,
    TextOrNull,
    /// A text, a number or null, by the setting `employee_id`.
    EmployeeId,
    List(Fields),
}

type Fields = &'static [(&'static str, Type)];

const SKILL: Fields = &[("name", Type::Text), ("value", Type::Number)];
/// Not every channel has a number.
const CHANNEL: Fields =
    &[("type", Type::Text), ("name", Type::Text), ("value", Type::NumberOrNull)];

/// The fields of a user in v1. In v3 only the list of teams has another name.
const TEAMS: &str = "assigned_teams";

const USER: Fields = &[
    ("id", Type::Number),
    ("name", Type::Text),
    ("email", Type::Text),
    ("sip_account", Type::TextOrNull),
    ("sag", Type::TextOrNull),
    ("extension", Type::TextOrNull),
    ("caller_id", Type::TextOrNull),
    ("timezone", Type::TextOrNull),
    ("webrtc_ringtone", Type::TextOrNull),
    (TEAMS, Type::Text),
    ("supervisor_in_teams", Type::Text),
    ("assigned_skills", Type::List(SKILL)),
    ("assigned_queues", Type::Text),
    ("employee_id", Type::EmployeeId),
    ("assigned_channels", Type::List(CHANNEL)),
];
const TEAM: Fields = &[("name", Type::Text), ("id", Type::Number)];
/// A deleted user may have lost the name.
const DELETED: Fields = &[("id", Type::Number), ("name", Type::TextOrNull)];

const AGENT_STATUS: Fields =
    &[("email", Type::Text), ("ext", Type::TextOrNull), ("status", Type::TextOrNull)];
const TEMPLATE: Fields = &[
    ("id", Type::Number),
    ("name", Type::Text),
    ("body", Type::Text),
    ("assigned_teams", Type::List(TEMPLATE_TEAM)),
];
const TEMPLATE_TEAM: Fields = &[("id", Type::Number), ("name", Type::Text)];

fn documented(endpoint: &Endpoint) -> Fields {
    match endpoint.name {
        "v1_agents_status" => AGENT_STATUS,
        "v3_sms_templates" => TEMPLATE,
        "v2_cdr_teams" => TEAM,
        "v2_cdr_deleted_agents" => DELETED,
        _ => USER,
    }
}

struct Form<'a> {
    endpoint: &'a Endpoint,
    /// `string` or `number`; empty where it is not known.
    employee_id: &'a str,
    /// Whether the new API has every field of the pages, like Voiso's.
    is_whole: bool,
    mask: &'a Mask,
}

impl Form<'_> {
    fn name<'a>(&self, name: &'a str) -> &'a str {
        let is_teams = name == TEAMS && self.endpoint.is_joined("agent_in_teams");
        if is_teams { "agent_in_teams" } else { name }
    }

    /// A sentence for each fault of a record, without values.
    fn faults(&self, at: &str, record: &Node, fields: Fields) -> Vec<String> {
        let Node::Object(members) = record else {
            return vec![format!("{at}: {}, not an object", record.kind())];
        };
        let mut faults = Vec::new();
        let is_known = |name: &str| fields.iter().any(|(known, _)| self.name(known) == name);
        for (name, _) in members.iter().filter(|(name, _)| !is_known(name)) {
            faults.push(format!("{at}: has {}, which no page names", self.mask.name(name)));
        }
        for (name, wanted) in fields {
            let name = self.name(name);
            match record.get(name) {
                None => faults.push(format!("{at}: lacks {name}")),
                Some(node) => self.value(&format!("{at}.{name}"), node, *wanted, &mut faults),
            }
        }
        let names = members.iter().map(|(name, _)| name.as_str());
        if faults.is_empty() && !names.eq(fields.iter().map(|(name, _)| self.name(name))) {
            faults.push(format!("{at}: fields in another order, or twice"));
        }
        faults
    }

    fn value(&self, at: &str, node: &Node, wanted: Type, faults: &mut Vec<String>) {
        let is_null = *node == Node::Null;
        let kinds: &[&str] = match wanted {
            Type::Number => &["number"],
            Type::NumberOrNull => &["number", "null"],
            Type::Text => &["string"],
            Type::TextOrNull => &["string", "null"],
            Type::EmployeeId if self.employee_id == "string" => &["string", "null"],
            // Some employee ids are not numbers.
            Type::EmployeeId => &["number", "string", "null"],
            Type::List(_) => &["array"],
        };
        let is_missing = is_null && !self.is_whole;
        if !kinds.contains(&node.kind()) && !is_missing {
            faults.push(format!("{at}: {}, not {}", node.kind(), kinds.join(" or ")));
        }
        if let (Type::List(fields), Some(list)) = (wanted, node.list()) {
            faults.extend(list.iter().flat_map(|one| self.faults(at, one, fields)));
        }
    }
}

impl Alone<'_> {
    pub(super) fn fields(&self, endpoint: &Endpoint, tries: &mut Tries) {
        let Some(whole) = self.whole(endpoint) else { return };
        let Ok(list) = List::read(&whole.body, KeyedBy::Id) else { return };
        let mask = Mask::new(self.plan.secrets.clone());
        let found = faults(endpoint, self.knowledge, &list, &mask);
        tries.tried += 1 + list.records.len() as u64;
        for (fault, records) in found {
            tries.failures.push(format!("{fault} ({records} records)"));
        }
    }
}

/// The faults of a list, and how many records have each.
fn faults(
    endpoint: &Endpoint,
    knowledge: &Knowledge,
    list: &List<'_>,
    mask: &Mask,
) -> BTreeMap<String, u64> {
    let settings = knowledge.settings.get(endpoint.name);
    let form = Form {
        endpoint,
        employee_id: settings.map_or("", |settings| &settings.employee_id),
        is_whole: knowledge.dialect == "voiso-v4",
        mask,
    };
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    let envelope = settings.map(|settings| settings.envelope.as_str());
    if envelope.is_some_and(|envelope| endpoint.lists_users() && list.envelope.name() != envelope) {
        let records = list.records.len() as u64;
        found.insert("another envelope than the one that is set".to_owned(), records);
    }
    for record in &list.records {
        let mut of_record = form.faults("record", &record.node(), documented(endpoint));
        of_record.sort();
        of_record.dedup();
        for fault in of_record {
            *found.entry(fault).or_default() += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::Settings;
    use corpus::endpoint::endpoint;
    use report::secrets::Secrets;

    const V1: &str = r#"{"id":1,"name":"A","email":"a@b.c","sip_account":null,"sag":"Agent",
        "extension":"2594","caller_id":null,"timezone":"Istanbul","webrtc_ringtone":null,
        "assigned_teams":"3, 4","supervisor_in_teams":"",
        "assigned_skills":[{"name":"Sales","value":5}],"assigned_queues":"Q","employee_id":"E-1",
        "assigned_channels":[{"type":"Webchat","name":"C","value":null}]}"#;

    fn found(name: &str, knowledge: &Knowledge, record: &str) -> Vec<String> {
        let body = format!("[{record}]");
        let list = List::read(body.as_bytes(), KeyedBy::Id).unwrap();
        let mask = Mask::new(Secrets::default());
        faults(endpoint(name).unwrap(), knowledge, &list, &mask).into_keys().collect()
    }

    fn voiso() -> Knowledge {
        Knowledge { dialect: "voiso-v4".to_owned(), ..Knowledge::default() }
    }

    fn with(settings: Settings) -> Knowledge {
        Knowledge { settings: [("v1_users".to_owned(), settings)].into(), ..voiso() }
    }

    #[test]
    fn documented_records_are_right() {
        assert!(found("v1_users", &voiso(), V1).is_empty());
        let v3 = V1.replace("assigned_teams", "agent_in_teams");
        assert!(found("v3_cdr_users", &voiso(), &v3).is_empty());
        assert!(found("v2_cdr_teams", &voiso(), r#"{"name":"Dayshift","id":5915}"#).is_empty());
        let status = r#"{"email":"a@b.c","ext":null,"status":"available"}"#;
        assert!(found("v1_agents_status", &voiso(), status).is_empty());
        let template = r#"{"id":142,"name":"A","body":"B","assigned_teams":[{"id":3,"name":"T"}]}"#;
        assert!(found("v3_sms_templates", &voiso(), template).is_empty());
        let wrong = template.replace("\"id\":3", "\"id\":\"3\"");
        let says = "record.assigned_teams.id: string, not number";
        assert_eq!(found("v3_sms_templates", &voiso(), &wrong), [says]);
        let deleted = r#"{"id":28982,"name":"Roberta Ride"}"#;
        assert!(found("v2_cdr_deleted_agents", &voiso(), deleted).is_empty());
        let settings = Settings { employee_id: "number".to_owned(), ..Settings::default() };
        let number = V1.replace("\"E-1\"", "123");
        assert!(found("v1_users", &with(settings), &number).is_empty());
        // Without known settings either form is right.
        assert!(found("v1_users", &voiso(), &number).is_empty());
        // Fields that Vonage does not have are null.
        let null = V1.replace("5}", "null}");
        assert!(found("v1_users", &Knowledge::default(), &null).is_empty());
    }

    #[test]
    fn a_fault_names_the_field_and_shows_no_value() {
        let v1 = [
            (
                "\"extension\":\"2594\"",
                "\"extension\":2594",
                "record.extension: number, not string or null",
            ),
            ("5}", "null}", "record.assigned_skills.value: null, not number"),
            ("\"sag\":\"Agent\",", "", "record: lacks sag"),
            ("\"id\":1", "\"id\":\"1\"", "record.id: string, not number"),
            ("\"A\"", "null", "record.name: null, not string"),
            ("\"3, 4\"", "[3,4]", "record.assigned_teams: array, not string"),
            ("\"id\":1", "\"id\":1,\"jane@x\":2", "record: has xxxx@x, which no page names"),
            (
                "\"id\":1,\"name\":\"A\"",
                "\"name\":\"A\",\"id\":1",
                "record: fields in another order, or twice",
            ),
            ("\"id\":1", "\"id\":1,\"id\":1", "record: fields in another order, or twice"),
            (
                "\"name\":\"C\",\"value\":null",
                "\"value\":null,\"name\":\"C\"",
                "record.assigned_channels: fields in another order, or twice",
            ),
        ];
        for (from, to, says) in v1 {
            assert!(V1.contains(from), "{from}");
            assert_eq!(found("v1_users", &voiso(), &V1.replacen(from, to, 1)), [says]);
        }
        let v3 =
            V1.replace("assigned_teams", "agent_in_teams").replace("\"employee_id\":\"E-1\",", "");
        assert_eq!(found("v3_cdr_users", &voiso(), &v3), ["record: lacks employee_id"]);
        let team = r#"{"name":"Dayshift","id":"5915"}"#;
        assert_eq!(found("v2_cdr_teams", &voiso(), team), ["record.id: string, not number"]);
        let number = V1.replace("\"E-1\"", "123");
        let says = "record.employee_id: number, not string or null";
        assert_eq!(found("v1_users", &with(Settings::default()), &number), [says]);
        let users = Settings { envelope: "users".to_owned(), ..Settings::default() };
        assert_eq!(found("v1_users", &with(users), V1).len(), 1);
    }
}
