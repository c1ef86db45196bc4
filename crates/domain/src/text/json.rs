//! Writing legacy JSON: compact, non-ASCII as it is, no tree in between.

use wide::u8x16;

/// What separates the parts of a legacy list in a string: documented sample `"3623, 2481"`.
pub const SEPARATOR: &str = ", ";

/// Appends `text` as a JSON string; quotes, backslashes and control characters are escaped, nothing
/// else is changed.
pub fn string(out: &mut Vec<u8>, text: &str) {
    // Room for all of it, unless something must be escaped.
    out.reserve(text.len() + 2);
    out.push(b'"');
    inner(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string.
pub fn inner(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    if must_escape(out, start) {
        out.truncate(start);
        escaped(out, text);
    }
}

/// The inside of a text in which something must be escaped. A function of its own, so that the usual way stays small.
#[cold]
#[inline(never)]
fn escaped(out: &mut Vec<u8>, text: &str) {
    let start = out.len();
    // Writing a `str` to a `Vec` has no way to fail; serde_json only types it so.
    let _ = serde_json::to_writer(&mut *out, text);
    out.pop();
    out.remove(start);
}

/// Whether `bytes` have a quote, a backslash or a control character from `start` on. The bytes before it fill
/// the block of a short text, and decide nothing.
pub fn must_escape(bytes: &[u8], start: usize) -> bool {
    let mut end = bytes.len();
    while let Some(block) = bytes.get(..end).and_then(|bytes| bytes.last_chunk::<BLOCK>()) {
        let (found, left) = (escapes_in(*block), end - start);
        if left <= BLOCK {
            return found >> (BLOCK - left) != 0;
        }
        if found != 0 {
            return true;
        }
        end -= BLOCK;
    }
    bytes[start..end].iter().any(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))
}

/// Whether a text has a byte.
#[inline]
pub(crate) fn has(text: &[u8], byte: u8) -> bool {
    let is_in = |block: u8x16| block.simd_eq(u8x16::splat(byte)).any();
    if let Some(last) = text.last_chunk::<BLOCK>() {
        let (blocks, _) = text.as_chunks::<BLOCK>();
        return is_in((*last).into()) || blocks.iter().any(|block| is_in((*block).into()));
    }
    // Two shorter blocks that overlap have every byte of a short text.
    let halves = (text.first_chunk(), text.last_chunk());
    let quarters = (text.first_chunk(), text.last_chunk());
    let block = match (halves, quarters) {
        ((Some(first), Some(last)), _) => {
            u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << 64
        }
        (_, (Some(first), Some(last))) => {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            // What nobody looks for is behind them.
            u128::from(first) | u128::from(last) << 32 | (u128::from(!byte) * FILL) << 64
        }
        _ => return text.contains(&byte),
    };
    is_in(block.to_le_bytes().into())
}

/// A byte times this is eight times that byte.
const FILL: u128 = 0x0101_0101_0101_0101;

/// How many bytes are looked at in one step.
pub(crate) const BLOCK: usize = 16;

/// Which bytes of a block are a quote, a backslash or a control character: the lowest bit stands for the first.
#[inline]
pub(crate) fn escapes_in(block: [u8; BLOCK]) -> u32 {
    let block = u8x16::from(block);
    let is = |byte: u8| block.simd_eq(u8x16::splat(byte));
    let is_control = block.min(u8x16::splat(0x1f)).simd_eq(block);
    (is(b'"') | is(b'\\') | is_control).to_bitmask()
}

/// The first place from `at` on with a quote, a backslash or a control character, or the end.
#[inline]
pub(crate) fn plain_until(bytes: &[u8], at: usize) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
        let found = escapes_in(*block);
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize;
        }
        rest = behind;
    }
    let plain = rest.iter().take_while(|byte| **byte >= 0x20 && !matches!(byte, b'"' | b'\\'));
    bytes.len() - rest.len() + plain.count()
}

/// Appends a string or `null`.
pub fn text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a number.
pub fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `items` as a JSON array.
pub fn array<T>(out: &mut Vec<u8>, items: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

/// The error body every legacy family uses: `{"error":"..."}`.
pub fn error_body(message: &str) -> Vec<u8> {
    let mut out = b"{\"error\":".to_vec();
    string(&mut out, message);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_are_written_as_serde_json_writes_them(text in any::<String>()) {
            let mut out = b"x".to_vec();
            string(&mut out, &text);
            let expected = format!("x{}", serde_json::to_string(&text).unwrap());
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_byte_is_escaped_wherever_it_stands() {
        for length in 1..40 {
            for at in 0..length {
                for byte in 0..=127_u8 {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    let expected = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(must_escape(&text, 0), expected, "{byte} at {at} of {length}");
                    // Behind something else, which does not count.
                    for before in [1, 15, 16, 17, 40] {
                        let mut bytes = vec![b'"'; before];
                        bytes.extend_from_slice(&text);
                        assert_eq!(
                            must_escape(&bytes, before),
                            expected,
                            "{byte} at {at} of {length}"
                        );
                    }
                }
            }
        }
        assert!(!must_escape("\u{7f}\u{80}\u{ff}\u{10ffff}éééééé".as_bytes(), 0));
        assert!(!must_escape(b"\"", 1) && !must_escape(&[b'"'; 16], 16) && !must_escape(b"", 0));
    }

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for length in 0..70 {
            let mut text = vec![b'~'; length];
            assert!(!has(&text, b',') && has(&text, b'~') == (length > 0));
            assert!(!has(&text, b'~' ^ 0xff) && !has(&text, 0));
            for at in 0..length {
                text[at] = b',';
                assert!(has(&text, b','), "{at} of {length}");
                text[at] = b'~';
            }
        }
    }
}
