//! The mistakes of types and names in a configuration: serde's words about one become ours, and it is taken out of the
//! way, so that the next one shows.
//!
//! Must never put a value into an error: a key may stand where it does not belong.

use serde_path_to_error::Segment;
use toml::Value;

use crate::error::ConfigError;
use crate::near::nearest;
use crate::step::{Step, shown};

type SerdeError = serde_path_to_error::Error<toml::de::Error>;

/// A mistake in our words.
pub(crate) struct Told {
    pub(crate) field: Vec<Step>,
    pub(crate) what: String,
    /// Whether the last name of the field may be a key in the wrong place.
    pub(crate) may_be_key: bool,
    /// The field that was meant, if another name is near.
    meant: Option<Vec<Step>>,
}

/// The mistakes of one text.
#[derive(Default)]
pub(crate) struct Mistakes {
    pub(crate) found: Vec<ConfigError>,
    /// The fields that were told, and how many values were tried in their place.
    tried: Vec<(Vec<Step>, usize)>,
}

/// More mistakes are one: this is no configuration of ours.
const MISTAKES_MAX: usize = 50;

/// Values that let the reading go on in place of a wrong one that must not be left out.
fn stand_in(number: usize) -> Option<Value> {
    let text = |text: &str| Value::String(text.to_owned());
    match number {
        1 => Some(text("everything")),
        2 => Some(text("https://stand-in.invalid")),
        3 => Some(text(domain::upstream::dialect_assumed().name())),
        4 => Some(Value::Table(toml::Table::from_iter([("env".to_owned(), text("STAND_IN"))]))),
        5 => Some(text("2000-01-01T00:00:00Z")),
        _ => None,
    }
}

impl Mistakes {
    /// Notes a mistake, unless it is known, and takes it out of the table. False if that is not possible.
    pub(crate) fn pass(
        &mut self,
        told: Told,
        error: &ConfigError,
        table: &mut toml::Table,
    ) -> bool {
        let known = self.tried.iter_mut().find(|(field, _)| *field == told.field);
        let number = match known {
            Some((_, number)) => {
                *number += 1;
                *number
            }
            None => {
                self.found.push(error.clone());
                self.tried.push((told.field.clone(), 0));
                0
            }
        };
        // The field that was meant is missing only because its name is misspelt.
        if let Some(meant) = told.meant.filter(|meant| !contains(table, meant)) {
            self.tried.push((meant, 0));
        }
        if self.found.len() >= MISTAKES_MAX {
            return false;
        }
        match number {
            0 => replace(table, &told.field, None),
            number => {
                let value = stand_in(number);
                value.is_some() && replace(table, &told.field, value)
            }
        }
    }
}

/// Puts a value at a field, or takes away what is there: of a list all of it.
fn replace(table: &mut toml::Table, field: &[Step], value: Option<Value>) -> bool {
    let is_key = |step: &Step| matches!(step, Step::Key(_));
    let Some(end) = field.iter().rposition(is_key) else { return false };
    let (way, last) = field.split_at(end);
    let Some(Step::Key(last)) = last.first() else { return false };
    let Some(table) = way_to(table, way) else { return false };
    match value {
        Some(value) => table.insert(last.clone(), value),
        None => table.remove(last),
    };
    true
}

fn contains(table: &mut toml::Table, field: &[Step]) -> bool {
    let Some((Step::Key(last), way)) = field.split_last() else { return false };
    way_to(table, way).is_some_and(|table| table.contains_key(last))
}

/// The table at the end of a way.
fn way_to<'a>(table: &'a mut toml::Table, way: &[Step]) -> Option<&'a mut toml::Table> {
    let Some((first, rest)) = way.split_first() else { return Some(table) };
    let Step::Key(key) = first else { return None };
    let mut at = table.get_mut(key)?;
    for step in rest {
        at = match step {
            Step::Key(key) => at.as_table_mut()?.get_mut(key)?,
            Step::Index(index) => at.as_array_mut()?.get_mut(*index)?,
        };
    }
    at.as_table_mut()
}

/// serde's error without the value it quotes.
pub(crate) fn explain(error: &SerdeError) -> Told {
    let mut field = steps(error);
    let (mut meant, mut may_be_key) = (None, false);
    let message = error.inner().message();
    let quoted = |prefix: &str| {
        message.strip_prefix(prefix).and_then(|rest| rest.split('`').next()).map(str::to_owned)
    };
    let what = if let Some(key) = quoted("missing field `") {
        field.push(Step::Key(key));
        "is required".to_owned()
    } else if let Some(key) = quoted("unknown field `") {
        if field.last() != Some(&Step::Key(key.clone())) {
            field.push(Step::Key(key.clone()));
        }
        may_be_key = !is_word(&key);
        let expected = message.split_once(", ").map(|(_, expected)| expected);
        let name = expected.and_then(|expected| nearest(&key, listed(expected)));
        if let Some(name) = name {
            meant = field.split_last().map(|(_, table)| {
                let mut meant = table.to_vec();
                meant.push(Step::Key(name.to_owned()));
                meant
            });
        }
        match (name, expected) {
            (Some(name), Some(expected)) => {
                format!("unknown field, did you mean {name}? {expected}")
            }
            (None, Some(expected)) => format!("unknown field, {expected}"),
            _ => "unknown field".to_owned(),
        }
    } else if let Some(word) = quoted("unknown variant `") {
        match message.split_once(", expected") {
            Some((_, expected)) => match nearest(&word, listed(expected)) {
                Some(name) => format!("unknown value, did you mean {name}? expected{expected}"),
                None => format!("unknown value, expected{expected}"),
            },
            None => "unknown value".to_owned(),
        }
    } else if let Some((_, expected)) = message.rsplit_once(", expected ") {
        wanted(&field, expected)
    } else {
        message.lines().next().unwrap_or("cannot be read").to_owned()
    };
    Told { field, what, may_be_key, meant }
}

/// Whether an unknown name is like those of settings, and no key.
fn is_word(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    is_plain && digits < 4 && name.len() <= WORD_BYTES_MAX
}

/// No name of a setting is longer.
const WORD_BYTES_MAX: usize = 32;

/// The words about a value of another type than the expected one, as people call it.
fn wanted(field: &[Step], expected: &str) -> String {
    let expected = match expected {
        "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" | "string only" => "text in quotes",
        "a sequence" => "a list",
        other => other,
    };
    match shown(field).as_str() {
        list @ ("brownout" | "caller" | "passthrough.route") if expected == "a list" => {
            format!("write [[{list}]]: there may be several")
        }
        _ => format!("expected {expected}"),
    }
}

/// The names that stand between backticks.
fn listed(names: &str) -> impl Iterator<Item = &str> {
    names.split('`').skip(1).step_by(2)
}

/// The way to the field that an error is about.
pub(crate) fn steps(error: &SerdeError) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    error.path().iter().filter_map(step).collect()
}
