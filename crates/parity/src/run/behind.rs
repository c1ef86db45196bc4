//! What is behind candidate: the new API, which is asked what it holds of the records that differ.

use std::collections::HashSet;

use crate::ask::Reply;
use crate::list::KeyedBy;
use crate::node::Node;
use crate::source::Answering;
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
    let mut rows = Rows::new();
    if wanted.len() <= ONE_BY_ONE_MAX {
        for email in hints {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("limit", "100")
                .append_pair("offset", "0")
                .append_pair("email", email)
                .finish();
            let reply = behind.ask(&format!("/api/v4/users?{query}")).await?;
            // An upstream may know nothing of the filter; what is wanted is looked for in any case.
            let (found, _, _) = witness::page(&reply.body, wanted, by)?;
            rows.extend(found);
        }
        if rows.len() == wanted.len() {
            return Some(rows);
        }
    }
    // A list that moves while it is read may hide somebody between two pages, so nobody is missing
    // before two readings have not found them.
    for _ in 0..2 {
        walk(behind, wanted, by, &mut rows).await?;
        if rows.len() == wanted.len() {
            break;
        }
    }
    Some(rows)
}

/// Reads the whole list, or until everybody is found. `None` where it does not come whole.
async fn walk(
    behind: &dyn Behind,
    wanted: &HashSet<String>,
    by: KeyedBy,
    rows: &mut Rows,
) -> Option<()> {
    for page in 0..PAGES_MAX {
        let offset = page * PAGE_ROWS;
        let target = format!("/api/v4/users?limit={PAGE_ROWS}&offset={offset}");
        let reply = behind.ask(&target).await.filter(|reply| reply.status == 200)?;
        let (found, total, on_page) = witness::page(&reply.body, wanted, by)?;
        rows.extend(found);
        if (offset + on_page) as u64 >= total || rows.len() == wanted.len() {
            return Some(());
        }
        if on_page == 0 {
            return None;
        }
    }
    None
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
