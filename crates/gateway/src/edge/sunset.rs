//! What the configuration says about the end of an endpoint, on every answer of it, errors included:
//! `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and a `Link` to a page about either.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use domain::legacy::endpoint_at;
use domain::quirks::Quirks;
use http::header::LINK;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower::{BoxError, Service, ServiceExt};
use transport::body::Body;

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// The headers of each endpoint that has an end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends(Arc<BTreeMap<&'static str, HeaderMap>>);

impl Ends {
    /// From the quirks by endpoint name.
    pub(crate) fn of(quirks: &BTreeMap<&'static str, Arc<Quirks>>) -> Self {
        let ends = quirks.iter().map(|(name, quirks)| (*name, headers(quirks)));
        Ends(Arc::new(ends.filter(|(_, headers)| !headers.is_empty()).collect()))
    }
}

pub(crate) async fn sunset<S>(
    ends: Ends,
    inner: S,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    let endpoint = endpoint_at(request.uri().path());
    let mut answer = inner.oneshot(request).await?;
    if let Some(headers) = endpoint.and_then(|endpoint| ends.0.get(endpoint.name())) {
        answer.headers_mut().extend(headers.clone());
    }
    Ok(answer)
}

fn headers(quirks: &Quirks) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: String| {
        headers.extend(HeaderValue::from_str(&value).ok().map(|value| (name, value)));
    };
    let mut relations = Vec::new();
    if let Some(deprecation) = quirks.deprecation {
        add(DEPRECATION, format!("@{}", deprecation.seconds()));
        relations.push("deprecation");
    }
    if let Some(sunset) = quirks.sunset {
        let at = UNIX_EPOCH + Duration::from_secs(sunset.seconds());
        add(SUNSET, httpdate::fmt_http_date(at));
        relations.push("sunset");
    }
    if let Some(link) = &quirks.link {
        let links: Vec<String> =
            relations.iter().map(|relation| format!("<{link}>; rel=\"{relation}\"")).collect();
        add(LINK, links.join(", "));
    }
    headers
}
