//! Upstream dialects: one file each, and the table that lists them.
//!
//! A dialect turns a plan into page requests and page bytes into hub rows, and reads refusals. It
//! never knows which endpoint asked. A page is read strictly: what is not understood is an error
//! with a path, never a guess, and no error carries text from the page.

mod strict;
mod voiso;

use std::fmt;

use crate::hub::User;
use crate::id::IdPolicy;
use crate::plan::{GroupIds, UserFilter};
use crate::sweep::Window;

/// Every dialect. Adding one is a file and a line here.
pub static DIALECTS: &[&dyn Dialect] = &[&voiso::Voiso];

/// How one kind of upstream speaks.
pub trait Dialect: Send + Sync + fmt::Debug {
    /// Name in configuration, ledger, logs and metrics, such as `voiso-v4`.
    fn name(&self) -> &'static str;

    /// Rows one page may have.
    fn page_rows_max(&self) -> u32;

    /// The request for one window of the user list. `filter` is pushed down as far as the upstream
    /// can filter without losing a row; the hub filters again.
    fn page_request(&self, filter: Option<&UserFilter<GroupIds>>, window: Window) -> PageRequest;

    /// Reads one page, handing each row to `row` in order. On an error every row handed out before
    /// is void.
    fn read_page(
        &self,
        body: &[u8],
        rules: &Rules,
        row: &mut dyn FnMut(&User<'_>),
    ) -> Result<PageTail, PageError>;
}

/// The dialect of a name.
pub fn dialect_named(name: &str) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.name() == name)
}

/// An HTTP GET in all but transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Path and query below the base URL.
    pub target: String,
    /// The `accept` header.
    pub accept: &'static str,
}

/// How rows are read; settings of an upstream.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What to do with an id that is no number.
    pub ids: IdPolicy,
    /// What a deletion date means.
    pub deleted_at: DeletionDate,
}

/// What a user's deletion date means: the documentation's sample user is `available` and has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionDate {
    /// Deleted, unless the status is a live one.
    #[default]
    UnlessLive,
    /// Deleted, whatever the status.
    Always,
    /// No deletion date makes a user deleted.
    Never,
}

/// What a page says about the whole list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageTail {
    /// Rows of the whole (filtered) list, as the upstream counts them.
    pub total: u64,
}

/// A page that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The bytes do not follow the dialect.
    #[error("{0}")]
    Schema(SchemaError),
    /// The page is a refusal in a success's clothes.
    #[error("the upstream refused inside a success")]
    Refused(Refusal),
}

/// Where and how a page broke the schema. Holds no text of the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {path}")]
pub struct SchemaError {
    /// JSON path, such as `users[3].skills[0].value`, or `.` for the page itself.
    pub path: String,
    /// What is wrong there.
    pub kind: SchemaKind,
}

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SchemaKind {
    /// No JSON text as RFC 8259 has it, a repeated key, too deep, or a lone surrogate.
    #[error("bad JSON near byte {at}")]
    BadJson {
        /// Offset in bytes.
        at: usize,
    },
    /// JSON, but not the documented shape.
    #[error("unexpected shape")]
    BadSchema,
    /// A user id without a legacy number.
    #[error("an id without a legacy number")]
    BadId,
}

/// The upstream said no, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is wrong.
    Unauthorized,
    /// The key lacks the scope.
    Forbidden,
    /// There is no such path.
    NotFound,
    /// Too many requests.
    RateLimited,
}
