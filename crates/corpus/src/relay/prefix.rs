//! The random prefix of every path that a relay answers, so that only a holder of the relay's URL gets
//! in. Other processes of the machine reach loopback too: they could read users, be recorded, or bring a
//! credential of their own. The prefix must never be printed.

use rand::RngExt;

/// One segment of a path that cannot be guessed.
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
        // Every byte is compared, so that the time does not show the first wrong one.
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
    fn only_paths_behind_the_prefix_get_in() {
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
    fn a_prefix_has_128_bits_and_no_two_are_equal() {
        let (one, other) = (Prefix::random(), Prefix::random());
        assert_eq!((one.as_str().len(), other.as_str().len()), (33, 33));
        assert_ne!(one.as_str(), other.as_str());
    }
}
