//! An answer's bytes become an answer: in the client's coding, or none where the client has it already.

use bytes::Bytes;
use domain::legacy::Endpoint;
use domain::quirks::Quirks;
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use limits::Share;
use settings::Coding;
use transport::body::Body;

use crate::cache::answers::Given;
use crate::cache::whole::Whole;
use crate::layer::rope::Rope;
use crate::observe::account::Source;
use crate::request::coding::{self, Codings};
use crate::request::conditional::Conditional;

/// An answer, and its bytes in no coding, also where the client has them already; `None` where they are sent
/// while they are read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    pub(crate) plain: Option<Rope>,
}

/// The answer to a client that may have the very same one already, in the coding that it likes best.
pub(crate) async fn answer(
    codings: &Codings,
    given: &Given,
    conditional: &Conditional,
    share: &Share,
) -> Answer {
    let whole = &given.whole;
    let (mut answer, tag) = match conditional.known(&whole.etag) {
        Some(tag) => {
            let mut answer = json(Bytes::new().into());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer.headers_mut().remove(CONTENT_TYPE);
            (answer, tag)
        }
        None => match coded(codings, whole, conditional).await {
            Some((coding, tag, bytes)) => {
                let mut answer = json(whole.lend(Some(coding), bytes.into(), share));
                let name = HeaderValue::from_static(coding.as_str());
                answer.headers_mut().insert(CONTENT_ENCODING, name);
                (answer, tag)
            }
            None => (json(whole.lend(None, whole.bytes.clone(), share)), whole.etag.clone()),
        },
    };
    let headers = answer.headers_mut();
    headers.insert(ETAG, tag);
    // The answer depends on the client's key: only that client may cache it, and must revalidate it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if !codings.used.is_empty() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if given.source != Source::Read {
        headers.insert(CACHE, HeaderValue::from_static(given.source.as_str()));
    }
    if whole.is_from_elsewhere || matches!(given.source, Source::Kept | Source::Stale) {
        headers.insert(AGE, HeaderValue::from(given.age.as_secs()));
    }
    Answer { response: answer, plain: Some(whole.bytes.clone()) }
}

/// The answer to a request that no row can fit: nothing is asked for it.
pub(crate) fn of_nobody(endpoint: &Endpoint, quirks: &Quirks) -> Answer {
    let (open, close) = endpoint.envelope(quirks, 0);
    let plain = Rope::from(Bytes::from(format!("{open}{close}")));
    Answer { response: json(plain.clone()), plain: Some(plain) }
}

/// The bytes in the client's coding, with a tag of their own.
async fn coded(
    codings: &Codings,
    whole: &Whole,
    conditional: &Conditional,
) -> Option<(Coding, HeaderValue, Bytes)> {
    let coding = conditional.coding(&codings.used)?;
    let tag = coding::tag(coding, &whole.etag)?;
    let bytes = whole.coded.get(coding, &whole.bytes, codings).await?;
    Some((coding, tag, bytes))
}

fn json(bytes: Rope) -> Response<Body> {
    let mut answer = Response::new(bytes.into_body());
    let headers = answer.headers_mut();
    *headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// Room for the headers of an answer.
const HEADERS: usize = 12;

const CACHE: HeaderName = HeaderName::from_static("x-tieline-cache");

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
