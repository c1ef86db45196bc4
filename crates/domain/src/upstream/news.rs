//! Counts the fields of a page's rows that no documentation has, without reading them. A vendor that
//! adds a field must not break anything, and the operator should hear of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::list::{self, Keys, Layout, RowReader};
use super::strict::{Skip, Str};

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
        Ok(seq.next_element_seed(RowSeed(self))?.is_some())
    }
}

struct RowSeed<'a>(&'a mut News);

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let News { known, found } = self.0;
        while let Some(key) = map.next_key::<Str<'de>>()? {
            let key = &*key.0;
            let is_known = known.iter().any(|keys| keys.contains(&key));
            if !is_known && found.len() < MAX && !found.contains(key) {
                found.insert(key.to_owned());
            }
            map.next_value::<Skip>()?;
        }
        Ok(())
    }
}
