//! Writing legacy JSON: compact, non-ASCII as it is, no tree in between.

use wide::u8x16;

/// What separates the parts of a legacy list in a string: documented sample `"3623, 2481"`.
pub const SEPARATOR: &str = ", ";

/// Appends `text` as a JSON string; quotes, backslashes and control characters are escaped, nothing
/// else is changed.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    inner(out, text);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string.
pub fn inner(out: &mut Vec<u8>, text: &str) {
    if !must_escape(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let quoted = out.len();
    // Writing a `str` to a `Vec` has no way to fail; serde_json only types it so.
    let _ = serde_json::to_writer(&mut *out, text);
    out.pop();
    out.remove(quoted);
}

/// Whether a text has a quote, a backslash or a control character. A short text is padded with spaces.
pub fn must_escape(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        let mut padded = [b' '; BLOCK];
        padded[..text.len()].copy_from_slice(text);
        return escapes_in(padded) != 0;
    };
    // The last bytes may overlap those before.
    let (blocks, _) = text.as_chunks();
    blocks.iter().any(|block| escapes_in(*block) != 0) || escapes_in(*last) != 0
}

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

/// Appends `items` as one JSON string, the parts joined the legacy way; nothing gives `""`. `one`
/// appends the inside of a part.
pub fn joined<T>(out: &mut Vec<u8>, items: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'"');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(SEPARATOR.as_bytes());
        }
        one(out, item);
    }
    out.push(b'"');
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
                    assert_eq!(must_escape(&text), expected, "{byte} at {at} of {length}");
                }
            }
        }
        assert!(!must_escape("\u{7f}\u{80}\u{ff}\u{10ffff}éééééé".as_bytes()));
    }

    #[test]
    fn empty_lists_join_to_an_empty_string() {
        let mut out = Vec::new();
        joined(&mut out, &[] as &[u64], |out, n| number(out, *n));
        assert_eq!(out, b"\"\"");
    }
}
