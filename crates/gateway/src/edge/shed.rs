//! Lets a request in, or tells it at once that there is no room. Must stand above everything that
//! costs memory.

use std::sync::Arc;

use http::{Request, Response};
use tower::{BoxError, Service, ServiceExt};
use transport::body::Body;

use crate::error::Error;
use crate::limits::admission::{Admission, Shed};
use crate::limits::lifecycle::{Level, Lifecycle};
use crate::observe::metrics::Metrics;

/// What letting in needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) admission: Arc<Admission>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) metrics: Metrics,
}

pub(crate) async fn shed<S>(
    settings: Settings,
    inner: S,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone,
{
    let Settings { admission, lifecycle, metrics } = settings;
    let place = match lifecycle.level() {
        Level::Full => Err(Shed::Memory),
        Level::Calm | Level::Tight => admission.enter().await,
    };
    match place {
        Ok(_place) => inner.oneshot(request).await,
        Err(shed) => {
            metrics.shed(shed);
            Err(Error::Overloaded.into())
        }
    }
}
