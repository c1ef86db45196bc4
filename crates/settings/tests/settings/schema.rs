//! The schema for editors and the reader agree: each setting is in it, each configuration of the repository fits it,
//! and it refuses no value that the reader takes.
#![expect(clippy::unwrap_used, reason = "a test may")]

use jsonschema::Validator;
use serde_json::{Value as Json, json};
use settings::Config;
use toml::{Table, Value};

const DEFAULTS: &str = include_str!("../../data/defaults.txt");
const EXAMPLE: &str = include_str!("../../../../deploy/tieline.example.toml");
const PAGES: &[&str] = &[
    include_str!("../../../../docs/CONFIGURATION.md"),
    include_str!("../../../../README.md"),
    include_str!("../../../../docs/OPERATING.md"),
];

/// Every table, with what it must have, over a base that loads.
const BASE: &str = r#"
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:9"
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY_KEY" }
upstream = "ams"
upstream_key = { env = "V4_KEY" }
sees = "everything"
"#;

fn validator() -> Validator {
    jsonschema::draft202012::new(&settings::schema()).unwrap()
}

fn refused(validator: &Validator, config: &Value) -> Option<String> {
    let json = serde_json::to_value(as_text(config)).unwrap();
    validator.iter_errors(&json).next().map(|error| format!("{}: {error}", error.instance_path()))
}

/// The same with texts in the place of moments, which JSON does not have; editors do so.
fn as_text(value: &Value) -> Value {
    match value {
        Value::Datetime(at) => Value::String(at.to_string()),
        Value::Array(list) => list.iter().map(as_text).collect::<Vec<_>>().into(),
        Value::Table(table) => {
            let entries = table.iter().map(|(key, value)| (key.clone(), as_text(value)));
            Value::Table(entries.collect())
        }
        value => value.clone(),
    }
}

/// The schema of an entry of a table.
fn entry<'a>(schema: &'a Json, name: &str) -> &'a Json {
    match name {
        "<name>" => &schema["additionalProperties"],
        name => &schema["properties"][name],
    }
}

/// The schema of a setting or a table, by its name in the table of defaults.
fn named<'a>(schema: &'a Json, name: &str) -> &'a Json {
    name.split('.').fold(schema, |at, name| {
        let at = entry(at, name);
        let at = if ["brownout", "caller", "route"].contains(&name) && at["type"] == "array" {
            &at["items"]
        } else {
            at
        };
        if at["$ref"].is_string() { &schema["$defs"]["endpoint"] } else { at }
    })
}

#[test]
fn every_setting_that_has_a_default_is_in_the_schema_with_it() {
    let schema = settings::schema();
    let (mut table, mut seen) = (String::new(), 0);
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name.to_owned();
            let found = named(&schema, &table);
            assert_eq!(found["additionalProperties"], json!(false), "{table}");
            continue;
        }
        let (key, default) = line.split_once(" = ").unwrap();
        let found = named(&schema, &format!("{table}.{key}"));
        assert!(found.is_object() && found != &json!({}), "{table}.{key}: {found}");
        let is_value = !default.starts_with('(') && !default.contains(" | ");
        assert_eq!(found["default"].is_null(), !is_value, "{table}.{key}: {found}");
        seen += 1;
    }
    assert!(seen > 150, "{seen} settings");
}

#[test]
fn types_words_limits_and_required_settings_are_those_of_the_reader() {
    let schema = settings::schema();
    let is = |name: &str, key: &str, wanted: Json| {
        assert_eq!(named(&schema, name)[key], wanted, "{name}: {}", named(&schema, name));
    };
    is("log.format", "enum", json!(["auto", "json", "human"]));
    is("upstream.<name>.dialect", "enum", json!(["voiso-v4", "vonage-v4"]));
    is("upstream.<name>", "required", json!(["dialect", "base_url"]));
    is("caller", "required", json!(["name", "legacy_key", "upstream", "upstream_key", "sees"]));
    is("brownout", "required", json!(["start", "end"]));
    is("commons", "required", json!(["valkey", "seal_key", "replicas_max"]));
    is("caller.control_percent", "maximum", json!(100));
    is("server.headers_max", "minimum", json!(1));
    is("server.http2_continuations_max", "maximum", json!(20));
    is("limits.drain_delay", "pattern", json!("^[0-9]+ *(ms|s|m|h)$"));
    is("upstream.<name>.mapping.sag", "additionalProperties", json!({"type": "string"}));
    is("server.tls", "required", json!(["cert", "key"]));
    let described = |name: &str| named(&schema, name)["description"].is_string();
    for name in [
        "server.listen",
        "server.tls.cert",
        "upstream.<name>.base_url",
        "caller.name",
        "upstream.<name>.mapping.extension",
        "passthrough.route.prefix",
        "legacy.v1_users.envelope",
    ] {
        assert!(described(name), "{name}: {}", named(&schema, name));
    }
    let text = schema.to_string();
    assert!(!text.contains("](") && text.len() < 200_000, "{}", text.len());
}

#[test]
fn every_configuration_of_the_repository_fits_the_schema() {
    let validator = validator();
    let printed = PAGES.iter().flat_map(|page| page.split("```toml\n").skip(1));
    let printed = printed.filter_map(|rest| rest.split("\n```").next());
    let mut seen = 0;
    for text in printed.chain([EXAMPLE]).filter(|text| text.contains("[[caller]]")) {
        let config = text.parse::<Table>().unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(refused(&validator, &config.into()), None, "{text}");
        seen += 1;
    }
    assert!(seen >= 7, "{seen} configurations");
}

/// Every place of a setting or a table below one, as keys of a configuration.
fn places(root: &Json, schema: &Json, place: &[String], found: &mut Vec<Vec<String>>) {
    let schema = if schema["$ref"].is_string() { &root["$defs"]["endpoint"] } else { schema };
    let (schema, place) = match schema["items"]["type"] == "object" {
        true if place.last().is_some_and(|last| last == "caller" || last == "route") => {
            (&schema["items"], [place, &["0".to_owned()]].concat())
        }
        _ => (schema, place.to_vec()),
    };
    let mut below = |name: &str, key: &str| {
        let schema = entry(schema, name);
        let place = [&place[..], &[key.to_owned()]].concat();
        found.push(place.clone());
        // The tables of all endpoints have one schema.
        if schema["$ref"].is_null() || key == "v1_users" {
            places(root, schema, &place, found);
        }
    };
    for (name, _) in schema["properties"].as_object().into_iter().flatten() {
        below(name, name);
    }
    if schema["additionalProperties"]["properties"].is_object() {
        below("<name>", "ams");
    }
}

fn put(at: &mut Value, place: &[String], value: Value) {
    let Some((first, rest)) = place.split_first() else {
        *at = value;
        return;
    };
    if first == "0" {
        if !at.is_array() {
            *at = Value::Array(vec![Value::Table(Table::new())]);
        }
        return put(&mut at.as_array_mut().unwrap()[0], rest, value);
    }
    let table = at.as_table_mut().unwrap();
    let empty = || Value::Table(Table::new());
    put(table.entry(first.clone()).or_insert_with(empty), rest, value);
}

/// The words of a refusal that a schema can say, too.
const OF_TYPE: &[&str] = &[
    "expected ",
    "unknown field",
    "unknown value",
    "is required",
    "must be a duration",
    "must be a size",
];

#[test]
fn for_values_of_every_type_at_every_place_the_schema_and_the_reader_agree() {
    let (schema, validator) = (settings::schema(), validator());
    let base = Value::Table(BASE.parse::<Table>().unwrap());
    assert_eq!(refused(&validator, &base), None);
    let env: Vec<_> =
        ["LEGACY_KEY", "V4_KEY"].map(|name| (name.to_owned(), format!("key-{name}"))).into();
    let mut all = Vec::new();
    places(&schema, &schema, &[], &mut all);
    assert!(all.len() > 180, "{} places", all.len());
    let values = "[\"?\", \"25s\", \"8MiB\", -1, 0, 1, 5000000000, 1.5, true, [], [\"?\"], [1], {}, {\"?\" = 1}]";
    let values: Table = format!("values = {values}").parse().unwrap();
    let (mut by_both, mut by_none, mut wrong) = (0, 0, Vec::new());
    for place in &all {
        for value in values["values"].as_array().unwrap() {
            let mut config = base.clone();
            put(&mut config, place, value.clone());
            let text = toml::to_string(&config).unwrap();
            let told = Config::parse(&text, "t.toml", &env).err().map(|error| error.to_string());
            let by_schema = refused(&validator, &config);
            let what = format!("{} = {value}: {told:?}, {by_schema:?}", place.join("."));
            match (&told, &by_schema) {
                // The reader takes a list for a table, with the settings in their order. No page says so.
                (None, Some(why)) if value.is_array() && why.contains("\"object\"") => {}
                (None, Some(_)) => wrong.push(format!("only the schema refuses {what}")),
                (Some(told), None) => {
                    if OF_TYPE.iter().any(|words| told.contains(words)) {
                        wrong.push(format!("the schema takes {what}"));
                    }
                }
                (Some(_), Some(_)) => by_both += 1,
                (None, None) => by_none += 1,
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(by_both > 1500 && by_none > 100, "{by_both} refused, {by_none} taken");
}
