//! Which requests are let in at all, whatever they ask for: the server refused none of it, the method
//! may be ours to answer, and the host is one, and one of those served. Must never look at a path, a
//! query or a key.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Version};
use transport::body::Body;
use transport::server::Refusal;

use crate::error::Error;

/// No method has a longer name.
const METHOD_BYTES_MAX: usize = 16;
const HOST_BYTES_MAX: usize = 255;

/// Lets a request in, or says why not.
pub(crate) fn admit(hosts: &[String], request: &Request<Body>) -> Result<(), Error> {
    if let Some(refusal) = request.extensions().get::<Refusal>() {
        return Err(refused(*refusal));
    }
    may_ask(request)?;
    if request.version() == Version::HTTP_2 {
        has_plain_names(request.headers())?;
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

/// In HTTP/1 the server looks itself.
fn has_plain_names(headers: &HeaderMap) -> Result<(), Error> {
    let is_claim = |name: &str| {
        name.starts_with("x_forwarded") || name.starts_with("content_") || name == "x_real_ip"
    };
    let is_odd = |name: &str| {
        name.contains('_') && (is_claim(&name.replace('-', "_")) || name == "transfer_encoding")
    };
    match headers.keys().any(|name| is_odd(name.as_str())) {
        true => Err(Error::Refused(Refusal::BadHeader)),
        false => Ok(()),
    }
}

/// Which host is asked: by the target, by the header, or by both alike. HTTP/1.0 may name none.
fn host(request: &Request<Body>) -> Result<Option<&str>, Error> {
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
        (Some(target), Some(named)) if !target.eq_ignore_ascii_case(named) => return Err(BAD),
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if request.version() == Version::HTTP_2 => return Err(BAD),
        (None, None) => return Ok(None),
    };
    let is_fit = |byte: u8| byte.is_ascii_graphic() && !b"/@?#\\".contains(&byte);
    let is_host = (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(is_fit);
    if is_host { Ok(Some(host)) } else { Err(BAD) }
}

/// Whether a host is among those served, on whatever port.
fn is_served(hosts: &[String], host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
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
        for (uri, version, headers) in [
            ("http://a/", one, &[("host", "b")][..]),
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
