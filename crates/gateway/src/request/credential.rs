//! The key of a request as it came, not yet looked up; never printed.

use std::fmt;

use domain::params::Params;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use settings::Secret;

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
    pub(crate) fn of(headers: &HeaderMap, params: &mut Params) -> Self {
        let (in_query, odd) = (params.take_key(), params.take_odd_keys());
        if !odd.is_empty() {
            return Credential::Ambiguous;
        }
        let mut in_header = headers.get_all(AUTHORIZATION).iter();
        let (first, second) = (in_header.next(), in_header.next());
        match (in_query.as_slice(), first, second) {
            ([], None, _) => Credential::None,
            ([], Some(header), None) => bearer(header),
            ([key], None, _) if !key.is_empty() => Credential::One(Secret::new(key.clone())),
            ([_], None, _) => Credential::None,
            _ => Credential::Ambiguous,
        }
    }
}

/// `Bearer <key>`: the scheme in any case, one or more spaces, no spaces in or after the key.
fn bearer(header: &HeaderValue) -> Credential {
    let Ok(text) = header.to_str() else { return Credential::None };
    let Some((scheme, key)) = text.split_once(' ') else { return Credential::None };
    let key = key.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() || key.contains(' ') {
        return Credential::None;
    }
    Credential::One(Secret::new(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(headers: &[&str], query: &str) -> String {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        match Credential::of(&map, &mut Params::parse(query)) {
            Credential::None => "none".to_owned(),
            Credential::Ambiguous => "ambiguous".to_owned(),
            Credential::One(key) => key.expose().to_owned(),
        }
    }

    #[test]
    fn exactly_one_credential_in_one_place() {
        assert_eq!(found(&["Bearer abc"], ""), "abc");
        assert_eq!(found(&["bearer  abc"], "name=x"), "abc");
        assert_eq!(found(&[], "key=a%62c&name=x"), "abc");
        for nothing in [&[][..], &["Basic abc"], &["Bearer"], &["Bearer "], &["Bearer a b"]] {
            assert_eq!(found(nothing, ""), "none", "{nothing:?}");
        }
        assert_eq!(found(&[], "key="), "none");
        for (headers, query) in [
            (&["Bearer a"][..], "key=a"),
            (&["Bearer a"], "key="),
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
