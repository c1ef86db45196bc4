//! Who may ask the admin port for what. Health and metrics answer every machine; all other pages answer this
//! machine, and holders of `admin.key`. Must never answer a page of the web, whether its name was made to lead
//! here or it asks through its visitor's browser. Must never log or show a key.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use settings::{Admin, Secret};
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use transport::body::Body;
use transport::server::{Peer, owner, read_host};

use crate::edge::admit;
use crate::error::Error;

/// Pages that orchestrators and scrapers of other machines read without a key.
const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// Those of them that say nothing that a page of the web could use.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// After a wrong key, further wrong keys of the same address get 429 for so long.
const WRONG_KEY_WAIT: Duration = Duration::from_secs(1);
/// Places for addresses that sent wrong keys; some share one.
const PLACES: usize = 256;

/// Headers by which a proxy says that it forwards a request.
const OF_PROXIES: [HeaderName; 6] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// Why a page is not answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    /// The host is none, or not ours.
    Host(Error),
    /// A page of the web asks, not a person.
    CrossSite,
    /// Asked from another machine, and no key is configured.
    Elsewhere,
    /// Asked from another machine without the key.
    NoKey,
    /// Asked with another key.
    WrongKey,
    /// Another key came from this address a moment ago.
    TooSoon,
}

impl Refused {
    /// Status and text of the answer.
    pub(crate) fn told(&self) -> (StatusCode, &'static str) {
        match self {
            Refused::Host(error) => {
                let status = StatusCode::from_u16(error.status());
                (status.unwrap_or(StatusCode::BAD_REQUEST), "")
            }
            Refused::CrossSite => (StatusCode::FORBIDDEN, "Another site may not ask for this page"),
            Refused::Elsewhere => (
                StatusCode::FORBIDDEN,
                "Ask on this machine, or through kubectl port-forward or ssh -L; or set admin.key",
            ),
            Refused::NoKey => (
                StatusCode::UNAUTHORIZED,
                "Send admin.key as Bearer, or as the password of any user",
            ),
            Refused::WrongKey => (StatusCode::UNAUTHORIZED, "This is not admin.key"),
            Refused::TooSoon => {
                (StatusCode::TOO_MANY_REQUESTS, "Wait a second after a wrong admin.key")
            }
        }
    }

    /// A header that the answer needs.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
        match self {
            Refused::NoKey | Refused::WrongKey => {
                let asks = "Basic realm=\"Tieline admin\", charset=\"UTF-8\"";
                Some((WWW_AUTHENTICATE, HeaderValue::from_static(asks)))
            }
            Refused::TooSoon => Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => None,
        }
    }
}

/// Remembers where wrong keys came from.
pub(crate) struct Guard {
    began: Instant,
    hasher: RandomState,
    /// Milliseconds since it began at which each place may send a key again.
    next: [AtomicU64; PLACES],
}

impl Guard {
    pub(crate) fn new() -> Self {
        let next = std::array::from_fn(|_| AtomicU64::new(0));
        Guard { began: Instant::now(), hasher: RandomState::new(), next }
    }

    /// Whether a request may have its page.
    pub(crate) fn admit(&self, admin: &Admin, request: &Request<Body>) -> Result<(), Refused> {
        let host = admit::host(request).map_err(Refused::Host)?;
        let peer = request.extensions().get().map(|Peer(address)| address.ip());
        let path = request.uri().path();
        // Programs on this machine read without a key, and so does its browser, whatever page it shows.
        let allows_short_names = PROBES.contains(&path) || !is_loopback(peer);
        if host.is_some_and(|host| !is_believed(&admin.hosts, host, allows_short_names)) {
            return Err(Refused::Host(Error::UnknownHost));
        }
        if PROBES.contains(&path) {
            return Ok(());
        }
        if !is_of_this_site(request.headers()) {
            return Err(Refused::CrossSite);
        }
        if PUBLIC.contains(&path) || is_local(peer, request.headers()) {
            return Ok(());
        }
        let Some(key) = admin.key else { return Err(Refused::Elsewhere) };
        let shown = shown(request.headers()).ok_or(Refused::NoKey)?;
        // The right key always passes: others behind the same address must not lock its holder out.
        if bool::from(settings::digest(shown.expose()).ct_eq(&key)) {
            return Ok(());
        }
        let place = self.place(peer);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if place.is_some_and(|place| place.load(Ordering::Relaxed) > now) {
            return Err(Refused::TooSoon);
        }
        if let Some(place) = place {
            place.store(now + WRONG_KEY_WAIT.as_millis() as u64, Ordering::Relaxed);
        }
        tracing::warn!("a wrong admin.key was sent to the admin port");
        Err(Refused::WrongKey)
    }

    fn place(&self, peer: Option<IpAddr>) -> Option<&AtomicU64> {
        let hash = self.hasher.hash_one(peer.map(owner));
        self.next.get(usize::try_from(hash % PLACES as u64).unwrap_or(0))
    }
}

/// Whether the program that asks runs on this machine and asks for itself. Tunnels, such as those of ssh and
/// kubectl, end here and say nothing of a client; a proxy does.
fn is_local(peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let is_for_another = OF_PROXIES.iter().any(|name| headers.contains_key(name));
    is_loopback(peer) && !is_for_another
}

/// Whether a connection comes from the one address by which programs of this machine come; proxies of a mesh take
/// others of 127.0.0.0/8.
fn is_loopback(peer: Option<IpAddr>) -> bool {
    peer.is_some_and(|peer| match peer.to_canonical() {
        IpAddr::V4(address) => address == Ipv4Addr::LOCALHOST,
        IpAddr::V6(address) => address.is_loopback(),
    })
}

/// A browser says which site makes it ask. A link that a person follows is fine: no other site reads the page it
/// leads to. Programs say nothing.
fn is_of_this_site(headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    match said("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => true,
        Some(_) => {
            said("sec-fetch-mode") == Some(b"navigate")
                && said("sec-fetch-dest") == Some(b"document")
        }
    }
}

/// The key that came with a request: as Bearer, or as the password that a browser asked for.
fn shown(headers: &HeaderMap) -> Option<Secret> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    let (scheme, value) = one.to_str().ok()?.trim().split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Secret::new(value.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Secret::new(String::from_utf8(STANDARD.decode(value).ok()?).ok()?);
    let (_, password) = pair.expose().split_once(':')?;
    Some(Secret::new(password.to_owned()))
}

/// Whether a request may ask by this `Host`. A web page can make a name that it owns lead to this port, and then read
/// what its visitor's browser may read here. Nobody can own an address or `localhost`, so they are always believed. A
/// name without a dot, such as that of a service, is believed only with `allows_short_names`: in some networks
/// somebody else can own one.
fn is_believed(hosts: &[String], host: &str, allows_short_names: bool) -> bool {
    let name = read_host(host.as_bytes()).map_or(host, |(name, _)| name);
    let is_address = name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok();
    let is_short = || allows_short_names && !name.contains('.');
    let is_this_machine = || name.eq_ignore_ascii_case("localhost");
    is_address || is_this_machine() || is_short() || admit::is_served(hosts, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "an-admin-key-of-the-test";
    const HERE: &str = "127.0.0.1";
    const THERE: &str = "192.0.2.7";

    fn admin(key: Option<&str>) -> Admin {
        Admin {
            listen: ([127, 0, 0, 1], 0).into(),
            hosts: vec!["tieline.monitoring.example".to_owned()],
            key: key.map(settings::digest),
            console: true,
            try_requests: false,
            idle_timeout: Duration::from_secs(5),
            connections_max: 64,
        }
    }

    fn request(peer: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::builder().uri(path).header("host", "localhost:9090");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(transport::body::empty()).unwrap();
        request.extensions_mut().insert(Peer((peer.parse::<IpAddr>().unwrap(), 1).into()));
        request
    }

    #[tokio::test]
    async fn n15_other_machines_read_health_and_metrics_and_need_the_key_for_more() {
        let (open, locked) = (admin(None), admin(Some(KEY)));
        let ask = |admin: &Admin, peer: &str, path: &str, headers: &[(&str, &str)]| {
            Guard::new().admit(admin, &request(peer, path, headers))
        };
        for path in PUBLIC {
            assert_eq!(ask(&open, THERE, path, &[]), Ok(()), "{path}");
            assert_eq!(ask(&locked, THERE, path, &[]), Ok(()), "{path}");
        }
        let bearer = format!("bearer {KEY}");
        let basic = format!("Basic {}", STANDARD.encode(format!("me:{KEY}")));
        for path in ["/", "/api/v1/overview", "/callers", "/replicas", "/shadow", "/losses", "/x"] {
            for here in [HERE, "::1", "::ffff:127.0.0.1"] {
                assert_eq!(ask(&open, here, path, &[]), Ok(()), "{here} {path}");
                assert_eq!(ask(&locked, here, path, &[]), Ok(()), "{here} {path}");
            }
            for proxy in OF_PROXIES.each_ref().map(HeaderName::as_str) {
                let said = [(proxy, "192.0.2.7")];
                assert_eq!(ask(&open, HERE, path, &said), Err(Refused::Elsewhere), "{proxy}");
                assert_eq!(ask(&locked, HERE, path, &said), Err(Refused::NoKey), "{proxy}");
            }
            assert_eq!(ask(&open, THERE, path, &[]), Err(Refused::Elsewhere));
            // A mesh's proxy comes from there.
            assert_eq!(ask(&open, "127.0.0.6", path, &[]), Err(Refused::Elsewhere));
            let good = [("authorization", bearer.as_str())];
            assert_eq!(ask(&open, THERE, path, &good), Err(Refused::Elsewhere));
            assert_eq!(ask(&locked, THERE, path, &good), Ok(()));
            assert_eq!(ask(&locked, THERE, path, &[("authorization", &basic)]), Ok(()));
            assert_eq!(ask(&locked, THERE, path, &[]), Err(Refused::NoKey));
            for wrong in ["Bearer no", "Basic bm86bm8=", "Bearer "] {
                let wrong = [("authorization", wrong)];
                let refused = ask(&locked, THERE, path, &wrong).unwrap_err();
                assert!(matches!(refused, Refused::WrongKey | Refused::NoKey), "{wrong:?}");
            }
            for none in [&format!("Digest {KEY}"), KEY, "Basic ?", "Basic bm8="] {
                let none = [("authorization", none)];
                assert_eq!(ask(&locked, THERE, path, &none), Err(Refused::NoKey), "{none:?}");
            }
            let two = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
            assert_eq!(ask(&locked, THERE, path, &two), Err(Refused::NoKey));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn n15_a_second_wrong_key_of_an_address_waits_and_a_good_one_does_not() {
        let (guard, admin) = (Guard::new(), admin(Some(KEY)));
        let ask = |peer: &str, key: &str| {
            let value = format!("Bearer {key}");
            guard.admit(&admin, &request(peer, "/callers", &[("authorization", &value)]))
        };
        assert_eq!(ask(THERE, "wrong"), Err(Refused::WrongKey));
        assert_eq!(ask(THERE, "wrong"), Err(Refused::TooSoon));
        assert_eq!(ask(THERE, KEY), Ok(()));
        assert_eq!(ask(THERE, "wrong"), Err(Refused::TooSoon));
        tokio::time::sleep(WRONG_KEY_WAIT).await;
        assert_eq!(ask(THERE, "wrong"), Err(Refused::WrongKey));
        assert_eq!(ask(THERE, KEY), Ok(()));
    }

    #[tokio::test]
    async fn n14_another_site_has_no_page_but_a_link_that_a_person_follows() {
        let guard = Guard::new();
        let ask = |path: &str, site: &str, mode: &str, dest: &str| {
            let said =
                [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            guard.admit(&admin(None), &request(HERE, path, &said))
        };
        for path in ["/", "/metrics", "/callers", "/api/v1/overview"] {
            for site in ["cross-site", "same-site", "odd", ""] {
                for (mode, dest) in [
                    ("no-cors", "image"),
                    ("cors", "empty"),
                    ("no-cors", "script"),
                    ("navigate", "iframe"),
                    ("navigate", "object"),
                    ("websocket", "empty"),
                ] {
                    let refused = ask(path, site, mode, dest);
                    assert_eq!(refused, Err(Refused::CrossSite), "{path} {site} {mode} {dest}");
                }
                assert_eq!(ask(path, site, "navigate", "document"), Ok(()), "{path} {site}");
            }
            for site in ["same-origin", "none"] {
                assert_eq!(ask(path, site, "cors", "empty"), Ok(()), "{path} {site}");
            }
        }
        assert_eq!(ask("/readyz", "cross-site", "no-cors", "image"), Ok(()));
    }

    #[tokio::test]
    async fn n14_programs_of_this_machine_ask_by_localhost_and_those_of_others_by_a_short_name() {
        let guard = Guard::new();
        let ask = |peer: &str, path: &str| {
            let mut request = request(peer, path, &[]);
            request.headers_mut().insert("host", HeaderValue::from_static("tieline:9090"));
            guard.admit(&admin(None), &request)
        };
        let refused = || Err(Refused::Host(Error::UnknownHost));
        for path in ["/", "/metrics", "/callers", "/api/v1/overview"] {
            assert_eq!(ask(HERE, path), refused(), "{path}");
        }
        assert_eq!(ask("::1", "/"), refused());
        assert_eq!(ask(THERE, "/metrics"), Ok(()));
        assert_eq!(ask(HERE, "/readyz"), Ok(()));
    }

    #[test]
    fn n14_names_are_believed_only_if_they_are_configured_or_are_short_and_of_a_service() {
        let hosts = admin(None).hosts;
        for short in ["tieline", "tieline:9090", "wpad", "localhostx"] {
            assert!(is_believed(&hosts, short, true), "{short}");
            assert!(!is_believed(&hosts, short, false), "{short}");
        }
        assert!(is_believed(&["tieline".to_owned()], "tieline:9090", false));
        for host in [
            "127.0.0.1:9090",
            "192.0.2.1",
            "[::1]:9090",
            "[::ffff:192.0.2.1]",
            "localhost",
            "LOCALHOST:9090",
            "Tieline.Monitoring.example:9090",
        ] {
            assert!(
                [true, false].map(|short| is_believed(&hosts, host, short)) == [true; 2],
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost.",
            "tieline.monitoring.example.evil.example",
        ] {
            assert!(
                [true, false].map(|short| is_believed(&hosts, host, short)) == [false; 2],
                "{host}"
            );
        }
    }
}
