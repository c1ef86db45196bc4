//! Ends connections with the answer they carry while the process is about to stop or short of memory:
//! the client then comes back over a new one, perhaps to another process.

use http::header::{CONNECTION, HeaderValue};
use http::{Response, StatusCode, Version};
use limits::Lifecycle;
use transport::body::Body;

/// Says so in an answer to a request of that version. Asked when the answer is there: most of those that
/// a drain finds began before it.
pub(crate) fn part(lifecycle: &Lifecycle, version: Version, answer: &mut Response<Body>) {
    // Over HTTP/2 the drain itself tells the client to go away.
    let is_first = version <= Version::HTTP_11;
    if is_first && lifecycle.wants_to_part() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
