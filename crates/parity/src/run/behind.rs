//! What is behind candidate: the new API, which is asked what it holds of the records that differ.

use std::collections::HashSet;

use corpus::ask::Reply;
use corpus::node::Node;
use corpus::source::Answering;

use crate::cause::Teams;
use crate::list::KeyedBy;
use crate::witness::{self, Rows};

/// What candidate asks, and a way to ask it as well.
pub trait Behind: Send + Sync {
    /// Method, path and query of what candidate asked since this was called last.
    fn take_calls(&self) -> Vec<String>;
    /// Asks the new API for a path and query, with candidate's own credential.
    fn ask<'a>(&'a self, path_and_query: &'a str) -> Answering<'a, Option<Reply>>;
}

/// Above this many records the whole list is read, page by page.
const ONE_BY_ONE_MAX: usize = 10;
/// Rows of a page.
const PAGE_ROWS: usize = 100;
/// Pages read at most; the vendor's largest contact centers have fewer.
const PAGES_MAX: usize = 20_000;

/// What the new API holds of some users, by key; `None` where it cannot be asked. Those it does not
/// have are missing from the answer. `hints` are their e-mail addresses, where they are known.
pub(super) async fn rows(
    behind: &dyn Behind,
    wanted: &HashSet<String>,
    hints: &[String],
    by: KeyedBy,
) -> Option<Rows> {
    if wanted.len() <= ONE_BY_ONE_MAX
        && let Some(rows) = by_email(behind, wanted, hints, by).await
    {
        return Some(rows);
    }
    // A list that moves while it is read may hide somebody between two pages, so nobody is missing
    // before two readings have not found them.
    let of = |key: &str, _: &Node| wanted.contains(key);
    let mut rows = pages(behind, &of, wanted.len(), by).await?;
    if rows.len() < wanted.len() {
        rows.extend(pages(behind, &of, wanted.len(), by).await?);
    }
    Some(rows)
}

/// Everybody who has a deletion date.
pub(super) async fn deleted(behind: &dyn Behind, by: KeyedBy) -> Option<Rows> {
    pages(behind, &|_, row| witness::has_deletion_date(row), usize::MAX, by).await
}

/// All of a few, or `None`: an upstream may not answer the filter, or know nothing of it.
async fn by_email(
    behind: &dyn Behind,
    wanted: &HashSet<String>,
    hints: &[String],
    by: KeyedBy,
) -> Option<Rows> {
    let mut rows = Rows::new();
    for email in hints {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("limit", "100")
            .append_pair("offset", "0")
            .append_pair("email", email)
            .finish();
        let reply = behind.ask(&format!("/api/v4/users?{query}")).await?;
        let (found, _, _) = witness::page(&reply.body, |key, _| wanted.contains(key), by)?;
        rows.extend(found);
    }
    (rows.len() == wanted.len()).then_some(rows)
}

/// The list page by page, until there are `enough`.
async fn pages(
    behind: &dyn Behind,
    wanted: &(dyn Fn(&str, &Node) -> bool + Sync),
    enough: usize,
    by: KeyedBy,
) -> Option<Rows> {
    let mut rows = Rows::new();
    for page in 0..PAGES_MAX {
        let offset = page * PAGE_ROWS;
        let target = format!("/api/v4/users?limit={PAGE_ROWS}&offset={offset}");
        let reply = behind.ask(&target).await.filter(|reply| reply.status == 200)?;
        let (found, total, on_page) = witness::page(&reply.body, wanted, by)?;
        rows.extend(found);
        if (offset + on_page) as u64 >= total || rows.len() >= enough {
            return Some(rows);
        }
        if on_page == 0 {
            // It says that there are more.
            return None;
        }
    }
    None
}

/// The ids of the teams that the new API lists: no page of the vendor names that list, so an
/// upstream may refuse it.
pub(super) async fn teams(behind: &dyn Behind) -> Teams {
    let mut ids = HashSet::new();
    for page in 0..PAGES_MAX {
        let offset = page * PAGE_ROWS;
        let target = format!("/api/v4/teams?limit={PAGE_ROWS}&offset={offset}");
        let Some(reply) = behind.ask(&target).await else { return Teams::Unknown };
        if matches!(reply.status, 403 | 404) {
            return Teams::Refused;
        }
        let found = (reply.status == 200).then(|| witness::teams(&reply.body)).flatten();
        let Some((found, total, on_page)) = found else { return Teams::Unknown };
        ids.extend(found);
        if (offset + on_page) as u64 >= total || on_page == 0 {
            return Teams::Listed(ids);
        }
    }
    Teams::Unknown
}

/// The e-mail addresses of records.
pub(super) fn emails<'a>(records: impl Iterator<Item = &'a Node>) -> Vec<String> {
    let mut emails: Vec<String> = records
        .filter_map(|record| record.get("email").and_then(Node::text))
        .map(str::to_owned)
        .collect();
    emails.sort();
    emails.dedup();
    emails
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recording: it has the pages of the whole list, and no answer to an address.
    struct Recorded;

    impl Behind for Recorded {
        fn take_calls(&self) -> Vec<String> {
            Vec::new()
        }

        fn ask<'a>(&'a self, path_and_query: &'a str) -> Answering<'a, Option<Reply>> {
            let users = r#"{"users":[{"id":"7","email":"a@x.example","deleted_at":"2026-01-01"},
                {"id":"8","email":"b@x.example"}],"metadata":{"total":2}}"#;
            let reply = Reply { status: 200, headers: Vec::new(), body: users.into() };
            let is_whole = path_and_query == "/api/v4/users?limit=100&offset=0";
            Box::pin(async move { is_whole.then_some(reply) })
        }
    }

    #[tokio::test]
    async fn where_a_filter_has_no_answer_the_whole_list_is_read() {
        let wanted = HashSet::from(["7".to_owned()]);
        let hints = ["a@x.example".to_owned()];
        let found = rows(&Recorded, &wanted, &hints, KeyedBy::Id).await;
        assert!(found.is_some_and(|rows| rows.len() == 1 && rows.contains_key("7")));
        let deleted = deleted(&Recorded, KeyedBy::Id).await;
        assert!(deleted.is_some_and(|rows| rows.len() == 1 && rows.contains_key("7")));
        assert!(matches!(teams(&Recorded).await, Teams::Unknown));
    }
}
