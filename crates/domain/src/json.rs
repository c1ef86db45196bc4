//! Writing legacy JSON: compact, non-ASCII as it is, no tree in between.

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

/// Whether a text has a quote, a backslash or a control character. Names are short, so eight bytes at a
/// time are faster than one at a time and than wide registers.
pub fn must_escape(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().any(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
    };
    // The last eight bytes may overlap those before.
    let (words, _) = text.as_chunks();
    words.iter().any(|word| escapes_in(*word) != 0) || escapes_in(*last) != 0
}

/// Where a quote, a backslash or a control character is the first of eight bytes, the lowest bit that is set
/// is the top bit of that byte; 0 where there is none. Bits above the lowest say nothing.
#[inline]
pub(crate) fn escapes_in(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    let all = |byte: u8| ONES * u64::from(byte);
    // The lowest byte below `limit` has its top bit set, and none where there is no such byte.
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(all(limit)) & !bytes & TOPS;
    let bytes = u64::from_le_bytes(bytes);
    // With this bit turned a quote is 0x20, and a space and `!` are above it; control characters stay below.
    below(bytes ^ all(0x02), 0x21) | below(bytes ^ all(b'\\'), 1)
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
        for length in 1..20 {
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
