//! Makes a page that was not recorded from the rows of pages that were.
//!
//! A later version of the gateway may read a list in pages of another size. The list is the same, so the
//! recording must still answer. Rows are put at their place in the list. Where two pages disagree about a
//! row or about the total, or a row is missing, there is no such page: a list is never guessed.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The longest list that is put together.
const ROWS_MAX: usize = 1_000_000;
/// The most members that a page, or its counts, may have.
const MEMBERS_MAX: usize = 64;

/// A list, named by its path and its parameters except those of paging, and one page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageOf {
    pub(super) list: String,
    limit: usize,
    offset: usize,
    /// Whether pages are numbered from 1, and not addressed by offset.
    is_numbered: bool,
}

impl PageOf {
    /// The page that a request in canonical spelling asks for; `None` where it asks for no page.
    pub(super) fn of(target: &str) -> Option<PageOf> {
        let (path, query) = target.split_once('?')?;
        let mut list = path.to_owned();
        let (mut limit, mut offset, mut page) = (None, None, None);
        for pair in query.split('&') {
            let number = |value: &str| value.parse::<usize>().ok();
            match pair.split_once('=') {
                Some(("limit", value)) => limit = Some(number(value)?),
                Some(("offset", value)) => offset = Some(number(value)?),
                Some(("page", value)) => page = Some(number(value)?),
                _ => {
                    list.push('&');
                    list.push_str(pair);
                }
            }
        }
        let limit = limit.filter(|limit| *limit > 0)?;
        let (offset, is_numbered) = match (offset, page) {
            (Some(offset), None) => (offset, false),
            (None, Some(page)) => (page.checked_sub(1)?.checked_mul(limit)?, true),
            _ => return None,
        };
        Some(PageOf { list, limit, offset, is_numbered })
    }
}

/// The recorded rows of a list.
pub(super) struct Layout {
    /// The member that contains the rows.
    name: String,
    rows: Vec<Option<Box<RawValue>>>,
    /// Members other than the rows and the counts, taken from one of the pages.
    others: BTreeMap<String, Box<RawValue>>,
}

impl Layout {
    /// Adds a page to the pages before; `None` where it does not fit them or is not a page. Reading stops
    /// where the page has more rows than it may have.
    pub(super) fn lay(before: &mut Option<Layout>, cut: &PageOf, body: &[u8]) -> Option<()> {
        let mut members: Members<Box<RawValue>> = serde_json::from_slice(body).ok()?;
        let counts = members.0.remove(counts_name(cut.is_numbered))?;
        let counts: Members<u64> = serde_json::from_str(counts.get()).ok()?;
        let total = *counts.0.get(if cut.is_numbered { "totalCount" } else { "total" })?;
        let total = usize::try_from(total).ok().filter(|total| *total <= ROWS_MAX)?;
        let mut lists = members.0.iter().filter(|(_, value)| value.get().starts_with('['));
        let (Some((name, _)), None) = (lists.next(), lists.next()) else { return None };
        let name = name.clone();
        let rows = members.0.remove(&name)?;
        let max = cut.limit.min(total.saturating_sub(cut.offset));
        let rows = Rows { max }.deserialize(&mut serde_json::Deserializer::from_str(rows.get()));
        let laid = before.get_or_insert_with(|| Layout {
            name: name.clone(),
            rows: std::iter::repeat_with(|| None).take(total).collect(),
            others: members.0,
        });
        if laid.rows.len() != total || laid.name != name {
            return None;
        }
        for (k, row) in rows.ok()?.into_iter().enumerate() {
            let place = laid.rows.get_mut(cut.offset.checked_add(k)?)?;
            match place {
                Some(before) if before.get() != row.get() => return None,
                Some(_) => {}
                None => *place = Some(row),
            }
        }
        Some(())
    }

    /// A page of the list; `None` where one of its rows was not recorded.
    pub(super) fn page(&self, cut: &PageOf) -> Option<Bytes> {
        let total = self.rows.len();
        let start = cut.offset.min(total);
        let end = cut.offset.checked_add(cut.limit)?.min(total);
        let rows: Option<Vec<&str>> =
            self.rows[start..end].iter().map(|row| Some(row.as_ref()?.get())).collect();
        let rows = rows?;
        let counts = match cut.is_numbered {
            false => format!("{{\"total\":{total}}}"),
            true => format!(
                "{{\"page\":{},\"count\":{},\"pageCount\":{},\"totalCount\":{total}}}",
                cut.offset / cut.limit + 1,
                rows.len(),
                total.div_ceil(cut.limit)
            ),
        };
        let mut page = String::from("{");
        for (name, value) in &self.others {
            page.push_str(&format!("{}:{},", serde_json::Value::from(name.as_str()), value.get()));
        }
        let name = serde_json::Value::from(self.name.as_str());
        page.push_str(&format!("{name}:[{}],", rows.join(",")));
        page.push_str(&format!("\"{}\":{counts}}}", counts_name(cut.is_numbered)));
        Some(Bytes::from(page))
    }
}

/// The members of an object. An object with too many members is refused while it is read.
struct Members<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Members<T> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        de.deserialize_map(Few(PhantomData))
    }
}

struct Few<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
    type Value = Members<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MEMBERS_MAX} members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<T>, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            members.insert(name, value);
            if members.len() > MEMBERS_MAX {
                return Err(A::Error::invalid_length(members.len(), &self));
            }
        }
        Ok(Members(members))
    }
}

/// Rows, up to a number. A longer list is refused while it is read.
struct Rows {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Rows {
    type Value = Vec<Box<RawValue>>;

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<Self::Value, D::Error> {
        de.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {} rows", self.max)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = seq.next_element()? {
            if rows.len() == self.max {
                return Err(A::Error::invalid_length(rows.len() + 1, &self));
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

/// The member that contains the counts.
fn counts_name(is_numbered: bool) -> &'static str {
    if is_numbered { "meta" } else { "metadata" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(target: &str, body: &str) -> (PageOf, Bytes) {
        (PageOf::of(target).unwrap(), Bytes::from(body.to_owned()))
    }

    fn rebuilt(pages: &[(PageOf, Bytes)], target: &str) -> Option<String> {
        let mut laid = None;
        for (cut, body) in pages {
            Layout::lay(&mut laid, cut, body)?;
        }
        let page = laid?.page(&PageOf::of(target)?)?;
        Some(String::from_utf8(page.to_vec()).unwrap())
    }

    #[test]
    fn pages_of_another_size_are_made_of_the_same_rows() {
        let pages = [
            page("/u?limit=2&offset=0&x=1", r#"{"users":[1,2],"metadata":{"total":4}}"#),
            page("/u?limit=2&offset=1&x=1", r#"{"users":[2,3],"metadata":{"total":4}}"#),
        ];
        for (target, expected) in [
            ("/u?limit=3&offset=0", Some(r#"{"users":[1,2,3],"metadata":{"total":4}}"#)),
            ("/u?limit=1&offset=2", Some(r#"{"users":[3],"metadata":{"total":4}}"#)),
            ("/u?limit=9&offset=4", Some(r#"{"users":[],"metadata":{"total":4}}"#)),
            ("/u?limit=2&offset=2", None),
            ("/u?offset=2", None),
            ("/u", None),
        ] {
            assert_eq!(rebuilt(&pages, target).as_deref(), expected, "{target}");
        }
        assert_eq!(pages[0].0.list, "/u&x=1");
    }

    #[test]
    fn numbered_pages_get_new_counts_and_keep_their_other_members() {
        let body = r#"{"meta":{"page":1,"count":3,"pageCount":1,"totalCount":3},"groupId":"g","users":[1,2,3]}"#;
        let pages = [page("/g?limit=5000&page=1", body)];
        assert_eq!(
            rebuilt(&pages, "/g?limit=2&page=2").unwrap(),
            r#"{"groupId":"g","users":[3],"meta":{"page":2,"count":1,"pageCount":2,"totalCount":3}}"#
        );
    }

    #[test]
    fn pages_that_contradict_each_other_make_no_list() {
        let first = || page("/u?limit=2&offset=0", r#"{"users":[1,2],"metadata":{"total":3}}"#);
        for (target, body) in [
            ("/u?limit=2&offset=1", r#"{"users":[9,3],"metadata":{"total":3}}"#),
            ("/u?limit=2&offset=1", r#"{"users":[2,3],"metadata":{"total":4}}"#),
            ("/u?limit=2&offset=2", r#"{"users":[3,4],"metadata":{"total":3}}"#),
            ("/u?limit=1&offset=1", r#"{"users":[2,3],"metadata":{"total":3}}"#),
            ("/u?limit=2&offset=1", r#"{"teams":[2,3],"metadata":{"total":3}}"#),
            ("/u?limit=2&offset=1", r#"{"error":"Unauthorized"}"#),
        ] {
            let pages = [first(), page(target, body)];
            assert_eq!(rebuilt(&pages, "/u?limit=1&offset=0"), None, "{body}");
        }
    }

    #[test]
    fn a_page_of_more_than_a_list_may_hold_is_refused_while_it_is_read() {
        // The text behind the limit is not JSON: a reader that goes on fails with another error.
        let too_many = format!("[1,2,{}", "3,".repeat(10));
        let rows = Rows { max: 1 };
        let mut json = serde_json::Deserializer::from_str(&too_many);
        let error = rows.deserialize(&mut json).unwrap_err().to_string();
        assert!(error.starts_with("invalid length 2"), "{error}");
        let member = |k: usize| format!("\"m{k}\":1,");
        let many = |count: usize| format!("{{{}", (0..count).map(member).collect::<String>());
        let error = serde_json::from_str::<Members<u64>>(&many(MEMBERS_MAX + 1)).err().unwrap();
        assert!(error.to_string().starts_with("invalid length 65"), "{error}");
        let most = many(MEMBERS_MAX).trim_end_matches(',').to_owned() + "}";
        assert_eq!(serde_json::from_str::<Members<u64>>(&most).unwrap().0.len(), MEMBERS_MAX);
        for (target, body) in [
            ("/u?limit=9&offset=0", r#"{"users":[1,2,3],"metadata":{"total":2}}"#),
            ("/u?limit=9&offset=5", r#"{"users":[1],"metadata":{"total":2}}"#),
            ("/u?limit=9&offset=0", r#"{"users":[1],"metadata":{"total":1000001}}"#),
        ] {
            assert_eq!(rebuilt(&[page(target, body)], "/u?limit=1&offset=0"), None, "{body}");
        }
    }
}
