//! Bytes as hexadecimal text, in lower case: digests, tags and names of requests.

/// The two digits of every byte.
const PAIRS: [[u8; 2]; 256] = {
    let (digits, mut pairs, mut byte) = (b"0123456789abcdef", [[0; 2]; 256], 0);
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};
/// How many bytes are put into digits before they are added to a text.
const AT_ONCE: usize = 16;

/// The text of some bytes, two digits each.
pub fn of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push(&mut text, bytes);
    text
}

/// Puts the text of some bytes behind another.
pub fn push(text: &mut String, bytes: &[u8]) {
    for bytes in bytes.chunks(AT_ONCE) {
        let mut digits = [0; 2 * AT_ONCE];
        let (pairs, _) = digits.as_chunks_mut();
        for (pair, byte) in pairs.iter_mut().zip(bytes) {
            *pair = PAIRS[usize::from(*byte)];
        }
        let digits = digits.get(..2 * bytes.len()).unwrap_or_default();
        // Digits are text; nothing is lost here.
        text.push_str(std::str::from_utf8(digits).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(super::of(&[0, 1, 0x9a, 0xff]), "00019aff");
        let all: Vec<u8> = (0..=255).collect();
        let expected: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((super::of(&all), super::of(&[])), (expected, String::new()));
        assert_eq!(super::of(&0x1f_u64.to_be_bytes()), format!("{:016x}", 0x1f));
    }
}
