//! The access line: what the log says of each request. It goes straight to the log: by way of an event of `tracing`,
//! with two dozen fields, it took more than twice the instructions. Must never hold a key, a URL, a query or a value of
//! a request.

use std::sync::OnceLock;
use std::time::Duration;

/// What a log says of one request. Texts that are not from a closed set were made fit for a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line<'a> {
    /// Also in the answer's `x-request-id`.
    pub request_id: &'a str,
    /// From a closed set.
    pub method: &'static str,
    /// From a closed set; `none` where there is none.
    pub endpoint: &'static str,
    /// A documented path that Tieline does not translate.
    pub legacy_path: Option<&'static str>,
    /// The name in the configuration; `none` for a request without a good key.
    pub caller: &'a str,
    /// Written as 32 hex digits.
    pub trace_id: u128,
    /// Of the answer; 499 where the client left.
    pub status: u16,
    /// The slug of the error, empty without one.
    pub err: &'static str,
    /// `candidate` or `control` where either may answer, else empty.
    pub answered_by: &'static str,
    /// Of the list.
    pub rows: u64,
    /// Pages that were read for it.
    pub pages: u64,
    /// Rows that moved between pages and were found again.
    pub seams_repaired: u64,
    /// How often the list was read from its beginning again.
    pub read_again: u64,
    /// Where the page begins that could not be read.
    pub failed_offset: Option<u64>,
    /// And how many rows it should have.
    pub failed_rows: Option<u64>,
    /// Names of parameters that were ignored.
    pub ignored: &'a [String],
    /// Of the body.
    pub bytes_out: u64,
    /// Until the end of a streamed answer, until the head of any other, or until the client left. The JSON line says
    /// it to a tenth of a millisecond: nobody reads more, and a line is shorter.
    pub took: Duration,
    /// Which configuration answered.
    pub epoch: u64,
    /// Where a request without a good key came from.
    pub client: Option<&'a str>,
    /// Lines about this client that were left out before this one.
    pub left_out: u64,
}

/// Takes lines.
pub trait AccessLog: std::fmt::Debug + Send + Sync {
    /// A request was answered. Called on the request's own way: it must return at once.
    fn answered(&self, line: &Line<'_>);
}

static LOG: OnceLock<Box<dyn AccessLog>> = OnceLock::new();

/// From here on this log takes the lines of the whole process. The first one stays.
pub fn log_to(log: Box<dyn AccessLog>) {
    let _ = LOG.set(log);
}

/// Where the lines go; `None` where nobody set up a log.
pub(crate) fn log() -> Option<&'static dyn AccessLog> {
    LOG.get().map(Box::as_ref)
}
