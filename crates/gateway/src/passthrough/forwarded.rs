//! Who asked, for the upstream: `Forwarded` and the `X-Forwarded-` headers. What the client says about
//! it is believed only where its address is a trusted proxy's.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};
use settings::Network;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The name we go by among proxies.
const OURS: HeaderValue = HeaderValue::from_static("1.1 tieline");

/// Who asked, and how.
pub(super) struct Asked {
    /// The peer's address; unknown in tests without a socket.
    pub(super) peer: Option<IpAddr>,
    /// The host it asked for.
    pub(super) host: Option<HeaderValue>,
    pub(super) is_tls: bool,
}

/// Whether what this peer says of who asked is believed.
pub(super) fn is_trusted(peer: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(peer))
}

/// Sets the headers about who asked. Ours follow a trusted proxy's own words; others' are gone already.
pub(super) fn set(headers: &mut HeaderMap, asked: &Asked, follows: bool) {
    let peer = asked.peer.map(|peer| peer.to_canonical());
    let address = peer.map_or("unknown".to_owned(), text);
    let proto = if asked.is_tls { "https" } else { "http" };
    let mut forwarded = String::with_capacity(128);
    forwarded.push_str("for=");
    match peer {
        Some(IpAddr::V6(_)) => forwarded.extend(["\"[", &address, "]\""]),
        _ => forwarded.push_str(&address),
    }
    forwarded.extend([";proto=", proto]);
    let host = asked.host.as_ref().and_then(|host| host.to_str().ok());
    // A host that would end the quotes is no host.
    if let Some(host) = host.filter(|host| !host.contains(['"', '\\'])) {
        forwarded.extend([";host=\"", host, "\""]);
    }
    append(headers, &FOR, address, follows);
    headers.entry(PROTO).or_insert(HeaderValue::from_static(proto));
    if let Some(host) = &asked.host {
        headers.entry(HOST).or_insert(host.clone());
    }
    append(headers, &FORWARDED, forwarded, follows);
}

/// An address in its plain spelling. The library's own writing costs as much as all the rest here.
fn text(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity(15);
    for octet in address.octets() {
        text.extend([if text.is_empty() { "" } else { "." }, itoa::Buffer::new().format(octet)]);
    }
    text
}

/// Says that the message came through here.
pub(super) fn via(headers: &mut HeaderMap) {
    headers.append(VIA, OURS);
}

/// Puts a value behind all that is there, as one line. What a trusted proxy said stays, byte by byte.
fn append(headers: &mut HeaderMap, name: &HeaderName, value: String, follows: bool) {
    let mut there = Vec::new();
    if follows {
        there.extend(headers.get_all(name).iter().map(HeaderValue::as_bytes));
    }
    let all = match there.is_empty() {
        true => value.into_bytes(),
        false => {
            there.push(value.as_bytes());
            there.join(&b", "[..])
        }
    };
    if let Ok(all) = HeaderValue::from_maybe_shared(Bytes::from(all)) {
        headers.insert(name, all);
    }
}
