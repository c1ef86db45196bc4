//! A whole answer, as it is sent, kept and shared: a list with what stands around its records, and a tag
//! that names just these bytes.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use domain::hex;
use domain::legacy::Endpoint;
use domain::quirks::Quirks;
use domain::sweep::Story;
use http::HeaderValue;
use limits::{Lent, Share};
use settings::Coding;
use tokio::time::Instant;

use crate::error::Error;
use crate::layer::call::Listed;
use crate::layer::rope::Rope;
use crate::request::coding::Coded;

/// See the module.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Rope,
    pub(crate) rows: u64,
    /// Names just these bytes.
    pub(crate) etag: HeaderValue,
    /// The same bytes in other codings.
    pub(crate) coded: Coded,
    /// What clients that are taking it hold: the plain bytes, and those in each coding.
    pub(crate) lending: [Lending; 4],
    pub(crate) story: Story,
    pub(crate) joined_pages: u64,
    /// When it was begun to be read.
    pub(crate) since: Instant,
    /// Whether another replica read it.
    pub(crate) is_from_elsewhere: bool,
}

/// What clients that are taking an answer hold of the bytes that lists may hold: once, however many they are.
#[derive(Debug, Default)]
pub(crate) struct Lending(Mutex<Weak<Lent>>);

/// Fewer bytes fit into a connection's buffers, and are not counted.
const LENT_BYTES_MIN: usize = 16 << 10;

/// Bytes that are counted until they are dropped.
struct Counted {
    bytes: Bytes,
    _lent: Arc<Lent>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Lending {
    /// The same bytes, counted for as long as somebody holds them.
    fn lend(&self, bytes: Rope, share: &Share) -> Rope {
        if bytes.len() < LENT_BYTES_MIN {
            return bytes;
        }
        let lent = {
            // Plain data, valid after any panic.
            let mut lending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lending.upgrade().unwrap_or_else(|| {
                let lent = Arc::new(share.lend(bytes.len()));
                *lending = Arc::downgrade(&lent);
                lent
            })
        };
        bytes.map(|bytes| Bytes::from_owner(Counted { bytes, _lent: Arc::clone(&lent) }))
    }
}

impl Whole {
    /// Bytes of this answer, plain or in a coding, for a client that may take them slowly.
    pub(crate) fn lend(&self, coding: Option<Coding>, bytes: Rope, share: &Share) -> Rope {
        let [plain, gzip, br, zstd] = &self.lending;
        let lending = match coding {
            None => plain,
            Some(Coding::Gzip) => gzip,
            Some(Coding::Br) => br,
            Some(Coding::Zstd) => zstd,
        };
        lending.lend(bytes, share)
    }

    /// The answer that a list makes.
    pub(crate) fn of(
        endpoint: &Endpoint,
        quirks: &Quirks,
        listed: Listed,
        asked: Instant,
    ) -> Result<Self, Error> {
        // What the list held is given back when its keys are. The rows count again when they are sent.
        let Listed { list, joined_pages, counts, holding: _holding, since, .. } = listed;
        let (rows, story) = (list.rows, list.story);
        let (open, close) = endpoint.envelope(quirks, counts.unwrap_or(rows.into()));
        let bytes = Rope::of_list(&open, list.parts, &close);
        Whole::with(bytes, rows, story, joined_pages, since.unwrap_or(asked))
    }

    /// The answer that another replica read, from then on.
    pub(crate) fn from_elsewhere(
        bytes: Bytes,
        rows: u64,
        story: Story,
        joined_pages: u64,
        since: Instant,
    ) -> Result<Self, Error> {
        let whole = Whole::with(bytes.into(), rows, story, joined_pages, since)?;
        Ok(Whole { is_from_elsewhere: true, ..whole })
    }

    fn with(
        bytes: Rope,
        rows: u64,
        story: Story,
        joined_pages: u64,
        since: Instant,
    ) -> Result<Self, Error> {
        // Strong: other bytes have another tag. Nobody gains anything from making two that collide.
        let mut etag = String::with_capacity(34);
        etag.push('"');
        hex::push(&mut etag, &bytes.digest().to_be_bytes());
        etag.push('"');
        let etag = HeaderValue::from_maybe_shared(Bytes::from(etag));
        let etag = etag.map_err(|_| Error::Internal)?;
        let (coded, lending) = Default::default();
        let is_from_elsewhere = false;
        Ok(Whole {
            bytes,
            rows,
            etag,
            coded,
            lending,
            story,
            joined_pages,
            since,
            is_from_elsewhere,
        })
    }
}
