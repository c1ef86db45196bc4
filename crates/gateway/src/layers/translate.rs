//! A legacy call becomes a plan in hub words, and a list becomes the legacy answer. Every parameter
//! is used or reported as ignored; nothing is sent upstream for a plan no row can fit.

use std::sync::Arc;

use bytes::Bytes;
use domain::legacy::Planned;
use domain::plan::GroupName;
use domain::sweep::List;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use tower::{BoxError, Service, ServiceExt};
use transport::body::{self, Body};

use crate::call::{Call, LegacyCall};
use crate::caller::Callers;
use crate::metrics::Metrics;

/// What translating needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    pub(crate) callers: Arc<Callers>,
}

pub(crate) async fn translate<S>(
    settings: Settings,
    inner: S,
    call: LegacyCall,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Call<GroupName>, Response = List, Error = BoxError> + Clone,
{
    let LegacyCall { endpoint, quirks, caller, params, deadline, account } = call;
    let dialect = caller.upstream.dialect.name();
    let note_ignored = |names: &[String]| {
        let names = names.iter().map(|name| fit_for_log(name, &settings.callers)).collect();
        account.note(|account| account.ignored = names);
    };
    let list = match endpoint.plan(params, &quirks) {
        Planned::Nobody { ignored } => {
            note_ignored(&ignored);
            List::default()
        }
        Planned::Ask(plan) => {
            note_ignored(&plan.ignored);
            let call = Call {
                endpoint,
                quirks: quirks.clone(),
                caller,
                plan: *plan,
                deadline,
                account: account.clone(),
            };
            inner.oneshot(call).await?
        }
    };
    if list.rows > 0 {
        settings.metrics.answered(endpoint, dialect);
    }
    account.note(|account| account.rows = list.rows);
    let (open, close) = endpoint.envelope(&quirks, list.rows);
    let mut answer = Response::new(body::full(whole(&open, list, &close)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    // As every answer made from somebody's key: nobody in between may keep it.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

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
