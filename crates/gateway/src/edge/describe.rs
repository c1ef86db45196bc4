//! `/openapi.json`: the description of the legacy API as this gateway answers it. It tells nothing that
//! is not in the documentation, so it needs no key.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use tower::{BoxError, Service, ServiceExt};
use transport::body::{self, Body};

use crate::edge::openapi;
use crate::error::Error;
use crate::observe::account::SharedAccount;

pub(crate) async fn describe<S>(
    document: Bytes,
    inner: S,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    if request.uri().path() != openapi::PATH {
        return inner.oneshot(request).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Error::MethodNotAllowed.into());
    }
    if let Some(account) = request.extensions().get::<SharedAccount>() {
        account.note(|account| account.endpoint = Some(openapi::NAME));
    }
    let mut answer = Response::new(body::full(document));
    let headers = answer.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(answer)
}
