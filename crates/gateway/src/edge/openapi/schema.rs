//! The shape of an answer as a JSON schema. It is as strict as the answers are: every field is there,
//! and no other.

use domain::legacy::envelope::{Member, Part};
use domain::legacy::schema::{Kind, Property, Schema};
use serde_json::{Map, Value, json};

/// A whole answer whose records have the schema of this name.
pub(super) fn list(schema: &Schema, record: &str) -> Value {
    let record = json!({ "$ref": format!("#/components/schemas/{record}") });
    let records = json!({ "type": "array", "items": record });
    match schema.members {
        [] => records,
        members => around(members, &record, &records),
    }
}

/// What stands around the records.
fn around(members: &[Member], record: &Value, records: &Value) -> Value {
    let of = |member: &Member| {
        let part = match member.part {
            Part::Records => records.clone(),
            Part::RecordOrRecords => json!({ "anyOf": [record, records] }),
            Part::Text => text(),
            Part::Count => count(),
            Part::One => json!({ "const": 1 }),
            Part::Object(members) => around(members, record, records),
        };
        (member.name, part)
    };
    object(members.iter().map(of).collect())
}

/// One record.
pub(super) fn record(fields: &[Property]) -> Value {
    let of = |field: &Property| {
        let mut schema = kind(field.kind);
        schema["description"] = Value::from(field.meaning);
        (field.name, schema)
    };
    object(fields.iter().map(of).collect())
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Number => count(),
        Kind::NumberOrNull => json!({ "type": ["integer", "null"], "minimum": 0 }),
        Kind::Text => text(),
        Kind::TextOrNull => json!({ "type": ["string", "null"] }),
        Kind::NumberOrTextOrNull => json!({ "type": ["integer", "string", "null"], "minimum": 0 }),
        Kind::List(fields) => json!({ "type": "array", "items": record(fields) }),
    }
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// An object that has just these members, all of them.
fn object(members: Vec<(&str, Value)>) -> Value {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let required = json!(names);
    let properties: Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
