//! Pages of a list: an object with the rows under one key and a count of the whole list under
//! another. Rows are handed on one by one; an error never quotes the page.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::scan::Scan;
use super::strict::{BAD_ID, DUPLICATE, Missing, Skip, Str, TOO_DEEP, TOO_LARGE, scalar};
use super::{PageError, PageTail, Refusal, SchemaError, SchemaKind};
use crate::id;

/// Where a page has its rows and its count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// The key of the rows.
    pub(super) rows: &'static str,
    /// The object that holds the count.
    pub(super) metadata: &'static str,
    /// The key of the count in it.
    pub(super) total: &'static str,
    /// Reads the word under `error` of a refusal that came with the status of a success.
    pub(super) refusal: fn(&str) -> Option<Refusal>,
    /// The keys that rows are read from, as lists of them.
    pub(super) keys: Keys,
}

/// Every key that a dialect reads. Only these may stand in an error.
pub(super) type Keys = &'static [&'static [&'static str]];

/// Reads rows one by one.
pub(super) trait RowReader {
    /// Reads the next row; false at the end. `row` counts from 0.
    fn next<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, row: usize) -> Result<bool, A::Error>;
}

/// Reads a page. On an error every row handed out before is void.
pub(super) fn read<R: RowReader>(
    body: &[u8],
    layout: Layout,
    reader: &mut R,
) -> Result<PageTail, PageError> {
    read_text(text(body)?, layout, reader)
}

fn read_text<R: RowReader>(
    text: &str,
    layout: Layout,
    reader: &mut R,
) -> Result<PageTail, PageError> {
    let mut scan = Scan::new(text);
    let page = PageSeed { layout, reader: &mut *reader }.deserialize(&mut scan);
    match page.and_then(|page| scan.end().map(|()| page)) {
        Ok(Page::List(tail)) => Ok(tail),
        Ok(Page::Refused(refusal)) => Err(PageError::Refused(refusal)),
        Err(_) => Err(refused(text, layout, reader, scan.at())),
    }
}

/// As [`read`]; then a second reader looks through the same page, which is known to be good, and ends its
/// reading by an error when nothing is left to learn.
pub(super) fn read_and_look(
    body: &[u8],
    layout: Layout,
    reader: &mut impl RowReader,
    look: &mut impl RowReader,
) -> Result<PageTail, PageError> {
    let text = text(body)?;
    let tail = read_text(text, layout, reader)?;
    let _ = PageSeed { layout, reader: look }.deserialize(&mut Scan::new(text));
    Ok(tail)
}

/// Says what is wrong with a page that was refused at the byte `at`.
#[cold]
fn refused<R: RowReader>(text: &str, layout: Layout, reader: &mut R, at: usize) -> PageError {
    let mut json = serde_json::Deserializer::from_str(text);
    let page = PageSeed { layout, reader: &mut *reader }.deserialize(&mut json);
    match page.and_then(|_| json.end()) {
        Err(error) => explain(&error, text, layout, |track| {
            let mut json = serde_json::Deserializer::from_str(text);
            let tracked = serde_path_to_error::Deserializer::new(&mut json, track);
            let _ = PageSeed { layout, reader }.deserialize(tracked);
        }),
        // The two readers must agree. If they do not, no row may count: rows were handed out twice.
        Ok(()) => {
            debug_assert!(false, "serde_json reads a page that was refused near byte {at}");
            let kind = SchemaKind::BadJson { at };
            PageError::Schema(SchemaError { path: ".".to_owned(), kind })
        }
    }
}

/// Reads a body that is one row, with the keys of `layout`.
pub(super) fn read_one<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    layout: Layout,
) -> Result<T, PageError> {
    let text = text(body)?;
    serde_json::from_str(text).map_err(|error| {
        explain(&error, text, layout, |track| {
            let mut json = serde_json::Deserializer::from_str(text);
            let _ = T::deserialize(serde_path_to_error::Deserializer::new(&mut json, track));
        })
    })
}

fn text(body: &[u8]) -> Result<&str, PageError> {
    std::str::from_utf8(body).map_err(|error| {
        let kind = SchemaKind::BadJson { at: error.valid_up_to() };
        PageError::Schema(SchemaError { path: ".".to_owned(), kind })
    })
}

/// The error for a row whose id has no legacy number.
pub(super) fn bad_id<E: de::Error>(row: usize) -> E {
    E::custom(format_args!("{BAD_ID_OF_ROW}{row}"))
}

/// The same error for a body that is one row.
pub(super) fn bad_id_of_one() -> PageError {
    PageError::Schema(SchemaError { path: "id".to_owned(), kind: SchemaKind::BadId })
}

/// A bad id is found only after its row was read; this names the row.
const BAD_ID_OF_ROW: &str = "bad id of row ";

/// A page, or what came in its place.
enum Page {
    List(PageTail),
    Refused(Refusal),
}

struct PageSeed<'r, R> {
    layout: Layout,
    reader: &'r mut R,
}

impl<'de, R: RowReader> DeserializeSeed<'de> for PageSeed<'_, R> {
    type Value = Page;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Page, D::Error> {
        de.deserialize_map(self)
    }
}

impl<'de, R: RowReader> Visitor<'de> for PageSeed<'_, R> {
    type Value = Page;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page, A::Error> {
        let Layout { rows, metadata, total, refusal, keys: _ } = self.layout;
        let mut has_rows = false;
        let mut count: Option<u64> = None;
        let mut named: Option<Option<Refusal>> = None;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            let key = &*key.0;
            let is_repeated = (key == rows && std::mem::replace(&mut has_rows, true))
                || (key == metadata && count.is_some())
                || (key == "error" && named.is_some());
            if is_repeated {
                return Err(de::Error::custom(DUPLICATE));
            }
            if key == rows {
                map.next_value_seed(RowsSeed(&mut *self.reader))?;
            } else if key == metadata {
                count = Some(map.next_value_seed(CountSeed(total))?);
            } else if key == "error" {
                named = Some(map.next_value::<Option<Str<'de>>>()?.and_then(|e| refusal(&e.0)));
            } else {
                map.next_value::<Skip>()?;
            }
        }
        match (has_rows, count, named) {
            (false, _, Some(Some(refusal))) => Ok(Page::Refused(refusal)),
            (false, ..) => Err(de::Error::missing_field(rows)),
            (true, None, _) => Err(de::Error::missing_field(metadata)),
            (true, Some(total), _) => Ok(Page::List(PageTail { total, keys: 0 })),
        }
    }
}

/// The count inside its object.
struct CountSeed(&'static str);

impl<'de> DeserializeSeed<'de> for CountSeed {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<u64, D::Error> {
        de.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for CountSeed {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let mut total: Option<Total> = None;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            if *key.0 != *self.0 {
                map.next_value::<Skip>()?;
            } else if total.is_some() {
                return Err(de::Error::custom(DUPLICATE));
            } else {
                total = Some(map.next_value()?);
            }
        }
        Ok(total.ok_or_else(|| de::Error::missing_field(self.0))?.0)
    }
}

/// Rows of the whole list.
#[derive(Debug)]
struct Total(u64);

scalar!(Total, "a count", {
    fn visit_u64<E: de::Error>(self, total: u64) -> Result<Total, E> {
        if total > id::ID_MAX {
            return Err(E::custom("a count out of range"));
        }
        Ok(Total(total))
    }
});

struct RowsSeed<'r, R>(&'r mut R);

impl<'de, R: RowReader> DeserializeSeed<'de> for RowsSeed<'_, R> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_seq(self)
    }
}

impl<'de, R: RowReader> Visitor<'de> for RowsSeed<'_, R> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut row = 0;
        while self.0.next(&mut seq, row)? {
            row += 1;
        }
        Ok(())
    }
}

/// The beginning of serde_json's error about a number that no float can hold.
const OUT_OF_RANGE: &str = "number out of range";

/// Explains an error without quoting the page. Serde's own message does quote it, so only its class,
/// its position and our own words are used. Only pages with errors pay for the further reads that find
/// the error and its path.
fn explain(
    error: &serde_json::Error,
    text: &str,
    layout: Layout,
    read_again: impl FnOnce(&mut serde_path_to_error::Track),
) -> PageError {
    let at = offset(text, error.line(), error.column());
    let said = error.to_string();
    let kind = if said.starts_with(BAD_ID) {
        SchemaKind::BadId
    } else if said.starts_with(TOO_LARGE) {
        SchemaKind::TooLarge
    } else if said.starts_with(OUT_OF_RANGE) {
        // Good JSON, such as 1e400, but too large for every field.
        SchemaKind::BadSchema
    } else if said.starts_with(DUPLICATE) || said.starts_with(TOO_DEEP) || !error.is_data() {
        SchemaKind::BadJson { at }
    } else {
        SchemaKind::BadSchema
    };
    let mut track = serde_path_to_error::Track::new();
    read_again(&mut track);
    let mut path = known_path(&track.path(), layout);
    // serde names only our own keys here, never the page's.
    if let Some(key) = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
    {
        path = if path == "." { key.to_owned() } else { format!("{path}.{key}") };
    }
    if let Some(row) = said.strip_prefix(BAD_ID_OF_ROW).and_then(|rest| rest.split(' ').next()) {
        let rows = path.split(['[', '.']).find(|part| !part.is_empty()).unwrap_or("rows");
        path = format!("{rows}[{row}].id");
    }
    PageError::Schema(SchemaError { path, kind })
}

/// A path may lead through keys of the page itself (unknown ones); only our own words are kept.
fn known_path(path: &serde_path_to_error::Path, layout: Layout) -> String {
    use serde_path_to_error::Segment;
    let is_ours = |key: &str| {
        [layout.rows, layout.metadata, layout.total, "error"].contains(&key)
            || layout.keys.iter().any(|keys| keys.contains(&key))
    };
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => shown.push_str(&format!("[{index}]")),
            Segment::Map { key } if is_ours(key) => {
                if !shown.is_empty() {
                    shown.push('.');
                }
                shown.push_str(key);
            }
            _ => shown.push_str(".?"),
        }
    }
    if shown.is_empty() { ".".to_owned() } else { shown }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column).min(text.len())
}
