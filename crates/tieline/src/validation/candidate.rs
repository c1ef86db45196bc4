//! The candidate: the configured gateway in this process, with a relay between it and the new API, or
//! a gateway that runs elsewhere.

use std::fmt::Write;

use gateway::config::{self, Config};
use parity::ask::Reply;
use parity::relay::{Behind, Relay, RelaySettings, Upstream};
use parity::run;
use parity::source::{Answering, Live, Manners};
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::client::{Client, ClientSettings};

use crate::failure::Failure;

/// A gateway in this process.
pub(crate) struct InProcess {
    /// Asks it.
    pub(crate) source: Live,
    /// Between it and the new API.
    pub(crate) relay: Relay,
    _running: gateway::Running,
    _stop: DropGuard,
}

impl InProcess {
    /// Starts the gateway of a configuration for one caller, under a key that is made up for it.
    /// `behind` answers in the place of the upstream, where it is given.
    pub(crate) async fn start(
        config: &Config,
        caller: &str,
        settings: RelaySettings,
        behind: Option<Behind>,
    ) -> Result<InProcess, Failure> {
        let key = made_up_key();
        let unknown = || Failure::new(format_args!("the configuration has no caller \"{caller}\""));
        let mut config = config.clone().in_process(caller, &key).ok_or_else(unknown)?;
        let name = config.callers.first().map(|caller| caller.upstream.clone());
        let name = name.unwrap_or_default();
        let upstream = config.upstreams.get(&name).ok_or_else(unknown)?;
        let stop = CancellationToken::new();
        let behind = behind.unwrap_or_else(|| live(upstream));
        let relay = Relay::start(behind, settings, &stop).await.map_err(no_port)?;
        config.through(&name, &relay.base_url(), relay.token_url().as_deref());
        let running = gateway::start(config, stop.clone()).await.map_err(no_port)?;
        let base_url = format!("http://{}", running.address);
        let source = Live::new(client()?, &base_url, key, None, Manners::default());
        Ok(InProcess { source, relay, _running: running, _stop: stop.drop_guard() })
    }
}

impl run::Behind for InProcess {
    fn take_calls(&self) -> Vec<String> {
        self.relay.take_calls().iter().map(parity::relay::Call::shape).collect()
    }

    fn ask<'a>(&'a self, path_and_query: &'a str) -> Answering<'a, Option<Reply>> {
        Box::pin(async move { self.relay.ask(path_and_query).await.ok() })
    }
}

/// The upstream of the configuration itself.
fn live(upstream: &config::Upstream) -> Behind {
    let settings = ClientSettings {
        connect_timeout: upstream.connect_timeout,
        pool_idle_timeout: POOL_IDLE_TIMEOUT,
        pool_idle_max: 64,
        tls: upstream.tls.clone(),
    };
    Behind::Live(Box::new(Upstream {
        base_url: upstream.base_url.clone(),
        token_url: upstream.token.as_ref().map(|token| token.url.clone()),
        client: Client::new(&settings),
    }))
}

const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
const POOL_IDLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// A client for either side, that believes Mozilla's roots.
pub(crate) fn client() -> Result<Client, Failure> {
    client_with(None)
}

/// The same, which believes the certificates of a file as well.
pub(crate) fn client_with(ca: Option<&std::path::Path>) -> Result<Client, Failure> {
    let tls = transport::tls::ClientTls::new(ca)
        .map_err(|error| Failure::new(format_args!("--control-ca: {error}")))?;
    Ok(Client::new(&ClientSettings {
        connect_timeout: CONNECT_TIMEOUT,
        pool_idle_timeout: POOL_IDLE_TIMEOUT,
        pool_idle_max: 8,
        tls,
    }))
}

/// A key that opens nothing but the gateway in this process.
fn made_up_key() -> String {
    let random: [u8; 16] = rand::random();
    random.iter().fold("validation-".to_owned(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    })
}

fn no_port(error: std::io::Error) -> Failure {
    Failure::new(format_args!("cannot listen on loopback: {error}"))
}
