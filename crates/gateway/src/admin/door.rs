//! What the server asks and tells at its door: whose connections are not counted, and what became of
//! those it rejected. Must never wait, and must never tell who or what it was about.

use std::net::IpAddr;

use settings::Network;
use transport::server::{Rejection, Watcher};

use crate::admin::reload::InForce;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct Door {
    pub(crate) in_force: InForce,
    pub(crate) metrics: Metrics,
}

impl Watcher for Door {
    /// A trusted proxy stands for many clients.
    fn is_exempt(&self, address: IpAddr) -> bool {
        let state = self.in_force.state();
        Network::is_among(address, &state.config.server.trusted_proxies)
    }

    fn rejected(&self, rejection: Rejection) {
        let why = rejection.as_str();
        self.metrics.connection_rejected(why);
        match rejection {
            // It is answered, and has an access line.
            Rejection::Refused(_) => {}
            Rejection::NoPlace => {
                tracing::warn!(why, "every place is taken, connections wait");
            }
            _ => tracing::info!(why, "connection rejected"),
        }
    }

    fn accept_failed(&self, errno: &'static str) {
        self.metrics.accept_failed(errno);
        tracing::warn!(errno, "no connection can be accepted");
    }

    fn connection(&self, has_begun: bool) {
        self.metrics.connection(has_begun);
    }
}
