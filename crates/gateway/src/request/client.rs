//! Whose address a request comes from: its peer's, or what a trusted proxy says. Nothing is worked out before somebody
//! wants to know. Must never believe a peer that is no trusted proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use settings::Network;
use transport::server::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client {
    peer: Option<IpAddr>,
    /// What a trusted proxy says about it.
    forwarded: Option<IpAddr>,
}

impl Client {
    /// Of a request from this peer with these headers.
    pub(crate) fn of(peer: Option<Peer>, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let peer = peer.map(|Peer(address)| address.ip().to_canonical());
        if trusted.is_empty() {
            return Client { peer, forwarded: None };
        }
        let is_trusted = peer.is_some_and(|peer| Network::is_among(peer, trusted));
        Client { peer, forwarded: if is_trusted { told(headers, trusted) } else { None } }
    }

    /// The address; `None` in tests without a socket.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.forwarded.or(self.peer)
    }
}

/// The address that trusted proxies tell. Each proxy adds the address of its own peer at the end, in the same line or
/// in another, and a client may have sent what stands before. So from the end on, the first address counts that is no
/// trusted proxy's.
fn told(headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let entries = lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
    let mut address = None;
    for entry in entries {
        let Some(before) = read(entry.trim()) else { break };
        address = Some(before);
        if !Network::is_among(before, trusted) {
            break;
        }
    }
    address
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn read(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_what_it_added() {
        let text = "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
                    [upstream.a]\ndialect = \"voiso-v4\"\nbase_url = \"http://127.0.0.1:9\"\n\
                    [[caller]]\nname = \"crm\"\nlegacy_key = { env = \"K\" }\nupstream = \"a\"\n\
                    upstream_key = { env = \"K\" }\nsees = \"everything\"\n";
        let env = [("K".to_owned(), "a-key".to_owned())];
        let config = settings::Config::parse(text, "t.toml", &env).unwrap();
        let trusted = config.server.trusted_proxies;
        for (peer, told, wanted) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.1.1.1", &["198.51.100.7"], "198.51.100.7"),
            // The client made up the first.
            ("10.1.1.1", &["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
            ("10.1.1.1", &["203.0.113.5", "198.51.100.7"], "198.51.100.7"),
            ("10.1.1.1", &["198.51.100.7, 10.2.2.2"], "198.51.100.7"),
            // A proxy that adds a line of its own.
            ("10.1.1.1", &["198.51.100.7", "10.2.2.2"], "198.51.100.7"),
            ("10.1.1.1", &["203.0.113.5", "198.51.100.7, 10.3.3.3", "10.2.2.2"], "198.51.100.7"),
            ("10.1.1.1", &["198.51.100.7", "unknown", "10.2.2.2"], "10.2.2.2"),
            ("::1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
            ("::1", &["[2001:db8::7]"], "2001:db8::7"),
            ("::1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("::1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            ("::1", &["unknown"], "::1"),
            ("::1", &["198.51.100.7, unknown, 10.2.2.2"], "10.2.2.2"),
            ("::1", &[""], "::1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in told {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
            }
            let peer: IpAddr = peer.parse().unwrap();
            let client = Client::of(Some(Peer((peer, 1).into())), &headers, &trusted);
            assert_eq!(client.address(), wanted.parse().ok(), "{peer} {told:?}");
        }
        let nobody = Client::of(None, &HeaderMap::new(), &trusted);
        assert_eq!(nobody.address(), None);
    }
}
