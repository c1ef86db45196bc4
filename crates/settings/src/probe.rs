//! What the reader of a configuration takes at a place, found out by asking it: the names of a table, and the
//! type, the words and the range of a value. Thus no list of settings has to follow the structs.
//!
//! Must never read a file, the environment or an operator's configuration.

use serde_path_to_error::Segment;
use toml::{Table, Value};

use crate::TypedConfig;

/// A name and a word that no setting has.
const ODD: &str = "?";

/// What stands at a place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// A table with these names, and those that it must have.
    Table {
        names: Vec<String>,
        required: Vec<String>,
    },
    /// A table with any names, and such values.
    Map(Box<Found>),
    /// A list of such values.
    List(Box<Found>),
    /// One of these words.
    Words(Vec<String>),
    Text,
    Truth,
    Duration,
    Size,
    /// Within these limits, as far as they are known.
    Whole(Option<u64>, Option<u64>),
    Number(Option<u64>, Option<u64>),
    /// Where a secret is found; the names it may have.
    Secret(Vec<String>),
    /// Everything, or lists with these names.
    Sees(Vec<String>),
    Anything,
}

/// A place: how a value there is put into a configuration.
pub(crate) type Wrap<'a> = &'a dyn Fn(Value) -> Value;

/// Why a value is refused at a place or below it; `None` where it is not.
fn refusal(wrap: Wrap<'_>, value: Value) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, TypedConfig>(wrap(value)).err()?;
    let message = error.inner().message().to_owned();
    let is_step = |step: &&Segment| !matches!(step, Segment::Unknown | Segment::Enum { .. });
    let depth = error.path().iter().filter(is_step).count();
    // An entry that is missing around the place says nothing about it.
    let is_around = message.starts_with("missing field") && depth < level(&wrap(true.into()));
    (!is_around).then_some(message)
}

/// How many steps lead to the innermost value that was put in by `wrap`. Each table and list around it has one entry.
fn level(value: &Value) -> usize {
    let inner = match value {
        Value::Table(table) if table.len() == 1 => table.values().next(),
        Value::Array(list) if list.len() == 1 => list.first(),
        _ => None,
    };
    inner.map_or(0, |inner| 1 + level(inner))
}

/// The names between backticks.
fn listed(message: &str) -> Vec<String> {
    let listed = message.split_once("expected").map_or("", |(_, listed)| listed);
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn one(name: &str, value: Value) -> Value {
    Value::Table(Table::from_iter([(name.to_owned(), value)]))
}

/// What may stand at a place.
pub(crate) fn found(wrap: Wrap<'_>) -> Found {
    let Some(told) = refusal(wrap, text(ODD)) else { return Found::Text };
    if told.starts_with("unknown variant") {
        return Found::Words(listed(&told));
    }
    if let Some((_, known)) = told.split_once("unknown dialect; this version speaks ") {
        return Found::Words(known.split(" and ").map(str::to_owned).collect());
    }
    let Some((_, wanted)) = told.rsplit_once(", expected ") else {
        return match told.as_str() {
            told if told.contains("a duration") => Found::Duration,
            told if told.contains("a size") => Found::Size,
            told if told.contains("\"everything\"") => Found::Sees(names(wrap)),
            _ => Found::Text,
        };
    };
    match wanted.lines().next().unwrap_or_default() {
        "a boolean" => Found::Truth,
        whole @ ("u16" | "u32" | "u64" | "usize" | "i64") => {
            let (least, most) = range(wrap, Value::Integer);
            let fits = match whole {
                "u16" => Some(u64::from(u16::MAX)),
                "u32" => Some(u64::from(u32::MAX)),
                _ => None,
            };
            Found::Whole(least.or(Some(0)), most.or(fits))
        }
        "f64" => {
            let (least, most) = range(wrap, |number| Value::Float(number as f64));
            Found::Number(least, most)
        }
        "a sequence" => Found::List(Box::new(found(&|value| wrap(Value::Array(vec![value]))))),
        secret if secret.starts_with("{ env") => Found::Secret(names(wrap)),
        "a map" | "a table" => table(wrap),
        wanted if wanted.starts_with("struct ") => table(wrap),
        _ => Found::Anything,
    }
}

/// The names that a table may have.
fn names(wrap: Wrap<'_>) -> Vec<String> {
    let told = refusal(&|value| wrap(one(ODD, value)), Value::Boolean(true));
    told.filter(|told| told.starts_with("unknown field")).map_or(Vec::new(), |told| listed(&told))
}

fn table(wrap: Wrap<'_>) -> Found {
    let names = names(wrap);
    if names.is_empty() {
        return Found::Map(Box::new(found(&|value| wrap(one(ODD, value)))));
    }
    let mut required: Vec<String> = Vec::new();
    let mut table = Table::new();
    // Each turn finds one name that is missing, and fills it in.
    for _ in 0..names.len() {
        let error = serde_path_to_error::deserialize::<_, TypedConfig>(wrap(table.clone().into()));
        let Err(error) = error else { break };
        let told = error.inner().message();
        let missing = told.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        let Some(missing) = missing.filter(|missing| names.iter().any(|name| name == missing))
        else {
            break;
        };
        if required.iter().any(|known| known == missing) {
            break;
        }
        let fits =
            |value: &Value| refusal(&|value| wrap(one(missing, value)), value.clone()).is_none();
        let Some(value) = stand_ins().into_iter().find(fits) else { break };
        required.push(missing.to_owned());
        table.insert(missing.to_owned(), value);
    }
    Found::Table { names, required }
}

/// Values, one of which fits each setting that is required.
fn stand_ins() -> Vec<Value> {
    vec![
        text("everything"),
        text("https://stand-in.invalid"),
        text(domain::upstream::dialect_assumed().name()),
        one("env", text("STAND_IN")),
        Value::Array(vec![text("stand-in")]),
        Value::Integer(1),
        text("2000-01-01T00:00:00Z"),
    ]
}

/// The limits that the reader tells when a number is out of them.
fn range(wrap: Wrap<'_>, number: impl Fn(i64) -> Value) -> (Option<u64>, Option<u64>) {
    let told = |value: i64| refusal(wrap, number(value)).unwrap_or_default();
    let numbers = |told: &str| -> Vec<u64> {
        let told = told.split_once("must be ").map_or("", |(_, limits)| limits);
        told.split(' ').filter_map(|word| word.parse().ok()).collect()
    };
    let (low, high) = (told(-1), told(i64::from(u32::MAX)));
    let low = [told(0), low].into_iter().find(|told| !numbers(told).is_empty()).unwrap_or_default();
    let is_most = |told: &str| told.contains("at most") || told.contains(" to ");
    let is_least = |told: &str| told.contains("at least") || told.contains(" to ");
    let least = numbers(&low).first().copied().filter(|_| is_least(&low));
    let most = numbers(&high).last().copied().filter(|_| is_most(&high));
    (least, most)
}
