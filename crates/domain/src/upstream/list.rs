//! Pages of a list: an object with the rows under one key and a count of the whole list under
//! another. Rows are handed on one by one; an error never quotes the page.

use super::scan::{Fault, Scalar, Scan};
use super::strict::{Read, Str, skip, unfit};
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
}

/// Reads rows one by one.
pub(super) trait RowReader<'de> {
    /// Reads one row.
    fn row(&mut self, scan: &mut Scan<'de>) -> Result<(), Fault>;

    /// Whether some row is known to have every documented key. False means nothing.
    fn has_seen_every_key(&self) -> bool {
        false
    }
}

/// Reads a page. On an error every row handed out before is void.
pub(super) fn read<'de>(
    body: &'de [u8],
    layout: Layout,
    reader: &mut impl RowReader<'de>,
) -> Result<PageTail, PageError> {
    read_text(text(body)?, layout, reader)
}

fn read_text<'de>(
    text: &'de str,
    layout: Layout,
    reader: &mut impl RowReader<'de>,
) -> Result<PageTail, PageError> {
    let mut scan = Scan::new(text);
    let page = page(&mut scan, layout, reader)?;
    scan.end()?;
    match page {
        Page::List(tail) => Ok(tail),
        Page::Refused(refusal) => Err(PageError::Refused(refusal)),
    }
}

/// As [`read`]; then a second reader looks through the same page, which is known to be good, and ends its
/// reading by a fault when nothing is left to learn.
pub(super) fn read_and_look<'de>(
    body: &'de [u8],
    layout: Layout,
    reader: &mut impl RowReader<'de>,
    look: &mut impl RowReader<'de>,
) -> Result<PageTail, PageError> {
    let text = text(body)?;
    let tail = read_text(text, layout, reader)?;
    if !reader.has_seen_every_key() {
        let _ = page(&mut Scan::new(text), layout, look);
    }
    Ok(tail)
}

/// Reads a body that is one row.
pub(super) fn read_one<'a, T: Read<'a>>(body: &'a [u8]) -> Result<T, PageError> {
    let mut scan = Scan::new(text(body)?);
    let row = T::read(&mut scan)?;
    scan.end()?;
    Ok(row)
}

pub(super) fn text(body: &[u8]) -> Result<&str, PageError> {
    simdutf8::basic::from_utf8(body).map_err(|_| {
        // The second reading finds the place.
        let at = std::str::from_utf8(body).map_or_else(|error| error.valid_up_to(), str::len);
        let kind = SchemaKind::BadJson { at };
        PageError::Schema(SchemaError { path: ".".to_owned(), kind })
    })
}

/// The fault of a row whose id has no legacy number.
pub(super) fn bad_id() -> Fault {
    Fault::new(SchemaKind::BadId).under("id")
}

/// A page, or what came in its place.
enum Page {
    List(PageTail),
    Refused(Refusal),
}

/// What stands under a key of a page.
enum Part {
    Rows,
    Metadata,
    Error,
    Unread,
}

fn page<'de>(
    scan: &mut Scan<'de>,
    layout: Layout,
    reader: &mut impl RowReader<'de>,
) -> Result<Page, Fault> {
    let Layout { rows, metadata, total, refusal } = layout;
    let mut has_rows = false;
    let mut count: Option<u64> = None;
    let mut named: Option<Option<Refusal>> = None;
    scan.object(
        |key| match key {
            _ if key == rows => Part::Rows,
            _ if key == metadata => Part::Metadata,
            "error" => Part::Error,
            _ => Part::Unread,
        },
        |scan, part| {
            match part {
                Part::Rows if !std::mem::replace(&mut has_rows, true) => {
                    scan.list(|scan| reader.row(scan)).map_err(|fault| fault.under(rows))?;
                }
                Part::Metadata if count.is_none() => {
                    let read = read_count(scan, total).map_err(|fault| fault.under(metadata))?;
                    count = Some(read);
                }
                Part::Error if named.is_none() => {
                    let word =
                        <Option<Str<'_>>>::read(scan).map_err(|fault| fault.under("error"))?;
                    named = Some(word.and_then(|word| refusal(&word.0)));
                }
                Part::Unread => skip(scan).map_err(Fault::unread)?,
                // It stands there for the second time.
                Part::Rows | Part::Metadata | Part::Error => return Err(scan.bad()),
            }
            Ok(())
        },
    )?;
    let lacks = |key| Err(Fault::new(SchemaKind::BadSchema).under(key));
    match (has_rows, count, named) {
        // Also beside rows: an empty list must not stand for a refusal.
        (_, _, Some(Some(refusal))) => Ok(Page::Refused(refusal)),
        (false, ..) => lacks(rows),
        (true, None, _) => lacks(metadata),
        (true, Some(total), _) => Ok(Page::List(PageTail { total, keys: 0 })),
    }
}

/// The count inside its object.
fn read_count(scan: &mut Scan<'_>, total: &'static str) -> Result<u64, Fault> {
    let mut count: Option<Total> = None;
    scan.object(
        |key| key == total,
        |scan, is_total| {
            if !is_total {
                return skip(scan).map_err(Fault::unread);
            }
            if count.is_some() {
                return Err(scan.bad());
            }
            count = Some(Total::read(scan).map_err(|fault| fault.under(total))?);
            Ok(())
        },
    )?;
    count.map_or_else(|| Total::absent(total), Ok).map(|total| total.0)
}

/// Rows of the whole list.
#[derive(Debug)]
struct Total(u64);

impl<'de> Read<'de> for Total {
    fn read(scan: &mut Scan<'de>) -> Result<Self, Fault> {
        match scan.scalar()? {
            Scalar::Whole(total) if total <= id::ID_MAX => Ok(Total(total)),
            _ => unfit(),
        }
    }
}
