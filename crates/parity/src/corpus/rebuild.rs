//! A page that nobody asked for while it was recorded, made of the rows of pages that somebody did.
//!
//! A later version may cut a list into other pages. The list is the same, so its proof must not go
//! with the cut. Rows are laid out by their place in the list; where two pages disagree about a row or
//! about the total, or a row is missing, there is no such page: a list is never guessed.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;

/// The longest list that is laid out.
const ROWS_MAX: usize = 1_000_000;

/// A list by its path and its parameters other than those of paging, and the page of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) list: String,
    limit: usize,
    offset: usize,
    /// Pages are told by their number, from 1.
    is_numbered: bool,
}

impl Cut {
    /// How a request in its one spelling cuts a list; `None` where it is about no page of one.
    pub(super) fn of(target: &str) -> Option<Cut> {
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
        Some(Cut { list, limit, offset, is_numbered })
    }
}

/// A list, as far as its pages were recorded.
pub(super) struct Laid {
    /// The member that the rows are in.
    name: String,
    rows: Vec<Option<Box<RawValue>>>,
    /// Members besides the rows and the counts, as they stood in some page.
    others: BTreeMap<String, Box<RawValue>>,
}

impl Laid {
    /// Lays out pages; `None` where they do not fit together or are no pages.
    pub(super) fn out(pages: &[(Cut, Bytes)]) -> Option<Laid> {
        let mut laid: Option<Laid> = None;
        for (cut, body) in pages {
            let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
            let counts = members.remove(counts_name(cut.is_numbered))?;
            let counts: BTreeMap<String, u64> = serde_json::from_str(counts.get()).ok()?;
            let total = *counts.get(if cut.is_numbered { "totalCount" } else { "total" })?;
            let total = usize::try_from(total).ok().filter(|total| *total <= ROWS_MAX)?;
            let mut lists = members.iter().filter(|(_, value)| value.get().starts_with('['));
            let (Some((name, _)), None) = (lists.next(), lists.next()) else { return None };
            let name = name.clone();
            let rows: Vec<Box<RawValue>> =
                serde_json::from_str(members.remove(&name)?.get()).ok()?;
            let laid = laid.get_or_insert_with(|| Laid {
                name: name.clone(),
                rows: Vec::new(),
                others: members,
            });
            if laid.rows.is_empty() {
                laid.rows.resize_with(total, || None);
            }
            if laid.rows.len() != total || laid.name != name || rows.len() > cut.limit {
                return None;
            }
            for (k, row) in rows.into_iter().enumerate() {
                let place = laid.rows.get_mut(cut.offset.checked_add(k)?)?;
                match place {
                    Some(before) if before.get() != row.get() => return None,
                    Some(_) => {}
                    None => *place = Some(row),
                }
            }
        }
        laid
    }

    /// A page of the list; `None` where one of its rows was not recorded.
    pub(super) fn page(&self, cut: &Cut) -> Option<Bytes> {
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

/// The member that counts are in.
fn counts_name(is_numbered: bool) -> &'static str {
    if is_numbered { "meta" } else { "metadata" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(target: &str, body: &str) -> (Cut, Bytes) {
        (Cut::of(target).unwrap(), Bytes::from(body.to_owned()))
    }

    fn rebuilt(pages: &[(Cut, Bytes)], target: &str) -> Option<String> {
        let page = Laid::out(pages)?.page(&Cut::of(target)?)?;
        Some(String::from_utf8(page.to_vec()).unwrap())
    }

    #[test]
    fn other_pages_of_the_same_rows_are_made() {
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
    fn numbered_pages_are_counted_anew_and_keep_what_else_they_say() {
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
}
