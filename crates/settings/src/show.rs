//! What is in force: every setting with its value and where that comes from.
//!
//! Must never show a key or its digest: of a secret only the place is shown where it is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use domain::legacy::ENDPOINTS;
use domain::upstream::dialect_named;
use serde_json::json;
use toml::{Table, Value};

use crate::defaults::DEFAULTS;
use crate::error::ConfigError;
use crate::excerpt;
use crate::locate::Origin;
use crate::reader::Reader;
use crate::source::Source;
use crate::step::{Step, shown};
use crate::{Config, TypedConfig, read_text};

/// One setting of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    field: Vec<Step>,
    value: Shown,
    origin: Origin,
}

/// A setting that a file has otherwise than what is in force; a side that lacks it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its whole name.
    pub setting: String,
    /// Its value in force, as it may be shown.
    pub in_force: Option<String>,
    /// Its value in the file, as it may be shown.
    pub in_file: Option<String>,
}

/// A value as it may be shown.
#[derive(Debug, Clone, PartialEq)]
enum Shown {
    Value(Value),
    /// Where a secret is found.
    Secret(String),
    /// A default that is worked out at the start, or none.
    Words(String),
}

impl Config {
    /// Every setting of a configuration, sorted by name, with its value and its origin. `name` stands for the
    /// file, and relative paths start at `folder`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn shown(
        text: &str,
        name: &str,
        folder: &Path,
        env: &[(String, String)],
    ) -> Result<Vec<Setting>, ConfigError> {
        let (reader, typed) = Reader::new::<TypedConfig>(text, name, folder, env)?;
        typed.read(&reader)?;
        Ok(listed(&reader))
    }

    /// Every setting in force, as [`Config::shown`] says it of a file. It takes a while for many callers.
    pub fn settings(&self) -> Vec<Setting> {
        // It was read before.
        of(&self.source.text, &self.source).unwrap_or_default()
    }

    /// What the file on the disk says otherwise than what is in force. Its values were not checked, so that a secret may
    /// stand in any place: only what cannot be one is told.
    /// Nothing where the configuration is from no file.
    ///
    /// # Errors
    /// As [`Config::load`], as far as it is checked.
    pub fn differences(&self) -> Result<Vec<Difference>, ConfigError> {
        let Some(file) = self.source.file.as_deref() else { return Ok(Vec::new()) };
        let text = read_text(file).map_err(|what| ConfigError::of_file(&self.source.name, what))?;
        let text = text.trim_start_matches('\u{feff}');
        if *text == *self.source.text {
            return Ok(Vec::new());
        }
        let by_name = |all: Vec<Setting>| -> BTreeMap<String, Setting> {
            all.into_iter().map(|setting| (setting.name(), setting)).collect()
        };
        let (here, there) = (by_name(self.settings()), by_name(of(text, &self.source)?));
        let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
        let value = |setting: Option<&Setting>| setting.map(|setting| setting.value.clone());
        let differ =
            names.into_iter().filter(|name| value(here.get(*name)) != value(there.get(*name)));
        let difference = |name: &String| Difference {
            setting: name.clone(),
            in_force: here.get(name).map(Setting::value),
            in_file: there.get(name).map(Setting::unchecked_value),
        };
        Ok(differ.map(difference).collect())
    }

    /// The file's name, as it was said at the start.
    pub fn file(&self) -> &str {
        &self.source.name
    }
}

/// The settings of a text that stands in the place of the one that was read.
fn of(text: &str, source: &Source) -> Result<Vec<Setting>, ConfigError> {
    let Source { name, folder, overrides, .. } = source;
    let (reader, _) = Reader::new::<TypedConfig>(text, name, folder, overrides)?;
    Ok(listed(&reader))
}

/// Every setting that a reader has, those included that are left out.
fn listed(reader: &Reader<'_>) -> Vec<Setting> {
    let table = reader.table();
    let mut settings = Vec::new();
    for (key, value) in table {
        typed_below(&mut vec![Step::Key(key.clone())], value, &mut settings);
    }
    let mut settings: Vec<Setting> = settings
        .into_iter()
        .map(|(field, value)| Setting { origin: reader.origin(&field), field, value })
        .collect();
    add_defaults(table, &mut settings);
    settings.sort_by(|one, other| one.field.cmp(&other.field));
    settings
}

/// Every value at a field or below it.
fn typed_below(field: &mut Vec<Step>, value: &Value, found: &mut Vec<(Vec<Step>, Shown)>) {
    match value {
        Value::Table(table) => {
            // No secret is a table of its own, but `[roster]` has the field `file`.
            if let Some(secret) = secret(table).filter(|_| field.len() > 1) {
                found.push((field.clone(), Shown::Secret(secret)));
                return;
            }
            for (key, value) in table {
                field.push(Step::Key(key.clone()));
                typed_below(field, value, found);
                field.pop();
            }
        }
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_table) => {
            for (index, value) in list.iter().enumerate() {
                field.push(Step::Index(index));
                typed_below(field, value, found);
                field.pop();
            }
        }
        // JSON has no moments.
        Value::Datetime(at) => {
            found.push((field.clone(), Shown::Value(Value::String(at.to_string()))));
        }
        value => found.push((field.clone(), Shown::Value(value.clone()))),
    }
}

/// Where a secret is found, if a table is one.
fn secret(table: &Table) -> Option<String> {
    let mut entries = table.iter();
    let (Some((key, Value::String(name))), None) = (entries.next(), entries.next()) else {
        return None;
    };
    match key.as_str() {
        "digest" => Some("digest".to_owned()),
        "env" | "file" => Some(format!("{key} {name}")),
        _ => None,
    }
}

/// Adds every default for which nothing is said.
fn add_defaults(table: &Table, settings: &mut Vec<Setting>) {
    settings.sort_by(|one, other| one.field.cmp(&other.field));
    let typed = settings.len();
    let mut instances = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            instances = instances_of(name, table);
            continue;
        }
        let Some((key, default)) = line.split_once(" = ") else { continue };
        let (common, mapped) = default.split_once(" | ").unwrap_or((default, default));
        for (field, has_mapping) in &instances {
            let mut field = field.clone();
            field.push(Step::Key(key.to_owned()));
            let default = if *has_mapping { mapped } else { common };
            // All that is below a field follows it in the order.
            let said = settings.get(..typed).unwrap_or_default();
            let at = said.partition_point(|setting| setting.field < field);
            let is_said = said.get(at).is_some_and(|one| one.field.starts_with(&field));
            if !is_said && let Some(value) = default_value(default) {
                settings.push(Setting { field, value, origin: Origin::Default });
            }
        }
    }
}

/// The default as the table has it; `None` where the setting is required.
fn default_value(text: &str) -> Option<Shown> {
    if text.is_empty() {
        return None;
    }
    if let Some(words) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        return Some(Shown::Words(words.to_owned()));
    }
    let table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    table.get("value").cloned().map(Shown::Value)
}

/// The tables of a configuration that one of the page stands for, and whether each is of a dialect
/// that has a mapping.
fn instances_of(name: &str, table: &Table) -> Vec<(Vec<Step>, bool)> {
    let keys = |name: &str| -> Vec<Step> {
        name.split('.').map(|key| Step::Key(key.to_owned())).collect()
    };
    let list = |field: Vec<Step>, list: Option<&Value>| -> Vec<(Vec<Step>, bool)> {
        let count = list.and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).map(|index| ([&field[..], &[Step::Index(index)]].concat(), false)).collect()
    };
    if let Some(below) = name.strip_prefix("upstream.<name>") {
        let upstreams = table.get("upstream").and_then(Value::as_table);
        let mut found = Vec::new();
        for (upstream, settings) in upstreams.into_iter().flatten() {
            let dialect = settings.get("dialect").and_then(Value::as_str);
            let has_mapping =
                dialect.and_then(dialect_named).is_some_and(|one| one.facts().has_mapping);
            let mut field = vec![Step::Key("upstream".to_owned()), Step::Key(upstream.clone())];
            field.extend(below.strip_prefix('.').map(|below| Step::Key(below.to_owned())));
            if below.is_empty() || has_mapping {
                found.push((field, has_mapping));
            }
        }
        return found;
    }
    if let Some(below) = name.strip_prefix("legacy.v1_users") {
        let endpoints = ENDPOINTS.iter();
        return endpoints
            .map(|one| (keys(&format!("legacy.{}{below}", one.name())), false))
            .collect();
    }
    match name {
        "brownout" | "caller" => list(keys(name), table.get(name)),
        "passthrough.route" => {
            list(keys(name), table.get("passthrough").and_then(|table| table.get("route")))
        }
        // Without these tables nothing is done that they have settings for.
        "commons" | "shadow" if !table.contains_key(name) => Vec::new(),
        name => vec![(keys(name), false)],
    }
}

impl Setting {
    /// Its whole name.
    pub fn name(&self) -> String {
        shown(&self.field)
    }

    /// Its value as it may be shown.
    pub fn value(&self) -> String {
        match &self.value {
            Shown::Value(value) => value.to_string(),
            Shown::Secret(place) => format!("{{{place}}}"),
            Shown::Words(words) => format!("({words})"),
        }
    }

    /// Its value, where nobody has checked that it is none of a secret.
    fn unchecked_value(&self) -> String {
        match &self.value {
            Shown::Value(Value::String(text)) if excerpt::is_harmless(text) => format!("{text:?}"),
            Shown::Value(Value::Boolean(_) | Value::Integer(_)) | Shown::Words(_) => self.value(),
            Shown::Value(_) | Shown::Secret(_) => "another value".to_owned(),
        }
    }

    /// Where it comes from: `FILE:LINE`, a variable, or `default`.
    pub fn origin(&self) -> &str {
        match &self.origin {
            Origin::File(place) | Origin::Variable(place) => place,
            Origin::Default => "default",
        }
    }

    /// The setting for programs: `setting`, `value`, `origin` (`file`, `variable` or `default`), `place` unless it
    /// is the default. Where `value` is null, `secret` says where the secret is found, or `words` what holds.
    pub fn json(&self) -> serde_json::Value {
        let mut json = json!({"setting": shown(&self.field), "value": null});
        match &self.value {
            Shown::Value(value) => json["value"] = json!(value),
            Shown::Secret(place) => json["secret"] = json!(place),
            Shown::Words(words) => json["words"] = json!(words),
        }
        let (origin, place) = match &self.origin {
            Origin::File(place) => ("file", Some(place)),
            Origin::Variable(name) => ("variable", Some(name)),
            Origin::Default => ("default", None),
        };
        json["origin"] = json!(origin);
        if let Some(place) = place {
            json["place"] = json!(place);
        }
        json
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.name(), self.value(), self.origin())
    }
}
