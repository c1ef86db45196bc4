//! A reader of JSON text for serde, for pages that are as they should be: it takes strings eight bytes at a
//! time and has no words for what is wrong. What it refuses is read again by serde_json, which has them.
//!
//! Must never accept what serde_json refuses, nor read another value from what both accept: escapes and
//! all but the plainest numbers are therefore left to serde_json, one at a time.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// As deep as serde_json goes.
const DEPTH_MAX: u8 = 127;

/// The text and the place in it that is read next.
#[derive(Debug)]
pub(super) struct Scan<'de> {
    text: &'de str,
    at: usize,
    /// How much deeper values may lie.
    depth: u8,
}

/// The text is not what was asked for; there is no more to know here.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Refused {
        Refused
    }
}

impl<'de> Scan<'de> {
    pub(super) fn new(text: &'de str) -> Scan<'de> {
        Scan { text, at: 0, depth: DEPTH_MAX }
    }

    /// The place where reading stopped, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// That nothing but space is left.
    pub(super) fn end(&mut self) -> Result<(), Refused> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(Refused) }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The first byte of what comes next, which stays unread.
    fn next(&mut self) -> Result<u8, Refused> {
        match self.byte() {
            Some(byte) if byte > b' ' => Ok(byte),
            _ => {
                self.skip_space();
                self.byte().ok_or(Refused)
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Refused> {
        if self.next()? != byte {
            return Err(Refused);
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Refused> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Refused);
        }
        self.at += word.len();
        Ok(())
    }

    /// A string; borrowed unless it holds an escape.
    fn string(&mut self) -> Result<Cow<'de, str>, Refused> {
        self.expect(b'"')?;
        let begin = self.at;
        let end = plain_until(self.text.as_bytes(), begin);
        match self.text.as_bytes().get(end) {
            Some(b'"') => {
                self.at = end + 1;
                self.text.get(begin..end).map(Cow::Borrowed).ok_or(Refused)
            }
            Some(b'\\') => self.escaped(begin, end).map(Cow::Owned),
            _ => Err(Refused),
        }
    }

    /// A string that begins at `begin` and has its first escape at `at`.
    #[cold]
    fn escaped(&mut self, begin: usize, mut at: usize) -> Result<String, Refused> {
        loop {
            match self.text.as_bytes().get(at) {
                // serde_json knows which escapes there are; here it only matters that `\"` is no end.
                Some(b'\\') => at = plain_until(self.text.as_bytes(), at + 2),
                Some(b'"') => break,
                _ => return Err(Refused),
            }
        }
        self.at = at + 1;
        let quoted = self.text.get(begin - 1..self.at).ok_or(Refused)?;
        serde_json::from_str(quoted).map_err(|_| Refused)
    }

    /// A number: whole ones as long as they surely fit, others as serde_json has them.
    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        /// Any number of so many digits is a `u64`.
        const DIGITS_MAX: usize = 19;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_numeral = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        let length = rest.bytes().take_while(is_numeral).count();
        let numeral = rest.get(..length).unwrap_or_default();
        self.at += length;
        let bytes = numeral.as_bytes();
        let is_plain = bytes.iter().all(u8::is_ascii_digit)
            && (1..=DIGITS_MAX).contains(&length)
            && (length == 1 || bytes.first() != Some(&b'0'));
        if is_plain {
            let digit = |number: u64, byte: &u8| number * 10 + u64::from(byte - b'0');
            return visitor.visit_u64(bytes.iter().fold(0, digit));
        }
        let mut json = serde_json::Deserializer::from_str(numeral);
        let value = json.deserialize_any(visitor).map_err(|_| Refused)?;
        json.end().map_err(|_| Refused)?;
        Ok(value)
    }

    /// What stands between a bracket and its counterpart.
    fn within<T>(
        &mut self,
        brackets: [u8; 2],
        read: impl FnOnce(&mut Scan<'de>) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let [open, close] = brackets;
        self.expect(open)?;
        self.depth = self.depth.checked_sub(1).ok_or(Refused)?;
        let value = read(self)?;
        self.depth += 1;
        self.expect(close)?;
        Ok(value)
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        self.within(*b"[]", |scan| visitor.visit_seq(Members { scan, is_first: true }))
    }

    fn object<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        self.within(*b"{}", |scan| visitor.visit_map(Members { scan, is_first: true }))
    }

    fn text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_str(&text),
        }
    }
}

/// The first place from `at` on with a quote, a backslash or a control character, or the end.
#[inline]
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = crate::json::escapes_in(*word);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += word.len();
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let plain = rest.iter().take_while(|byte| **byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
    at + plain.count()
}

impl<'de> Deserializer<'de> for &mut Scan<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.next()? {
            b'"' => self.text(visitor),
            b'{' => self.object(visitor),
            b'[' => self.list(visitor),
            b'n' => self.word("null").and_then(|()| visitor.visit_unit()),
            b't' => self.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.word("false").and_then(|()| visitor.visit_bool(false)),
            b'-' | b'0'..=b'9' => self.number(visitor),
            _ => Err(Refused),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.next()? {
            b'n' => self.word("null").and_then(|()| visitor.visit_none()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.object(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf unit
        unit_struct newtype_struct tuple tuple_struct struct enum identifier ignored_any
    }
}

/// The members of a list or an object.
struct Members<'s, 'de> {
    scan: &'s mut Scan<'de>,
    is_first: bool,
}

impl Members<'_, '_> {
    /// Goes to the next member; false where `close` comes, which stays unread.
    #[inline]
    fn advance(&mut self, close: u8) -> Result<bool, Refused> {
        let byte = self.scan.next()?;
        if byte == close {
            return Ok(false);
        }
        if !std::mem::replace(&mut self.is_first, false) {
            self.scan.expect(b',')?;
            // No comma stands before the end.
            if self.scan.next()? == close {
                return Err(Refused);
            }
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Members<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        if !self.advance(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.scan).map(Some)
    }
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        if !self.advance(b'}')? {
            return Ok(None);
        }
        if self.scan.next()? != b'"' {
            return Err(Refused);
        }
        seed.deserialize(&mut *self.scan).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        self.scan.expect(b':')?;
        seed.deserialize(&mut *self.scan)
    }
}

#[cfg(test)]
mod tests;
