//! `/openapi.json`: the description of the legacy API as this gateway answers it. It tells nothing that
//! is not in the documentation, so it needs no key.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use transport::body::{self, Body};

use super::openapi;
use crate::error::Error;
use crate::observe::account::SharedAccount;

/// The document, where a request asks for it.
pub(crate) fn described(
    document: &Bytes,
    request: &Request<Body>,
    account: &SharedAccount,
) -> Result<Option<Response<Body>>, Error> {
    if request.uri().path() != openapi::PATH {
        return Ok(None);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Error::MethodNotAllowed);
    }
    account.note(|account| account.endpoint = Some(openapi::NAME));
    let mut answer = Response::new(body::full(document.clone()));
    let headers = answer.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(Some(answer))
}
