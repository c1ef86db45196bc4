//! The front of every path that a relay answers: random, so that only who was told the relay's URL
//! comes in. Other processes of the machine reach loopback too, and would read users, be recorded, or
//! show a credential of their own. Must never be printed.

use rand::RngExt;

/// One segment of a path that nobody can guess.
pub(super) struct Prefix(String);

impl Prefix {
    pub(super) fn random() -> Prefix {
        let number: u128 = rand::rng().random();
        Prefix(format!("/{number:032x}"))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Path and query behind the prefix; `None` where they do not begin with it.
    pub(super) fn taken_off(&self, target: &str) -> Option<String> {
        let (front, rest) = target.split_at_checked(self.0.len())?;
        // Looks at every byte, so that the time it takes tells nothing of the first wrong one.
        let pairs = front.bytes().zip(self.0.bytes());
        let is_it = pairs.fold(0, |differing, (a, b)| differing | (a ^ b)) == 0;
        match rest.bytes().next() {
            _ if !is_it => None,
            Some(b'/') => Some(rest.to_owned()),
            None | Some(b'?') => Some(format!("/{rest}")),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_behind_the_prefix_gets_in() {
        let prefix = Prefix("/0a1b".to_owned());
        for (target, expected) in [
            ("/0a1b/users?x=1", Some("/users?x=1")),
            ("/0a1b/", Some("/")),
            ("/0a1b", Some("/")),
            ("/0a1b?x", Some("/?x")),
            ("/0a1b//0a1b", Some("//0a1b")),
            ("/0a1bc/users", None),
            ("/0a1c/users", None),
            ("/0A1B/users", None),
            ("//0a1b/users", None),
            ("/users", None),
            ("/0a1é", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(prefix.taken_off(target).as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn a_prefix_has_128_bits_and_no_two_are_the_same() {
        let (one, other) = (Prefix::random(), Prefix::random());
        assert_eq!((one.as_str().len(), other.as_str().len()), (33, 33));
        assert_ne!(one.as_str(), other.as_str());
    }
}
