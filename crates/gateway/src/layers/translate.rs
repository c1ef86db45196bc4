//! A legacy call becomes a plan in hub words, and the answer's bytes an answer. Every parameter
//! is used or reported as ignored; nothing is sent upstream for a plan no row can fit.

use std::sync::Arc;

use bytes::Bytes;
use domain::legacy::Planned;
use domain::plan::GroupName;
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use tower::{BoxError, Service, ServiceExt};
use transport::body::{self, Body};

use crate::answers::{Given, Source};
use crate::call::{Call, LegacyCall, Plain, Whole};
use crate::caller::Callers;
use crate::coding::{Coding, Codings};
use crate::metrics::Metrics;
use crate::wishes::Wishes;

/// What translating needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    pub(crate) callers: Arc<Callers>,
    pub(crate) codings: Codings,
}

pub(crate) async fn translate<S>(
    settings: Settings,
    inner: S,
    call: LegacyCall,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Call<GroupName>, Response = Given, Error = BoxError> + Clone,
{
    let LegacyCall { endpoint, quirks, caller, params, wishes, deadline, account } = call;
    let (dialect, caller_name) = (caller.upstream.dialect, caller.name.clone());
    let note_ignored = |names: &[String]| {
        let names = names.iter().map(|name| fit_for_log(name, &settings.callers)).collect();
        account.note(|account| account.ignored = names);
    };
    let filters = endpoint.filters().filter(|name| params.has_filter(name));
    let filters = filters.collect();
    account.note(|account| account.filters = filters);
    let plan = match endpoint.plan(params, &quirks) {
        Planned::Nobody { ignored } => {
            note_ignored(&ignored);
            let (open, close) = endpoint.envelope(&quirks, 0);
            let bytes = Bytes::from(format!("{open}{close}"));
            let mut answer = json(bytes.clone());
            answer.extensions_mut().insert(Plain(bytes));
            return Ok(answer);
        }
        Planned::Ask(plan) => *plan,
    };
    note_ignored(&plan.ignored);
    let is_anew = wishes.is_anew;
    let call = Call { endpoint, quirks, caller, plan, is_anew, deadline, account: account.clone() };
    let given = inner.oneshot(call).await?;
    if given.whole.rows > 0 {
        settings.metrics.answered(endpoint, dialect, &caller_name);
    }
    account.note(|account| account.rows = given.whole.rows);
    Ok(answer(&settings.codings, &given, &wishes).await)
}

/// The answer to a client that may have the very same one already, in the coding that it likes best.
async fn answer(codings: &Codings, given: &Given, wishes: &Wishes) -> Response<Body> {
    let whole = &given.whole;
    let (mut answer, tag) = match wishes.known(&whole.etag) {
        Some(tag) => {
            let mut answer = json(Bytes::new());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer.headers_mut().remove(CONTENT_TYPE);
            (answer, tag)
        }
        None => match coded(codings, whole, wishes).await {
            Some((coding, tag, bytes)) => {
                let mut answer = json(bytes);
                let name = HeaderValue::from_static(coding.as_str());
                answer.headers_mut().insert(CONTENT_ENCODING, name);
                (answer, tag)
            }
            None => (json(whole.bytes.clone()), whole.etag.clone()),
        },
    };
    answer.extensions_mut().insert(Plain(whole.bytes.clone()));
    let headers = answer.headers_mut();
    headers.insert(ETAG, tag);
    // Made from somebody's key: only that client may keep it, and it has to ask again.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if !codings.used.is_empty() {
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if given.source == Source::Read {
        return answer;
    }
    headers.insert(CACHE, HeaderValue::from_static(given.source.as_str()));
    if given.source != Source::Shared {
        headers.insert(AGE, HeaderValue::from(given.age.as_secs()));
    }
    answer
}

/// The bytes in the client's coding, with a tag of their own.
async fn coded(
    codings: &Codings,
    whole: &Whole,
    wishes: &Wishes,
) -> Option<(Coding, HeaderValue, Bytes)> {
    let coding = wishes.coding(&codings.used)?;
    let tag = coding.tag(&whole.etag)?;
    let bytes = whole.coded.get(coding, &whole.bytes, codings).await?;
    Some((coding, tag, bytes))
}

fn json(bytes: Bytes) -> Response<Body> {
    let mut answer = Response::new(body::full(bytes));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

const CACHE: HeaderName = HeaderName::from_static("x-tieline-cache");

/// From this length on a text of digits and capitals may be a key.
const KEY_CHARS_MIN: usize = 12;

/// The name of an ignored parameter as a log may show it. Clients put keys in odd places, known keys,
/// mistyped ones and those of the upstream: a name that is long, odd, somebody's key or as mixed as
/// one is not repeated.
fn fit_for_log(name: &str, callers: &Callers) -> String {
    let is_mark = |c: char| "_-.[]".contains(c);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || is_mark(c);
    let is_word = |c: char| c.is_ascii_lowercase() || is_mark(c);
    let is_fit = match name.len() {
        0..KEY_CHARS_MIN => name.chars().all(is_plain),
        KEY_CHARS_MIN..=24 => name.chars().all(is_word),
        _ => false,
    };
    if is_fit && !callers.knows(name) { name.to_owned() } else { "(unprintable)".to_owned() }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
