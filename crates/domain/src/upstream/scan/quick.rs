//! The quick ways of the reader: values as vendors write them as a rule, without any space and with their keys in
//! the documented order. A quick way either takes a value or gives up, and then the strict way reads it from its
//! beginning and says what is wrong, if anything is.
//!
//! Must never take what the strict way refuses, and never read another value.

use std::borrow::Cow;

use super::{DIGITS_MAX, FIELD_BYTES_MAX, Fault, Scan, unescaped};
use crate::text::json::{BLOCK, escapes_in, plain_until};

/// Quick ways do not count how deep they are, so they begin only where values may lie this much deeper. Known objects
/// are at most 4 deep.
const DEPTH_LEFT_MIN: u8 = 16;
/// How deep a quick way goes into an unread value, or the strict way that it asks for one.
const INSIDE_DEPTH_MAX: u8 = 8;

/// The rest of a text. Functions that are not inlined take it and give it back by value, so that it stays in registers.
/// What a user's record asks for many times is not inlined: all that reads and writes a user has to fit into a
/// processor's cache of instructions, which is often 32 KiB.
#[derive(Debug, Clone, Copy)]
pub(in crate::upstream) struct Quick<'de> {
    rest: &'de str,
}

impl<'de> Scan<'de> {
    /// Reads a value by its quick way. If that gives up, nothing is taken.
    #[inline]
    pub(in crate::upstream) fn quickly<T>(
        &mut self,
        read: impl FnOnce(&mut Quick<'de>) -> Option<T>,
    ) -> Option<T> {
        let mut value = None;
        self.goes_on(|mut quick| {
            value = Some(read(&mut quick)?);
            Some(quick)
        });
        value
    }

    /// Goes on behind a value that a quick way reads; false if that gives up, and nothing is taken.
    #[inline]
    pub(in crate::upstream) fn goes_on(
        &mut self,
        read: impl FnOnce(Quick<'de>) -> Option<Quick<'de>>,
    ) -> bool {
        if self.depth < DEPTH_LEFT_MIN {
            return false;
        }
        let rest = self.text.get(self.at..).and_then(|rest| read(Quick { rest }));
        if let Some(Quick { rest }) = rest {
            self.at = self.text.len() - rest.len();
        }
        rest.is_some()
    }
}

impl<'de> Quick<'de> {
    /// Reads a value by its strict way.
    pub(in crate::upstream) fn strictly<T>(
        &mut self,
        read: impl FnOnce(&mut Scan<'de>) -> Result<T, Fault>,
    ) -> Option<T> {
        let mut scan = Scan { text: self.rest, at: 0, depth: INSIDE_DEPTH_MAX };
        let value = read(&mut scan).ok()?;
        self.rest = self.rest.get(scan.at..)?;
        Some(value)
    }

    #[inline(always)]
    fn byte(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// Takes these very bytes.
    #[inline(always)]
    pub(in crate::upstream) fn takes(&mut self, text: &'static str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// Takes the text before the value of the next member, such as `,"name":`, or the end `}`. Members in between that
    /// have none of the keys that are read are skipped.
    #[inline(always)]
    pub(in crate::upstream) fn next(
        &mut self,
        text: &'static str,
        keys: &'static [&'static str],
    ) -> Option<()> {
        if self.takes(text).is_none() {
            *self = self.beyond_unread(text, keys)?;
        }
        Some(())
    }

    /// The same where something stands in between.
    #[cold]
    #[inline(never)]
    fn beyond_unread(mut self, text: &str, keys: &[&str]) -> Option<Self> {
        while !self.rest.starts_with(text) {
            self.takes(",")?;
            // An escape may spell a key that is read.
            let Cow::Borrowed(key) = self.string()? else { return None };
            if keys.contains(&key) {
                return None;
            }
            self.takes(":")?;
            self.skip()?;
        }
        self.rest = self.rest.get(text.len()..)?;
        Some(self)
    }

    /// Takes a string or gives up.
    #[inline(always)]
    pub(in crate::upstream) fn string(&mut self) -> Option<Cow<'de, str>> {
        let inside = self.rest.strip_prefix('"')?;
        let end = plain_length(inside)?;
        let (text, behind) = inside.split_at_checked(end)?;
        if let Some(rest) = behind.strip_prefix('"') {
            self.rest = rest;
            return Some(Cow::Borrowed(text));
        }
        let (text, rest) = escaped(inside, end)?;
        self.rest = rest;
        Some(Cow::Owned(text))
    }

    /// Takes a string or `null`, into the place of a text that nobody needs any more.
    #[inline(always)]
    pub(in crate::upstream) fn text(&mut self, text: &mut Option<Cow<'de, str>>) -> Option<()> {
        *self = self.text_into(text)?;
        Some(())
    }

    #[inline(never)]
    fn text_into(mut self, text: &mut Option<Cow<'de, str>>) -> Option<Self> {
        *text = if self.null() { None } else { Some(self.string()?) };
        Some(self)
    }

    /// Takes a `null`; false where something else stands.
    #[inline(always)]
    pub(in crate::upstream) fn null(&mut self) -> bool {
        // As a rule a text stands here, which its first byte tells.
        self.byte() == Some(b'n') && self.takes("null").is_some()
    }

    /// Takes a whole number or gives up. What follows is not looked at: behind a number stands a comma or a bracket,
    /// and that is looked for.
    #[inline(always)]
    pub(in crate::upstream) fn whole(&mut self) -> Option<u64> {
        let bytes = self.rest.as_bytes();
        let digit = |at: usize| {
            let digit = bytes.get(at)?.wrapping_sub(b'0');
            (digit < 10).then_some(u64::from(digit))
        };
        let (mut whole, mut length) = (digit(0)?, 1);
        // Nothing follows a zero at the beginning.
        while whole > 0
            && let Some(digit) = digit(length)
        {
            whole = whole.wrapping_mul(10).wrapping_add(digit);
            length += 1;
            if length > DIGITS_MAX {
                return None;
            }
        }
        self.rest = self.rest.get(length..)?;
        Some(whole)
    }

    /// Takes a list; `each` takes one member.
    #[inline(always)]
    pub(in crate::upstream) fn list(
        &mut self,
        mut each: impl FnMut(&mut Quick<'de>) -> Option<()>,
    ) -> Option<()> {
        self.takes("[")?;
        if self.takes("]").is_some() {
            return Some(());
        }
        loop {
            each(self)?;
            if self.takes(",").is_none() {
                return self.takes("]");
            }
        }
    }

    /// Goes over an unread value.
    #[inline(always)]
    pub(in crate::upstream) fn skip(&mut self) -> Option<()> {
        self.skip_member(INSIDE_DEPTH_MAX)
    }

    #[inline(never)]
    fn skip_inside(mut self, depth: u8) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        if self.byte() == Some(b'[') {
            self.list(|quick| quick.skip_member(depth))?;
            return Some(self);
        }
        self.takes("{")?;
        if self.takes("}").is_some() {
            return Some(self);
        }
        loop {
            self.skip_string()?;
            self.takes(":")?;
            self.skip_member(depth)?;
            if self.takes(",").is_none() {
                self.takes("}")?;
                return Some(self);
            }
        }
    }

    #[inline(always)]
    fn skip_member(&mut self, depth: u8) -> Option<()> {
        *self = match self.byte()? {
            b'[' | b'{' => self.skip_inside(depth)?,
            _ => self.skip_scalar()?,
        };
        Some(())
    }

    #[inline(never)]
    fn skip_scalar(mut self) -> Option<Self> {
        match self.byte()? {
            b'"' => self.skip_string()?,
            b'n' => self.takes("null")?,
            b't' => self.takes("true")?,
            b'f' => self.takes("false")?,
            _ => self.whole().map(drop)?,
        }
        Some(self)
    }

    #[inline(always)]
    fn skip_string(&mut self) -> Option<()> {
        let inside = self.rest.strip_prefix('"')?;
        let end = plain_length(inside)?;
        self.rest = match inside.as_bytes().get(end) {
            Some(b'"') => inside.get(end + 1..)?,
            _ => escaped(inside, end)?.1,
        };
        Some(())
    }
}

/// The text of a string with an escape, of which so many bytes need no care; and what follows.
#[inline(never)]
fn escaped(inside: &str, plain: usize) -> Option<(String, &str)> {
    unescaped(inside, plain).filter(|(text, _)| text.len() <= FIELD_BYTES_MAX)
}

/// How many bytes a text has before a quote, a backslash or a control character, or its end.
#[inline(always)]
fn plain_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    // Most texts end in their first block, and nearly all in their second.
    let Some((block, rest)) = bytes.split_first_chunk::<BLOCK>() else {
        return Some(plain_until(bytes, 0));
    };
    let found = escapes_in(*block);
    if found != 0 {
        return Some(found.trailing_zeros() as usize);
    }
    let found = rest.first_chunk::<BLOCK>().map_or(0, |block| escapes_in(*block));
    if found != 0 {
        return Some(BLOCK + found.trailing_zeros() as usize);
    }
    let length = plain_until(bytes, BLOCK);
    (length <= FIELD_BYTES_MAX).then_some(length)
}
