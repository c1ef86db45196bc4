//! A caller's share of the requests in flight: one that asks for more is told so, and nobody else
//! waits for it. Whether a key is known is none of its business; that is said below.

use std::sync::Arc;

use http::Response;
use tower::{BoxError, Service, ServiceExt};
use transport::body::Body;

use crate::call::{Credential, LegacyRequest, Passing, Routed};
use crate::caller::Callers;
use crate::error::Error;
use crate::limits::admission::Shed;
use crate::observe::metrics::Metrics;

/// What sharing out needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) callers: Arc<Callers>,
    pub(crate) metrics: Metrics,
}

pub(crate) async fn tenant<S>(
    settings: Settings,
    inner: S,
    routed: Routed,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Routed, Response = Response<Body>, Error = BoxError> + Clone,
{
    let (Routed::Legacy(LegacyRequest { credential, account, .. })
    | Routed::Passing(Passing { credential, account, .. })) = &routed;
    let caller = match credential {
        Credential::One(key) => settings.callers.find(key),
        Credential::None | Credential::Ambiguous => None,
    };
    let Some(caller) = caller else { return inner.oneshot(routed).await };
    let Ok(_place) = caller.share.requests.try_acquire() else {
        account.note(|account| account.caller = Some(caller.name.clone()));
        settings.metrics.shed(Shed::Tenant);
        return Err(Error::TenantLimit.into());
    };
    inner.oneshot(routed).await
}
