//! The names of keys, and the code that vouches for news. A name is an HMAC, so that a reader of the server learns
//! no caller, question or setting from it. Must never put text of a caller into a key.

use aws_lc_rs::hmac;

/// The length of an HMAC in a name, in bytes.
const CODE: usize = 16;
/// The version of all formats: names, envelopes and news. Another version has other names.
const FORMAT: &str = "1";

/// Makes names for one group of replicas.
pub(crate) struct Names {
    key: hmac::Key,
    prefix: String,
    /// The tag of the roll: another secret is another roll.
    roll: String,
}

/// What a name is for; two kinds never share a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About {
    Pace,
    Scope,
    Question,
    News,
    Member,
    Roll,
}

impl Names {
    pub(crate) fn new(group: &str, secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mut names = Names { key, prefix: format!("{group}:{FORMAT}:"), roll: String::new() };
        names.roll = hex(&names.code(About::Roll, &[]));
        names
    }

    /// The HMAC of some parts, each with its length before it.
    pub(crate) fn code(&self, about: About, parts: &[&[u8]]) -> [u8; CODE] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(self.prefix.as_bytes());
        context.update(&[about as u8]);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut code = [0; CODE];
        code.copy_from_slice(&context.sign().as_ref()[..CODE]);
        code
    }

    /// The key of one thing of the roll.
    pub(crate) fn of_roll(&self, of: &str) -> String {
        self.key(&self.roll, of)
    }

    /// The key of one thing below a tag. All keys with one tag are in one slot of a cluster.
    pub(crate) fn key(&self, tag: &str, of: &str) -> String {
        format!("{}{{{tag}}}:{of}", self.prefix)
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_by_group_secret_kind_and_the_lengths_of_parts() {
        let names = Names::new("tieline", &[1; 32]);
        let code = names.code(About::Question, &[b"ab", b"c"]);
        assert_eq!(code, Names::new("tieline", &[1; 32]).code(About::Question, &[b"ab", b"c"]));
        assert_ne!(code, names.code(About::Question, &[b"a", b"bc"]));
        assert_ne!(code, names.code(About::Scope, &[b"ab", b"c"]));
        assert_ne!(code, Names::new("other", &[1; 32]).code(About::Question, &[b"ab", b"c"]));
        assert_ne!(code, Names::new("tieline", &[2; 32]).code(About::Question, &[b"ab", b"c"]));
        assert_eq!(names.key("00ff", "v"), "tieline:1:{00ff}:v");
        assert_ne!(names.of_roll("m"), Names::new("tieline", &[2; 32]).of_roll("m"));
        assert_eq!(hex(&[0, 255, 26]), "00ff1a");
    }
}
