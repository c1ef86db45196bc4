//! Bytes as hexadecimal text, in lower case: digests, tags and names of requests.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The text of some bytes, two digits each.
pub fn of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push(&mut text, bytes);
    text
}

/// Puts the text of some bytes behind another.
pub fn push(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(super::of(&[0, 1, 0x9a, 0xff]), "00019aff");
        assert_eq!(super::of(&0x1f_u64.to_be_bytes()), format!("{:016x}", 0x1f));
    }
}
