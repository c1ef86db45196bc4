//! A whole answer, as it is sent, kept and shared: a list with what stands around its records, and a tag
//! that names just these bytes.

use bytes::Bytes;
use domain::hex;
use domain::legacy::Endpoint;
use domain::quirks::Quirks;
use domain::sweep::{List, Story};
use http::HeaderValue;
use xxhash_rust::xxh3::xxh3_128;

use crate::call::Listed;
use crate::error::Error;
use crate::request::coding::Coded;

/// See the module.
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

impl Whole {
    /// The answer that a list makes.
    pub(crate) fn of(endpoint: &Endpoint, quirks: &Quirks, listed: Listed) -> Result<Self, Error> {
        let Listed { list, joined_pages, .. } = listed;
        let (rows, story) = (list.rows, list.story);
        let (open, close) = endpoint.envelope(quirks, rows);
        let bytes = joined(&open, list, &close);
        // Strong: other bytes have another tag. Nobody gains anything from making two that collide.
        let mut etag = String::with_capacity(34);
        etag.push('"');
        hex::push(&mut etag, &xxh3_128(&bytes).to_be_bytes());
        etag.push('"');
        let etag = HeaderValue::from_maybe_shared(Bytes::from(etag));
        let etag = etag.map_err(|_| Error::Internal)?;
        Ok(Whole { bytes, rows, etag, coded: Coded::default(), story, joined_pages })
    }
}

/// The answer in one buffer of its own size. Copying costs next to nothing, and frees the pages'
/// buffers here and now: an answer that a slow reader keeps for long is then one large block, which
/// goes back to the system as a whole, instead of many that hold the allocator's pages.
fn joined(open: &str, list: List, close: &str) -> Bytes {
    let rows: usize = list.parts.iter().map(|(_, range)| range.len()).sum();
    let mut whole = Vec::with_capacity(open.len() + rows + close.len());
    whole.extend_from_slice(open.as_bytes());
    let mut is_first = true;
    for (bytes, range) in list.parts {
        // Each shown row begins with a comma; the first one of all needs none.
        let row = bytes.get(range).unwrap_or_default();
        whole.extend_from_slice(row.get(usize::from(is_first)..).unwrap_or_default());
        is_first &= row.is_empty();
    }
    whole.extend_from_slice(close.as_bytes());
    Bytes::from(whole)
}
