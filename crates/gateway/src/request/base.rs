//! An upstream's base URL, taken apart once, so that no request's URI is written only to be parsed again.

use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

/// Scheme, host, and the path that stands before every other.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    scheme: Scheme,
    authority: Authority,
    prefix: String,
    host: HeaderValue,
}

impl Base {
    /// `None` for a text that is no absolute URL.
    pub(crate) fn of(base_url: &str) -> Option<Self> {
        let base: Uri = base_url.parse().ok()?;
        let prefix = base.path().trim_end_matches('/').to_owned();
        let (scheme, authority) = (base.scheme()?.clone(), base.authority()?.clone());
        let host = HeaderValue::from_str(without_own_port(authority.as_str(), &scheme)).ok()?;
        Some(Base { scheme, authority, prefix, host })
    }

    /// What `Host` says of it: the authority without the scheme's own port.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The URI of a path and query below it; `None` where they are none.
    pub(crate) fn uri(&self, path_and_query: &PathAndQuery) -> Option<Uri> {
        let path_and_query = match self.prefix.as_str() {
            "" => path_and_query.clone(),
            prefix => format!("{prefix}{path_and_query}").parse().ok()?,
        };
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).ok()
    }

    /// Path, query and fragment below the base of a URL that a server at the base gave; `None` for a URL
    /// that leads elsewhere, or could be taken for one.
    pub(crate) fn below(&self, url: &str) -> Option<String> {
        let path = match url.starts_with('/') && !url.starts_with("//") {
            true => url,
            false => {
                let (scheme, rest) = url.split_once("//")?;
                let is_ours = scheme.is_empty()
                    || scheme
                        .strip_suffix(':')
                        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(self.scheme.as_str()));
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                let is_same = without_own_port(authority, &self.scheme)
                    .eq_ignore_ascii_case(without_own_port(self.authority.as_str(), &self.scheme));
                (is_ours && is_same).then_some(path)?
            }
        };
        let path = path.strip_prefix(self.prefix.as_str())?;
        match path.as_bytes() {
            // A host to some clients.
            [b'/', b'/' | b'\\', ..] => None,
            [b'/', ..] => Some(path.to_owned()),
            [] | [b'?' | b'#', ..] => Some(format!("/{path}")),
            _ => None,
        }
    }
}

fn without_own_port<'a>(authority: &'a str, scheme: &Scheme) -> &'a str {
    let own = if *scheme == Scheme::HTTPS { ":443" } else { ":80" };
    authority.strip_suffix(own).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_below_the_base() {
        for (base, path, uri) in [
            ("http://a:81", "/b?c=d", "http://a:81/b?c=d"),
            ("https://a/", "/b", "https://a/b"),
            ("https://a/x/y", "/b?c", "https://a/x/y/b?c"),
        ] {
            let base = Base::of(base).unwrap();
            assert_eq!(base.uri(&path.parse().unwrap()).unwrap().to_string(), uri);
        }
        assert!(Base::of("/a").is_none() && Base::of("a").is_none());
    }
}
