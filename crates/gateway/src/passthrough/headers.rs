//! Which headers go on and which end here. One function for both directions, so that there is one list
//! to review.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, TE, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderValue};

/// Headers about one connection, whether or not `Connection` names them (RFC 9110, 7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What a client may not ask a server behind us to believe: another path or method than the one that
/// was judged here.
const MISLEADING: [&str; 5] = [
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// What a trailer may never be: framing, routing, and what names the client or its credential.
const NEVER_TRAILERS: [&str; 9] = [
    "authorization",
    "content-length",
    "content-encoding",
    "content-type",
    "cookie",
    "host",
    "set-cookie",
    "trailer",
    "x-request-id",
];

/// What is among the headers of a request. One look finds all of it, and most requests have none.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Among {
    pub(super) expect: bool,
    pub(super) upgrade: bool,
    pub(super) referer: bool,
    /// What concerns one connection only; `TE` and `Upgrade` are among it.
    pub(super) of_connection: bool,
    misleads: bool,
    tells_who: bool,
    cookies: bool,
}

impl Among {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut among = Among::default();
        for name in headers.keys().map(HeaderName::as_str) {
            match name {
                "expect" => among.expect = true,
                "referer" => among.referer = true,
                "cookie" => among.cookies = true,
                name if is_of_connection(name) => {
                    among.of_connection = true;
                    among.upgrade |= name == "upgrade";
                }
                name => {
                    among.tells_who |= says_who_asked(name);
                    among.misleads |= is_misleading(name);
                }
            }
        }
        among
    }
}

/// Removes from a request what concerns one connection only, what misleads, and, unless the peer is trusted, what
/// speaks of who asked. Cookies become one header.
pub(super) fn clean(headers: &mut HeaderMap, among: Among, is_trusted: bool) {
    if among.of_connection {
        strip_hop_by_hop(headers);
    }
    if among.misleads {
        remove_where(headers, |name| is_misleading(name.as_str()));
    }
    if among.cookies {
        join_cookies(headers);
    }
    if among.tells_who && !is_trusted {
        remove_where(headers, |name| says_who_asked(name.as_str()));
    }
}

/// `Connection` and `Trailer` are among these, and most messages have none.
fn is_of_connection(name: &str) -> bool {
    name == "trailer" || is_hop_by_hop(name)
}

/// Removes what concerns one connection only: the headers that `Connection` names, and all of
/// [`is_hop_by_hop`]. What stays of `TE` is `trailers`; what stays of `Trailer` names trailers that may
/// be, where the length of the body is open.
///
/// The caller sets its own headers (`Host`, the credential) after this, so that no client can
/// take them away by naming them in `Connection`.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| is_of_connection(name.as_str())) {
        return;
    }
    let takes_trailers = tokens(headers, &TE).any(|coding| {
        let coding = coding.split(';').next().unwrap_or_default().trim();
        coding.eq_ignore_ascii_case("trailers")
    });
    let trailers: Vec<String> = match headers.contains_key(CONTENT_LENGTH) {
        true => Vec::new(),
        false => tokens(headers, &TRAILER).filter(|name| may_trail(name)).map(lower).collect(),
    };
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
    remove_where(headers, |name| is_of_connection(name.as_str()));
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Ok(trailers) = HeaderValue::from_str(&trailers.join(", "))
        && !trailers.is_empty()
    {
        headers.insert(TRAILER, trailers);
    }
}

/// Removes the headers with a bad name.
pub(super) fn remove_where(headers: &mut HeaderMap, is_bad: impl Fn(&HeaderName) -> bool) {
    let bad: Vec<HeaderName> = headers.keys().filter(|name| is_bad(name)).cloned().collect();
    for name in bad {
        headers.remove(name);
    }
}

/// What of a request is ours, misleads, or turns into another header where `_` is read as `-`.
fn is_misleading(name: &str) -> bool {
    let is_plainly_bad = |name: &str| name.starts_with("x-tieline-") || MISLEADING.contains(&name);
    // Names are short: looking at all bytes costs less than a search that stops at the first.
    if !name.bytes().fold(false, |found, byte| found | (byte == b'_')) {
        return name.starts_with("x-") && is_plainly_bad(name);
    }
    let dashed = name.replace('_', "-");
    is_plainly_bad(&dashed) || is_framing_or_identity(&dashed)
}

/// What says who asked.
fn says_who_asked(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "forwarded" || name == "x-real-ip"
}

/// HTTP/2 splits cookies into several headers; over HTTP/1 there is one (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(all) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        headers.insert(COOKIE, all);
    }
}

fn is_framing_or_identity(name: &str) -> bool {
    is_hop_by_hop(name)
        || name.starts_with("x-forwarded-")
        || matches!(name, "content-length" | "forwarded" | "x-real-ip" | "x-request-id")
}

/// Whether all names are those of HTTP/1: h2 takes a quote for a part of one.
pub(super) fn are_names(headers: &HeaderMap) -> bool {
    !headers.keys().any(|name| name.as_str().contains('"'))
}

/// Removes from trailers what may not be one.
pub(super) fn strip_trailers(trailers: &mut HeaderMap) {
    remove_where(trailers, |name| !may_trail(name.as_str()));
}

fn may_trail(name: &str) -> bool {
    let name = lower(name);
    !name.starts_with("x-tieline-")
        && !NEVER_TRAILERS.contains(&name.as_str())
        && !is_framing_or_identity(&name)
        && !is_framing_or_identity(&name.replace('_', "-"))
}

/// Whether `Upgrade` is one word, `websocket`.
pub(super) fn is_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = tokens(headers, &UPGRADE);
    protocols.next().is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        && protocols.next().is_none()
}

/// Asks for a WebSocket, or agrees to one.
pub(super) fn say_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Whether `Connection` names `upgrade`, and `Upgrade` a WebSocket.
pub(super) fn wants_websocket(headers: &HeaderMap) -> bool {
    is_websocket(headers)
        && tokens(headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
}

/// The host that the client asked for: of HTTP/2 the authority, otherwise `Host`.
pub(super) fn asked_host(uri: &http::Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match headers.get(HOST) {
        Some(host) => Some(host.clone()),
        None => HeaderValue::from_str(uri.authority()?.as_str()).ok(),
    }
}

/// The words of a list. One that is no text does not hide the others.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let words = values.flat_map(|value| value.split(|byte| *byte == b','));
    let words = words.filter_map(|word| std::str::from_utf8(word.trim_ascii()).ok());
    words.filter(|word| !word.is_empty())
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn shown(headers: &HeaderMap) -> Vec<String> {
        let text = |value: &HeaderValue| value.to_str().unwrap_or("?").to_owned();
        headers.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect()
    }

    #[test]
    fn what_concerns_one_connection_ends_here() {
        let mut headers = map(&[
            ("connection", "close, X-Secret ,keep-alive"),
            ("connection", "x-other"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-authenticate", "Basic"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip, trailers;q=0.5"),
            ("trailer", "X-Sum, Authorization, content-length"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("accept", "*/*"),
            ("cookie", "a=b"),
        ]);
        strip_hop_by_hop(&mut headers);
        let mut left = shown(&headers);
        left.sort();
        assert_eq!(left, ["accept: */*", "cookie: a=b", "te: trailers", "trailer: x-sum"]);

        let mut odd = map(&[("x-secret", "1"), ("accept", "*/*")]);
        odd.insert("connection", HeaderValue::from_bytes(b"\xff, x-secret").unwrap());
        strip_hop_by_hop(&mut odd);
        assert_eq!(shown(&odd), ["accept: */*"]);

        let mut fixed = map(&[("content-length", "5"), ("trailer", "x-sum"), ("te", "gzip")]);
        strip_hop_by_hop(&mut fixed);
        assert_eq!(shown(&fixed), ["content-length: 5"]);
    }

    #[test]
    fn what_misleads_a_server_behind_us_ends_here() {
        let mut headers = map(&[
            ("x_forwarded_for", "1.2.3.4"),
            ("x-forwarded-for_x", "1.2.3.4"),
            ("content_length", "5"),
            ("transfer_encoding", "chunked"),
            ("x-http-method-override", "DELETE"),
            ("x_original_url", "/admin"),
            ("x-tieline-explain", "1"),
            ("x_custom", "1"),
        ]);
        let among = Among::of(&headers);
        clean(&mut headers, among, true);
        assert_eq!(shown(&headers), ["x_custom: 1"]);
        let mut trailers =
            map(&[("x-sum", "1"), ("authorization", "x"), ("transfer-encoding", "y")]);
        strip_trailers(&mut trailers);
        assert_eq!(shown(&trailers), ["x-sum: 1"]);
    }

    #[test]
    fn cookies_are_one_header() {
        let mut headers = map(&[("cookie", "a=b"), ("accept", "*/*"), ("cookie", "c=d")]);
        join_cookies(&mut headers);
        let mut left = shown(&headers);
        left.sort();
        assert_eq!(left, ["accept: */*", "cookie: a=b; c=d"]);
    }

    #[test]
    fn a_websocket_is_asked_for_in_one_way() {
        assert!(wants_websocket(&map(&[("connection", "a, Upgrade"), ("upgrade", "WebSocket")])));
        for other in [
            &[("upgrade", "websocket")][..],
            &[("connection", "upgrade"), ("upgrade", "h2c")],
            &[("connection", "upgrade"), ("upgrade", "websocket, h2c")],
        ] {
            assert!(!wants_websocket(&map(other)), "{other:?}");
        }
    }
}
