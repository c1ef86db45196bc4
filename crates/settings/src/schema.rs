//! The JSON Schema of a configuration, for editors. Names, types, words and ranges are those that the reader takes;
//! defaults are those of `tieline config show`; descriptions are the rows of docs/CONFIGURATION.md.
//!
//! Must never refuse what the reader takes. What a schema cannot say, such as a contradiction of two settings, it
//! leaves to `tieline config check`.

use domain::legacy::ENDPOINTS;
use serde_json::{Map, Value as Json, json};
use toml::{Table, Value};

use crate::defaults::DEFAULTS;
use crate::probe::{Found, Wrap, found};

const PAGE: &str = include_str!("../../../docs/CONFIGURATION.md");

/// The endpoint that stands for all: their tables have the same settings.
const ENDPOINT: &str = "v1_users";

/// Deeper than any table.
const DEPTH_MAX: usize = 6;

/// The schema, in the dialect of 2020-12.
pub fn schema() -> Json {
    let mut schema = at(&|value| value, "", 0);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("The configuration of Tieline");
    let endpoint = |value| table_of("legacy", table_of(ENDPOINT, value));
    schema["$defs"] = json!({"endpoint": at(&endpoint, "legacy.v1_users", 0)});
    schema
}

/// The schema of what stands at a place. `table` is its name on the page.
fn at(wrap: Wrap<'_>, name: &str, depth: usize) -> Json {
    match name {
        // The reader takes the names of these tables from the operator, so it lists none.
        "upstream" => {
            let inner = |value| wrap(table_of("?", value));
            return json!({"type": "object", "additionalProperties": at(&inner, "upstream.<name>", depth + 1)});
        }
        "legacy" => return legacy(wrap, depth),
        _ => {}
    }
    match found(wrap) {
        Found::Table { names, required } if depth < DEPTH_MAX => {
            let mut properties = Map::new();
            for key in &names {
                let inner = |value| wrap(table_of(key, value));
                let below = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                let mut property = at(&inner, &below, depth + 1);
                describe(&mut property, name, key);
                properties.insert(key.clone(), property);
            }
            let mut schema = json!({
                "type": "object",
                "additionalProperties": false,
                "properties": properties,
            });
            if !required.is_empty() {
                schema["required"] = json!(required);
            }
            schema
        }
        Found::List(_) => {
            let inner = |value| wrap(Value::Array(vec![value]));
            json!({"type": "array", "items": at(&inner, name, depth + 1)})
        }
        // A digest cannot be sent: it stands only for the key that clients send.
        Found::Secret(names) if !name.ends_with("legacy_key") => {
            simple(&Found::Secret(names.into_iter().filter(|name| name != "digest").collect()))
        }
        found => simple(&found),
    }
}

/// `[legacy]`: one setting of its own beside a table for each endpoint.
fn legacy(wrap: Wrap<'_>, depth: usize) -> Json {
    let mut properties = Map::new();
    let body = at(&|value| wrap(table_of("body_parameters", value)), "", depth + 1);
    properties.insert("body_parameters".to_owned(), body);
    if let Some(property) = properties.get_mut("body_parameters") {
        describe(property, "legacy", "body_parameters");
    }
    for endpoint in ENDPOINTS {
        properties.insert(endpoint.name().to_owned(), json!({"$ref": "#/$defs/endpoint"}));
    }
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn table_of(name: &str, value: Value) -> Value {
    Value::Table(Table::from_iter([(name.to_owned(), value)]))
}

/// The schema of what has no settings below it.
fn simple(found: &Found) -> Json {
    let limited = |kind: &str, least: &Option<u64>, most: &Option<u64>| {
        let mut schema = json!({"type": kind});
        if let Some(least) = least {
            schema["minimum"] = json!(least);
        }
        if let Some(most) = most {
            schema["maximum"] = json!(most);
        }
        schema
    };
    match found {
        Found::Map(value) => json!({"type": "object", "additionalProperties": simple(value)}),
        Found::List(value) => json!({"type": "array", "items": simple(value)}),
        Found::Words(words) => json!({"enum": words}),
        Found::Text => json!({"type": "string"}),
        Found::Truth => json!({"type": "boolean"}),
        Found::Duration => json!({"type": "string", "pattern": "^[0-9]+ *(ms|s|m|h)$"}),
        Found::Size => json!({"type": "string", "pattern": "^[0-9]+ *(B|KiB|MiB|GiB)$"}),
        Found::Whole(least, most) => limited("integer", least, most),
        Found::Number(least, most) => limited("number", least, most),
        Found::Secret(names) => {
            let text = |name: &String| (name.clone(), json!({"type": "string"}));
            json!({
                "type": "object",
                "properties": names.iter().map(text).collect::<Map<_, _>>(),
                "additionalProperties": false,
                "minProperties": 1,
                "maxProperties": 1,
            })
        }
        Found::Sees(names) => {
            let list = |name: &String| {
                let items = match name.as_str() {
                    "users" => json!({"type": "integer", "minimum": 0}),
                    _ => json!({"type": ["integer", "string"]}),
                };
                (name.clone(), json!({"type": "array", "items": items}))
            };
            json!({"anyOf": [
                {"const": "everything"},
                {
                    "type": "object",
                    "properties": names.iter().map(list).collect::<Map<_, _>>(),
                    "additionalProperties": false,
                },
            ]})
        }
        Found::Table { .. } | Found::Anything => json!({}),
    }
}

/// Adds what the page says about a setting, and its default where that is a value.
fn describe(property: &mut Json, table: &str, key: &str) {
    if let Some(meaning) = meaning(table, key) {
        property["description"] = json!(meaning);
    }
    if let Some(default) = default(table, key) {
        property["default"] = default;
    }
}

/// The default of a setting; that of one dialect where dialects differ is left out.
fn default(table: &str, key: &str) -> Option<Json> {
    let head = format!("[{table}]");
    let mut lines = DEFAULTS.lines().skip_while(|line| *line != head).skip(1);
    let lines = lines.by_ref().take_while(|line| !line.starts_with('['));
    let text = lines.filter_map(|line| line.split_once(" = ")).find(|(name, _)| *name == key)?.1;
    let table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

/// What the page says about a setting, without its links.
fn meaning(table: &str, key: &str) -> Option<String> {
    let (table, key) = match table.split_once('.') {
        Some(("server", below)) => ("server", format!("{below}.{key}")),
        _ => (table, key.to_owned()),
    };
    let heads = [format!(" `[{table}]`\n"), format!(" `[[{table}]]`\n")];
    let mut sections = PAGE.split("\n## ").flat_map(|section| section.split("\n### "));
    let section = sections.find(|section| {
        heads.iter().any(|head| format!(" {section}").starts_with(head.as_str()))
    })?;
    let start = format!("| `{key}` |");
    let row = section.lines().find(|line| line.starts_with(&start))?;
    let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
    Some(plain(cells.get(3)?.trim()))
}

/// A text without the targets of its links.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        plain.push_str(&before.replacen('[', "", 1));
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}
