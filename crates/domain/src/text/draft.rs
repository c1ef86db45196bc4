//! A record in the making. Its text is put together on the stack, in steps of a fixed size that need no look for
//! room, and then goes to its vector in one piece.
//!
//! Must never write what [`json`] would not.

use super::json::{self, BLOCK, SEPARATOR, escapes_in, plain_until};

/// Most records are shorter.
const BYTES: usize = 768;
/// A text of more bytes goes to the vector at once.
const TEXT_BYTES_MAX: usize = 128;
/// The longest way to write a byte: `\u0000`.
const ESCAPE_BYTES: usize = 6;
/// The decimal digits of the largest number.
const DIGITS_MAX: usize = 20;

/// A record in the making; see the module.
#[derive(Debug)]
pub(crate) struct Draft<'w> {
    out: &'w mut Vec<u8>,
    bytes: [u8; BYTES],
    at: usize,
}

/// A text of at most [`Piece::BYTES_MAX`] bytes in which nothing must be escaped, known when this is compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    bytes: [u8; Self::BYTES_MAX],
    length: usize,
}

impl Piece {
    pub(crate) const BYTES_MAX: usize = 32;

    /// The piece of a text that fits into one; no other compiles.
    pub(crate) const fn of(text: &str) -> Piece {
        let (text, mut piece) = (text.as_bytes(), [0; Self::BYTES_MAX]);
        let mut at = 0;
        while at < text.len() {
            piece[at] = text[at];
            at += 1;
        }
        Piece { bytes: piece, length: text.len() }
    }

    /// The text itself.
    pub(crate) fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

const NULL: Piece = Piece::of("null");

impl<'w> Draft<'w> {
    /// Nothing yet; it is written behind what `out` has.
    pub(crate) fn new(out: &'w mut Vec<u8>) -> Self {
        Draft { out, bytes: [0; BYTES], at: 0 }
    }

    /// Replaces the first byte, which nothing that was written since may have moved.
    pub(crate) fn begin_with(&mut self, byte: u8) {
        self.bytes[0] = byte;
    }

    /// Puts all of it into the vector.
    pub(crate) fn end(mut self) {
        self.flush();
    }

    #[inline(never)]
    fn flush(&mut self) {
        self.out.extend_from_slice(self.bytes.get(..self.at).unwrap_or_default());
        self.at = 0;
    }

    /// The place of so many bytes more, of which some may be left over.
    #[inline(always)]
    fn room<const N: usize>(&mut self) -> &mut [u8; N] {
        const { assert!(N <= BYTES) }
        if self.at > BYTES - N {
            self.flush();
        }
        let rest = self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut());
        match rest {
            Some(room) => room,
            None => unreachable!("there was room, or it was made"),
        }
    }

    /// Appends a text that is known when this is compiled.
    #[inline(always)]
    pub(crate) fn piece(&mut self, piece: &Piece) {
        *self.room() = piece.bytes;
        self.at += piece.length;
    }

    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) {
        *self.room() = [byte];
        self.at += 1;
    }

    /// Appends a string.
    pub(crate) fn string(&mut self, text: &str) {
        let length = text.len();
        let rest = self.bytes.get_mut(self.at..).unwrap_or_default();
        if length <= TEXT_BYTES_MAX
            && let Some(room) = rest.first_chunk_mut::<{ TEXT_BYTES_MAX + 2 }>()
        {
            room[0] = b'"';
            room[length + 1] = b'"';
            if room.get_mut(1..=length).is_some_and(|room| copies(room, text.as_bytes())) {
                self.at += length + 2;
                return;
            }
        }
        self.odd_string(text);
    }

    #[inline(never)]
    fn odd_string(&mut self, text: &str) {
        self.byte(b'"');
        self.odd_inner(text);
        self.byte(b'"');
    }

    /// Appends a string or `null`.
    #[inline]
    pub(crate) fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.piece(&NULL),
        }
    }

    /// Appends the inside of a string.
    pub(crate) fn inner(&mut self, text: &str) {
        let length = text.len();
        let rest = self.bytes.get_mut(self.at..).unwrap_or_default();
        if length <= TEXT_BYTES_MAX
            && let Some(room) = rest.first_chunk_mut::<TEXT_BYTES_MAX>()
            && room.get_mut(..length).is_some_and(|room| copies(room, text.as_bytes()))
        {
            self.at += length;
            return;
        }
        self.odd_inner(text);
    }

    /// The inside of a text that is long, or in which something must be escaped, or for which there is no room.
    #[inline(never)]
    fn odd_inner(&mut self, text: &str) {
        if text.len() <= TEXT_BYTES_MAX {
            return self.escaped(text.as_bytes());
        }
        self.flush();
        json::inner(self.out, text);
    }

    /// The inside of a text that is not long, in which something must be escaped.
    fn escaped(&mut self, text: &[u8]) {
        const { assert!(ESCAPE_BYTES * TEXT_BYTES_MAX <= BYTES) }
        let mut from = 0;
        loop {
            let to = plain_until(text, from);
            let run = text.get(from..to).unwrap_or_default();
            let room: &mut [u8; TEXT_BYTES_MAX] = self.room();
            if let Some(room) = room.get_mut(..run.len()) {
                room.copy_from_slice(run);
                self.at += run.len();
            }
            let Some(byte) = text.get(to).copied() else { return };
            let short = match byte {
                b'"' | b'\\' => byte,
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                8 => b'b',
                12 => b'f',
                _ => b'u',
            };
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            *self.room() = [b'\\', short, b'0', b'0', high, low];
            self.at += if short == b'u' { ESCAPE_BYTES } else { 2 };
            from = to + 1;
        }
    }

    /// Appends a number.
    #[inline]
    pub(crate) fn number(&mut self, number: u64) {
        if number < 100 {
            let (tens, ones) = (b'0' + number as u8 / 10, b'0' + number as u8 % 10);
            *self.room() = if number < 10 { [ones, b' '] } else { [tens, ones] };
            self.at += if number < 10 { 1 } else { 2 };
            return;
        }
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        let room: &mut [u8; DIGITS_MAX] = self.room();
        if let Some(room) = room.get_mut(..digits.len()) {
            room.copy_from_slice(digits);
            self.at += digits.len();
        }
    }

    /// Appends `items` as a JSON array.
    #[inline(always)]
    pub(crate) fn array<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        self.byte(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.byte(b',');
            }
            one(self, item);
        }
        self.byte(b']');
    }

    /// Appends `items` as one JSON string, the parts joined the legacy way; nothing gives `""`. `one` appends the inside
    /// of a part.
    #[inline(always)]
    pub(crate) fn joined<T>(&mut self, items: &[T], mut one: impl FnMut(&mut Self, &T)) {
        const BETWEEN: Piece = Piece::of(SEPARATOR);
        self.byte(b'"');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.piece(&BETWEEN);
            }
            one(self, item);
        }
        self.byte(b'"');
    }
}

/// Copies a text into a place of its length; false if something in it must be escaped.
#[inline(always)]
fn copies(to: &mut [u8], text: &[u8]) -> bool {
    // A first and a last block, which may overlap, are all of a text that is not longer than both.
    if let Some((first, last)) = copies_ends::<BLOCK>(to, text) {
        let mut found = escapes_in(first) | escapes_in(last);
        if text.len() > 2 * BLOCK {
            to.copy_from_slice(text);
            let inside = text.get(BLOCK..).unwrap_or_default();
            found |= inside.as_chunks().0.iter().fold(0, |found, block| found | escapes_in(*block));
        }
        return found == 0;
    }
    const SPACE: u128 = 0x2020_2020_2020_2020_2020_2020_2020_2020;
    // The same with shorter blocks, which are put together into one.
    let block = if let Some((first, last)) = copies_ends(to, text) {
        u128::from(u64::from_le_bytes(first)) | u128::from(u64::from_le_bytes(last)) << 64
    } else if let Some((first, last)) = copies_ends(to, text) {
        let (first, last) = (u32::from_le_bytes(first), u32::from_le_bytes(last));
        SPACE << 64 | u128::from(first) | u128::from(last) << 32
    } else if let Some(([first], [last])) = copies_ends(to, text) {
        // At most three bytes.
        let half = text.len() / 2;
        let middle = text.get(half).copied().unwrap_or(first);
        if let Some(to) = to.get_mut(half) {
            *to = middle;
        }
        SPACE << 32 | u128::from(u32::from_le_bytes([first, middle, last, b' ']))
    } else {
        SPACE
    };
    escapes_in(block.to_le_bytes()) == 0
}

/// Copies the first and the last bytes of a text that has so many.
#[inline(always)]
fn copies_ends<const N: usize>(to: &mut [u8], text: &[u8]) -> Option<([u8; N], [u8; N])> {
    let (first, last) = (text.first_chunk::<N>()?, text.last_chunk::<N>()?);
    *to.first_chunk_mut()? = *first;
    *to.last_chunk_mut()? = *last;
    Some((*first, *last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is written of a text behind so many bytes of the same record.
    fn written(before: usize, text: &str) -> String {
        let mut out = b"x".to_vec();
        let mut draft = Draft::new(&mut out);
        (0..before).for_each(|_| draft.byte(b'-'));
        draft.string(text);
        draft.text(None);
        draft.inner(text);
        draft.end();
        String::from_utf8(out).unwrap()
    }

    fn expected(before: usize, text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap();
        let inside = &quoted[1..quoted.len() - 1];
        format!("x{}{quoted}null{inside}", "-".repeat(before))
    }

    proptest! {
        #[test]
        fn strings_are_written_as_serde_json_writes_them(
            before in 0..2 * BYTES,
            text in any::<String>(),
            times in 0_usize..20,
        ) {
            let text = text.repeat(times);
            prop_assert_eq!(written(before, &text), expected(before, &text));
        }

        #[test]
        fn numbers_are_written_as_they_are(number in any::<u64>(), shift in 0_u32..64) {
            let (number, mut out) = (number >> shift, Vec::new());
            let mut draft = Draft::new(&mut out);
            draft.array(&[number, number], |draft, number| draft.number(*number));
            draft.end();
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("[{number},{number}]"));
        }
    }

    #[test]
    fn a_byte_is_escaped_wherever_it_stands() {
        for length in (1..40).chain(TEXT_BYTES_MAX - 2..TEXT_BYTES_MAX + 3) {
            for at in 0..length {
                for byte in (0..0x20).chain([b'"', b'\\', b'!', b'[', 0x7f]) {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    let text = String::from_utf8(text).unwrap();
                    assert_eq!(written(0, &text), expected(0, &text));
                }
            }
        }
    }

    #[test]
    fn room_is_made_wherever_a_record_is_full() {
        for before in BYTES - 200..BYTES + 10 {
            for text in ["", "a", "\u{1}", &"b".repeat(31), &"\n".repeat(TEXT_BYTES_MAX)] {
                assert_eq!(written(before, text), expected(before, text));
            }
            let mut out = Vec::new();
            let mut draft = Draft::new(&mut out);
            (0..before).for_each(|_| draft.byte(b'-'));
            draft.number(u64::MAX);
            draft.piece(&Piece::of(",\"a name of thirty-two bytes\":0,"));
            draft.joined(&[1, 22], |draft, number| draft.number(*number));
            draft.end();
            let text = String::from_utf8(out).unwrap();
            let end = "18446744073709551615,\"a name of thirty-two bytes\":0,\"1, 22\"";
            assert_eq!(text, format!("{}{end}", "-".repeat(before)));
        }
    }

    #[test]
    fn a_list_of_nothing_joins_to_an_empty_string() {
        let mut out = Vec::new();
        let mut draft = Draft::new(&mut out);
        draft.joined(&[] as &[u64], |draft, number| draft.number(*number));
        draft.end();
        assert_eq!(out, b"\"\"");
    }
}
