//! Where a field stands: errors as `FILE:LINE: field: what`, and the environment's overrides.
//!
//! Must never put a value into an error: a key may stand where it does not belong.

use serde::de::DeserializeOwned;
use toml_edit::{Document as Toml, Item};

use crate::error::ConfigError;
use crate::excerpt::Spot;
use crate::mistakes::{Mistakes, explain, steps};
use crate::step::{Step, shown};
use crate::syntax;

/// A configuration's text, for looking up lines.
pub(crate) struct Document<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
    toml: Toml<&'a str>,
    /// Where the text's lines end, so that thousands of fields are found fast.
    ends: Vec<usize>,
    overridden: Vec<Overridden>,
    /// The text with the environment over it.
    pub(crate) table: toml::Table,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `FILE:LINE`.
    File(String),
    /// The name of a variable.
    Variable(String),
    /// The setting is left out.
    Default,
}

/// A field that the environment sets.
struct Overridden {
    field: Vec<Step>,
    variable: String,
    /// Other values that the variable's text may mean, the best last.
    readings: Vec<toml::Value>,
}

const ENV_PREFIX: &str = "TIELINE_";
const ENV_SEPARATOR: &str = "__";

/// Whether a variable of that name lays its value over the file's.
pub(crate) fn is_override(variable: &str) -> bool {
    variable.strip_prefix(ENV_PREFIX).is_some_and(|path| path.contains(ENV_SEPARATOR))
}

impl<'a> Document<'a> {
    /// Reads the text, lays the environment over it, and takes both as `T`.
    pub(crate) fn read<T: DeserializeOwned>(
        text: &'a str,
        name: &'a str,
        env: &[(String, String)],
    ) -> Result<(Self, T), ConfigError> {
        let toml = Toml::parse(text)
            .map_err(|error| syntax::refused(text, name, error.span(), error.message()))?;
        let mut table: toml::Table = toml::from_str(text)
            .map_err(|error| syntax::refused(text, name, error.span(), error.message()))?;
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        let (overridden, empty) = (Vec::new(), toml::Table::new());
        let mut document = Document { name, text, toml, ends, overridden, table: empty };
        for (variable, value) in env {
            document.override_by(&mut table, variable, value)?;
        }
        let mut mistakes = Mistakes::default();
        loop {
            let error = match serde_path_to_error::deserialize(toml::Value::Table(table.clone())) {
                Ok(typed) => match ConfigError::all(mistakes.found) {
                    None => {
                        document.table = table;
                        return Ok((document, typed));
                    }
                    Some(error) => return Err(error),
                },
                Err(error) => error,
            };
            // Only the type of a setting tells whether `5` is a number or a text.
            if let Some((field, reading)) = document.next_reading(&error) {
                put(&mut table, &field, reading);
                continue;
            }
            let told = explain(&error);
            let error = match told.may_be_key {
                true => document.hiding_error(&told.field, told.what.clone()),
                false => document.error(&told.field, told.what.clone()),
            };
            // The first mistake is taken out of the way, so that the next one shows.
            if !mistakes.pass(told, &error, &mut table) {
                return Err(ConfigError::all(mistakes.found).unwrap_or(error));
            }
        }
    }

    /// The field of which a variable has a value of the wrong type, and the next value to try.
    fn next_reading(
        &mut self,
        error: &serde_path_to_error::Error<toml::de::Error>,
    ) -> Option<(Vec<Step>, toml::Value)> {
        if !error.inner().message().starts_with("invalid type") {
            return None;
        }
        let field = steps(error);
        let known = self.overridden.iter_mut().find(|known| known.field == field)?;
        Some((field, known.readings.pop()?))
    }

    fn override_by(
        &mut self,
        table: &mut toml::Table,
        variable: &str,
        value: &str,
    ) -> Result<(), ConfigError> {
        let Some(path) = variable.strip_prefix(ENV_PREFIX) else { return Ok(()) };
        if !path.contains(ENV_SEPARATOR) {
            return Ok(());
        }
        let keys: Vec<String> = path.split(ENV_SEPARATOR).map(str::to_lowercase).collect();
        let field = keys.iter().cloned().map(Step::Key).collect::<Vec<_>>();
        let mut readings = readings(value);
        let best = readings.pop();
        self.overridden.push(Overridden {
            field: field.clone(),
            variable: variable.to_owned(),
            readings,
        });
        let mut at = table;
        let Some((last, tables)) = keys.split_last() else { return Ok(()) };
        for key in tables {
            let entry =
                at.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let Some(next) = entry.as_table_mut() else {
                return Err(self.error(&field, format!("{key} is no table")));
            };
            at = next;
        }
        if let Some(best) = best {
            at.insert(last.clone(), best);
        }
        Ok(())
    }

    /// An error at a field; for an absent one, at its table.
    pub(crate) fn error(&self, field: &[Step], what: String) -> ConfigError {
        self.error_at(field, shown(field), what)
    }

    /// An error at a field whose last name may be a key in the wrong place.
    fn hiding_error(&self, field: &[Step], what: String) -> ConfigError {
        let mut told = field.to_vec();
        if let Some(last) = told.last_mut() {
            *last = Step::Key("…".to_owned());
        }
        self.error_at(field, shown(&told), what)
    }

    /// An error at a field, which is told as `told`.
    fn error_at(&self, field: &[Step], told: String, what: String) -> ConfigError {
        // A table that only the environment names is wrong because of it, too.
        let is_from_env = |known: &[Step]| {
            let table = known.split_last().map_or(known, |(_, table)| table);
            let is_of_table = field.starts_with(table) || table.starts_with(field);
            field.starts_with(known) || (is_of_table && !self.contains(table))
        };
        let by_env = self.overridden.iter().find(|known| is_from_env(&known.field));
        let (place, offset, spots) = match by_env {
            Some(known) => (known.variable.clone(), usize::MAX, Box::default()),
            None => {
                let offset = self.offset(field);
                let spot = Spot::new(self.text, offset, &told);
                (format!("{}:{}", self.name, spot.line()), offset, Box::from([spot]))
            }
        };
        ConfigError { place, field: told, what, offset, spots, more: Vec::new() }
    }

    /// Where the value of a field, or what is below it, comes from.
    pub(crate) fn origin(&self, field: &[Step]) -> Origin {
        match self.overridden.iter().find(|known| known.field.starts_with(field)) {
            Some(known) => Origin::Variable(known.variable.clone()),
            None => Origin::File(format!("{}:{}", self.name, self.line(self.offset(field)))),
        }
    }

    /// The number of the line in which a byte stands.
    fn line(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end < offset) + 1
    }

    /// Whether the text itself has this table.
    fn contains(&self, table: &[Step]) -> bool {
        let mut item = Some(self.toml.as_item());
        for step in table {
            item = match step {
                Step::Key(key) => item.and_then(|item| item.as_table_like()?.get(key)),
                Step::Index(_) => None,
            };
        }
        item.is_some()
    }

    /// The offset of a field, or of the innermost table around it that stands in the text.
    fn offset(&self, field: &[Step]) -> usize {
        let mut item = self.toml.as_item();
        let mut offset = 0;
        for step in field {
            let (key_at, next) = match step {
                Step::Key(key) => {
                    let table = item.as_table_like();
                    let key_at = table
                        .and_then(|table| table.key(key))
                        .and_then(toml_edit::Key::span)
                        .map(|span| span.start);
                    (key_at, table.and_then(|table| table.get(key)))
                }
                Step::Index(index) => match item {
                    Item::ArrayOfTables(tables) => {
                        let Some(table) = tables.get(*index) else { return offset };
                        let rest = &field[field.iter().position(|s| s == step).unwrap_or(0) + 1..];
                        let at = table.span().map_or(offset, |span| span.start);
                        return self.offset_in(table, rest, at);
                    }
                    // Of a list of values the offset is that of one value.
                    Item::Value(toml_edit::Value::Array(list)) => {
                        let at = list.get(*index).and_then(toml_edit::Value::span);
                        return at.map_or(offset, |span| span.start);
                    }
                    _ => (None, None),
                },
            };
            let Some(next) = next else { return offset };
            let item_at = next.span().map(|span| span.start);
            // A key in front of its value; a table by its header.
            offset = match next {
                Item::Table(_) | Item::ArrayOfTables(_) => item_at.or(key_at).unwrap_or(offset),
                _ => key_at.or(item_at).unwrap_or(offset),
            };
            item = next;
        }
        offset
    }

    fn offset_in(&self, table: &toml_edit::Table, rest: &[Step], at: usize) -> usize {
        let Some(Step::Key(key)) = rest.first() else { return at };
        table.key(key).and_then(toml_edit::Key::span).map_or(at, |span| span.start)
    }
}

/// The values that a variable's text may mean, the best last: a whole number, a number or a truth value
/// where it reads as one, or else text.
fn readings(text: &str) -> Vec<toml::Value> {
    let number = text.parse().ok().map(toml::Value::Integer);
    let fraction = text.parse().ok().map(toml::Value::Float);
    let truth = text.parse().ok().map(toml::Value::Boolean);
    let text = Some(toml::Value::String(text.to_owned()));
    [text, truth, fraction, number].into_iter().flatten().collect()
}

/// Puts a value at a field, the tables around which are there.
fn put(table: &mut toml::Table, field: &[Step], value: toml::Value) {
    let mut at = table;
    for step in field {
        let Step::Key(key) = step else { return };
        match at.get_mut(key) {
            Some(toml::Value::Table(inner)) => at = inner,
            Some(place) => {
                *place = value;
                return;
            }
            None => return,
        }
    }
}
