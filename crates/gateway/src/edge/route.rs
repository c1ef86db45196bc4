//! Path to endpoint, or passthrough. Paths match exactly as they stand in the request line: nothing is
//! decoded, normalised or completed. The query is taken apart here once, and the key taken out of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::legacy::endpoint_at;
use domain::params::Params;
use domain::quirks::Quirks;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};
use transport::body::Body;

use crate::call::{Credential, LegacyRequest, Passing, Routed};
use crate::error::Error;
use crate::keys::secret::Secret;
use crate::observe::account::SharedAccount;
use crate::request::conditional::Conditional;
use crate::request::target::Target;
use crate::request::trail::Trail;

/// What routing needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) quirks: Arc<BTreeMap<&'static str, Arc<Quirks>>>,
    pub(crate) deadline: Duration,
    /// Whether what is no legacy endpoint goes through.
    pub(crate) passes: bool,
}

pub(crate) async fn route<S>(
    settings: Settings,
    inner: S,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Routed, Response = Response<Body>, Error = BoxError> + Clone,
{
    let account = request.extensions().get::<SharedAccount>().cloned().unwrap_or_default();
    let Some(endpoint) = endpoint_at(request.uri().path()) else {
        // It would show a request with all its headers.
        if *request.method() == Method::TRACE {
            return Err(Error::nobodys_method().into());
        }
        if !settings.passes {
            return Err(Error::NotFound.into());
        }
        let mut params = Params::parse(request.uri().query().unwrap_or_default());
        let credential = credential(request.headers(), &mut params);
        let passing = Passing { request, credential, account };
        return inner.oneshot(Routed::Passing(passing)).await;
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Error::MethodNotAllowed.into());
    }
    let mut params = Params::parse(request.uri().query().unwrap_or_default());
    let credential = credential(request.headers(), &mut params);
    let quirks = settings.quirks.get(endpoint.name()).cloned().unwrap_or_default();
    let deadline = Instant::now() + settings.deadline;
    account.note(|account| account.endpoint = Some(endpoint.name()));
    let conditional = Conditional::of(request.headers());
    let (target, trail) = (Target::of(request.uri()), Trail::of(request.headers()));
    let body = request.into_body();
    let call = LegacyRequest {
        endpoint,
        quirks,
        credential,
        target,
        params,
        trail,
        conditional,
        deadline,
        account,
        body,
    };
    inner.oneshot(Routed::Legacy(call)).await
}

/// The one key of a request: Bearer or `key=`, never both, never twice, never spelled in another way.
fn credential(headers: &HeaderMap, params: &mut Params) -> Credential {
    let (in_query, odd) = (params.take_key(), params.take_odd_keys());
    if !odd.is_empty() {
        return Credential::Ambiguous;
    }
    let mut in_header = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (in_header.next(), in_header.next());
    match (in_query.as_slice(), first, second) {
        ([], None, _) => Credential::None,
        ([], Some(header), None) => bearer(header),
        ([key], None, _) if !key.is_empty() => Credential::One(Secret::new(key.clone())),
        ([_], None, _) => Credential::None,
        _ => Credential::Ambiguous,
    }
}

/// `Bearer <key>`: the scheme in any case, one or more spaces, no spaces in or after the key.
fn bearer(header: &HeaderValue) -> Credential {
    let Ok(text) = header.to_str() else { return Credential::None };
    let Some((scheme, key)) = text.split_once(' ') else { return Credential::None };
    let key = key.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() || key.contains(' ') {
        return Credential::None;
    }
    Credential::One(Secret::new(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &[&str], query: &str) -> String {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        match credential(&map, &mut Params::parse(query)) {
            Credential::None => "none".to_owned(),
            Credential::Ambiguous => "ambiguous".to_owned(),
            Credential::One(key) => key.expose().to_owned(),
        }
    }

    #[test]
    fn exactly_one_credential_in_one_place() {
        assert_eq!(found(&["Bearer abc"], ""), "abc");
        assert_eq!(found(&["bearer  abc"], "name=x"), "abc");
        assert_eq!(found(&[], "key=a%62c&name=x"), "abc");
        for nothing in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a b"]] {
            assert_eq!(found(nothing, ""), "none", "{nothing:?}");
        }
        assert_eq!(found(&[], "key="), "none");
        for (headers, query) in [
            (&["Bearer a"][..], "key=a"),
            (&["Bearer a"], "key="),
            (&["Bearer a", "Bearer a"], ""),
            (&[], "key=a&key=a"),
            (&[], "KEY=a&key=a"),
            (&["Bearer a"], "key[]=a"),
            (&[], "KEY=a"),
            (&[], "key[]=a"),
        ] {
            assert_eq!(found(headers, query), "ambiguous", "{headers:?} {query}");
        }
    }
}
