//! A cursor over the query of a legacy request: every parameter is used, or reported as ignored.
//!
//! Real clients send empty and undocumented parameters, so neither is refused. Both spellings found
//! in the legacy documentation are understood: `name=` and `filter[name]=`. A body may say the same.

mod body;
mod near_miss;

use std::collections::{BTreeSet, HashSet};

pub use body::BadJson;
pub use near_miss::NearMiss;

/// How many unused parameters are looked at.
const IGNORED_MAX: usize = 20;

/// The parameters of one request that are not used yet.
#[derive(Debug, Clone, Default)]
pub struct Params {
    left: Vec<Given>,
    ignored: BTreeSet<String>,
    /// Whether a filter was taken whose value is no text.
    has_unreadable: bool,
}

/// One parameter.
#[derive(Debug, Clone)]
struct Given {
    name: String,
    value: String,
    /// Whether the bytes of the value are UTF-8. What is none, such as `%E9`, is in `value` as U+FFFD.
    is_text: bool,
}

impl Params {
    /// Splits a raw query string (without the `?`). A filter whose bytes are no UTF-8 finds nothing rather
    /// than everything: see [`Params::has_unreadable`].
    pub fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter_map(|raw| {
            let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
            let ((name, _), (value, is_text)) = (unescaped(name), unescaped(value));
            (!raw.is_empty()).then_some(Given { name, value, is_text })
        });
        Params { left: pairs.collect(), ..Params::default() }
    }

    /// Puts the parameters of a request's body over these of its query, as Rails does: what the body names
    /// in any spelling, up to the first bracket, the query no longer says.
    pub fn put_over(&mut self, body: Params) {
        let root = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
        let roots: HashSet<String> = body.left.iter().map(|given| root(&given.name)).collect();
        self.left.retain(|given| !roots.contains(&root(&given.name)));
        self.left.extend(body.left);
    }

    /// Puts the parameters of a request's body beside these of its query, where they must agree.
    pub fn put_beside(&mut self, body: Params) {
        self.left.extend(body.left);
    }

    /// The same without what [`Keys`] finds: no key may stay.
    pub fn without_keys(mut self) -> Self {
        self.left.retain(|given| !is_like_key(&given.name));
        self
    }

    /// Whether a filter has a value in any of the spellings that [`Params::take_filter`] takes.
    pub fn has_filter(&self, name: &str) -> bool {
        self.left.iter().any(|given| filter_of(&given.name) == name && !given.value.is_empty())
    }

    /// Whether a name or a value is this word, whatever the case.
    pub(crate) fn says(&self, word: &str) -> bool {
        let is = |text: &str| text.trim().eq_ignore_ascii_case(word);
        self.left.iter().any(|given| is(filter_of(&given.name)) || is(&given.value))
    }

    /// Takes the different non-empty values of a filter, spelled `name=`, `filter[name]=` or with
    /// `[]` or `[0]` behind either. Empty values count as ignored.
    pub fn take_filter(&mut self, name: &str) -> Vec<String> {
        let taken = self.take_where(|given| filter_of(given) == name);
        let mut wanted: Vec<String> = Vec::new();
        for Given { value, is_text, .. } in taken {
            self.has_unreadable |= !is_text;
            if value.is_empty() {
                self.ignored.insert(name.to_owned());
            } else if !wanted.contains(&value) {
                wanted.push(value);
            }
        }
        wanted
    }

    /// Counts a parameter as ignored that was taken and means nothing.
    pub(crate) fn ignore(&mut self, name: &str) {
        self.ignored.insert(name.to_owned());
    }

    /// Whether a filter was taken whose bytes are no UTF-8. No row can fit it, not even one that holds
    /// U+FFFD itself.
    pub fn has_unreadable(&self) -> bool {
        self.has_unreadable
    }

    /// Ends the reading and returns names that were not used, sorted, each once. A request can have thousands;
    /// only the first 20 are looked at.
    pub fn finish(mut self) -> Vec<String> {
        self.ignored.extend(self.left.into_iter().take(IGNORED_MAX).map(|given| given.name));
        self.ignored.into_iter().collect()
    }

    fn take_where(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<Given> {
        let mut taken = Vec::new();
        self.left.retain_mut(|given| {
            let hit = wanted(&given.name);
            if hit {
                let (name, value) =
                    (std::mem::take(&mut given.name), std::mem::take(&mut given.value));
                taken.push(Given { name, value, is_text: given.is_text });
            }
            !hit
        });
        taken
    }
}

/// The keys in a query. Nothing else of it is read, since anybody can send one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Every value of the credential parameter, empty ones included.
    pub named: Vec<String>,
    /// Every value of a parameter that only looks like it, such as `KEY` or `key[]`. The legacy API read no
    /// key from it, but clients put keys there.
    pub odd: Vec<String>,
}

impl Keys {
    /// Looks for keys in a raw query string (without the `?`).
    pub fn of(query: &str) -> Self {
        let mut keys = Keys::default();
        for raw in query.split('&').filter(|raw| may_be_key(raw.as_bytes())) {
            let Some((name, value)) = form_urlencoded::parse(raw.as_bytes()).next() else {
                continue;
            };
            match &*name {
                "key" => keys.named.push(value.into_owned()),
                odd if is_like_key(odd) => keys.odd.push(value.into_owned()),
                _ => {}
            }
        }
        keys
    }
}

/// Whether a parameter begins like a key, perhaps escaped: others need not be unescaped.
fn may_be_key(raw: &[u8]) -> bool {
    matches!(raw, [b'k' | b'K', ..] | [b'%', b'4' | b'6', b'b' | b'B', ..])
}

fn is_like_key(name: &str) -> bool {
    without_index(name).eq_ignore_ascii_case("key")
}

/// A name or a value of a form, and whether its bytes are UTF-8; those that are not are U+FFFD. A `%` without
/// two hexadecimal digits stays as it is.
fn unescaped(raw: &str) -> (String, bool) {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return (raw.to_owned(), true);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    loop {
        let plain = rest.iter().take_while(|byte| !matches!(byte, b'%' | b'+')).count();
        let (plain, escape) = rest.split_at(plain);
        bytes.extend_from_slice(plain);
        let Some((first, behind)) = escape.split_first() else { break };
        rest = behind;
        bytes.push(match (first, behind) {
            (b'+', _) => b' ',
            (_, [high, low, behind @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => *first,
            },
            _ => *first,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
    }
}

/// The filter that a parameter names, in whichever spelling.
fn filter_of(given: &str) -> &str {
    // Most names have no bracket.
    if !given.ends_with(']') {
        return given;
    }
    let given = without_index(given);
    let inner = given.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(given)
}

/// A name without the end that makes it one of a list. Many clients send a list as `name[]=`, PHP as
/// `name[0]=`; here it has one value.
fn without_index(given: &str) -> &str {
    match given.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((name, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => given,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_parameter_is_used_or_reported() {
        let mut params =
            Params::parse("name=Jane%20Doe&filter[email]=a%40b&sag=&page=2&x=1&x=2&extension");
        let given = ["name", "email", "sag", "x", "id"].map(|name| params.has_filter(name));
        assert_eq!(given, [true, true, false, true, false]);
        assert_eq!(params.take_filter("name"), ["Jane Doe"]);
        assert_eq!(params.take_filter("email"), ["a@b"]);
        assert!(params.take_filter("sag").is_empty());
        let mut lists = Params::parse("sag[]=Sales&filter[name][]=Ann");
        assert_eq!(lists.take_filter("sag"), ["Sales"]);
        assert_eq!(lists.take_filter("name"), ["Ann"]);
        assert!(params.take_filter("extension").is_empty());
        assert_eq!(params.finish(), ["extension", "page", "sag", "x"]);
    }

    proptest! {
        #[test]
        fn names_and_values_are_read_as_a_form_is(
            query in "([a-c=&+%é\\u{fffd}]|%[0-9a-fA-F]{1,2}|%c3%a9|%EF%BF%BD|%ff){0,12}"
        ) {
            let read = Params::parse(&query).left.into_iter().map(|given| (given.name, given.value));
            let form = form_urlencoded::parse(query.as_bytes());
            let form = form.map(|(name, value)| (name.into_owned(), value.into_owned()));
            prop_assert_eq!(read.collect::<Vec<_>>(), form.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_repeated_filter_keeps_every_different_value() {
        let mut params = Params::parse("name=a&name=b&filter[name]=a&name=");
        assert_eq!(params.take_filter("name"), ["a", "b"]);
        assert_eq!(params.finish(), ["name"]);
    }

    #[test]
    fn broken_escapes_never_become_no_filter() {
        let mut params = Params::parse("name=%ff&email=%");
        assert_eq!(params.take_filter("email"), ["%"]);
        assert!(!params.has_unreadable());
        assert_eq!(params.take_filter("name"), ["\u{fffd}"]);
        assert!(params.has_unreadable());
    }

    #[test]
    fn a_value_is_text_or_is_known_to_be_none() {
        for (query, value, is_unreadable) in [
            ("name=Jos\u{e9}", "Jos\u{e9}", false),
            ("name=Jos%C3%A9", "Jos\u{e9}", false),
            ("name=Jos%E9", "Jos\u{fffd}", true),
            ("name=%EF%BF%BD", "\u{fffd}", false),
            ("name=%ef%bF%bd\u{fffd}", "\u{fffd}\u{fffd}", false),
            ("name=%EF%BF%BD%E9", "\u{fffd}\u{fffd}", true),
            ("x=%E9&name=a", "a", false),
        ] {
            let mut params = Params::parse(query);
            assert_eq!(params.take_filter("name"), [value], "{query}");
            assert_eq!(params.has_unreadable(), is_unreadable, "{query}");
        }
    }

    #[test]
    fn a_numbered_parameter_is_one_of_a_list() {
        let mut params = Params::parse("name[0]=a&filter[name][12]=b&name[x]=c&name[0=d");
        assert_eq!(params.take_filter("name"), ["a", "b"]);
        assert_eq!(params.finish(), ["name[0", "name[x]"]);
    }

    #[test]
    fn d21_the_keys_of_a_query_are_found_however_they_are_spelled() {
        for (query, named, odd) in [
            ("", &[][..], &[][..]),
            ("key=a&name=b&key=&key", &["a", "", ""], &[]),
            ("name=key=a&xkey=b&k=c&keys=d&ke%79=e", &["e"], &[]),
            ("%6bey=a&%6B%65%79=b&%4bEY=c&%4B%45y[]=d", &["a", "b"], &["c", "d"]),
            ("key[0]=a&Key[]=b&key[x]=c&KEY=d%20e", &[], &["a", "b", "d e"]),
            ("&&=x&key%5B%5D=a&ke+y=b&%=c", &[], &["a"]),
        ] {
            let keys = Keys::of(query);
            assert_eq!((&keys.named[..], &keys.odd[..]), (&owned(named)[..], &owned(odd)[..]));
            let (all, rest) = (Params::parse(query), Params::parse(query).without_keys());
            assert_eq!(all.left.len() - rest.left.len(), named.len() + odd.len(), "{query}");
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn d24_of_thousands_of_unused_parameters_twenty_are_looked_at() {
        let query: Vec<String> = (0..2000).map(|number| format!("x{number:04}=1")).collect();
        let mut params = Params::parse(&format!("sag=&{}&name=a", query.join("&")));
        assert_eq!(params.take_filter("name"), ["a"], "a filter is found behind all of them");
        assert!(params.take_filter("sag").is_empty());
        let ignored = params.finish();
        assert_eq!(ignored.len(), 1 + IGNORED_MAX);
        assert_eq!((&*ignored[0], &*ignored[20]), ("sag", "x0019"));
    }

    #[test]
    fn a_body_goes_over_the_query_by_the_first_part_of_a_name() {
        let mut params = Params::parse("name=a&name[]=b&filter[sag]=c&email=d&x=1");
        params.put_over(Params::parse("name[]=e&filter[id]=7"));
        assert_eq!(params.take_filter("name"), ["e"]);
        assert!(params.take_filter("sag").is_empty());
        assert_eq!(params.take_filter("email"), ["d"]);
        assert_eq!(params.take_filter("id"), ["7"]);
        assert_eq!(params.finish(), ["x"]);
    }
}
