//! The candidate: the configured gateway in this process, with a relay between it and the new API, or
//! a gateway that runs elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use corpus::ask::{Ask, Reply};
use corpus::relay::{Behind, Relay, RelaySettings, Upstream};
use corpus::source::{Answering, Live, Manners, Silence, Source};
use parity::calibrate::{Laboratory, Overlay};
use parity::run;
use settings::Config;
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::client::{Client, ClientSettings, Reach, Resolver, ResolverSettings, SystemLookup};

use crate::failure::Failure;

/// A gateway in this process; it ends when it is dropped.
pub(crate) struct Gateway {
    source: Live,
    _running: gateway::Running,
    _stop: DropGuard,
}

impl Gateway {
    /// Starts the gateway of a configuration for one caller, under a key that is made up for it, with
    /// a relay in the place of its upstream.
    async fn start(config: &Config, caller: &str, relay: &Relay) -> Result<Gateway, Failure> {
        let key = made_up_key();
        let mut config =
            config.clone().in_process(caller, &key).ok_or_else(|| no_caller(caller))?;
        let upstream = config.callers.first().map(|caller| caller.upstream.clone());
        let upstream = upstream.unwrap_or_default();
        config.through(&upstream, &relay.base_url(), relay.token_url().as_deref());
        let stop = CancellationToken::new();
        let running = gateway::start(config, stop.clone()).await.map_err(no_port)?;
        let base_url = format!("http://{}", running.address);
        let source = Live::new(client()?, &base_url, key, None, manners());
        Ok(Gateway { source, _running: running, _stop: stop.drop_guard() })
    }
}

impl Source for Gateway {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        self.source.ask(ask)
    }

    fn times_busy(&self) -> u64 {
        self.source.times_busy()
    }
}

/// How candidate is asked: what its clients would see as a broken connection is not smoothed over.
pub(crate) fn manners() -> Manners {
    Manners { repeats_broken: false, ..Manners::default() }
}

/// A gateway in this process and the relay between it and the new API.
pub(crate) struct InProcess {
    /// Is asked.
    pub(crate) gateway: Gateway,
    relay: Relay,
    config: Config,
    caller: String,
}

impl InProcess {
    /// Starts both. `behind` answers in the place of the upstream, where it is given.
    pub(crate) async fn start(
        config: &Config,
        caller: &str,
        settings: RelaySettings,
        behind: Option<Behind>,
    ) -> Result<InProcess, Failure> {
        let relay = relay(config, caller, settings, behind).await?;
        let gateway = Gateway::start(config, caller, &relay).await?;
        let (config, caller) = (config.clone(), caller.to_owned());
        Ok(InProcess { gateway, relay, config, caller })
    }
}

/// Starts gateways under other settings, all of them behind one relay.
pub(crate) struct Trials {
    config: Config,
    caller: String,
    relay: Relay,
    /// Whether the upstream is not asked any more: then nothing has to be paced.
    is_still: AtomicBool,
}

/// What a relay remembers for a validation, which tries suggested settings on the same data.
pub(crate) const REMEMBERED_BYTES_MAX: usize = 24 << 20;

/// What a relay remembers for trials: the pages of 50,000 users are about 70 MiB.
const MEMORY_BYTES_MAX: usize = 512 << 20;

impl Trials {
    pub(crate) async fn new(config: &Config, caller: &str) -> Result<Trials, Failure> {
        let settings =
            RelaySettings { memory_bytes_max: MEMORY_BYTES_MAX, ..RelaySettings::default() };
        let relay = relay(config, caller, settings, None).await?;
        let (config, caller) = (config.clone(), caller.to_owned());
        Ok(Trials { config, caller, relay, is_still: AtomicBool::new(false) })
    }

    /// The configuration under an overlay.
    fn under(&self, overlay: &Overlay) -> Result<Config, String> {
        let mut config = self.config.clone();
        let upstream = config.callers.iter().find(|caller| caller.name == self.caller);
        let upstream = upstream.map(|caller| caller.upstream.clone()).unwrap_or_default();
        if self.is_still.load(Ordering::Relaxed) {
            unpaced(&mut config, &upstream);
        }
        config.under(&upstream, overlay)?;
        Ok(config)
    }
}

impl Laboratory for Trials {
    fn candidate<'a>(
        &'a self,
        overlay: &'a Overlay,
    ) -> Answering<'a, Result<Box<dyn Source>, String>> {
        Box::pin(async move {
            let config = self.under(overlay)?;
            let gateway = Gateway::start(&config, &self.caller, &self.relay).await;
            let gateway = gateway.map_err(|failure| failure.text().to_owned())?;
            Ok(Box::new(gateway) as Box<dyn Source>)
        })
    }

    fn keep_still(&self) {
        self.relay.answer_from_memory(true);
        self.is_still.store(true, Ordering::Relaxed);
    }
}

/// A relay for the upstream of a caller.
async fn relay(
    config: &Config,
    caller: &str,
    settings: RelaySettings,
    behind: Option<Behind>,
) -> Result<Relay, Failure> {
    let caller_of = config.callers.iter().find(|one| one.name == caller);
    let upstream = caller_of.and_then(|caller| config.upstreams.get(&caller.upstream));
    let upstream = upstream.ok_or_else(|| no_caller(caller))?;
    let behind = behind.unwrap_or_else(|| live(upstream));
    Relay::start(behind, settings, &CancellationToken::new()).await.map_err(no_port)
}

/// An upstream that is not really asked may be asked at any pace.
pub(crate) fn unpaced(config: &mut Config, upstream: &str) {
    if let Some(upstream) = config.upstreams.get_mut(upstream) {
        upstream.requests_per_minute_max = None;
    }
}

fn no_caller(name: &str) -> Failure {
    Failure::usage(format_args!("the configuration has no caller \"{name}\""))
}

impl run::Behind for InProcess {
    fn take_calls(&self) -> Vec<String> {
        self.relay.take_calls().iter().map(corpus::relay::Call::shape).collect()
    }

    fn ask<'a>(&'a self, path_and_query: &'a str) -> Answering<'a, Option<Reply>> {
        Box::pin(async move { self.relay.ask(path_and_query).await.ok() })
    }

    fn under<'a>(&'a self, overlay: &'a Overlay) -> Answering<'a, Option<run::Under>> {
        Box::pin(async move { Some(self.start_under(overlay).await) })
    }

    fn forget(&self, is_last: bool) {
        if is_last || self.relay.not_kept() > 0 {
            self.relay.forget();
        }
    }
}

impl InProcess {
    async fn start_under(&self, overlay: &Overlay) -> run::Under {
        let mut config = self.config.clone();
        let caller = config.callers.iter().find(|one| one.name == self.caller);
        let upstream = caller.map(|caller| caller.upstream.clone()).unwrap_or_default();
        config.under(&upstream, overlay)?;
        unpaced(&mut config, &upstream);
        // What was read before is not asked for again, so that both answers come from the same data.
        self.relay.answer_only_from_memory();
        let gateway = Gateway::start(&config, &self.caller, &self.relay).await;
        let gateway = gateway.map_err(|failure| failure.text().to_owned())?;
        Ok(Box::new(gateway))
    }
}

/// The upstream of the configuration itself.
fn live(upstream: &settings::Upstream) -> Behind {
    let settings = ClientSettings {
        connect_timeout: upstream.connect_timeout,
        pool_idle_timeout: POOL_IDLE_TIMEOUT,
        pool_idle_max: 64,
        tls: upstream.tls.clone(),
    };
    Behind::Live(Box::new(Upstream {
        base_url: upstream.base_url.clone(),
        token_url: upstream.token.as_ref().map(|token| token.url.clone()),
        // As the gateway itself reaches it.
        client: Client::reaching(&settings, &reach(upstream)),
    }))
}

fn reach(upstream: &settings::Upstream) -> Reach {
    let resolver = Resolver::new(ResolverSettings {
        lookup: Arc::new(SystemLookup),
        wait_max: upstream.connect_timeout,
        allow_private: upstream.allow_private_addresses,
        on_failure: Arc::new(|_| {}),
    });
    Reach { resolver, connection_age_max: upstream.connection_age_max }
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
        .map_err(|error| Failure::usage(format_args!("--control-ca: {error}")))?;
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
    format!("validation-{}", corpus::hex(&random))
}

fn no_port(error: std::io::Error) -> Failure {
    Failure::new(format_args!("cannot listen on loopback: {error}"))
}

/// The caller whose answers are validated: the one that is named, the one the key belongs to, or the
/// only one.
pub(crate) fn caller_of(
    config: &Config,
    named: Option<&str>,
    key: Option<&str>,
) -> Result<String, Failure> {
    if let Some(name) = named {
        let is_known = config.callers.iter().any(|caller| caller.name == name);
        return if is_known { Ok(name.to_owned()) } else { Err(no_caller(name)) };
    }
    if let Some(name) = key.and_then(|key| config.caller_of(key)) {
        return Ok(name.to_owned());
    }
    match &config.callers[..] {
        [only] => Ok(only.name.clone()),
        _ => Err(Failure::usage(
            "the configuration has several callers, and the key is none of theirs: say which one \
             with --caller NAME",
        )),
    }
}
