//! Which requests are let in at all, whatever they ask for: the server refused none of it, the method
//! may be ours to answer, what only HTTP/2 can say fits HTTP/1, and the host is one, and one of those served.
//! Must never look at a query or a key.

use http::header::{CONTENT_LENGTH, HOST};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Uri, Version};
use transport::body::Body;
use transport::server::{Refusal, read_host};

use crate::error::Error;

/// No method has a longer name.
const METHOD_BYTES_MAX: usize = 16;

/// Lets a request in, or says why not.
pub(crate) fn admit(hosts: &[String], request: &Request<Body>) -> Result<(), Error> {
    if let Some(refusal) = request.extensions().get::<Refusal>() {
        return Err(refused(*refusal));
    }
    may_ask(request)?;
    if request.version() == Version::HTTP_2 {
        has_plain_names(request.headers())?;
        has_one_length(request.headers())?;
        has_plain_target(request.uri())?;
    }
    let host = host(request)?;
    if !hosts.is_empty() && !host.is_some_and(|host| is_served(hosts, host)) {
        return Err(Error::UnknownHost);
    }
    Ok(())
}

/// Asked with a method of that length, there is nothing to be said but which methods there are.
fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::BadMethod => Error::unknown_method(),
        refusal => Error::Refused(refusal),
    }
}

fn may_ask(request: &Request<Body>) -> Result<(), Error> {
    let method = request.method();
    // A tunnel to anywhere; the whole server.
    let is_odd = *method == Method::CONNECT
        || method.as_str().len() > METHOD_BYTES_MAX
        || (request.uri().path() == "*" && *method != Method::OPTIONS);
    if is_odd { Err(Error::unknown_method()) } else { Ok(()) }
}

/// In HTTP/1 the server looks itself. h2 takes a quote for a part of a name.
fn has_plain_names(headers: &HeaderMap) -> Result<(), Error> {
    let is_claim = |name: &str| {
        name.starts_with("x_forwarded") || name.starts_with("content_") || name == "x_real_ip"
    };
    let is_odd = |name: &str| {
        name.contains('"')
            || name.contains('_')
                && (is_claim(&name.replace('-', "_")) || name == "transfer_encoding")
    };
    match headers.keys().any(|name| is_odd(name.as_str())) {
        true => Err(Error::Refused(Refusal::BadHeader)),
        false => Ok(()),
    }
}

/// h2 takes several lengths that are equal, and an empty one as 0.
fn has_one_length(headers: &HeaderMap) -> Result<(), Error> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if !length.is_empty() => Ok(()),
        _ => Err(Error::Refused(Refusal::BadFraming)),
    }
}

/// h2 takes any scheme, and any text for a path.
fn has_plain_target(target: &Uri) -> Result<(), Error> {
    let path = target.path_and_query().map_or("", PathAndQuery::as_str);
    let is_path = path.starts_with('/') || path == "*";
    match target.scheme_str() {
        None | Some("http" | "https") if is_path => Ok(()),
        _ => Err(Error::Refused(Refusal::BadTarget)),
    }
}

/// Which host is asked: by the target, by the header, or by both alike. HTTP/1.0 may name none.
pub(crate) fn host(request: &Request<Body>) -> Result<Option<&str>, Error> {
    const BAD: Error = Error::Refused(Refusal::BadHost);
    let mut headers = request.headers().get_all(HOST).iter();
    let (first, second) = (headers.next(), headers.next());
    let named = match (first, second) {
        (None, _) => None,
        (Some(host), None) => Some(host.to_str().map_err(|_| BAD)?),
        (Some(_), Some(_)) => return Err(BAD),
    };
    let target = request.uri().authority().map(Authority::as_str);
    let host = match (target, named) {
        (Some(target), Some(named)) if !is_same(request.uri(), target, named) => return Err(BAD),
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if request.version() == Version::HTTP_2 => return Err(BAD),
        (None, None) => return Ok(None),
    };
    // In HTTP/1 the server has read the header itself.
    let is_read = target.is_none() && request.version() <= Version::HTTP_11;
    if is_read || read_host(host.as_bytes()).is_some() { Ok(Some(host)) } else { Err(BAD) }
}

/// Whether two texts name one host. The port of the target's scheme need not be said.
fn is_same(uri: &Uri, target: &str, named: &str) -> bool {
    if target.eq_ignore_ascii_case(named) {
        return true;
    }
    let own = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let (Some(target), Some(named)) = (read_host(target.as_bytes()), read_host(named.as_bytes()))
    else {
        return false;
    };
    target.0.eq_ignore_ascii_case(named.0) && target.1.unwrap_or(own) == named.1.unwrap_or(own)
}

/// Whether a host is among those served, on whatever port.
pub(crate) fn is_served(hosts: &[String], host: &str) -> bool {
    let name = read_host(host.as_bytes()).map_or(host, |(name, _)| name);
    hosts.iter().any(|served| served.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(method: &str, uri: &str, version: Version, headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder().method(method).uri(uri).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(transport::body::empty()).unwrap();
        let looked = may_ask(&request)
            .and_then(|()| has_plain_names(request.headers()))
            .and_then(|()| has_one_length(request.headers()))
            .and_then(|()| has_plain_target(request.uri()))
            .and_then(|()| host(&request));
        match looked {
            Ok(host) => host.unwrap_or("none").to_owned(),
            Err(error) => error.slug().to_owned(),
        }
    }

    #[test]
    fn target_and_header_name_one_host() {
        let (one, two) = (Version::HTTP_11, Version::HTTP_2);
        assert_eq!(verdict("GET", "/", one, &[("host", "a:80")]), "a:80");
        assert_eq!(verdict("GET", "/", Version::HTTP_10, &[]), "none");
        assert_eq!(verdict("GET", "http://A/", one, &[("host", "a")]), "A");
        assert_eq!(verdict("GET", "https://a/", two, &[]), "a");
        assert_eq!(verdict("GET", "http://a:80/", one, &[("host", "A")]), "a:80");
        assert_eq!(verdict("GET", "https://a/", two, &[("host", "a:443")]), "a");
        for (uri, version, headers) in [
            ("http://a/", one, &[("host", "b")][..]),
            ("http://a/", one, &[("host", "a:443")]),
            ("http://a:81/", one, &[("host", "a")]),
            ("http://a:99999/", two, &[]),
            ("http://a/", two, &[("host", "a:")]),
            ("http://a@b/", two, &[]),
            ("https://a/", two, &[("host", "b")]),
            ("/", two, &[]),
            ("/", two, &[("host", "a"), ("host", "a")]),
            ("/", two, &[("host", "")]),
            ("/", two, &[("host", "a/b")]),
        ] {
            assert_eq!(verdict("GET", uri, version, headers), "bad_host", "{uri} {headers:?}");
        }
    }

    #[test]
    fn unknown_methods_are_not_allowed() {
        let host = [("host", "a")];
        for method in ["CONNECT", "MMMMMMMMMMMMMMMMM"] {
            assert_eq!(verdict(method, "/", Version::HTTP_11, &host), "method_not_allowed");
        }
        assert_eq!(verdict("GET", "*", Version::HTTP_11, &host), "method_not_allowed");
        assert_eq!(verdict("OPTIONS", "*", Version::HTTP_11, &host), "a");
        assert_eq!(verdict("PROPFIND", "/", Version::HTTP_11, &host), "a");
    }

    #[test]
    fn a_name_with_an_underscore_is_no_other_header() {
        for name in ["content_length", "x_forwarded-for", "x-real_ip", "transfer_encoding"] {
            let headers = [("host", "a"), (name, "1")];
            assert_eq!(verdict("GET", "/", Version::HTTP_2, &headers), "bad_header", "{name}");
        }
        let headers = [("host", "a"), ("api_key", "1"), ("content-type", "a")];
        assert_eq!(verdict("GET", "/", Version::HTTP_2, &headers), "a");
    }

    #[test]
    fn what_only_http2_can_say_is_refused() {
        let two = Version::HTTP_2;
        for (uri, headers, slug) in [
            ("http://a/", &[("content-length", "5"), ("content-length", "5")][..], "bad_framing"),
            ("http://a/", &[("content-length", "")], "bad_framing"),
            ("ftp://a/", &[], "bad_target"),
        ] {
            assert_eq!(verdict("GET", uri, two, headers), slug, "{uri} {headers:?}");
        }
        let of = |path| {
            let uri = Uri::builder().scheme("http").authority("a").path_and_query(path).build();
            uri.is_ok_and(|uri| has_plain_target(&uri).is_ok())
        };
        assert!(of("/") && of("/a?b") && of("*"));
        assert!(!of("a") && !of("?a") && !of("a/b"));
    }

    #[test]
    fn a_served_host_is_known_on_any_port_and_in_any_case() {
        let hosts = ["api.example.com".to_owned(), "[::1]".to_owned()];
        for good in ["api.example.com", "API.example.com:8080", "[::1]:80", "[::1]"] {
            assert!(is_served(&hosts, good), "{good}");
        }
        for bad in
            ["example.com", "api.example.com.", "api.example.com:x", "[::2]", "169.254.169.254"]
        {
            assert!(!is_served(&hosts, bad), "{bad}");
        }
    }
}
