//! Where an upstream is: scheme, host, port and at most a path. Nothing in it may be a secret.

use http::Uri;
use serde::{Deserialize, Deserializer, de::Error};

/// What a base URL must be.
pub(crate) const WANTED: &str = "must be http:// or https://, a host, and at most a path";

/// The URL without a slash at its end, or `None` where it is none we can use.
pub(crate) fn read(url: &str) -> Option<String> {
    let uri = url.parse::<Uri>().ok()?;
    let authority = uri.authority()?.as_str();
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    // Behind an IPv6 address's bracket, or behind the host, a colon means a port.
    let has_colon = authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let has_odd_port = has_colon && uri.port_u16().is_none();
    let is_plain = !authority.contains('@') && uri.query().is_none() && !url.contains('#');
    let is_good = is_http && has_host && is_plain && !has_odd_port;
    is_good.then(|| url.trim_end_matches('/').to_owned())
}

/// The fault of a base URL whose path already ends with the beginning of a path that is added to it,
/// such as `/api/v4`, with the whole of it or with its first `least` parts at the fewest. `added` begins
/// with a slash.
pub(crate) fn repeated(url: &str, added: &str, least: usize) -> Option<String> {
    let (_, path) = url.split_once("://")?.1.split_once('/')?;
    let own: Vec<&str> = path.split('/').collect();
    let added: Vec<&str> = added.trim_start_matches('/').split('/').collect();
    let is_repeated = |parts: &usize| {
        let (end, begin) = (own.iter().rev().take(*parts).rev(), added.iter().take(*parts));
        own.len() >= *parts && end.zip(begin).all(|(a, b)| a.eq_ignore_ascii_case(b))
    };
    let parts = (least.max(1)..=added.len()).rev().find(is_repeated)?;
    let begin: Vec<&str> = added.into_iter().take(parts).collect();
    Some(format!("must end before \"/{}\", which is added to it", begin.join("/")))
}

/// Reads a base URL, for `#[serde(deserialize_with)]`.
pub(crate) fn base_url<'de, D: Deserializer<'de>>(de: D) -> Result<String, D::Error> {
    read(&String::deserialize(de)?).ok_or_else(|| D::Error::custom(WANTED))
}

/// Reads a path below a base URL that names one thing, for `#[serde(deserialize_with)]`.
pub(crate) fn path<'de, D: Deserializer<'de>>(de: D) -> Result<Option<String>, D::Error> {
    let path = String::deserialize(de)?;
    let is_plain = |part: &str| {
        let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !matches!(part, "" | "." | "..") && part.bytes().all(is_char)
    };
    match path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_plain)) {
        true => Ok(Some(path)),
        false => Err(D::Error::custom("must be a path that begins with a slash, without a query")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_that_already_has_the_added_path_is_told_where_to_end() {
        for (url, told) in [
            ("https://x/api/v4", Some("/api/v4")),
            ("https://x:8443/corp/api/v4", Some("/api/v4")),
            ("https://x/API/V4", Some("/api/v4")),
            ("https://x/api/v4/users", Some("/api/v4/users")),
            ("https://x", None),
            ("https://x/api", None),
            ("https://x/api/v4/proxy", None),
            ("https://x/v4", None),
            ("https://api/v4", None),
            ("http://[::1]/myapi/v4", None),
        ] {
            let told = told.map(|path| format!("must end before {path:?}, which is added to it"));
            assert_eq!(repeated(url, "/api/v4/users", 2), told, "{url}");
        }
        assert!(repeated("https://x/useradmin", "/useradmin/users", 1).is_some());
    }

    #[test]
    fn a_base_url_is_scheme_host_and_at_most_port_and_path() {
        for good in
            ["https://cc.voiso.com", "http://127.0.0.1:80/a/", "http://[::1]:9", "http://[::1]"]
        {
            assert_eq!(read(good).as_deref(), Some(good.trim_end_matches('/')), "{good}");
        }
        for bad in [
            "",
            "cc.voiso.com",
            "ftp://x",
            "https://",
            "https://user@x",
            "https://x?y",
            "https://x/#y",
            "https://x:99999",
            "https://x:port",
            "http://[::1]:99999",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
