//! The keys that a page's rows have, without their values: how many no documentation has, and which
//! documented ones are there. A vendor that adds or drops a field is noticed; the operator hears of it.

use std::collections::BTreeSet;

use super::list::{self, Layout, RowReader};
use super::scan::{Fault, Scan};
use super::strict::skip;
use super::{PageError, PageTail};

/// Lists of keys.
type Keys = &'static [&'static [&'static str]];

/// A larger number would tell nothing more.
const MAX: usize = 100;

/// The number of different fields that are not `known`; 0 where the page cannot be read.
pub(super) fn new_fields(body: &[u8], layout: Layout, known: Keys) -> usize {
    let mut news = News { known, found: BTreeSet::new() };
    match list::read(body, layout, &mut news) {
        Ok(_) => news.found.len(),
        Err(_) => 0,
    }
}

struct News {
    known: Keys,
    found: BTreeSet<String>,
}

impl RowReader<'_> for News {
    fn row(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        let News { known, found } = self;
        keys_of(scan, |key| {
            let is_known = known.iter().any(|keys| keys.contains(&key));
            if !is_known && found.len() < MAX && !found.contains(key) {
                found.insert(key.to_owned());
            }
        })
    }
}

/// Reads a page, and tells which of these keys some row has; as a rule the first row has them all.
pub(super) fn read_with_keys<'de>(
    body: &'de [u8],
    layout: Layout,
    reader: &mut impl RowReader<'de>,
    known: &'static [&'static str],
) -> Result<PageTail, PageError> {
    let mut keys = KeysSeen { known, seen: 0 };
    let tail = list::read_and_look(body, layout, reader, &mut keys)?;
    let all = known.iter().enumerate().fold(0, |all, (place, _)| all | 1 << place);
    Ok(PageTail { keys: if reader.has_seen_every_key() { all } else { keys.seen }, ..tail })
}

/// Which known keys some row has, a bit for each. Ends the reading when it has seen all.
struct KeysSeen {
    known: &'static [&'static str],
    seen: u64,
}

impl RowReader<'_> for KeysSeen {
    fn row(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        let KeysSeen { known, seen } = self;
        if seen.count_ones() as usize == known.len() {
            // Nothing is left to learn.
            return Err(scan.bad());
        }
        keys_of(scan, |key| {
            if let Some(place) = known.iter().position(|known| *known == key) {
                *seen |= 1 << place;
            }
        })
    }
}

/// Hands on each key of a row; the values are checked and dropped.
fn keys_of(scan: &mut Scan<'_>, look: impl FnMut(&str)) -> Result<(), Fault> {
    scan.object(look, |scan, ()| skip(scan))
}
