//! A legacy key becomes a caller. The key stops here: nothing below ever holds it.

use std::sync::Arc;

use http::Response;
use tower::{BoxError, Service, ServiceExt};
use transport::body::Body;

use crate::call::{Credential, LegacyCall, LegacyRequest, WithBody};
use crate::caller::Callers;
use crate::error::Error;

pub(crate) async fn authenticate<S>(
    callers: Arc<Callers>,
    inner: S,
    request: LegacyRequest,
) -> Result<Response<Body>, BoxError>
where
    S: Service<WithBody, Response = Response<Body>, Error = BoxError> + Clone,
{
    let caller = match &request.credential {
        Credential::None => return Err(Error::NoCredential.into()),
        Credential::Ambiguous => return Err(Error::AmbiguousCredential.into()),
        Credential::One(key) => callers.find(key).ok_or(Error::UnknownCredential)?,
    };
    let LegacyRequest { endpoint, quirks, params, conditional, deadline, account, body, .. } =
        request;
    account.note(|account| {
        account.caller = Some(caller.name.clone());
        account.dialect = Some(caller.upstream.dialect.name());
        account.may_explain = caller.may_explain;
    });
    let call = LegacyCall { endpoint, quirks, caller, params, conditional, deadline, account };
    inner.oneshot(WithBody { call, body }).await
}
