//! A text that is no TOML: where that shows, and both places of a key or a table that stands there twice.
//!
//! Must never repeat anything of the text but names that are known.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike};

use crate::error::ConfigError;
use crate::excerpt::Spot;

const FIELD: &str = "syntax";

/// The refusal of a text at a place.
pub(crate) fn refused(
    text: &str,
    name: &str,
    span: Option<Range<usize>>,
    message: &str,
) -> ConfigError {
    let offset = span.map_or(0, |span| span.start);
    let mut what = message.lines().collect::<Vec<_>>().join(", ");
    let twice = message.contains("duplicate key").then(|| first_of(text, offset)).flatten();
    let spots: Box<[Spot]> = match twice {
        None => [Spot::new(text, offset, FIELD)].into(),
        Some(Twice { first, second, field }) => {
            let first = Spot::new(text, first, &field);
            what = format!("{what}, the first is in line {}", first.line());
            [Spot::new(text, second, &field), first].into()
        }
    };
    let place = format!("{name}:{}", spots.first().map_or(1, Spot::line));
    ConfigError { place, field: FIELD.to_owned(), what, offset, spots, more: Vec::new() }
}

/// The offsets of a key or a table that stands twice.
struct Twice {
    first: usize,
    second: usize,
    /// Its whole name.
    field: String,
}

/// Where that stands first which stands again at an offset. The text in front of the offset is good.
fn first_of(text: &str, offset: usize) -> Option<Twice> {
    let before = text.get(..offset)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next()?.trim();
    let document = Document::parse(&before[..start]).ok()?;
    let header = |line: &str| {
        let is_header = line.trim_start().starts_with('[');
        let inner = line.split(['#', ']']).next()?.trim().trim_start_matches('[');
        is_header.then(|| Key::parse(inner).ok()).flatten()
    };
    // A table is where its header is.
    let mut second = offset;
    let mut way = match header(line) {
        Some(table) => {
            second = start + text.get(start..)?.find('[')?;
            table
        }
        None => {
            let table = before[..start].lines().rev().find_map(header).unwrap_or_default();
            let keys = Key::parse(line.split('=').next()?.trim()).ok()?;
            [table, keys].concat()
        }
    };
    let names: Vec<&str> = way.iter().map(Key::get).collect();
    let field = names.join(".");
    let last = way.pop()?;
    let mut table: &dyn TableLike = document.as_table();
    for key in &way {
        table = match table.get(key.get())? {
            Item::ArrayOfTables(tables) => tables.iter().last()?,
            item => item.as_table_like()?,
        };
    }
    let key = table.key(last.get()).and_then(Key::span);
    let item = table.get(last.get()).and_then(Item::span);
    let first = match table.get(last.get())? {
        Item::Table(_) | Item::ArrayOfTables(_) => item.or(key),
        _ => key.or(item),
    };
    first.map(|span| Twice { first: span.start, second, field })
}
