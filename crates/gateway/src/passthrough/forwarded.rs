//! Who asked, for the upstream: `Forwarded` and the `X-Forwarded-` headers. What the client says about
//! it is believed only where its address is a trusted proxy's.

use std::cell::RefCell;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The name we go by among proxies.
const OURS: HeaderValue = HeaderValue::from_static("1.1 tieline");

/// Who asked, and how.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The peer's address; unknown in tests without a socket.
    pub(super) peer: Option<IpAddr>,
    /// The host it asked for.
    pub(super) host: Option<HeaderValue>,
    pub(super) is_tls: bool,
}

/// Sets the headers about who asked. Ours follow a trusted proxy's own words; others' are gone already.
pub(super) fn set(headers: &mut HeaderMap, asked: Asked, follows: bool) {
    let words = words(&asked);
    let proto = HeaderValue::from_static(proto(asked.is_tls));
    append(headers, &FOR, words.address, follows);
    for (name, value) in [(PROTO, Some(proto)), (HOST, asked.host)] {
        if let Some(value) = value.filter(|_| !follows || !headers.contains_key(&name)) {
            headers.insert(name, value);
        }
    }
    append(headers, &FORWARDED, words.forwarded, follows);
}

fn proto(is_tls: bool) -> &'static str {
    if is_tls { "https" } else { "http" }
}

/// What is said of who asked.
#[derive(Clone)]
struct Words {
    address: HeaderValue,
    forwarded: HeaderValue,
}

/// The words about a peer. Those of the last one are kept: its next request asks for them again.
fn words(asked: &Asked) -> Words {
    thread_local! {
        static LAST: RefCell<Option<(Asked, Words)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((_, words)) = last.as_ref().filter(|(before, _)| before == asked) {
            return words.clone();
        }
        let words = new_words(asked);
        // A copy of the host: it is a part of the whole head, which must not stay in memory with it.
        let copy = |host: &HeaderValue| HeaderValue::from_bytes(host.as_bytes()).ok();
        let host = asked.host.as_ref().and_then(copy);
        if host.is_some() == asked.host.is_some() {
            *last = Some((Asked { host, ..*asked }, words.clone()));
        }
        words
    })
}

fn new_words(asked: &Asked) -> Words {
    let peer = asked.peer.map(|peer| peer.to_canonical());
    let address = peer.map_or("unknown".to_owned(), |peer| peer.to_string());
    let mut forwarded = match peer {
        Some(IpAddr::V6(_)) => format!("for=\"[{address}]\";proto={}", proto(asked.is_tls)),
        _ => format!("for={address};proto={}", proto(asked.is_tls)),
    };
    let host = asked.host.as_ref().and_then(|host| host.to_str().ok());
    // A host that would end the quotes is no host.
    if let Some(host) = host.filter(|host| !host.contains(['"', '\\'])) {
        forwarded.extend([";host=\"", host, "\""]);
    }
    // An address and a host that was a header before are fit for one.
    let value = |text: String| HeaderValue::from_maybe_shared(Bytes::from(text));
    let unknown = || HeaderValue::from_static("unknown");
    Words {
        address: value(address).unwrap_or_else(|_| unknown()),
        forwarded: value(forwarded).unwrap_or_else(|_| HeaderValue::from_static("for=unknown")),
    }
}

/// Says that the message came through here.
pub(super) fn via(headers: &mut HeaderMap) {
    headers.append(VIA, OURS);
}

/// Puts a value behind all that is there, as one line. What a trusted proxy said stays, byte by byte.
fn append(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue, follows: bool) {
    let mut there = Vec::new();
    if follows {
        there.extend(headers.get_all(name).iter().map(HeaderValue::as_bytes));
    }
    if there.is_empty() {
        headers.insert(name, value);
        return;
    }
    there.push(value.as_bytes());
    if let Ok(all) = HeaderValue::from_maybe_shared(Bytes::from(there.join(&b", "[..]))) {
        headers.insert(name, all);
    }
}
