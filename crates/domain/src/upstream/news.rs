//! The keys that a page's rows have, without their values: how many no documentation has, and which
//! documented ones are there. A vendor that adds or drops a field is noticed; the operator hears of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::list::{self, Keys, Layout, RowReader};
use super::strict::{Skip, Str};
use super::{PageError, PageTail};

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

impl RowReader for News {
    fn next<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, _: usize) -> Result<bool, A::Error> {
        let News { known, found } = self;
        let keys = RowKeys(|key: &str| {
            let is_known = known.iter().any(|keys| keys.contains(&key));
            if !is_known && found.len() < MAX && !found.contains(key) {
                found.insert(key.to_owned());
            }
        });
        Ok(seq.next_element_seed(keys)?.is_some())
    }
}

/// Reads a page, and tells which of these keys some row has; as a rule the first row has them all.
pub(super) fn read_with_keys(
    body: &[u8],
    layout: Layout,
    reader: &mut impl RowReader,
    known: &'static [&'static str],
) -> Result<PageTail, PageError> {
    let mut keys = KeysSeen { known, seen: 0 };
    let tail = list::read_and_look(body, layout, reader, &mut keys)?;
    Ok(PageTail { keys: keys.seen, ..tail })
}

/// Which known keys some row has, a bit for each. Ends the reading when it has seen all.
struct KeysSeen {
    known: &'static [&'static str],
    seen: u64,
}

impl RowReader for KeysSeen {
    fn next<'de, A: SeqAccess<'de>>(&mut self, seq: &mut A, _: usize) -> Result<bool, A::Error> {
        let KeysSeen { known, seen } = self;
        if seen.count_ones() as usize == known.len() {
            return Err(de::Error::custom("nothing is left to learn"));
        }
        let keys = RowKeys(|key: &str| {
            if let Some(place) = known.iter().position(|known| *known == key) {
                *seen |= 1 << place;
            }
        });
        Ok(seq.next_element_seed(keys)?.is_some())
    }
}

/// Hands on each key of a row; the values are checked and dropped.
struct RowKeys<F>(F);

impl<'de, F: FnMut(&str)> DeserializeSeed<'de> for RowKeys<F> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&str)> Visitor<'de> for RowKeys<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Str<'de>>()? {
            (self.0)(&key.0);
            map.next_value::<Skip>()?;
        }
        Ok(())
    }
}
