//! Lets a request in, or tells it at once that there is no room. Must stand above everything that
//! costs memory.

use std::sync::Arc;

use limits::{Admission, Level, Lifecycle, Shed};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::Error;
use crate::observe::metrics::Metrics;

/// See the module.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) admission: Arc<Admission>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) metrics: Metrics,
}

impl Entrance {
    /// A place, at once or after a short wait, or none.
    pub(crate) async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = match self.lifecycle.level() {
            Level::Full => Err(Shed::Memory),
            Level::Calm | Level::Tight => self.admission.enter().await,
        };
        place.map_err(|shed| {
            self.metrics.shed(shed);
            Error::Overloaded
        })
    }
}
