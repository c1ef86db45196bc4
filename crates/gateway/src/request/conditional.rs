//! What a client says of the answer it wants: which it has already, in which codings it takes one, and
//! whether a kept one will do. Nothing of it may change which records an answer has.

use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, IF_NONE_MATCH, PRAGMA};
use http::{HeaderMap, HeaderName, HeaderValue};
use settings::Coding;
use transport::headers::has;

use crate::request::coding;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditional {
    /// Tags of answers that the client has.
    if_none_match: Vec<HeaderValue>,
    accept_encoding: Vec<HeaderValue>,
    /// A kept answer will not do.
    pub(crate) wants_fresh: bool,
}

impl Conditional {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let all = |name: HeaderName| -> Vec<HeaderValue> {
            match has(headers, &name) {
                true => headers.get_all(name).iter().cloned().collect(),
                false => Vec::new(),
            }
        };
        let is_fresh = |name: HeaderName, is: fn(&str) -> bool| items(&all(name)).any(is);
        Conditional {
            if_none_match: all(IF_NONE_MATCH),
            accept_encoding: all(ACCEPT_ENCODING),
            wants_fresh: is_fresh(CACHE_CONTROL, |word| is_no_cache(word) || is_age_zero(word))
                || is_fresh(PRAGMA, is_no_cache),
        }
    }

    /// The tag of an answer that the client has, of these bytes in any coding; `W/` in front is no
    /// difference here (RFC 9110).
    pub(crate) fn known(&self, plain: &HeaderValue) -> Option<HeaderValue> {
        if self.if_none_match.is_empty() {
            return None;
        }
        let coded = Coding::ALL.iter().filter_map(|coding| coding::tag(*coding, plain));
        let ours: Vec<HeaderValue> = std::iter::once(plain.clone()).chain(coded).collect();
        items(&self.if_none_match).find_map(|tag| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            let is_it = |ours: &&HeaderValue| tag == "*" || ours.as_bytes() == tag.as_bytes();
            ours.iter().find(is_it).cloned()
        })
    }

    /// The coding the client likes best of those that are used; of equals the first. `None` is plain.
    pub(crate) fn coding(&self, used: &[Coding]) -> Option<Coding> {
        if self.accept_encoding.is_empty() || used.is_empty() {
            return None;
        }
        let weight = |name: &str| {
            items(&self.accept_encoding).find_map(|item| {
                let (coding, weight) = item.split_once(';').unwrap_or((item, "q=1"));
                let same = coding.trim().eq_ignore_ascii_case(name);
                same.then(|| thousandths(weight.trim()))
            })
        };
        let any = weight("*").unwrap_or(0);
        // Plain is taken for granted, so it goes before a coding only where the client says so.
        let plain = weight("identity").unwrap_or(0);
        let mut best = None;
        for coding in used {
            let alias = if *coding == Coding::Gzip { weight("x-gzip") } else { None };
            let weight = weight(coding.as_str()).or(alias).unwrap_or(any);
            let least = best.map_or(plain.max(1) - 1, |(_, best)| best);
            if weight > least && weight >= plain {
                best = Some((*coding, weight));
            }
        }
        best.map(|(coding, _)| coding)
    }
}

fn is_no_cache(word: &str) -> bool {
    word.eq_ignore_ascii_case("no-cache")
}

/// `max-age=0`: an answer of any age is too old.
fn is_age_zero(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, age)| {
        let age = age.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("max-age") && age.parse() == Ok(0_u64)
    })
}

/// What stands between the commas of a header's values.
fn items(values: &[HeaderValue]) -> impl Iterator<Item = &str> {
    let texts = values.iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

/// `q=0.5` as thousandths; what is no weight counts as none at all.
fn thousandths(weight: &str) -> u32 {
    let number = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="));
    let number = number.and_then(|number| number.trim().parse::<f32>().ok());
    let number = number.filter(|number| (0.0..=1.0).contains(number)).unwrap_or(0.0);
    (number * 1000.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditional(name: HeaderName, values: &[&'static str]) -> Conditional {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        Conditional::of(&headers)
    }

    #[test]
    fn the_coding_is_the_clients_choice_and_then_ours() {
        let used = [Coding::Zstd, Coding::Gzip, Coding::Br];
        for (accepts, coding) in [
            (&[][..], None),
            (&[""], None),
            (&["identity"], None),
            (&["gzip"], Some(Coding::Gzip)),
            (&["GZIP"], Some(Coding::Gzip)),
            (&["x-gzip"], Some(Coding::Gzip)),
            (&["gzip, deflate, br, zstd"], Some(Coding::Zstd)),
            (&["gzip, br"], Some(Coding::Gzip)),
            (&["br", "gzip"], Some(Coding::Gzip)),
            (&["gzip;q=0.5, br;q=0.8"], Some(Coding::Br)),
            (&["gzip;q=0, *"], Some(Coding::Zstd)),
            (&["*;q=0"], None),
            (&["zstd;q=0, br;q=0, *;q=0.1"], Some(Coding::Gzip)),
            (&["identity;q=1, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=1.0"], Some(Coding::Gzip)),
            (&["identity, gzip"], Some(Coding::Gzip)),
            (&["gzip;q=2"], None),
            (&["gzip;q=x"], None),
            (&["deflate, compress"], None),
            (&["gzip ; q=0.3"], Some(Coding::Gzip)),
        ] {
            let conditional = conditional(ACCEPT_ENCODING, accepts);
            assert_eq!(conditional.coding(&used), coding, "{accepts:?}");
            assert_eq!(conditional.coding(&[]), None);
        }
    }

    #[test]
    fn a_tag_of_any_coding_is_known_and_told_again() {
        let plain = HeaderValue::from_static("\"abc\"");
        for (tags, known) in [
            (&[][..], None),
            (&["\"x\", W/\"abc\""], Some("\"abc\"")),
            (&["*"], Some("\"abc\"")),
            (&["\"x\"", "\"abc-br\""], Some("\"abc-br\"")),
            (&["\"abc-deflate\"", "abc", ""], None),
        ] {
            let known = known.map(HeaderValue::from_static);
            assert_eq!(conditional(IF_NONE_MATCH, tags).known(&plain), known, "{tags:?}");
        }
    }

    #[test]
    fn a_kept_answer_will_not_do_where_the_client_says_so() {
        for (values, wants_fresh) in [
            (&[][..], false),
            (&["max-age=0"], true),
            (&["private, Max-Age = \"00\""], true),
            (&["max-age=1"], false),
            (&["max-age=-0", "s-maxage=0", "max-age"], false),
            (&["no-cache"], true),
            (&["max-age=0, No-Cache"], true),
            (&["private=\"no-cache-x\""], false),
        ] {
            assert_eq!(conditional(CACHE_CONTROL, values).wants_fresh, wants_fresh, "{values:?}");
        }
        assert!(conditional(PRAGMA, &["x, No-Cache"]).wants_fresh);
        assert!(!conditional(PRAGMA, &["max-age=0"]).wants_fresh);
    }
}
