//! A whole answer, as it is sent, kept and shared.

use bytes::Bytes;
use domain::sweep::Story;
use http::HeaderValue;

use crate::request::coding::Coded;

/// What `assemble` gives back: a whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    /// Names just these bytes.
    pub(crate) etag: HeaderValue,
    /// The same bytes in other codings.
    pub(crate) coded: Coded,
    pub(crate) story: Story,
    pub(crate) joined_pages: u64,
}
