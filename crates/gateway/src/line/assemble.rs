//! A list becomes the answer's bytes, with what stands around the records and a tag that names just
//! these bytes.

use bytes::Bytes;
use domain::plan::GroupName;
use domain::sweep::List;
use http::HeaderValue;
use tower::{BoxError, Service, ServiceExt};
use xxhash_rust::xxh3::xxh3_128;

use crate::cache::whole::Whole;
use crate::call::Call;
use crate::error::Error;
use crate::request::coding::Coded;

pub(crate) async fn assemble<S>(_: (), inner: S, call: Call<GroupName>) -> Result<Whole, BoxError>
where
    S: Service<Call<GroupName>, Response = List, Error = BoxError> + Clone,
{
    let (endpoint, quirks, account) = (call.endpoint, call.quirks.clone(), call.account.clone());
    let list = inner.oneshot(call).await?;
    let rows = list.rows;
    let (open, close) = endpoint.envelope(&quirks, rows);
    let bytes = whole(&open, list, &close);
    // Strong: other bytes have another tag. Nobody gains anything from making two that collide.
    let etag = format!("\"{:032x}\"", xxh3_128(&bytes));
    let etag = HeaderValue::from_str(&etag).map_err(|_| Error::Internal)?;
    let account = account.read();
    let (story, joined_pages) = (account.story, account.joined_pages);
    Ok(Whole { bytes, rows, etag, coded: Coded::default(), story, joined_pages })
}

/// The answer in one buffer of its own size. Copying costs next to nothing, and frees the pages'
/// buffers here and now: an answer that a slow reader keeps for long is then one large block, which
/// goes back to the system as a whole, instead of many that hold the allocator's pages.
fn whole(open: &str, list: List, close: &str) -> Bytes {
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
