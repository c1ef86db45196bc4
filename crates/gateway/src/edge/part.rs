//! Ends connections with the answer they carry while the process is about to stop or short of memory:
//! the client then comes back over a new one, perhaps to another process.

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use tower::{BoxError, Service, ServiceExt};
use transport::body::Body;

use crate::limits::lifecycle::Lifecycle;

pub(crate) async fn part<S>(
    lifecycle: Lifecycle,
    inner: S,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    // Over HTTP/2 the drain itself tells the client to go away.
    let is_first = request.version() <= Version::HTTP_11;
    let mut answer = inner.oneshot(request).await?;
    // Asked when the answer is there: most of those that a drain finds began before it.
    if is_first && lifecycle.wants_to_part() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}
