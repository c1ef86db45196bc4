//! Resolves names to addresses. Each name has at most one look-up at a time, in a separate task; if
//! look-ups fail, the last good answer is used for a while. Must never return a private address for a
//! public name, and must never put a name into an error.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tower::Service;

use super::failure::ConnectFailure;

/// How long the last good answer is used when look-ups fail.
const LAST_GOOD_KEPT_FOR: Duration = Duration::from_secs(5 * 60);

/// The future of a [`Lookup`].
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// A source of addresses.
pub trait Lookup: fmt::Debug + Send + Sync + 'static {
    /// All addresses of a name, in the order of preference.
    fn addresses(&self, name: String) -> Looking;
}

/// The system's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn addresses(&self, name: String) -> Looking {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why a name has no address now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFailure {
    /// There is no such name or address, or the resolver reported an error.
    Failed,
    /// The resolver did not answer in time.
    Silent,
    /// All addresses are private, which is not allowed for this name.
    Refused,
}

/// Settings of a [`Resolver`].
#[derive(Clone)]
pub struct ResolverSettings {
    /// Its source of addresses.
    pub lookup: Arc<dyn Lookup>,
    /// How long a connection waits for a look-up; half as long if an older answer exists.
    pub wait_max: Duration,
    /// Whether a name other than `localhost` may have an address of this machine or of a private
    /// network. An IP address in place of a name is never looked up.
    pub allow_private: bool,
    /// Called for each connection whose look-up failed, even if an older answer is used.
    pub on_failure: Arc<dyn Fn(LookupFailure) + Send + Sync>,
}

/// Looks up names; clones share their cache.
#[derive(Clone)]
pub struct Resolver {
    settings: ResolverSettings,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

#[derive(Default)]
struct Known {
    last_good: Option<(Vec<IpAddr>, Instant)>,
    under_way: Option<Told>,
}

type Told = watch::Receiver<Option<Result<Vec<IpAddr>, LookupFailure>>>;

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver with an empty cache.
    pub fn new(settings: ResolverSettings) -> Self {
        Self { settings, known: Arc::default() }
    }

    /// The system's resolver, with private addresses allowed.
    pub fn system(wait_max: Duration) -> Self {
        let lookup = Arc::new(SystemLookup);
        let on_failure = Arc::new(|_| {});
        Self::new(ResolverSettings { lookup, wait_max, allow_private: true, on_failure })
    }

    async fn resolve(&self, name: String) -> Result<Vec<IpAddr>, LookupFailure> {
        let mut told = self.ask(&name);
        // An older answer is worse than a new one, but better than no connection in time.
        let wait_max = match self.last_good(&name) {
            Some(_) => self.settings.wait_max / 2,
            None => self.settings.wait_max,
        };
        let answer = match timeout(wait_max, told.wait_for(Option::is_some)).await {
            Ok(Ok(answer)) => answer.clone().unwrap_or(Err(LookupFailure::Failed)),
            // The task has panicked.
            Ok(Err(_)) => Err(LookupFailure::Failed),
            Err(_) => Err(LookupFailure::Silent),
        };
        let Err(failure) = answer else { return answer };
        (self.settings.on_failure)(failure);
        match failure {
            // The name was taken over or has moved. In both cases the operator must notice.
            LookupFailure::Refused => Err(failure),
            LookupFailure::Failed | LookupFailure::Silent => self.last_good(&name).ok_or(failure),
        }
    }

    /// The look-up in flight, or a new one.
    fn ask(&self, name: &str) -> Told {
        let mut known = self.known();
        let entry = known.entry(name.to_owned()).or_default();
        if let Some(told) = entry.under_way.as_ref().filter(|told| told.has_changed().is_ok()) {
            return told.clone();
        }
        let (tell, told) = watch::channel(None);
        entry.under_way = Some(told.clone());
        let (resolver, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            let found = resolver.settings.lookup.addresses(name.clone()).await;
            let answer = resolver.judge(&name, found);
            if let Some(entry) = resolver.known().get_mut(&name) {
                entry.under_way = None;
                if let Ok(addresses) = &answer {
                    entry.last_good = Some((addresses.clone(), Instant::now()));
                }
            }
            // There is no receiver if all connections have given up.
            let _ = tell.send(Some(answer));
        });
        told
    }

    fn judge(
        &self,
        name: &str,
        found: io::Result<Vec<IpAddr>>,
    ) -> Result<Vec<IpAddr>, LookupFailure> {
        let mut found = found.map_err(|_| LookupFailure::Failed)?;
        if found.is_empty() {
            return Err(LookupFailure::Failed);
        }
        if !self.settings.allow_private && !is_localhost(name) {
            found.retain(|address| !is_private(*address));
        }
        if found.is_empty() { Err(LookupFailure::Refused) } else { Ok(found) }
    }

    fn last_good(&self, name: &str) -> Option<Vec<IpAddr>> {
        let known = self.known();
        let (addresses, at) = known.get(name)?.last_good.as_ref()?;
        (at.elapsed() <= LAST_GOOD_KEPT_FOR).then(|| addresses.clone())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Plain data, valid after any panic. All names come from the configuration, so there are few.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A resolver in the form that the connector needs.
#[derive(Clone, Debug)]
pub(super) struct Names(pub(super) Resolver);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move {
            let found = resolver.resolve(name.as_str().to_ascii_lowercase()).await;
            let found = found.map_err(|failure| match failure {
                LookupFailure::Refused => ConnectFailure::AddressRefused,
                LookupFailure::Failed | LookupFailure::Silent => ConnectFailure::Dns,
            })?;
            let sockets = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(sockets.collect::<Vec<_>>().into_iter())
        })
    }
}

/// Whether a name always means this machine (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether no public service can have this address: this machine, private and shared networks, the same
/// link, multicast, documentation and tests.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a == 192 && b == 0 && c == 0)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_private_v4(inner);
    }
    let [first, second, .., high, low] = address.segments();
    // IPv4 behind a translator (RFC 6052).
    if first == 0x64 && second == 0xff9b {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        return is_private_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Only 2000::/3 is global, without the documentation range.
    first & 0xe000 != 0x2000 || (first == 0x2001 && second == 0xdb8)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2001:db8::1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1",
            "::ffff:1.1.1.1",
            "64:ff9b::808:808",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
        assert!(is_localhost("localhost") && is_localhost("a.localhost."));
        assert!(!is_localhost("localhost.example"));
    }

    /// Gives these answers in turn, and then the last one for ever. `None` is silence.
    #[derive(Debug)]
    struct Script {
        answers: Vec<Option<Result<Vec<IpAddr>, ()>>>,
        asked: AtomicUsize,
    }

    impl Lookup for Script {
        fn addresses(&self, _: String) -> Looking {
            let place = self.asked.fetch_add(1, Ordering::SeqCst);
            let answer = self.answers[place.min(self.answers.len() - 1)].clone();
            Box::pin(async move {
                match answer {
                    Some(answer) => answer.map_err(|()| io::ErrorKind::NotFound.into()),
                    None => std::future::pending().await,
                }
            })
        }
    }

    fn resolver(answers: Vec<Option<Result<Vec<IpAddr>, ()>>>) -> (Resolver, Arc<Script>) {
        let script = Arc::new(Script { answers, asked: AtomicUsize::new(0) });
        let settings = ResolverSettings {
            lookup: Arc::clone(&script) as Arc<dyn Lookup>,
            wait_max: Duration::from_millis(500),
            allow_private: false,
            on_failure: Arc::new(|_| {}),
        };
        (Resolver::new(settings), script)
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_answer_is_used_for_five_minutes() {
        let good: Vec<IpAddr> = vec!["1.1.1.1".parse().unwrap()];
        for bad in [Some(Err(())), Some(Ok(Vec::new())), None] {
            let expected = match bad {
                None => LookupFailure::Silent,
                Some(_) => LookupFailure::Failed,
            };
            let (resolver, _) = resolver(vec![bad.clone()]);
            assert_eq!(resolver.resolve("x".to_owned()).await, Err(expected), "never known");
            let (resolver, _) = self::resolver(vec![Some(Ok(good.clone())), bad]);
            assert_eq!(resolver.resolve("x".to_owned()).await, Ok(good.clone()));
            tokio::time::sleep(Duration::from_secs(298)).await;
            assert_eq!(resolver.resolve("x".to_owned()).await, Ok(good.clone()), "{expected:?}");
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(resolver.resolve("x".to_owned()).await, Err(expected), "too old");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_public_name_with_a_private_address_is_refused_even_if_a_good_one_is_known() {
        let (good, bad): (IpAddr, IpAddr) =
            ("1.1.1.1".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let (resolver, _) = resolver(vec![Some(Ok(vec![bad, good])), Some(Ok(vec![bad]))]);
        assert_eq!(
            resolver.resolve("x".to_owned()).await,
            Ok(vec![good]),
            "of both, the public one"
        );
        assert_eq!(resolver.resolve("x".to_owned()).await, Err(LookupFailure::Refused));
        assert_eq!(resolver.resolve("localhost".to_owned()).await, Ok(vec![bad]));
    }

    #[tokio::test(start_paused = true)]
    async fn many_connections_that_wait_for_a_silent_resolver_make_one_look_up() {
        let (resolver, script) = resolver(vec![None]);
        let asked = (0..50).map(|_| {
            tokio::spawn({
                let resolver = resolver.clone();
                async move { resolver.resolve("x".to_owned()).await }
            })
        });
        for one in asked.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), Err(LookupFailure::Silent));
        }
        assert_eq!(script.asked.load(Ordering::SeqCst), 1);
    }
}
