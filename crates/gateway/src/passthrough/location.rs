//! Where an answer sends its client. A place at the upstream becomes the same place here, so that a client
//! that follows it comes by us again. Must never change what leads to any other origin.

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderValue};

use crate::request::base::Base;

/// Rewrites `Location` and `Content-Location` to the path alone where they lead below the upstream's base.
/// A path is right whichever scheme and host the client knows us by.
pub(super) fn become_ours(headers: &mut HeaderMap, base: &Base) {
    if !headers.keys().any(|name| *name == LOCATION || *name == CONTENT_LOCATION) {
        return;
    }
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(url) = headers.get(&name).and_then(|url| url.to_str().ok()) else { continue };
        if let Some(path) = base.below(url)
            && let Ok(path) = HeaderValue::from_str(&path)
        {
            headers.insert(name, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_place_at_the_upstream_becomes_ours() {
        for (base, url, ours) in [
            ("http://up:81", "http://up:81/a?b#c", "/a?b#c"),
            ("http://up", "HTTP://UP:80/a", "/a"),
            ("https://up:443/", "https://up", "/"),
            ("https://up", "//up/a", "/a"),
            ("https://up", "https://up?a=1", "/?a=1"),
            ("http://up/x", "http://up/x/a", "/a"),
            ("http://up/x", "/x/a", "/a"),
            ("http://up/x", "/x", "/"),
            ("http://up/x", "/xa", "/xa"),
            ("http://up/x", "http://up/y", "http://up/y"),
            ("http://up", "/a", "/a"),
            ("http://up", "a/b", "a/b"),
            ("http://up", "https://up/a", "https://up/a"),
            ("http://up", "http://up:81/a", "http://up:81/a"),
            ("http://up", "http://up.example/a", "http://up.example/a"),
            ("http://up", "http://u@up/a", "http://u@up/a"),
            ("http://up", "/a?b=http://up/c", "/a?b=http://up/c"),
            ("http://up", "http://up//evil.example", "http://up//evil.example"),
            ("http://up", "http://up/\\evil.example", "http://up/\\evil.example"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(url));
            become_ours(&mut headers, &Base::of(base).unwrap());
            assert_eq!(headers[LOCATION], ours, "{base} {url}");
        }
    }
}
