//! Requests without a good key: the log names their client as the configuration says, and wrong keys of one address
//! are answered later and later. Must never refuse a request, delay one with a good key, or take a place of one.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use domain::hex;
use http::Request;
use limits::Delays;
use settings::{Config, Network, RefusedAddress};
use transport::server::{Peer, owner};

use crate::error::Error;
use crate::observe::account::SharedAccount;
use crate::observe::metrics::Metrics;
use crate::request::client::Client;

/// See the module.
#[derive(Debug)]
pub(crate) struct WrongKeys {
    named: RefusedAddress,
    trusted: Vec<Network>,
    delays: Arc<Delays>,
    wait_max: Duration,
    metrics: Metrics,
}

impl WrongKeys {
    /// As a configuration says; the delays go on from one configuration to the next.
    pub(crate) fn new(config: &Config, delays: &Arc<Delays>, metrics: &Metrics) -> Self {
        WrongKeys {
            named: config.log.refused_address,
            trusted: config.server.trusted_proxies.clone(),
            delays: Arc::clone(delays),
            wait_max: config.limits.wrong_key_delay_max,
            metrics: metrics.clone(),
        }
    }

    /// Whose request it is.
    pub(crate) fn client<B>(&self, peer: Option<Peer>, request: &Request<B>) -> Client {
        Client::of(peer, request.headers(), &self.trusted)
    }

    /// Notes the client of a request without a good key, and holds the answer to a wrong one back.
    pub(crate) async fn met(&self, error: &Error, client: &Client, account: &SharedAccount) {
        // A path that leads nowhere is answered with 404 whatever its key is.
        let is_wrong = matches!(
            error,
            Error::UnknownCredential | Error::UnknownKeyInPath | Error::NotFoundWithKey
        );
        if !is_wrong && !matches!(error, Error::NoCredential | Error::AmbiguousCredential) {
            return;
        }
        let Some(address) = client.address() else { return };
        let name = name(self.named, address);
        account.note(|account| {
            // Before the wait: a client that leaves during it has its line limited by this error, too.
            account.error = Some(error.slug());
            account.client = name;
        });
        if is_wrong {
            let turn = self.delays.begin(owner(address), self.wait_max);
            // Counted before the wait: a client that leaves has tried a key all the same.
            self.metrics.wrong_key(turn.delay());
            turn.wait().await;
        }
    }
}

/// An address in the log. Without the process's key a hash could be turned back by trying all addresses.
fn name(named: RefusedAddress, address: IpAddr) -> Option<Box<str>> {
    static KEY: LazyLock<u128> = LazyLock::new(rand::random);
    match named {
        RefusedAddress::Off => None,
        RefusedAddress::Full => Some(address.to_string().into()),
        RefusedAddress::Hash => {
            let keyed = settings::digest(&format!("{:032x} {}", *KEY, owner(address)));
            let mut name = String::new();
            // Enough to tell clients of one process apart.
            hex::push(&mut name, &keyed[..8]);
            Some(name.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_client_and_says_nothing_of_its_address() {
        let of = |text: &str| name(RefusedAddress::Hash, text.parse().unwrap()).unwrap();
        let one = of("192.0.2.1");
        assert_eq!((one.len(), &one), (16, &of("192.0.2.1")));
        assert_ne!(one, of("192.0.2.2"));
        // One client of IPv6 has a whole /64.
        assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        // Without the key it cannot be found by trying.
        let tried = settings::digest("192.0.2.1");
        assert!(!hex::of(&tried).contains(&*one));
        let full = name(RefusedAddress::Full, "192.0.2.1".parse().unwrap());
        assert_eq!(full.as_deref(), Some("192.0.2.1"));
        assert_eq!(name(RefusedAddress::Off, "192.0.2.1".parse().unwrap()), None);
    }
}
