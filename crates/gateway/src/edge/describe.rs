//! `/openapi.json`: the description of the legacy API as this gateway answers it. It tells nothing that
//! is not in the documentation, so it needs no key. Must never be made or compressed for each request: anybody may ask.

use std::sync::OnceLock;

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Request, Response};
use transport::body::{self, Body};

use super::openapi;
use super::rescue::QuirksByEndpoint;
use crate::error::Error;
use crate::layer::rope::Rope;
use crate::observe::account::SharedAccount;
use crate::request::coding::{Coded, Codings};
use crate::request::conditional::Conditional;

/// The document under some quirks, and what it is in each coding. Both are made when somebody first asks: the tree that
/// the document is written from takes 2 MB, which a gateway that nobody asks does not need.
#[derive(Debug)]
pub(crate) struct Document {
    quirks: QuirksByEndpoint,
    plain: OnceLock<Rope>,
    coded: Coded,
}

impl Document {
    pub(crate) fn new(quirks: QuirksByEndpoint) -> Self {
        Document { quirks, plain: OnceLock::new(), coded: Coded::default() }
    }

    fn plain(&self) -> &Rope {
        self.plain.get_or_init(|| openapi::document(&self.quirks).into())
    }
}

/// The answer to a request for the document.
pub(crate) async fn described(
    document: &Document,
    codings: &Codings,
    request: Request<Body>,
    account: &SharedAccount,
) -> Result<Response<Body>, Error> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Error::MethodNotAllowed);
    }
    account.note(|account| account.endpoint = Some(openapi::NAME));
    let coding = Conditional::of(request.headers()).coding(&codings.used);
    let coded = match coding {
        None => None,
        Some(coding) => {
            document.coded.get(coding, document.plain(), codings).await.zip(coding.into())
        }
    };
    let body = match &coded {
        Some((bytes, _)) => body::full(bytes.clone()),
        None => document.plain().clone().into_body(),
    };
    let mut answer = Response::new(body);
    let headers = answer.headers_mut();
    if let Some((_, coding)) = coded {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
    }
    if !codings.used.is_empty() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;

    use http::header::ACCEPT_ENCODING;
    use http_body::Body as _;
    use settings::Coding;

    use super::*;

    #[tokio::test]
    async fn d23_the_description_is_compressed_once_for_all_who_ask() {
        let document = Document::new(QuirksByEndpoint::default());
        let codings = Codings::new(&Coding::ALL);
        let mut pointers = Vec::new();
        for accepts in ["gzip", "gzip", "identity", "identity"] {
            let request = Request::builder().header(ACCEPT_ENCODING, accepts);
            let request = request.body(body::empty()).unwrap();
            let account = SharedAccount::default();
            let answer = described(&document, &codings, request, &account).await.unwrap();
            let coding = answer.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
            assert_eq!(coding == Some(b"gzip"), accepts == "gzip");
            assert_eq!(answer.headers()[VARY], "accept-encoding");
            let mut body = answer.into_body();
            let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
            let bytes = frame.into_data().unwrap();
            assert_eq!(bytes.len() * 3 < document.plain().len(), accepts == "gzip");
            pointers.push(bytes.as_ptr());
        }
        assert!(pointers[0] == pointers[1] && pointers[2] == pointers[3]);
    }
}
