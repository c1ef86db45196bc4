//! Asks the new API behind candidate for its rows of the records that differ.

use std::collections::HashSet;

use corpus::ask::Reply;
use corpus::node::Node;
use corpus::source::{Answering, Source};

use crate::calibrate::Overlay;
use crate::cause::Teams;
use crate::list::KeyedBy;
use crate::witness::{self, MESSAGES, Place, Rows, USERS};

/// Candidate under other settings, or why it does not start.
pub type Under = Result<Box<dyn Source>, String>;

/// The new API behind candidate.
pub trait Behind: Send + Sync {
    /// The shapes of the calls that candidate has made since the last time.
    fn take_calls(&self) -> Vec<String>;
    /// Asks the new API with candidate's credential.
    fn ask<'a>(&'a self, path_and_query: &'a str) -> Answering<'a, Option<Reply>>;
    /// Candidate under other settings, over the data that it has read, without a request to the new API;
    /// `None` where it is never to be had.
    fn under<'a>(&'a self, overlay: &'a Overlay) -> Answering<'a, Option<Under>> {
        let _ = overlay;
        Box::pin(async { None })
    }
    /// Forgets what candidate has read, if there is no room for more of it, or `under` is not called again.
    fn forget(&self, is_last: bool) {
        let _ = is_last;
    }
}

/// The most records that are asked for one by one. For more records the whole list is read.
const ONE_BY_ONE_MAX: usize = 10;
const PAGE_ROWS: usize = 100;
/// The most pages; the vendor's largest contact centers have fewer.
const PAGES_MAX: usize = 20_000;

/// The rows of some users, by key; `None` where the new API cannot be asked. A user without a row does not
/// exist there. `hints` are known e-mail addresses of these users.
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
    // A list that changes while it is read may hide a user between two pages, so a user counts as missing
    // only after two readings.
    let of = |key: &str, _: &Node| wanted.contains(key);
    let mut rows = pages(behind, USERS, &of, wanted.len(), by).await?;
    if rows.len() < wanted.len() {
        rows.extend(pages(behind, USERS, &of, wanted.len(), by).await?);
    }
    Some(rows)
}

/// The rows of some templates of text messages, by id; `None` where the new API cannot be asked.
pub(super) async fn templates(behind: &dyn Behind, wanted: &HashSet<String>) -> Option<Rows> {
    let of = |key: &str, row: &Node| wanted.contains(key) && witness::is_template(row);
    pages(behind, MESSAGES, &of, wanted.len(), KeyedBy::Id).await
}

/// The rows of all users with a deletion date.
pub(super) async fn deleted(behind: &dyn Behind, by: KeyedBy) -> Option<Rows> {
    pages(behind, USERS, &|_, row| witness::has_deletion_date(row), usize::MAX, by).await
}

/// The rows of all wanted users, by e-mail address; `None` where the filter does not find all of them.
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
        let (found, _, _) = witness::page(&reply.body, USERS, |key, _| wanted.contains(key), by)?;
        rows.extend(found);
    }
    (rows.len() == wanted.len()).then_some(rows)
}

/// Reads the list page by page, until there are `enough` rows.
async fn pages(
    behind: &dyn Behind,
    place: Place,
    wanted: &(dyn Fn(&str, &Node) -> bool + Sync),
    enough: usize,
    by: KeyedBy,
) -> Option<Rows> {
    let mut rows = Rows::new();
    for page in 0..PAGES_MAX {
        let offset = page * PAGE_ROWS;
        let target = format!("{}?limit={PAGE_ROWS}&offset={offset}", place.path);
        let reply = behind.ask(&target).await.filter(|reply| reply.status == 200)?;
        let (found, total, on_page) = witness::page(&reply.body, place, wanted, by)?;
        rows.extend(found);
        if (offset + on_page) as u64 >= total || rows.len() >= enough {
            return Some(rows);
        }
        if on_page == 0 {
            // The total promises more rows than the pages have.
            return None;
        }
    }
    None
}

/// The ids of the teams in the new API. No page of the vendor describes this list, so the new API may
/// refuse it, and it may be in either place.
pub(super) async fn teams(behind: &dyn Behind) -> Teams {
    let mut found = Teams::Unknown;
    for path in ["/api/v4/users/teams", "/api/v4/teams"] {
        found = teams_at(behind, path).await;
        if matches!(found, Teams::Listed(_)) {
            break;
        }
    }
    found
}

async fn teams_at(behind: &dyn Behind, path: &str) -> Teams {
    let mut ids = HashSet::new();
    for page in 0..PAGES_MAX {
        let offset = page * PAGE_ROWS;
        let target = format!("{path}?limit={PAGE_ROWS}&offset={offset}");
        let Some(reply) = behind.ask(&target).await else { return Teams::Unknown };
        if matches!(reply.status, 400 | 403 | 404 | 422) {
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

/// The e-mail addresses in records.
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

    /// A recording with the pages of the whole list, and without answers to filters.
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
    async fn without_an_answer_to_the_filter_the_whole_list_is_read() {
        let wanted = HashSet::from(["7".to_owned()]);
        let hints = ["a@x.example".to_owned()];
        let found = rows(&Recorded, &wanted, &hints, KeyedBy::Id).await;
        assert!(found.is_some_and(|rows| rows.len() == 1 && rows.contains_key("7")));
        let deleted = deleted(&Recorded, KeyedBy::Id).await;
        assert!(deleted.is_some_and(|rows| rows.len() == 1 && rows.contains_key("7")));
        assert!(matches!(teams(&Recorded).await, Teams::Unknown));
    }

    /// Answers with these statuses at the two places of teams; 0 is no answer.
    struct Places(u16, u16);

    impl Behind for Places {
        fn take_calls(&self) -> Vec<String> {
            Vec::new()
        }

        fn ask<'a>(&'a self, path_and_query: &'a str) -> Answering<'a, Option<Reply>> {
            let status = match path_and_query.starts_with("/api/v4/users/teams?") {
                true => self.0,
                false => self.1,
            };
            let body = r#"{"teams":[{"id":3},{"id":"4"}],"metadata":{"total":2}}"#;
            let reply = Reply { status, headers: Vec::new(), body: body.into() };
            Box::pin(async move { (status > 0).then_some(reply) })
        }
    }

    #[tokio::test]
    async fn teams_are_read_at_either_place() {
        for places in [Places(200, 404), Places(404, 200), Places(422, 200), Places(0, 200)] {
            let Teams::Listed(ids) = teams(&places).await else { panic!("not listed") };
            assert_eq!(ids, HashSet::from(["3".to_owned(), "4".to_owned()]));
        }
        for places in [Places(404, 404), Places(403, 404), Places(422, 404), Places(0, 404)] {
            assert!(matches!(teams(&places).await, Teams::Refused));
        }
        for places in [Places(0, 0), Places(404, 0), Places(404, 500)] {
            assert!(matches!(teams(&places).await, Teams::Unknown));
        }
    }

    #[test]
    fn rows_are_found_by_ids_as_numbers_and_as_text() {
        let page = br#"{"users":[{"id":7},{"id":"8"},{"id":null}],"metadata":{"total":3}}"#;
        let (rows, total, on_page) = witness::page(page, USERS, |_, _| true, KeyedBy::Id).unwrap();
        let keys: Vec<&str> = rows.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!((keys, total, on_page), (vec!["7", "8"], 3, 3));
    }
}
