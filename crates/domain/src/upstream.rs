//! Upstream dialects: the trait, and the table that lists them.
//!
//! A dialect turns a plan into page requests and page bytes into hub rows, and reads refusals. It
//! never knows which endpoint asked. A page is read strictly: a value that is not understood is an
//! error with a path, never a guess, and no error carries text from the page.

mod facts;
mod list;
mod mapping;
mod news;
#[cfg(any(test, feature = "properties"))]
pub(crate) mod properties;
mod scan;
mod strict;
mod voiso;
mod vonage;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::asked::plan::{GroupIds, UserFilter};
use crate::call::{CallRequest, WantedCall};
use crate::id::{IdPolicy, Unnumbered};
use crate::legacy::field::FieldId;
use crate::listing::{Listing, Row};
use crate::loss::FieldLoss;
use crate::related::{Needs, Related};
use crate::sweep::{Paging, Window};
pub use crate::upstream::facts::{Credential, Facts};
pub use crate::upstream::mapping::{
    CallerIdField, EmployeeIdField, ExtensionField, Mapping, QueueSource, SupervisionSource,
};
pub use crate::upstream::scan::FIELD_BYTES_MAX;

/// Every dialect. Adding one is a file and a line here.
pub static DIALECTS: &[&dyn Dialect] = &[&voiso::Voiso, &vonage::Vonage];

/// How one kind of upstream speaks.
pub trait Dialect: Send + Sync + fmt::Debug {
    /// The limits, words and defaults that the vendor fixes.
    fn facts(&self) -> &'static Facts;

    /// How faithful a legacy field is over this dialect.
    fn loss(&self, field: FieldId) -> FieldLoss;

    /// The scope that a credential needs for a listing.
    fn scope(&self, _: &Listing) -> &'static str {
        self.facts().scope
    }

    /// The places where a listing may be, in the order in which they are to be asked. Empty where the
    /// vendor documents the place.
    fn places(&self, _: &Listing) -> &'static [Place] {
        &[]
    }

    /// The request for one window of a listing, at a place or else at the first one. `filter` is pushed
    /// down as far as the upstream can filter without losing a row; the hub filters again.
    fn page_request(
        &self,
        listing: &Listing,
        place: Option<&Place>,
        filter: Option<&UserFilter<GroupIds>>,
        window: Window,
    ) -> PageRequest;

    /// Whether [`Self::page_request`] pushes some of the filter down.
    fn is_filtered(&self, listing: &Listing, filter: &UserFilter<GroupIds>) -> bool {
        let window = Window { offset: 0, limit: 2 };
        self.page_request(listing, None, Some(filter), window).is_filtered
    }

    /// Reads one page of a listing, handing each row to `row` in order. On an error every row handed
    /// out before is void.
    fn read_page(
        &self,
        listing: &Listing,
        body: &[u8],
        context: Context<'_>,
        row: &mut dyn FnMut(Row<'_, '_>),
    ) -> Result<PageTail, PageError>;

    /// The number of different fields in the rows of a page that the vendor does not document. Their
    /// names are never told, since they are the upstream's text. 0 where the dialect cannot tell.
    fn new_fields(&self, _: &Listing, _: &[u8]) -> usize {
        0
    }

    /// The keys of a user that the vendor documents and that are read, at most 64. An upstream none of whose
    /// users has one of them has changed its schema. Empty where any key may be left out.
    fn documented_keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// Those of them without which a list of users is of no use.
    fn vital_keys(&self) -> &'static [&'static str] {
        &[]
    }

    /// A cheaper way than the whole list to the users a filter can fit.
    fn shortcut(&self, _: &UserFilter<GroupIds>, _: &Rules) -> Shortcut {
        Shortcut::None
    }

    /// The listings to read next, before the users, for data that the users' own rows lack. It is asked
    /// round by round with the listings read so far, until it names none.
    fn follow_up(&self, _: Needs, _: &Rules, _: &Related) -> Vec<Listing> {
        Vec::new()
    }

    /// Whether the vendor has such a listing at all. Nothing is asked for one that it has not.
    fn has(&self, _: &Listing) -> bool {
        true
    }

    /// The scope that a credential needs to place calls; `None` where the vendor places none.
    fn call_scope(&self) -> Option<&'static str> {
        None
    }

    /// The request that places a call of a user with this id of the upstream's own; `None` as above.
    fn call_request(&self, _own_id: &str, _: &WantedCall) -> Option<CallRequest> {
        None
    }

    /// What the body of an answer with the status of a success says of a call.
    fn call_answer(&self, _body: &[u8]) -> CallAnswer {
        CallAnswer::Unclear
    }

    /// What the body of a refused call says.
    fn call_refusal(&self, _body: &[u8]) -> CallRefusal {
        CallRefusal::Other
    }

    /// Whether an upstream of this dialect may do without a listing; 404 then says that it does.
    fn may_lack(&self, listing: &Listing) -> bool;

    /// Fields of the vendor or of the legacy record, besides the id itself, that show a user's
    /// legacy number under this policy.
    fn fields_of_number(&self, _: &IdPolicy) -> &'static [&'static str] {
        &[]
    }

    /// Name in configuration, ledger, logs and metrics, such as `voiso-v4`.
    fn name(&self) -> &'static str {
        self.facts().name
    }

    /// Rows one page may have.
    fn page_rows_max(&self) -> u32 {
        self.facts().page_rows_max
    }

    /// How pages of a list are asked for.
    fn paging(&self) -> Paging {
        self.facts().paging
    }

    /// The credential a caller needs here.
    fn credential(&self) -> Credential {
        self.facts().credential
    }
}

/// A way around the whole list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortcut {
    /// None: the whole list is read.
    None,
    /// This listing holds every user who can fit.
    Listing(Listing),
    /// The upstream has nothing that could fit.
    Nobody,
}

/// The rules and joined listings for reading a page.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// How rows are read.
    pub rules: &'a Rules,
    /// The listings that were read beforehand, joined by user.
    pub related: &'a Related,
    /// Whether the page's tail is to tell which documented keys some row has.
    pub tells_keys: bool,
}

/// The dialect that is assumed of a candidate whose configuration is not known.
pub fn dialect_assumed() -> &'static dyn Dialect {
    DIALECTS[0]
}

/// The dialect of a name.
pub fn dialect_named(name: &str) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.name() == name)
}

/// A path where a listing may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Below the base URL, without a query.
    pub path: Cow<'static, str>,
    /// Whether an upstream that has no listing here may read the path's last word as an id, and refuse it as
    /// a bad one.
    pub may_be_id: bool,
}

/// An HTTP GET in all but transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Path and query below the base URL.
    pub target: String,
    /// The `accept` header.
    pub accept: &'static str,
    /// Whether a value that a client filtered by is in it: a refusal may be about that value.
    pub is_filtered: bool,
}

/// How rows are read; settings of an upstream.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// How an id that is no number becomes one.
    pub ids: IdPolicy,
    /// The rule for users without a number under the policy.
    pub unnumbered: Unnumbered,
    /// The source of each legacy field that could come from several.
    pub mapping: Arc<Mapping>,
    /// The meaning of a deletion date.
    pub deleted_at: DeletionDate,
}

/// The meaning of a user's deletion date: the documentation's sample user is `available` and has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
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

/// The data of a page about the whole list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageTail {
    /// Rows of the whole (filtered) list, as the upstream counts them.
    pub total: u64,
    /// The documented keys that some row has, where [`Context::tells_keys`] asks: a bit for each of
    /// [`Dialect::documented_keys`].
    pub keys: u64,
}

/// A page that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The bytes do not follow the dialect.
    #[error("{0}")]
    Schema(SchemaError),
    /// A refusal came with the status of a success.
    #[error("the upstream refused inside a success")]
    Refused(Refusal),
}

/// Where and how a page broke the schema. Holds no text of the page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {path}")]
pub struct SchemaError {
    /// JSON path, such as `users[3].skills[0].value`, or `.` for the page itself.
    pub path: String,
    /// The kind of the fault.
    pub kind: SchemaKind,
}

/// A fault of a page.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum SchemaKind {
    /// Not JSON by RFC 8259, a repeated key, nesting that is too deep, or a lone surrogate.
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
    /// A text that is too long for any field.
    #[error("a field of more than {} bytes", FIELD_BYTES_MAX)]
    TooLarge,
}

/// What the body of an answer with the status of a success says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAnswer {
    /// It was placed; its id, if the upstream gave one.
    Placed(Option<String>),
    /// It was refused, whatever the status says.
    Refused(CallRefusal),
    /// The body is none that the upstream sends, so somebody else may have answered.
    Unclear,
}

/// Why an upstream refused a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallRefusal {
    /// The agent cannot take a call.
    Agent,
    /// The number is none.
    Number,
    /// The words that the upstream has for any request.
    General(Refusal),
    /// Anything else.
    Other,
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
