//! Path and query of a request as sent, to ask another side the same question. They may contain a key, so
//! they must never be printed.

use std::fmt;

use http::Uri;
use http::uri::PathAndQuery;

#[derive(Clone)]
pub struct Target(Uri);

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Target {
    pub fn of(uri: &Uri) -> Self {
        Target(uri.clone())
    }

    /// A copy with its own memory. A part of a request shares the memory of the whole head and would keep
    /// it alive.
    pub fn apart(&self) -> Self {
        let parts = self.0.path_and_query().map(|parts| PathAndQuery::try_from(parts.as_str()));
        Target(parts.and_then(Result::ok).map(Uri::from).unwrap_or_default())
    }

    pub fn bytes(&self) -> usize {
        self.0.path_and_query().map_or(0, |parts| parts.as_str().len())
    }

    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The query without the key and with every other byte unchanged, and whether it had the key. An empty key
    /// is none.
    pub fn query_without_key(&self) -> (String, bool) {
        let query = self.0.query().unwrap_or_default();
        let mut had_key = false;
        let mut is_other = |part: &&str| match form_urlencoded::parse(part.as_bytes()).next() {
            Some((name, key)) if name == "key" => {
                had_key |= !key.is_empty();
                false
            }
            _ => true,
        };
        let others: Vec<&str> = query.split('&').filter(|part| is_other(part)).collect();
        (others.join("&"), had_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_taken_out_of_the_query_and_nothing_else() {
        for (target, left, had_key) in [
            ("/a", "", false),
            ("/a?", "", false),
            ("/a?name=x%20y&sag=&&q", "name=x%20y&sag=&&q", false),
            ("/a?key=1", "", true),
            ("/a?key=&name=x&key", "name=x", false),
            ("/a?name=x&%6bey=1&keys=2", "name=x&keys=2", true),
        ] {
            let target_of = Target::of(&target.parse().unwrap());
            assert_eq!(target_of.query_without_key(), (left.to_owned(), had_key), "{target}");
            let apart = target_of.apart();
            assert_eq!(apart.query_without_key(), target_of.query_without_key());
            assert_eq!((apart.path(), apart.bytes()), (target_of.path(), target.len()));
            assert_ne!(apart.path().as_ptr(), target_of.path().as_ptr(), "it shares nothing");
            assert_eq!((target_of.path(), format!("{target_of:?}").as_str()), ("/a", "[redacted]"));
        }
    }
}
