//! Replaces personal data by pseudonyms, so that filters and joins still work.
//!
//! Equal texts become equal pseudonyms, in every field and file. Texts that differ only by case become
//! pseudonyms that differ only by case. Different texts become different pseudonyms. A pseudonym has the
//! shape of its text: letters for letters, digits for digits, all other characters unchanged, and the
//! same number of bytes. A number is treated as its digits, so `+1888` and the JSON number 1888 get the
//! same pseudonym.
//!
//! A reader with the key can tell which pseudonym belongs to a text. The key is random and lives as long
//! as the recording. An operator may give one, to compare two recordings. The key must never be written
//! down or printed here.
//!
//! A reader without the key sees the length of a text, its spaces and signs, and which texts are equal.
//! Common parts are not preserved: two e-mail addresses of one domain get pseudonyms of two domains.

mod alphabet;
mod cipher;
mod fields;
mod scrub;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rand::RngExt;

use crate::node::NotJson;
use cipher::Cipher;
pub use fields::{Document, is_word, plain};

/// The shortest key an operator may give.
pub const KEY_BYTES_MIN: usize = 16;
/// A number with fewer digits, in the name of a thing or in an unknown field, identifies no person.
const DIGITS_MIN: usize = 5;
/// The replacement for a key.
const LEFT_OUT: &str = "left-out";
/// How many pseudonyms are cached, and how long their texts may be.
const MADE_MAX: usize = 100_000;
const MADE_BYTES_MAX: usize = 256;

/// The pseudonyms under one key, and the fields and sentences that stay as they are.
pub struct Pseudonyms {
    cipher: Cipher,
    kept_fields: BTreeSet<String>,
    kept_sentences: BTreeSet<String>,
    /// A cache of pseudonyms by text.
    made: Mutex<HashMap<String, String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key for pseudonyms has fewer than {KEY_BYTES_MIN} bytes")]
pub struct KeyTooShort;

impl Pseudonyms {
    /// Pseudonyms under a random key that is never shown.
    pub fn random() -> Pseudonyms {
        let key: [u8; 32] = rand::rng().random();
        Pseudonyms::new(&key)
    }

    /// Pseudonyms under the operator's key.
    pub fn with_key(key: &[u8]) -> Result<Pseudonyms, KeyTooShort> {
        if key.len() < KEY_BYTES_MIN {
            return Err(KeyTooShort);
        }
        Ok(Pseudonyms::new(key))
    }

    fn new(key: &[u8]) -> Pseudonyms {
        let sentences = fields::SENTENCES_KNOWN.iter().map(|text| (*text).to_owned());
        Pseudonyms {
            cipher: Cipher::new(key),
            kept_fields: BTreeSet::new(),
            kept_sentences: sentences.collect(),
            made: Mutex::default(),
        }
    }

    /// Keeps the values of a field. With `id_policy = "agent_display_id"` these are `agentDisplayId` and
    /// `extension`, which are the ids of users then.
    #[must_use]
    pub fn keeping(mut self, field: &str) -> Pseudonyms {
        self.kept_fields.insert(field.to_owned());
        self
    }

    /// Keeps a sentence where a vendor's answer has it as its error, such as the text of a refused key
    /// in the configuration.
    #[must_use]
    pub fn keeping_sentence(mut self, sentence: &str) -> Pseudonyms {
        self.kept_sentences.insert(sentence.to_owned());
        self
    }

    /// The pseudonym of a text about a person.
    pub fn text(&self, text: &str) -> String {
        if text.is_empty() || text.len() > MADE_BYTES_MAX {
            return self.cipher.text(text);
        }
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made().get(text) {
            return known.clone();
        }
        let pseudonym = self.cipher.text(text);
        let mut made = made();
        if made.len() >= MADE_MAX {
            made.clear();
        }
        made.insert(text.to_owned(), pseudonym.clone());
        pseudonym
    }

    /// The replacement for the value of a parameter. Parameters that are not about people keep theirs.
    pub fn value(&self, parameter: &str, text: &str) -> String {
        if fields::is_key(parameter) {
            return LEFT_OUT.to_owned();
        }
        let plain = fields::plain(parameter);
        let is_kept = fields::KEPT_PARAMETERS.contains(&plain) || self.keeps(plain);
        if is_kept { text.to_owned() } else { self.text(text) }
    }

    /// The replacement for the name of a parameter. A name that looks like an API's own stays.
    pub fn parameter(&self, name: &str) -> String {
        if fields::is_word(fields::plain(name)) { name.to_owned() } else { self.text(name) }
    }

    /// The replacement for a part of a value, given as a range of bytes; `None` where the range cuts a
    /// character or leaves the text.
    pub fn slice(&self, parameter: &str, whole: &str, range: Range<usize>) -> Option<String> {
        whole.get(range.clone())?;
        self.value(parameter, whole).get(range).map(str::to_owned)
    }

    /// A body with every value of a person replaced.
    ///
    /// # Errors
    /// Where the body is not JSON, so that people in it cannot be found.
    pub fn json(&self, document: Document, body: &[u8]) -> Result<Vec<u8>, NotJson> {
        scrub::scrub(self, document, body).map_err(|error| NotJson { at: error.column() })
    }

    /// Path and query of a request to the new API, with every value of a person replaced, in canonical
    /// spelling.
    pub fn target(&self, target: &str) -> String {
        self.target_with(target, None)
    }

    /// The same. A value that equals `part.0` is replaced by `part.1`.
    pub(crate) fn target_with(&self, target: &str, part: Option<(&str, &str)>) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let replaced = |name: &str, value: &str| match part {
            Some((text, pseudonym)) if text == value => pseudonym.to_owned(),
            _ => self.value(name, value),
        };
        let pairs = form_urlencoded::parse(query.as_bytes());
        let pairs = pairs.map(|(name, value)| (self.parameter(&name), replaced(&name, &value)));
        let path =
            segments(path, |segment, named| match named.filter(|field| !self.keeps(field)) {
                Some(_) => escaped(&self.text(&unescaped(segment))),
                None => segment.to_owned(),
            });
        spelled(&path, pairs)
    }

    /// The pseudonym of a number, with as many digits.
    fn number(&self, number: u64) -> u64 {
        let mut text = number.to_string();
        loop {
            text = self.text(&text);
            // Some numbers of twenty digits are too large. Applying the key again leads to one that fits.
            if let Ok(number) = text.parse() {
                return number;
            }
        }
    }

    /// The pseudonym of a fraction or of a number beyond 64 bits: other digits in the same places. Sign
    /// and exponent stay.
    fn fraction(&self, number: f64) -> String {
        let text = serde_json::Value::from(number.abs()).to_string();
        let end = text.find('e').or_else(|| text.strip_suffix(".0").map(str::len));
        let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
        let mut digits = digits.to_owned();
        loop {
            digits = self.text(&digits);
            let made = format!("{digits}{rest}");
            // A few numbers with the largest exponent are too large; the loop helps as above.
            if made.parse::<f64>().is_ok_and(f64::is_finite) {
                return made;
            }
        }
    }

    /// The name of a thing. Numbers in it, grouped or not, and e-mail addresses are replaced.
    fn name(&self, name: &str) -> String {
        let mut out = String::with_capacity(name.len());
        let mut rest = name;
        while let Some(c) = rest.chars().next() {
            let number = number_at(rest);
            let word = rest.find(|c: char| c.is_whitespace() || "()<>[],;\"".contains(c));
            let word = &rest[..word.unwrap_or(rest.len())];
            let taken = if word.len() > 1 && word.contains('@') {
                out.push_str(&self.text(word));
                word.len()
            } else if number > 0 {
                let digits = rest[..number].bytes().filter(u8::is_ascii_digit).count();
                match digits >= DIGITS_MIN {
                    true => out.push_str(&self.text(&rest[..number])),
                    false => out.push_str(&rest[..number]),
                }
                number
            } else {
                out.push(c);
                c.len_utf8()
            };
            rest = &rest[taken..];
        }
        out
    }

    fn keeps(&self, field: &str) -> bool {
        // Two names of one field.
        let field = if field == "ext" { "extension" } else { field };
        self.kept_fields.contains(field)
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms([redacted])")
    }
}

/// Path and query in canonical spelling, without any replacement.
pub(crate) fn canonical(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = form_urlencoded::parse(query.as_bytes());
    spelled(path, pairs.map(|(name, value)| (name.into_owned(), value.into_owned())))
}

fn spelled(path: &str, pairs: impl Iterator<Item = (String, String)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    let query = query.finish().replace('+', "%20");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The length in bytes of the number at the beginning: digits, with at most two signs between groups. An
/// opening bracket begins another number.
fn number_at(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = digits(0);
    while end > 0 {
        let signs = bytes[end..].iter().take_while(|b| b" -./)".contains(b)).count();
        let more = if (1..=2).contains(&signs) { digits(end + signs) } else { 0 };
        if more == 0 {
            break;
        }
        end += signs + more;
    }
    end
}

/// A path with other segments. A segment that names a person comes with the field that it is a value of.
pub(crate) fn segments(path: &str, other: impl Fn(&str, Option<&str>) -> String) -> String {
    let before = std::iter::once("").chain(path.split('/'));
    let named =
        before.map(|one| Some(one).filter(|one| matches!(*one, "username" | "agentDisplayId")));
    let all = path.split('/').zip(named).map(|(segment, named)| other(segment, named));
    all.collect::<Vec<_>>().join("/")
}

/// One segment of a path, percent-decoded.
fn unescaped(segment: &str) -> String {
    // In a path a plus is not a space.
    let text = segment.replace('+', "%2B");
    let mut pairs = form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// A value as one segment of a path, escaped as the gateway does it.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
