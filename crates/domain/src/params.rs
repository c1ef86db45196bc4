//! A cursor over the query of a legacy request: every parameter is used, or reported as ignored.
//!
//! Real clients send empty and undocumented parameters, so neither is refused. Both spellings found
//! in the legacy documentation are understood: `name=` and `filter[name]=`.

use std::collections::BTreeSet;

/// The parameters of one request that are not used yet.
#[derive(Debug, Clone, Default)]
pub struct Params {
    left: Vec<(String, String)>,
    ignored: BTreeSet<String>,
}

impl Params {
    /// Splits a raw query string (without the `?`). Bytes that are no UTF-8 become U+FFFD, which no
    /// stored value contains, so such a filter finds nothing rather than everything.
    pub fn parse(query: &str) -> Self {
        let left = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        Params { left, ignored: BTreeSet::new() }
    }

    /// Takes every value of the credential parameter, empty ones included.
    pub fn take_key(&mut self) -> Vec<String> {
        self.take_where(|given| given == "key")
    }

    /// Takes every value of a parameter that only looks like the credential, such as `KEY` or
    /// `key[]`. The legacy API read no key from it, but clients put keys there, and no key may stay.
    pub fn take_odd_keys(&mut self) -> Vec<String> {
        self.take_where(|given| {
            given != "key" && given.strip_suffix("[]").unwrap_or(given).eq_ignore_ascii_case("key")
        })
    }

    /// Whether a filter has a value in any of the spellings that [`Params::take_filter`] takes.
    pub fn has_filter(&self, name: &str) -> bool {
        self.left.iter().any(|(given, value)| filter_of(given) == name && !value.is_empty())
    }

    /// Takes the different non-empty values of a filter, spelled `name=`, `filter[name]=` or with
    /// `[]` behind either. Empty values count as ignored.
    pub fn take_filter(&mut self, name: &str) -> Vec<String> {
        let values = self.take_where(|given| filter_of(given) == name);
        let mut wanted: Vec<String> = Vec::new();
        for value in values {
            if value.is_empty() {
                self.ignored.insert(name.to_owned());
            } else if !wanted.contains(&value) {
                wanted.push(value);
            }
        }
        wanted
    }

    /// Ends the reading and returns the names that were not used, sorted, each once.
    pub fn finish(mut self) -> Vec<String> {
        self.ignored.extend(self.left.into_iter().map(|(name, _)| name));
        self.ignored.into_iter().collect()
    }

    fn take_where(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut taken = Vec::new();
        self.left.retain_mut(|(name, value)| {
            let hit = wanted(name);
            if hit {
                taken.push(std::mem::take(value));
            }
            !hit
        });
        taken
    }
}

/// The filter that a parameter names, in whichever spelling.
fn filter_of(given: &str) -> &str {
    // Many clients send a list as `name[]=`; here it has one value.
    let given = given.strip_suffix("[]").unwrap_or(given);
    let inner = given.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(given)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_repeated_filter_keeps_every_different_value() {
        let mut params = Params::parse("name=a&name=b&filter[name]=a&name=");
        assert_eq!(params.take_filter("name"), ["a", "b"]);
        assert_eq!(params.finish(), ["name"]);
    }

    #[test]
    fn broken_escapes_never_become_no_filter() {
        let mut params = Params::parse("name=%ff&email=%");
        assert_eq!(params.take_filter("name"), ["\u{fffd}"]);
        assert_eq!(params.take_filter("email"), ["%"]);
    }
}
