//! The suggested settings as an overlay of the configuration. A setting that no gateway of this process can be
//! started under is not in it.

use report::Suggestion;
use serde_json::{Value, json};

use crate::calibrate::{Overlay, UPSTREAM, insert_below};
use crate::cause::{DELETED_AT, SettingKey};
use crate::knowledge::Knowledge;

pub(super) fn key_of(suggestion: &Suggestion) -> SettingKey {
    let name = name_of(&suggestion.line).unwrap_or(&suggestion.line);
    SettingKey { table: suggestion.table.clone(), name: name.to_owned() }
}

/// The name in a line of TOML, which may be quoted.
fn name_of(line: &str) -> Option<&str> {
    let mut names = serde_json::Deserializer::from_str(line).into_iter::<String>();
    match line.starts_with('"') {
        true => names.next()?.ok().map(|_| &line[..names.byte_offset()]),
        false => line.split_once(" = ").map(|(name, _)| name),
    }
}

pub(super) fn is_replayable(key: &SettingKey) -> bool {
    key.table.starts_with("legacy") || key.name == DELETED_AT
}

/// The settings as an overlay of a configuration.
pub(super) fn overlay<'a>(
    believed: impl Iterator<Item = &'a Suggestion>,
    knowledge: &Knowledge,
) -> Overlay {
    let mut overlay = Overlay::new();
    for one in believed {
        let key = key_of(one);
        let text = one.line.strip_prefix(&key.name).and_then(|line| line.strip_prefix(" = "));
        let Some(value) = text.and_then(value_of).filter(|_| is_replayable(&key)) else { continue };
        let name = serde_json::from_str::<String>(&key.name).unwrap_or_else(|_| key.name.clone());
        let table = match key.table.split_once('.') {
            None => key.table.as_str(),
            Some(("legacy", table)) => table,
            Some(_) => UPSTREAM,
        };
        match table.split_once('.') {
            None => {
                overlay.entry(table.to_owned()).or_default().insert(name, value);
            }
            Some((endpoint, table)) => {
                let settings = knowledge.settings(endpoint);
                let in_force = match table {
                    "timezone_names" => &settings.timezone_names,
                    "caller_id_groups" => &settings.caller_id_groups,
                    "channel_types" => &settings.channel_types,
                    _ => &settings.filters,
                };
                let of = overlay.entry(endpoint.to_owned()).or_default();
                insert_below(of, table, in_force, &name, value.as_str().unwrap_or_default());
            }
        }
    }
    overlay
}

/// A value in TOML, as far as settings have them: a text, or status and text of a refusal.
fn value_of(toml: &str) -> Option<Value> {
    if let Some(rest) = toml.strip_prefix("{ status = ") {
        let (status, text) = rest.strip_suffix(" }")?.split_once(", text = ")?;
        let (status, text) =
            (status.parse::<u16>().ok()?, serde_json::from_str::<String>(text).ok()?);
        return Some(json!({ "status": status, "text": text }));
    }
    serde_json::from_str::<String>(toml).ok().map(Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_become_an_overlay() {
        let of = |table: &str, line: &str| Suggestion {
            table: table.to_owned(),
            line: line.to_owned(),
            evidence: 1,
            against: 0,
        };
        let all = [
            of("legacy.v1_users", "employee_id = \"number\""),
            of("legacy.v1_users", "invalid_key = { status = 403, text = \"a, text = b\" }"),
            of("legacy.v1_users.caller_id_groups", "\"1 = 2\" = \"Day\""),
            of("legacy.v3_cdr_users.filters", "sag = \"contains\""),
            of("legacy", "body_parameters = \"ignore\""),
            of("upstream.ams", "deleted_at = \"never\""),
            of("upstream.ams", "id_policy = \"map\""),
        ];
        let overlay = overlay(all.iter(), &Knowledge::default());
        let expect = json!({
            "legacy": { "body_parameters": "ignore" },
            "upstream": { "deleted_at": "never" },
            "v1_users": {
                "caller_id_groups": { "1 = 2": "Day" },
                "employee_id": "number",
                "invalid_key": { "status": 403, "text": "a, text = b" },
            },
            "v3_cdr_users": { "filters": { "sag": "contains" } },
        });
        assert_eq!(json!(overlay), expect);
    }
}
