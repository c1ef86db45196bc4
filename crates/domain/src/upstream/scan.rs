//! A reader of JSON text: strings sixteen bytes at a time, and no tree, no copy and no wish to go on after
//! a fault. Rare values (numbers that are not whole, and whatever looks odd) go to serde_json, one at a
//! time.
//!
//! Must never accept what serde_json refuses, never read another value from what both accept, and never
//! quote the text in a fault.

mod quick;

use std::borrow::Cow;

use super::{PageError, SchemaError, SchemaKind};
use crate::text::json::{BLOCK, plain_until};
pub(super) use quick::Quick;

/// The longest text that a field may have, and the longest name of one, in bytes.
pub const FIELD_BYTES_MAX: usize = 1 << 20;
/// As deep as serde_json goes.
const DEPTH_MAX: u8 = 127;
/// Any number of so many digits is a `u64`.
const DIGITS_MAX: usize = 19;

/// The text and the place in it that is read next.
#[derive(Debug)]
pub(super) struct Scan<'de> {
    text: &'de str,
    at: usize,
    /// How much deeper values may lie.
    depth: u8,
}

/// What is wrong with a text, and where. Boxed, so that what is right travels in registers.
#[derive(Debug)]
pub(super) struct Fault(Box<(SchemaKind, Vec<Step>)>);

/// A step of the path to a fault; the innermost comes first.
#[derive(Debug)]
enum Step {
    Key(&'static str),
    Row(usize),
    /// A key of the text itself, which nobody quotes.
    Unknown,
}

impl Fault {
    #[cold]
    pub(super) fn new(kind: SchemaKind) -> Fault {
        Fault(Box::new((kind, Vec::new())))
    }

    /// The same, seen from the object that has it under a key.
    #[cold]
    pub(super) fn under(mut self, key: &'static str) -> Fault {
        self.0.1.push(Step::Key(key));
        self
    }

    /// The same, seen from the object that has it under a key that is not read.
    #[cold]
    pub(super) fn unread(mut self) -> Fault {
        self.0.1.push(Step::Unknown);
        self
    }

    #[cold]
    fn in_row(mut self, row: usize) -> Fault {
        self.0.1.push(Step::Row(row));
        self
    }
}

impl From<Fault> for PageError {
    fn from(fault: Fault) -> PageError {
        let (kind, steps) = *fault.0;
        let mut path = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Row(row) => path.push_str(&format!("[{row}]")),
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
                Step::Unknown => path.push_str(".?"),
            }
        }
        if path.is_empty() {
            path.push('.');
        }
        PageError::Schema(SchemaError { path, kind })
    }
}

/// What stands before the next member of a list or an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Before {
    /// The bracket.
    Bracket,
    /// A comma.
    Comma,
    /// The value before, and nothing behind it yet.
    Value,
}

/// A value that holds no others.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar<'de> {
    Null,
    Bool(bool),
    Whole(u64),
    /// Below zero, with a fraction, or larger.
    OtherNumber,
    Text(Cow<'de, str>),
}

impl<'de> Scan<'de> {
    pub(super) fn new(text: &'de str) -> Scan<'de> {
        Scan { text, at: 0, depth: DEPTH_MAX }
    }

    /// That nothing but space is left.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.bad()) }
    }

    /// The text is no JSON from here on.
    #[cold]
    pub(super) fn bad(&self) -> Fault {
        Fault::new(SchemaKind::BadJson { at: self.at })
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The first byte of what comes next, which stays unread.
    #[inline]
    pub(super) fn next(&mut self) -> Result<u8, Fault> {
        match self.byte() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => self.next_after_space(),
        }
    }

    fn next_after_space(&mut self) -> Result<u8, Fault> {
        self.skip_space();
        self.byte().ok_or_else(|| self.bad())
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.next()? != byte {
            return Err(self.bad());
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.bad());
        }
        self.at += word.len();
        Ok(())
    }

    /// Takes a `null`, if one stands here.
    #[inline]
    pub(super) fn null(&mut self) -> Result<bool, Fault> {
        if self.next()? != b'n' {
            return Ok(false);
        }
        self.word("null").map(|()| true)
    }

    /// A string; borrowed unless it holds an escape.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>, Fault> {
        match self.plain() {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => self.escaped().map(Cow::Owned),
        }
    }

    /// A string without escapes. Where another stands here, one that is too long, or none, nothing is taken.
    #[inline(always)]
    fn plain(&mut self) -> Option<&'de str> {
        let end = self.plain_end()?;
        let text = self.text.get(self.at + 1..end)?;
        self.at = end + 1;
        Some(text)
    }

    /// The end of the string that stands here, if it has no escape and is not too long.
    #[inline(always)]
    fn plain_end(&mut self) -> Option<usize> {
        if self.byte() != Some(b'"') {
            self.skip_space();
            self.byte().filter(|byte| *byte == b'"')?;
        }
        let bytes = self.text.as_bytes();
        let end = plain_until(bytes, self.at + 1);
        let is_long = end - self.at > FIELD_BYTES_MAX + 1;
        (bytes.get(end) == Some(&b'"') && !is_long).then_some(end)
    }

    /// Any other string, or what is wrong with it.
    #[cold]
    fn escaped(&mut self) -> Result<String, Fault> {
        if self.next()? != b'"' {
            return Err(self.other_kind());
        }
        let quote = self.at;
        let inside = self.text.get(quote + 1..).unwrap_or_default();
        let (text, rest) = match unescaped(inside, plain_until(inside.as_bytes(), 0)) {
            Some(read) => read,
            None => self.escaped_otherwise(inside)?,
        };
        if text.len() > FIELD_BYTES_MAX {
            return Err(Fault::new(SchemaKind::TooLarge));
        }
        self.at = self.text.len() - rest.len();
        Ok(text)
    }

    /// The text of a string that is no usual one, given its inside and what follows; or what is wrong with it.
    #[cold]
    fn escaped_otherwise(&mut self, inside: &'de str) -> Result<(String, &'de str), Fault> {
        let (quote, bytes) = (self.at, self.text.as_bytes());
        let mut at = plain_until(bytes, quote + 1);
        // Here it only matters that `\"` is no end.
        while bytes.get(at) == Some(&b'\\') {
            at = plain_until(bytes, at + 2);
        }
        let is_whole = bytes.get(at) == Some(&b'"');
        self.at = at.min(bytes.len());
        let quoted = self.text.get(quote..at + 1).filter(|_| is_whole).ok_or_else(|| self.bad())?;
        // serde_json knows which escapes there are.
        let text = serde_json::from_str(quoted).map_err(|_| self.bad())?;
        let rest = inside.get(quoted.len() - 1..).unwrap_or_default();
        Ok((text, rest))
    }

    /// What to say of a value that is not of the kind that belongs here.
    #[cold]
    pub(super) fn other_kind(&mut self) -> Fault {
        let scalar = match self.next() {
            Ok(b'{' | b'[') => Ok(()),
            Ok(_) => self.scalar().map(drop),
            Err(fault) => Err(fault),
        };
        scalar.err().unwrap_or_else(|| Fault::new(SchemaKind::BadSchema))
    }

    /// Goes over a value that holds no others.
    #[inline]
    pub(super) fn skip_scalar(&mut self) -> Result<(), Fault> {
        if let Some(end) = self.plain_end() {
            self.at = end + 1;
            return Ok(());
        }
        if self.whole().is_some() {
            return Ok(());
        }
        self.scalar().map(drop)
    }

    /// A whole number, if one stands here without any space before it that surely is a `u64`. Where
    /// another value stands here nothing is taken.
    #[inline]
    pub(super) fn whole(&mut self) -> Option<u64> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (mut whole, mut length) = (0_u64, 0);
        while let Some(digit @ b'0'..=b'9') = rest.get(length).copied() {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            length += 1;
        }
        let is_whole = !matches!(rest.get(length), Some(b'.' | b'e' | b'E' | b'+' | b'-'));
        let is_plain = length == 1 || (length <= DIGITS_MAX && rest.first() != Some(&b'0'));
        if is_whole && is_plain && length > 0 {
            self.at += length;
            return Some(whole);
        }
        None
    }

    /// A value that holds no others.
    pub(super) fn scalar(&mut self) -> Result<Scalar<'de>, Fault> {
        match self.next()? {
            b'"' => self.string().map(Scalar::Text),
            b'-' | b'0'..=b'9' => match self.whole() {
                Some(whole) => Ok(Scalar::Whole(whole)),
                None => self.other_number(),
            },
            b'n' => self.word("null").map(|()| Scalar::Null),
            b't' => self.word("true").map(|()| Scalar::Bool(true)),
            b'f' => self.word("false").map(|()| Scalar::Bool(false)),
            b'{' | b'[' => Err(Fault::new(SchemaKind::BadSchema)),
            _ => Err(self.bad()),
        }
    }

    /// A number as serde_json has it.
    #[cold]
    fn other_number(&mut self) -> Result<Scalar<'de>, Fault> {
        /// The beginning of serde_json's error about a number that no float can hold: good JSON, but too
        /// large for every field.
        const OUT_OF_RANGE: &str = "number out of range";
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_numeral = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        let length = rest.bytes().take_while(is_numeral).count();
        let numeral = rest.get(..length).unwrap_or_default();
        let number: serde_json::Number =
            serde_json::from_str(numeral).map_err(|error| {
                match error.to_string().starts_with(OUT_OF_RANGE) {
                    true => Fault::new(SchemaKind::BadSchema),
                    false => self.bad(),
                }
            })?;
        self.at += length;
        Ok(number.as_u64().map_or(Scalar::OtherNumber, Scalar::Whole))
    }

    /// Goes into brackets.
    #[inline]
    fn enter(&mut self, open: u8) -> Result<(), Fault> {
        if self.next()? != open {
            return Err(self.other_kind());
        }
        self.at += 1;
        self.depth = self.depth.checked_sub(1).ok_or_else(|| self.bad())?;
        Ok(())
    }

    /// Goes to the next member; false, and out of the brackets, where `close` comes.
    #[inline]
    fn advance(&mut self, close: u8, before: Before) -> Result<bool, Fault> {
        let byte = self.next()?;
        if before == Before::Value && byte == b',' {
            self.at += 1;
            // No comma stands before the end.
            return if self.next()? == close { Err(self.bad()) } else { Ok(true) };
        }
        match (byte == close, before) {
            (true, Before::Bracket | Before::Value) => {
                self.at += 1;
                self.depth += 1;
                Ok(false)
            }
            (false, Before::Bracket | Before::Comma) => Ok(true),
            (true, Before::Comma) | (false, Before::Value) => Err(self.bad()),
        }
    }

    /// A list; `each` takes one member.
    pub(super) fn list(
        &mut self,
        mut each: impl FnMut(&mut Scan<'de>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.enter(b'[')?;
        let (mut row, mut before) = (0, Before::Bracket);
        while self.advance(b']', before)? {
            each(self).map_err(|fault| fault.in_row(row))?;
            (row, before) = (row + 1, Before::Value);
        }
        Ok(())
    }

    /// An object; `known` says what a key is, and `each` takes the value behind it.
    pub(super) fn object<K>(
        &mut self,
        known: impl FnMut(&str) -> K,
        each: impl FnMut(&mut Scan<'de>, K) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let before = self.begin_object()?;
        self.members(before, known, each)
    }

    /// Goes into an object.
    #[inline]
    pub(super) fn begin_object(&mut self) -> Result<Before, Fault> {
        self.enter(b'{').map(|()| Before::Bracket)
    }

    /// Takes a key that is expected next, given as the text `"key":`, if it stands here without any space.
    #[inline(always)]
    pub(super) fn takes_key(&mut self, before: Before, key: &'static str) -> bool {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_here = before != Before::Value && rest.starts_with(key.as_bytes());
        if is_here {
            self.at += key.len();
        }
        is_here
    }

    /// Takes a comma, if one follows without any space.
    #[inline(always)]
    pub(super) fn takes_comma(&mut self) -> Before {
        if self.byte() != Some(b',') {
            return Before::Value;
        }
        self.at += 1;
        Before::Comma
    }

    /// The members of an object that are left, up to its end.
    #[inline]
    pub(super) fn members<K>(
        &mut self,
        mut before: Before,
        mut known: impl FnMut(&str) -> K,
        mut each: impl FnMut(&mut Scan<'de>, K) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        while self.advance(b'}', before)? {
            before = Before::Value;
            let key = match self.plain() {
                Some(key) => known(key),
                None if self.next()? == b'"' => known(&self.escaped()?),
                None => return Err(self.bad()),
            };
            self.expect(b':')?;
            each(self, key)?;
        }
        Ok(())
    }
}

/// The text of a string, given its inside and what follows, of which so many bytes need no care; and what follows.
/// `None` if the string is not whole, or an escape is invalid or half of a surrogate pair.
fn unescaped(inside: &str, plain: usize) -> Option<(String, &str)> {
    // More than most texts need.
    let mut text = String::with_capacity(plain + 3 * BLOCK);
    let (mut rest, mut plain) = (inside, plain);
    loop {
        let (before, at) = rest.split_at_checked(plain)?;
        text.push_str(before);
        let kind = match at.as_bytes() {
            [b'"', ..] => return Some((text, at.get(1..)?)),
            [b'\\', kind, ..] => kind,
            _ => return None,
        };
        let (c, length) = match kind {
            b'u' => {
                let bytes = at.as_bytes();
                match (hex(bytes.get(2..6)?)?, bytes.get(6..8)) {
                    (high @ 0xd800..=0xdbff, Some(br"\u")) => {
                        let low = hex(bytes.get(8..12)?)?.checked_sub(0xdc00);
                        let low = low.filter(|low| *low < 0x400)?;
                        (char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?, 12)
                    }
                    // Half of a surrogate pair is no character.
                    (code, _) => (char::from_u32(code)?, 6),
                }
            }
            b'"' | b'\\' | b'/' => (char::from(*kind), 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'n' => ('\n', 2),
            b'r' => ('\r', 2),
            b't' => ('\t', 2),
            _ => return None,
        };
        text.push(c);
        rest = at.get(length..)?;
        plain = plain_until(rest.as_bytes(), 0);
    }
}

/// The number of four hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        Some(number << 4 | u32::from(digit))
    })
}

#[cfg(test)]
mod tests;
