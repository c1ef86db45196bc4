//! The key of a request as it came, not yet looked up; never printed.

use std::fmt;

use domain::params::Keys;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use settings::Secret;
use transport::headers::has;

/// See the module.
#[derive(Clone)]
pub(crate) enum Credential {
    None,
    One(Secret),
    Ambiguous,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Credential {
    /// The one key of a request: Bearer or `key=`, never both, never twice, never spelled in another way.
    /// An empty key and a header that is no Bearer are no credential. Nothing else of a query is read.
    pub(crate) fn of(headers: &HeaderMap, query: Option<&str>) -> Self {
        let keys = query.map(Keys::of).unwrap_or_default();
        if keys.odd.iter().any(|key| !key.is_empty()) {
            return Credential::Ambiguous;
        }
        let mut only = None;
        for key in keys.named.into_iter().filter(|key| !key.is_empty()) {
            if only.replace(Credential::One(Secret::new(key))).is_some() {
                return Credential::Ambiguous;
            }
        }
        if has(headers, &AUTHORIZATION) {
            for shown in headers.get_all(AUTHORIZATION).iter().filter_map(bearer) {
                if only.replace(shown).is_some() {
                    return Credential::Ambiguous;
                }
            }
        }
        only.unwrap_or(Credential::None)
    }
}

/// The key of a request in whose path one stands: that one, and none beside it.
impl Credential {
    pub(crate) fn in_path(key: Secret, headers: &HeaderMap, query: Option<&str>) -> Self {
        match Credential::of(headers, query) {
            Credential::None => Credential::One(key),
            Credential::One(_) | Credential::Ambiguous => Credential::Ambiguous,
        }
    }
}

/// `Bearer <key>`: the scheme in any case, one or more spaces, no spaces in or after the key. `None` for
/// another scheme and for a Bearer without a key; a Bearer key in any other form is shown, but is no key
/// that a caller can have.
fn bearer(header: &HeaderValue) -> Option<Credential> {
    let is_space = |byte: &u8| b" \t".contains(byte);
    let bytes = header.as_bytes();
    // As nearly every client writes it.
    if let Some(key) = bytes.strip_prefix(b"Bearer ")
        && key.iter().all(u8::is_ascii_graphic)
        && let Ok(key) = str::from_utf8(key)
        && !key.is_empty()
    {
        return Some(Credential::One(Secret::new(key.to_owned())));
    }
    let (scheme, rest) = bytes.split_at(bytes.iter().position(is_space)?);
    if !scheme.eq_ignore_ascii_case(b"bearer") || rest.iter().all(is_space) {
        return None;
    }
    let key = header.to_str().ok().and_then(|text| text.get(scheme.len()..));
    let key = key.unwrap_or_default().trim_start_matches(' ');
    if key.is_empty() || memchr::memchr2(b' ', b'\t', key.as_bytes()).is_some() {
        return Some(Credential::None);
    }
    Some(Credential::One(Secret::new(key.to_owned())))
}

#[cfg(test)]
mod tests {
    use domain::params::Params;
    use tokio::time::Instant;

    use super::*;

    fn found(headers: &[&str], query: &str) -> String {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        match Credential::of(&map, Some(query)) {
            Credential::None => "none".to_owned(),
            Credential::Ambiguous => "ambiguous".to_owned(),
            Credential::One(key) => key.expose().to_owned(),
        }
    }

    #[test]
    fn d21_finding_the_key_costs_a_small_part_of_reading_all_parameters() {
        let query = "a&".repeat(1950);
        let fastest = |work: &dyn Fn()| {
            let rounds = (0..20).map(|_| {
                let began = Instant::now();
                (0..20).for_each(|_| work());
                began.elapsed()
            });
            rounds.min().unwrap()
        };
        let headers = HeaderMap::new();
        let finding = fastest(&|| {
            assert!(matches!(Credential::of(&headers, Some(&query)), Credential::None));
        });
        let reading = fastest(&|| assert_eq!(Params::parse(&query).finish(), ["a"]));
        assert!(finding * 3 < reading, "{finding:?} to find, {reading:?} to read");
    }

    #[test]
    fn exactly_one_credential_in_one_place() {
        assert_eq!(found(&["Bearer abc"], ""), "abc");
        assert_eq!(found(&["bearer  abc"], "name=x"), "abc");
        assert_eq!(found(&[], "key=a%62c&name=x"), "abc");
        for nothing in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a b"]] {
            assert_eq!(found(nothing, ""), "none", "{nothing:?}");
        }
        for empty in ["key=", "key", "KEY=", "key[]=&key="] {
            assert_eq!(found(&[], empty), "none", "{empty}");
        }
        for (headers, query) in [
            (&["Basic YTpi"][..], "key=abc"),
            (&[""], "key=abc"),
            (&["Bearer"], "key=abc"),
            (&["Bearer "], "key=abc&key="),
            (&["Token abc", "Basic YTpi"], "KEY=&key=abc"),
            (&["Bearer abc"], "key="),
            (&["Bearer abc"], "key&KEY="),
            (&["Basic YTpi", "Bearer abc", ""], ""),
        ] {
            assert_eq!(found(headers, query), "abc", "{headers:?} {query}");
        }
        for (headers, query) in [
            (&["Bearer a"][..], "key=a"),
            (&["Bearer a b"], "key=a"),
            (&["Bearer\ta"], "key=a"),
            (&["Bearer \u{e9}"], "key=a"),
            (&["Bearer a", "Bearer a"], ""),
            (&[], "key=a&key=a"),
            (&[], "KEY=a&key=a"),
            (&["Bearer a"], "key[]=a"),
            (&[], "KEY=a"),
            (&[], "key[]=a"),
        ] {
            assert_eq!(found(headers, query), "ambiguous", "{headers:?} {query}");
        }
    }
}
